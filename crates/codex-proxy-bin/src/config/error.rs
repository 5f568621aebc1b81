//! The error of a setting that cannot be used.

/// A setting that cannot be used; says where it was given and what it takes.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    pub(super) place: String,
    pub(super) problem: String,
}
