//! Why there is no bearer, by what the caller does next.

use std::fmt;
use std::time::Duration;

use crate::response::GrantRefusal;
use crate::store::StoreError;

/// Why there is no token to send, by what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There are no credentials: run the command.
    #[error("not logged in (no credentials in {location}): run `{login}`")]
    NotLoggedIn {
        /// Where credentials were looked for, as in [`crate::TokenStore::location`].
        location: String,
        /// The command, as in [`crate::TokenStore::login_command`].
        login: String,
    },
    /// The login has ended and no request can revive it: run the command. The new login is used without a restart.
    #[error("the login has ended ({reason}): run `{login}`")]
    LoginExpired {
        /// Why it ended.
        reason: LoginReason,
        /// The command, as in [`crate::TokenStore::login_command`].
        login: String,
    },
    /// The stored credentials changed to another account during a request of the first. Send the request again from the
    /// start, as the other account.
    #[error("the stored credentials now belong to another account: send the request again")]
    AccountChanged,
    /// The access token cannot be renewed right now: try again after the pause.
    #[error("cannot renew the access token right now ({reason}): try again in {} s", .retry_after.as_secs().max(1))]
    Temporary {
        /// The time until the next attempt is made.
        retry_after: Duration,
        /// Why the last attempt failed.
        reason: String,
    },
    /// The stored credentials cannot be used as they are: the message names the store and the next step.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why only a new login helps; contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginReason {
    /// The access token ended or was rejected, and there is no refresh token.
    NoRefreshToken,
    /// The auth server refused the refresh token permanently.
    Refused(GrantRefusal),
    /// The auth server refused the refresh token after an earlier response to it was lost.
    ResponseLost(GrantRefusal),
}

impl fmt::Display for LoginReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRefreshToken => f.write_str("the access token is no longer valid, and there is no refresh token"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::ResponseLost(refusal) => {
                write!(f, "{refusal}; an earlier response, which contained the next refresh token, was lost")
            }
        }
    }
}
