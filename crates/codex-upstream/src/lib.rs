//! The way to the ChatGPT Codex backend: a client whose TLS and HTTP/2 look like Chrome's, the requests the backend
//! expects, and an honest reading of what it answers.
//!
//! Everything but [`Client`] is pure or generic over the [`Upstream`] trait, and so is tested without sockets:
//!
//! ```text
//! requests::responses ─► send_with_retry ─► Upstream (Client, ScriptedUpstream) ─► http::Response<ChunkStream>
//!                              │                                               │
//!                              └── verdict / Failure ◄── non-2xx, bounded ◄────┘
//! ```
//!
//! The crate never reads the environment and holds no credentials: both are passed in per call. Dropping a reply's
//! [`ChunkStream`] cancels the request at the backend.
//!
//! # Example
//!
//! ```
//! use codex_upstream::{Backend, RequestAuth, ClientIdentity, ScriptedUpstream, TokioTimer, RetryPolicy, TurnRequest};
//! use codex_upstream::{read_to_end, requests, send_with_retry};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let base = url::Url::parse("https://chatgpt.com/backend-api")?;
//! let identity = ClientIdentity::default();
//! let backend = Backend {
//!     base: &base,
//!     identity: &identity,
//!     region: None,
//!     auth: RequestAuth { access_token: "token", account_id: Some("acct"), fedramp: false },
//! };
//! let conversation_id = Some("01a2062c-22de-7320-84ce-6a407485ff83");
//! let turn = TurnRequest { model: "gpt-5.5", tier: None, conversation_id, lite: false, body: b"{}" };
//! let request = requests::responses(&backend, &turn)?;
//!
//! let upstream = ScriptedUpstream::new().reply(200, "data: {}\n\n"); // or a `Client`
//! let reply = send_with_retry(&upstream, &request, &RetryPolicy::default(), &TokioTimer).await?;
//! assert_eq!(read_to_end(reply.into_body(), 1024).await?, "data: {}\n\n");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub mod headers;
pub mod requests;

mod client;
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

pub use client::Client;
pub use client::config::{ClientConfig, ClientError, Emulation, ParseEmulationError, ProxyConfig};
pub use client_identity::{ClientIdentity, DEFAULT_ORIGINATOR, DEFAULT_VERSION, InvalidIdentity};
pub use error::{TimeoutPhase, UpstreamError};
pub use failure::Failure;
pub use idle_timer::IdleTimer;
pub use models::cache::{CatalogueSnapshot, CatalogueSource, ModelCache, ModelCacheConfig};
pub use models::catalogue::{Catalogue, CatalogueError, Model, Visibility};
pub use models::{ModelAliases, ModelChoice, ParseAliasError};
pub use quota::{Credits, Quota, QuotaError, QuotaWindow};
pub use requests::{Backend, ImageCall, RequestAuth, TurnRequest};
pub use retry::{RetryPolicy, SendError, error_for_status, send_with_retry};
pub use scripted::{ScriptedReply, ScriptedSocket, ScriptedUpstream};
pub use socket::{IncomingMessage, OutgoingMessage, WebSocket};
pub use timer::{Timer, TokioTimer};
pub use unary::{CompactionReply, GeneratedImage, ImagesReply, UnaryReplyError};
pub use upstream::{ChunkStream, Upgrade, Upstream, read_to_end};
pub use verdict::{Verdict, verdict};
pub use websocket::{ParseTransportError, TransportChoice, WebSocketUpstream};
pub use workspaces::router::{WorkspaceRoute, WorkspaceRouteError, WorkspaceRouter};
pub use workspaces::{Workspace, WorkspaceError, Workspaces};
