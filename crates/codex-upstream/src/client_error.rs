//! The failures of this crate as the error for a client of the embedder.

use codex_translate::{Error, ErrorKind};

use crate::error::UpstreamError;
use crate::models::catalogue::CatalogueError;
use crate::quota::QuotaError;
use crate::retry::SendError;
use crate::unary::UnaryReplyError;
use crate::workspaces::WorkspaceError;
use crate::workspaces::router::WorkspaceRouteError;

impl From<UpstreamError> for Error {
    fn from(error: UpstreamError) -> Self {
        let kind = match error {
            UpstreamError::InvalidRequest { .. } => ErrorKind::InvalidRequest,
            UpstreamError::Timeout { .. } => ErrorKind::Timeout,
            UpstreamError::Body { .. } => ErrorKind::Truncated,
            UpstreamError::TooLarge { .. } => ErrorKind::Protocol,
            UpstreamError::Connect { .. }
            | UpstreamError::WebSocketUnavailable { .. }
            | UpstreamError::Unanswered { .. }
            | UpstreamError::Tls { .. }
            | UpstreamError::Proxy { .. }
            | UpstreamError::Closed { .. } => ErrorKind::Server,
        };
        Self::new(kind, error.to_string())
    }
}

/// After [`send_with_retry`](crate::send_with_retry), mark an error that [`is_retried`](SendError::is_retried) with
/// [`Error::after_retries`], so the client's retries do not multiply with these.
impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Transport(error) => error.into(),
            SendError::Refused { failure, .. } => failure.error,
        }
    }
}

impl From<WorkspaceRouteError> for Error {
    fn from(error: WorkspaceRouteError) -> Self {
        Self::new(ErrorKind::Permission, error.to_string()).with_code("deactivated_workspace")
    }
}

/// Makes each a reply of the backend that cannot be read.
macro_rules! unreadable_replies {
    ($($error:ty),+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(ErrorKind::Protocol, error.to_string())
            }
        }
    )+};
}

unreadable_replies!(CatalogueError, QuotaError, UnaryReplyError, WorkspaceError);
