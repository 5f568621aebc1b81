//! From the backend's events to the reply that the client reads: a writer for each dialect, and pipes and folds around
//! them.
//!
//! Nothing here looks at a request, decides what a client asked for, or knows HTTP: the [`ReplyPlan`](crate::ReplyPlan)
//! says how the reply is written.
//!
//! # Which type
//!
//! | The client asked for | Type | To frame the reply yourself |
//! |---|---|---|
//! | a chat stream | [`ChatPipe`] | [`ChatStream`] and a [`DeltaSink`](crate::chat::DeltaSink) |
//! | a chat body | [`ChatFold`] | |
//! | a Responses stream | [`ResponsesPipe`] | [`ResponseStream`] and an [`EventSink`] |
//! | a Responses body | [`ResponsesFold`] | |
//! | a compaction | [`CompactionFold`] | |
//!
//! All five have the same methods, those of [`Pipe`] or [`Fold`]. While a pipe has written nothing, answer an error
//! with an HTTP status ([`Error::status_hint`](crate::Error::status_hint),
//! [`Error::to_json`](crate::Error::to_json)); after that, [`Pipe::write_error`] writes the event that SDKs raise. For
//! `n` choices, run one turn per choice, set [`ReplyPlan::choice`](crate::ReplyPlan::choice) to its index, and call
//! [`Pipe::end`] once; [`Completion::merge`](crate::chat::Completion::merge) joins bodies.
//!
//! # What becomes of each event
//!
//! Events of other types are dropped on the chat path and passed on unchanged on the Responses path.
//!
//! * `response.created`, `.in_progress`, `.queued`. Chat: dropped. Responses: held back until the first output or
//!   [`Pipe::release`], with the caller's name for the model; `response.created` is written once, as the first event.
//! * `response.output_item.added`. Chat: starts a tool call if it has a name. Responses: once per item, with indexes
//!   without gaps; a tool call once it has a name.
//! * `response.output_item.done`. Chat: adds what the deltas lacked, and images. Responses: preceded by events for what
//!   was missing.
//! * `response.content_part.added` and `.done`, `response.reasoning_summary_part.added` and `.done`. Chat: as the end
//!   of the text. Responses: once per part, added if missing.
//! * `response.output_text.delta`, `response.text.delta`. Chat: `content`, or reasoning if the message is commentary.
//!   Responses: as `response.output_text.delta`, after its item and part.
//! * `response.refusal.delta`. Chat: `refusal`. Responses: after its item and part.
//! * `response.reasoning_summary_text.delta`, `response.reasoning_text.delta`. Chat: reasoning, as
//!   [`ReasoningStyle`](crate::ReasoningStyle) says. Responses: after its item and part.
//! * `response.function_call_arguments.delta`, `response.custom_tool_call_input.delta`. Chat:
//!   `tool_calls[].function.arguments`. Responses: after its item.
//! * The `.done` of all these. Chat: adds what the deltas lacked. Responses: preceded by a delta for what was missing.
//!   A whole reply has the last value of a text. A stream cannot take back what it has sent: another value of a text is
//!   left out, another value of a call is an error on both paths.
//! * `response.output_text.annotation.added`. Chat: `annotations` if it cites a URL, with positions in the whole
//!   content. Responses: unchanged.
//! * `response.completed`, `response.done`. Chat: the finish. Responses: `response.completed` with the whole output. An
//!   incomplete tool call is an error on both paths.
//! * `response.incomplete`. Chat: `length` or `content_filter`. Responses: with the whole output; open items end as
//!   incomplete.
//! * `response.failed`, `response.cancelled`, `error`. Both: an error. Responses: `response.failed` if the stream has
//!   begun.
//! * `keepalive`. Chat: dropped. Responses: dropped, unless [`KeepaliveStyle`](crate::KeepaliveStyle) says otherwise.
//! * `[DONE]`, and events without a type or data. Both: dropped.
//!
//! A message whose phase is `commentary` or `analysis` is commentary, any other is part of the answer. The phase is
//! written as `commentary` or `final_answer`, which SDKs know, unless
//! [`ReplyPlan::keep_phases`](crate::ReplyPlan::keep_phases) is set. A lone surrogate, which is not a character,
//! becomes U+FFFD.

mod chat;
mod ending;
mod event_buffer;
mod limit;
mod match_items;
mod pipe;
mod responses;
mod sink;
mod source;

pub use chat::{ChatFold, ChatPipe, ChatStream};
pub use event_buffer::EventBuffer;
pub use pipe::{Fold, Pipe};
pub use responses::{
    CompactionFold, CompactionReply, Response, ResponseStream, ResponsesFold, ResponsesPipe, StoredReply,
    without_encrypted_reasoning,
};
pub use sink::EventSink;
pub use source::{Chunk, EventReader};
