//! Pure, streaming translation between OpenAI Chat Completions and the Responses API.
//!
//! Clients send Chat Completions or Responses requests; the Codex backend accepts a strict form of the Responses API
//! and always streams. This crate turns a client's body into the request that the backend accepts, and the backend's
//! events into the reply that the client expects. It uses no I/O, clock, randomness, environment, logging, threads or
//! async: bytes, ids and times are arguments, and the same arguments give the same result.
//!
//! ```text
//! client's body ──▶ ChatRequest / ResponsesRequest ──▶ to_responses / normalise ──▶ Translated { request, plan, … }
//!                                                                                       │ to_json       │
//!                                                                                       ▼               │
//!                                                                                    backend            │ ReplyPlan
//!                                                                                       │ events        ▼
//! client's reply ◀── chunks, events or a body ◀── ChatPipe, ChatFold, ResponsesPipe, ResponsesFold ◀────┘
//! ```
//!
//! **The output does not depend on how the input bytes are split, and a stream without a terminal event never looks
//! finished.**
//!
//! # Example
//!
//! ```
//! use codex_translate::chat::ChatRequest;
//! use codex_translate::{ChatPipe, Chunk, EventReader, Flow, Options, Pipe, Profile, ReplyId, to_responses};
//!
//! // The client's request
//! let body = br#"{"model": "gpt-5.5", "stream": true, "messages": [{"role": "user", "content": "Say hey."}]}"#;
//! let request = ChatRequest::from_json(body)?;
//! let translated = to_responses(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
//! // becomes the backend's request.
//! assert!(translated.request.to_json().starts_with(br#"{"model":"gpt-5.5","instructions":"","input":[{"#));
//!
//! // The backend's events, split anywhere,
//! let events = concat!(
//!     "event: response.output_text.delta\n",
//!     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey!\"}\n\n",
//!     "event: response.completed\n",
//!     "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n",
//! );
//! let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
//! let mut reader = EventReader::new();
//! let mut pipe = ChatPipe::new(&translated.plan, &reply_id);
//! let mut reply = Vec::new();
//! for piece in events.as_bytes().chunks(16) {
//!     if pipe.feed(&mut reader, &Chunk::Bytes(piece), &mut reply)? == Flow::Done {
//!         break; // The reply is complete: drop the connection's stream.
//!     }
//! }
//! // become the client's reply.
//! let summary = pipe.finish(&mut reply)?;
//! pipe.end(summary.usage.as_ref(), &mut reply);
//!
//! let reply = String::from_utf8(reply).expect("chunks are UTF-8");
//! assert!(reply.contains(r#""delta":{"content":"Hey!"}"#));
//! assert!(reply.contains(r#""finish_reason":"stop""#));
//! assert!(reply.ends_with("data: [DONE]\n\n"));
//! # Ok::<(), codex_translate::Error>(())
//! ```
//!
//! # What is public
//!
//! | To | use |
//! |---|---|
//! | read a client's body | [`chat::ChatRequest`], [`responses::ResponsesRequest`], [`images::ImagesRequest`] |
//! | translate it | [`to_responses`], [`normalise`], [`compact`], [`to_lite`], with a [`Profile`] and [`Options`] |
//! | do both for any client's dialect | [`Dialect`] |
//! | see what a parameter becomes | [`params`], and the [`Notice`]s of one request |
//! | name the conversation | [`ConversationSeed`], [`conversation_id`] |
//! | write the reply | [`Pipe`] and [`Fold`], by a [`ReplyPlan`]; [`reply`] shows what becomes of each event |
//! | read an event yourself | [`EventReader`], [`RawEvent`], [`responses::Event`] |
//! | answer with an error | [`Error`], [`ErrorKind`], and [`backend`] to read the backend's own |
//! | know what a request or a reply can hold in memory | [`bounds`] |

mod error;
mod json;
mod notice;
mod outcome;
mod plan;
mod profile;
mod request;
mod sse;
mod tool_names;
mod usage;

pub mod backend;
pub mod bounds;
pub mod chat;
pub mod dialect;
pub mod reply;
pub mod responses;

pub use dialect::{Dialect, WholeReply};
pub use error::{Error, ErrorBody, ErrorKind, Origin, Retry};
pub use json::{Text, TextBuf};
pub use notice::{Notice, NoticeKind};
pub use outcome::{Finish, Flow, ReplyId, Summary};
pub use plan::{ReasoningStyle, ReplyPlan};
pub use profile::{DEFAULT_MAX_CHOICES, Effort, Options, Profile};
#[doc(inline)]
pub use reply::{
    ChatFold, ChatPipe, ChatStream, Chunk, EventBuffer, EventReader, EventSink, Fold, Pipe, Response, ResponseStream,
    ResponsesFold, ResponsesPipe,
};
pub use request::{
    ConversationSeed, Translated, compact, conversation_id, images, normalise, params, to_lite, to_responses,
};
pub use responses::RawEvent;
pub use sse::{DecodeError, Decoder, Frame};
pub use tool_names::ToolNames;
pub use usage::Usage;
