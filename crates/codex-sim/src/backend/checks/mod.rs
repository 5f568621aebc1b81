//! The checks on the body of a turn, in the order of `docs/backend.md` §8: the gateway's, then those of the model API.
//!
//! Each refuses or passes; none of them changes the body or reads the simulator's state.

pub(crate) mod gateway;
pub(crate) mod items;
pub(crate) mod pairing;
pub(crate) mod params;
pub(crate) mod parts;
pub(crate) mod tools;
pub(crate) mod values;
