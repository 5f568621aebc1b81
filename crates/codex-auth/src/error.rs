//! What a caller does when there is no bearer.

use std::fmt;
use std::time::Duration;

use crate::{GrantRefusal, StoreError};

/// Why there is no token to send, in terms of what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There are no credentials: run the command.
    #[error("not logged in (no credentials in {path}): run `{login}`")]
    NotLoggedIn {
        /// Where credentials were looked for.
        path: String,
        /// The command, as in [`crate::TokenStore::login_command`].
        login: &'static str,
    },
    /// The login has ended and no request will revive it: run the command. The new login is picked up without a restart.
    #[error("the login has ended ({reason}): run `{login}`")]
    LoginExpired {
        /// Why it ended.
        reason: LoginReason,
        /// The command, as in [`crate::TokenStore::login_command`].
        login: &'static str,
    },
    /// The stored credentials changed to another account while a request of the first was under way. Send the request
    /// again from the start, as the other account.
    #[error("the stored credentials belong to another account since a moment ago: send the request again")]
    AccountChanged,
    /// The authority cannot be asked right now: try again after the pause.
    #[error("cannot renew the access token right now ({reason}): try again in {} s", .retry_after.as_secs().max(1))]
    Temporary {
        /// The time until the next attempt is made.
        retry_after: Duration,
        /// What went wrong last.
        reason: String,
    },
    /// The stored credentials cannot be used as they are: the message names the file and the step.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why only a new login helps; contains nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginReason {
    /// The access token ended or was rejected, and there is no refresh token.
    NoRefreshToken,
    /// The authority refused the refresh token for good.
    Refused(GrantRefusal),
    /// The authority refused the refresh token after an earlier reply to it was lost on the way.
    ReplyLost(GrantRefusal),
}

impl fmt::Display for LoginReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRefreshToken => {
                f.write_str("the access token is no longer valid, and there is no refresh token here to renew it")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::ReplyLost(refusal) => {
                write!(f, "{refusal}; an earlier reply with the next refresh token was lost on the way")
            }
        }
    }
}
