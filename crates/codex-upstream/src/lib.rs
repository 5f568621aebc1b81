//! The client side of the ChatGPT Codex backend: a client whose TLS and HTTP/2 look like Chrome's, the requests that
//! the backend expects, and an accurate reading of its replies.
//!
//! Everything but [`HttpUpstream`] is pure or generic over the [`Upstream`] trait, so it is tested without sockets:
//!
//! ```text
//! requests::responses ─▶ send_with_retry ─▶ Upstream ─▶ http::Response<ChunkStream>
//!                              │               │  HttpUpstream, WebSocketUpstream, ScriptedUpstream
//!                              │               ▼
//!                              └── Failure::verdict ◀── any other status, bounded
//! ```
//!
//! The crate never reads the environment and stores no credentials: both are arguments of each call.
//!
//! **Dropping a reply's [`ChunkStream`] cancels the request at the backend, and a request is sent again only if it
//! provably did not reach the backend or the backend asks for a retry.**
//!
//! # Example
//!
//! ```
//! use codex_auth::{Bearer, Secret};
//! use codex_translate::responses::ResponsesRequest;
//! use codex_upstream::{BACKEND_URL, Backend, ClientIdentity, RetryPolicy, ScriptedUpstream, TokioTimer, TurnRequest};
//! use codex_upstream::{read_to_end, requests, send_with_retry};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let base = url::Url::parse(BACKEND_URL)?;
//! let identity = ClientIdentity::default();
//! let bearer = Bearer { token: Secret::new("token"), account_id: Some("acct".to_owned()), fedramp: false };
//! let backend = Backend { base: &base, identity: &identity, region: None, bearer: &bearer };
//! let turn = ResponsesRequest::from_json(br#"{"model": "gpt-5.5", "input": "Hello!", "stream": true}"#)?;
//! let request = requests::responses(&backend, &TurnRequest::from(&turn))?;
//!
//! let upstream = ScriptedUpstream::new().reply(200, "data: {}\n\n"); // or an `HttpUpstream`
//! let reply = send_with_retry(&upstream, &request, &RetryPolicy::default(), &TokioTimer).await?;
//! assert_eq!(read_to_end(reply.into_body(), 1024).await?, "data: {}\n\n");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Requests and their replies
//!
//! | Function of [`requests`] | Reply |
//! |---|---|
//! | [`responses`](requests::responses), [`responses_websocket`](requests::responses_websocket) | an event stream |
//! | [`compaction`](requests::compaction) | [`CompactionReply`] |
//! | [`images`](requests::images) | [`ImagesReply`] |
//! | [`models`](requests::models) | [`Catalogue`], cached by [`ModelCache`] |
//! | [`usage`](requests::usage) | [`Quota`] |
//! | [`accounts_check`](requests::accounts_check) | [`Workspaces`], used by [`WorkspaceRouter`] |
//!
//! # Errors
//!
//! | [`UpstreamError`] | Reached the backend | May succeed later |
//! |---|---|---|
//! | [`Connect`](UpstreamError::Connect), [`Proxy`](UpstreamError::Proxy) | no | yes |
//! | [`Tls`](UpstreamError::Tls), [`InvalidRequest`](UpstreamError::InvalidRequest) | no | after a change |
//! | [`WebSocketUnavailable`](UpstreamError::WebSocketUnavailable) | no | as it says |
//! | [`Timeout`](UpstreamError::Timeout) | unless it was connecting | yes |
//! | [`Closed`](UpstreamError::Closed), [`Body`](UpstreamError::Body) | perhaps | yes |
//! | [`TooLarge`](UpstreamError::TooLarge) | yes | after a change |
//!
//! | [`Verdict`] on a reply | What the caller does |
//! |---|---|
//! | [`Ok`](Verdict::Ok) | read the body |
//! | [`Retry`](Verdict::Retry), [`Challenge`](Verdict::Challenge) | report the error: [`send_with_retry`] has retried |
//! | [`Reauth`](Verdict::Reauth) | refresh the access token and send once more |
//! | [`Limit`](Verdict::Limit) | tell the client when the quota resets |
//! | [`Fail`](Verdict::Fail) | report the error |
//!
//! # Public items
//!
//! - Sending: [`HttpUpstream`], [`HttpUpstreamConfig`], [`ProxyConfig`], [`Emulation`], [`HttpUpstreamError`], [`send_with_retry`],
//!   [`RetryPolicy`], [`error_for_status`], [`read_to_end`].
//! - The interface: [`Upstream`], [`AnyUpstream`], [`ChunkStream`], [`Upgrade`], [`WebSocket`], [`IncomingMessage`],
//!   [`OutgoingMessage`], [`Timer`], [`TokioTimer`], [`AnyTimer`], [`IdleTimer`].
//! - Requests: [`requests`], [`headers`], [`Backend`], [`BACKEND_URL`], [`ClientIdentity`], [`TurnRequest`].
//! - WebSockets: [`WebSocketUpstream`], [`TransportChoice`].
//! - Replies: [`Failure`], [`Verdict`], [`verdict()`], [`SendError`], [`UpstreamError`], [`TimeoutPhase`],
//!   [`CompactionReply`], [`ImagesReply`], [`GeneratedImage`], [`UnaryReplyError`].
//! - Models: [`Catalogue`], [`Model`], [`Visibility`], [`ModelCache`], [`CatalogueSnapshot`], [`ModelAliases`],
//!   [`ModelChoice`].
//! - The account: [`Quota`], [`QuotaWindow`], [`Credits`], [`Workspaces`], [`Workspace`], [`WorkspaceRouter`],
//!   [`WorkspaceRoute`].
//! - Tests: [`ScriptedUpstream`], [`ScriptedReply`], [`ScriptedSocket`].

