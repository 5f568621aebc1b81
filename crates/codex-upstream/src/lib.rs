#![doc = include_str!("../README.md")]
//!
//! ## Requests and their replies
//!
//! | Function of [`requests`] | Reply |
//! |---|---|
//! | [`responses`](requests::responses), [`responses_websocket`](requests::responses_websocket) | an event stream |
//! | [`images`](requests::images) | [`ImagesReply`] |
//! | [`alpha`](requests::alpha) | JSON for the official client |
//! | [`models`](requests::models) | [`Catalogue`], cached by [`ModelCache`] |
//! | [`usage`](requests::usage) | [`Quota`] |
//! | [`reset_credits`](requests::reset_credits) | JSON for the official client |
//! | [`accounts_check`](requests::accounts_check) | [`Workspaces`], used by [`WorkspaceRouter`] |
//!
//! ## Errors
//!
//! | [`UpstreamError`] | Reached the backend | May succeed later |
//! |---|---|---|
//! | [`Connect`](UpstreamError::Connect), [`Proxy`](UpstreamError::Proxy) | no | yes |
//! | [`Tls`](UpstreamError::Tls), [`InvalidRequest`](UpstreamError::InvalidRequest) | no | after a change |
//! | [`WebSocketUnavailable`](UpstreamError::WebSocketUnavailable) | no | as it says |
//! | [`Unanswered`](UpstreamError::Unanswered) | yes, and was refused | after a change |
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
//! ## What is public
//!
//! | To | use |
//! |---|---|
//! | connect to the backend | [`HttpUpstream`], [`HttpUpstreamConfig`], [`ProxyConfig`], [`Emulation`] |
//! | use WebSockets for turns | [`WebSocketUpstream`], [`TransportChoice`], [`TurnInterrupt`] |
//! | connect in another way | [`Upstream`], [`ChunkStream`] |
//! | open WebSockets in another way | [`Upgrade`], [`WebSocket`], [`IncomingMessage`], [`OutgoingMessage`] |
//! | choose that at run time | [`AnyUpstream`], [`AnyTimer`] |
//! | build requests | [`requests`], [`Backend`], [`BACKEND_URL`], [`TurnRequest`], [`ClientIdentity`], [`headers`] |
//! | make a call of the official client's own tools | [`AlphaRequest`], [`AlphaTool`] |
//! | send them | [`send_with_retry`] and [`RetryPolicy`], or [`Upstream::send`] and [`error_for_status`] |
//! | read replies | [`read_to_end`], [`ImagesReply`], [`GeneratedImage`], [`UnaryReplyError`] |
//! | know why there is no reply | [`SendError`], [`UpstreamError`], [`TimeoutPhase`] |
//! | judge a status | [`Failure`], [`Verdict`], [`verdict()`] |
//! | know the models | [`ModelCache`], [`CatalogueSnapshot`], [`Catalogue`], [`Model`], [`Visibility`] |
//! | find the model of a name | [`Catalogue::resolve`], [`ModelAliases`], [`ModelChoice`] |
//! | see the quota | [`Quota`], [`QuotaWindow`], [`Credits`] |
//! | find the account's workspace | [`Workspaces`], [`Workspace`], [`WorkspaceRouter`], [`WorkspaceRoute`] |
//! | wait | [`Timer`], [`TokioTimer`], [`IdleTimer`] |
//! | test | [`ScriptedUpstream`], [`ScriptedReply`], [`ScriptedSocket`] |
//!
//! An [`AnyUpstream`] and an [`HttpUpstream`] are also an [`HttpClient`](codex_auth::HttpClient), for logins and
//! refreshes.

pub mod headers;
pub mod requests;

mod alpha;
mod any_timer;
mod any_upstream;
mod auth_http;
mod base_url;
#[cfg(feature = "client")]
mod client;
mod client_error;
mod client_identity;
mod compression;
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

pub use alpha::{AlphaRequest, AlphaTool};
pub use any_timer::AnyTimer;
pub use any_upstream::AnyUpstream;
pub use base_url::{BaseUrlError, check_base_url};
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
pub use unary::{GeneratedImage, ImagesReply, UnaryReplyError};
pub use upstream::{ChunkStream, Upgrade, Upstream, read_to_end};
pub use verdict::Verdict;
pub use websocket::{ParseTransportError, TransportChoice, TurnInterrupt, WebSocketUpstream};
pub use workspaces::router::{WorkspaceRoute, WorkspaceRouteError, WorkspaceRouter};
pub use workspaces::{Workspace, WorkspaceError, Workspaces};

/// Internals for the fuzz targets.
#[cfg(fuzzing)]
pub mod fuzzing {
    #[cfg(feature = "client")]
    pub use crate::client::cleartext::fuzzing::{CleartextReply, read_cleartext_reply};
    pub use crate::websocket::fuzzing::{ReadMessage, continued, read_message};
}
