//! The simulated auth server (`wire.md` §1).

pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod jwt;
pub(crate) mod ledger;
pub(crate) mod page;
pub(crate) mod token;

/// The only registered client (`wire.md` §1.1).
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
