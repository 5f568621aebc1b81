//! Access, refresh and id tokens: what they look like, which exist, and what has become of them.
//!
//! It never talks HTTP: the auth server issues tokens from it and the backend looks bearers up in it.

pub(crate) mod grant;
pub(crate) mod jwt;
pub(crate) mod ledger;
