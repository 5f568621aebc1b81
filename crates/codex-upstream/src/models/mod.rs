//! The models of an account: the catalogue, its cache, and the names by which clients ask for models.

pub(crate) mod cache;
pub(crate) mod catalogue;
mod name;

pub use name::{ModelAliases, ModelChoice, ParseAliasError};
