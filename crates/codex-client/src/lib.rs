//! A client of the Codex models of a ChatGPT account, which speaks OpenAI's APIs: codex-translate, codex-auth and
//! codex-upstream joined.
//!
//! ```text
//! ChatRequest, … ─▶ Client::chat, … ─▶ bearer ─▶ route ─▶ send ─▶ first event ─▶ Reply ─▶ into_sse, collect
//!                                        ▲                   │
//!                                        └── 401: new token ─┘
//! ```
//!
//! A turn gets a bearer that is refreshed in time, finds the address of the account's workspace, and is sent with the
//! official client's headers and a browser's TLS fingerprint. It is sent again where that is safe: before it has
//! reached the backend, once with a fresh token after a 401, once after an overload before the first output. Every
//! failure is a [`codex_translate::Error`], with the status and the body for a client.
//!
//! **Dropping a reply, or the future that waits for it, ends the turn at the backend; there is no task and no channel
//! in between.**
//!
//! # Example
//!
//! ```
//! use codex_auth::{MemoryStore, Secret, Tokens};
//! use codex_client::Client;
//! use codex_translate::chat::ChatRequest;
//! use codex_upstream::ScriptedUpstream;
//! use futures_util::StreamExt as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::with_tokens(Tokens::new(Secret::new("token"))); // or a `FileStore`
//! # let events = concat!(
//! #     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey!\"}\n\n",
//! #     "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n",
//! # );
//! # let scripted = ScriptedUpstream::new().reply(200, events);
//! let client = Client::builder(store).upstream(scripted).build()?; // without `upstream`: the real backend
//!
//! let body = br#"{"model": "gpt-5.5", "stream": true, "messages": [{"role": "user", "content": "Say hey."}]}"#;
//! let reply = client.chat(ChatRequest::from_json(body)?).await?;
//! assert!(reply.notices().is_empty());
//!
//! let mut stream = reply.into_sse(); // `Stream<Item = Bytes> + Send`; or `reply.collect().await?`
//! while let Some(bytes) = stream.next().await {
//!     assert!(bytes.starts_with(b"data: "));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is public
//!
//! | To | use |
//! |---|---|
//! | build a client | [`Client::builder`], [`ClientBuilder`], [`BuildError`] |
//! | send a turn | [`Client::chat`], [`Client::responses`], or [`Client::prepare`] and [`Turn`] |
//! | read its reply | [`Reply`], [`ReplyStream`], [`Relay`], [`ReplyEvents`] |
//! | compact a conversation, generate images | [`Client::compact`], [`Client::images`], [`Compaction`], [`Images`] |
//! | see models, quota, login | [`Client::models`], [`Client::quota`], [`QuotaReport`], [`Client::login_status`] |
//! | tell callers apart | [`TurnContext`], [`Caller`] |
//! | log and count | [`TurnObserver`], [`RefreshOutcome`], [`ReplyObserver`] |
//! | keep an idle client ready | [`Client::keep_fresh`], [`Client::wait_for_refresh`] |
//! | map failures of your own calls | [`error`] |

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must end one reply, not the program: build with panic = \"unwind\"");

pub mod error;
pub mod ids;

mod account;
mod attempts;
mod builder;
mod client;
mod compaction;
mod first_event;
mod images;
mod model;
mod observer;
mod panics;
mod quota;
mod relay;
mod reply;
mod reply_events;
mod send;
mod turn;
mod unary;

pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
pub use compaction::{Compaction, CompactionTurn};
pub use images::Images;
pub use observer::{RefreshOutcome, ReplyObserver, TurnObserver};
pub use quota::{KnownQuota, QuotaReport};
pub use relay::{Relay, ReplyOutput, ReplyPart};
pub use reply::{FIRST_OUTPUT_WAIT, Reply, ReplyStream};
pub use reply_events::{EventBatch, ReplyEvents};
pub use turn::{Caller, Turn, TurnContext, TurnInfo};
