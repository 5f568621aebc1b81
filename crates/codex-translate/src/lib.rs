#![doc = include_str!("../README.md")]
//!
//! ## What is public
//!
//! | To | use |
//! |---|---|
//! | read a client's body | [`chat::ChatRequest`], [`responses::ResponsesRequest`], [`images::ImagesRequest`] |
//! | translate it | [`to_responses`], [`normalise`], [`compact`], [`to_lite`], with a [`Profile`] and [`Options`] |
//! | do both for any client's dialect | [`Dialect`] |
//! | see what a parameter becomes | [`params`], and the [`Notice`]s of one request |
//! | name the conversation | [`ConversationSeed`], [`conversation_id`] |
//! | write the reply | [`Pipe`] and [`Fold`], by a [`ReplyPlan`]; [`reply`] shows what becomes of each event |
//! | read a whole reply | [`chat::Completion`], [`Response`], [`WholeReply`]: text, tool calls, finish, usage |
//! | read a compacted conversation | [`CompactionFold`] and [`CompactionReply`] |
//! | show a reply as it arrives | [`EventReader`], and [`ChatStream`] with a [`chat::DeltaSink`] |
//! | gather tool calls | [`ChatStream`] with a `Vec` of [`chat::ToolCall`] |
//! | read the backend's events yourself | [`Decoder::each`] or [`EventReader`], then [`responses::EventParser`] |
//! | show web searches | [`Event::web_search`](responses::Event::web_search) |
//! | answer with an error | [`Error`], [`ErrorKind`], and [`backend`] to read the backend's own |
//! | know what a request or a reply can hold in memory | [`bounds`] |

mod error;
mod json;
mod notice;
mod outcome;
mod paths;
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
pub use json::{Text, TextBuf, replace_lone_surrogates};
pub use notice::{Notice, NoticeKind};
pub use outcome::{Finish, Flow, ReplyId, Summary};
pub use paths::{ItemOrigin, RequestPaths};
pub use plan::{Echo, KeepaliveStyle, ReasoningStyle, ReplyPlan};
pub use profile::{BodyOrigin, DEFAULT_MAX_CHOICES, Effort, Options, Profile, Sender, Storage};
#[doc(inline)]
pub use reply::{
    ChatFold, ChatPipe, ChatStream, Chunk, CompactionFold, CompactionReply, EventBuffer, EventReader, EventSink, Fold,
    Pipe, Response, ResponseStream, ResponsesFold, ResponsesPipe, StoredReply, without_encrypted_reasoning,
};
pub use request::{
    ConversationSeed, Translated, compact, conversation_id, images, normalise, params, to_lite, to_responses,
};
pub use responses::RawEvent;
pub use sse::{DecodeError, Decoder, Frame};
pub use tool_names::ToolNames;
pub use usage::Usage;
