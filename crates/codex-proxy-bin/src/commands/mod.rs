//! The commands of the program, one file or folder each, and the error that ends one. Never how a request is answered:
//! `serve` starts the server and hands it the `App`.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::ConfigError;
use crate::simulated::SimulatedError;

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod status;

mod duration;
mod progress;

/// How long a command waits for the store's lock: longer than a running proxy takes to refresh.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// The exit code for an invalid setting or argument (sysexits.h).
pub(crate) const EX_USAGE: u8 = 64;

/// Why a command failed: one line for the user that names the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An argument is invalid.
    #[error("{0}")]
    Usage(String),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// A reply is not valid JSON.
    #[error("unexpected reply: {0}")]
    Json(#[from] serde_json::Error),
    /// The simulator could not be started.
    #[error(transparent)]
    Simulated(#[from] SimulatedError),
    /// Anything else, with its message.
    #[error("{0}")]
    Other(String),
}

impl CommandError {
    /// Converts any error.
    pub(crate) fn other(error: impl Display) -> Self {
        Self::Other(error.to_string())
    }

    /// Returns the exit code: 64 for an invalid setting or argument, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::from(EX_USAGE),
            Self::Output(_) | Self::Json(_) | Self::Simulated(_) | Self::Other(_) => ExitCode::FAILURE,
        }
    }
}
