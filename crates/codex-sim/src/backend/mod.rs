//! The simulated ChatGPT backend (`wire.md` §2-§6).

pub(crate) mod account;
pub(crate) mod detail;
pub(crate) mod gate;
pub(crate) mod items;
pub(crate) mod models;
pub(crate) mod pairing;
pub(crate) mod params;
pub(crate) mod parts;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod responses;
pub(crate) mod schema;
pub(crate) mod seal;
pub(crate) mod tools;
pub(crate) mod turn;
