//! Access, refresh and id tokens: their form, which of them exist, and their states.
//!
//! It never speaks HTTP: the auth server issues tokens, and the backend looks bearer tokens up.

pub(crate) mod grant;
pub(crate) mod jwt;
pub(crate) mod ledger;
