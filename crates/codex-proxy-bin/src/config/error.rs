//! The error for an invalid setting.

/// An invalid setting: where it was set, and what it accepts.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    pub(super) place: String,
    pub(super) problem: String,
}