pub mod headers;
pub mod requests;

mod any_timer;
mod any_upstream;
mod auth_http;
#[cfg(feature = "client")]
mod client;
mod client_error;
mod client_identity;
mod error;
mod failure;
mod idle_timer;
mod limit;
mod lock;
mod models;
mod quota;
mod retry;
mod scripted;
mod socket;
mod timer;
mod unary;
mod upstream;
mod verdict;
mod websocket;
mod workspaces;

pub use any_timer::AnyTimer;
pub use any_upstream::AnyUpstream;
#[cfg(feature = "client")]
pub use client::HttpUpstream;
#[cfg(feature = "client")]
pub use client::config::{Emulation, HttpUpstreamConfig, HttpUpstreamError, ParseEmulationError, ProxyConfig};
pub use client_identity::{ClientIdentity, DEFAULT_ORIGINATOR, DEFAULT_VERSION, InvalidIdentity};
pub use error::{TimeoutPhase, UpstreamError};
pub use failure::{Failure, verdict};
pub use idle_timer::IdleTimer;
pub use models::cache::{CatalogueSnapshot, CatalogueSource, ModelCache, ModelCacheConfig};
pub use models::catalogue::{Catalogue, CatalogueError, Model, Visibility};
pub use models::{ModelAliases, ModelChoice, ParseAliasError};
pub use quota::{Credits, Quota, QuotaError, QuotaWindow};
pub use requests::{BACKEND_URL, Backend, TurnRequest};
pub use retry::{RetryPolicy, SendError, error_for_status, send_with_retry};
pub use scripted::{ScriptedReply, ScriptedSocket, ScriptedUpstream};
pub use socket::{IncomingMessage, OutgoingMessage, WebSocket};
pub use timer::{Timer, TokioTimer};
pub use unary::{CompactionReply, GeneratedImage, ImagesReply, UnaryReplyError};
pub use upstream::{ChunkStream, Upgrade, Upstream, read_to_end};
pub use verdict::Verdict;
pub use websocket::{ParseTransportError, TransportChoice, WebSocketUpstream};
pub use workspaces::router::{WorkspaceRoute, WorkspaceRouteError, WorkspaceRouter};
pub use workspaces::{Workspace, WorkspaceError, Workspaces};

/// Internals for the fuzz targets.
#[cfg(fuzzing)]
pub mod fuzzing {
    #[cfg(feature = "client")]
    pub use crate::client::cleartext::fuzzing::{CleartextReply, read_cleartext_reply};
    pub use crate::websocket::fuzzing::{ReadMessage, continued, read_message};
}
