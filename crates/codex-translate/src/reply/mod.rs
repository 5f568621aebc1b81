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
//!
//! All four have the same methods, those of [`Pipe`] or [`Fold`]. While a pipe has written nothing, answer an error
//! with an HTTP status ([`Error::status_hint`](crate::Error::status_hint), [`Error::body`](crate::Error::body)); after
//! that, [`Pipe::write_error`] writes the event that SDKs raise. For `n` choices, run one turn per choice, set
//! [`ReplyPlan::choice`](crate::ReplyPlan::choice) to its index, and call [`Pipe::end`] once;
//! [`Completion::merge`](crate::chat::Completion::merge) joins bodies.
//!
//! # What becomes of each event
//!
//! Each entry says what the chat path makes of an event, then the Responses path. Events of other types are dropped on
//! the chat path and passed on unchanged on the Responses path.
//!
//! * `response.created`, `.in_progress`, `.queued`: dropped on the chat path. On the Responses path they are held back
//!   until the first output and carry the caller's name of the model; `response.created` is written once, as the first
//!   event.
//! * `response.output_item.added`: starts a tool call if it has a name. Written once per item, with indexes without
//!   gaps; a tool call is written once it has a name.
//! * `response.output_item.done`: adds what the deltas lacked, and images. Preceded by events for what was missing.
//! * `response.content_part.added` and `.done`, `response.reasoning_summary_part.added` and `.done`: dropped. Written
//!   once per part, and added if missing.
//! * `response.output_text.delta`, `response.text.delta`: `content`, or reasoning if the message is commentary. Written
//!   as `response.output_text.delta`, after its item and part.
//! * `response.refusal.delta`: `refusal`. Written after its item and part.
//! * `response.reasoning_summary_text.delta`, `response.reasoning_text.delta`: reasoning, as
//!   [`ReasoningStyle`](crate::ReasoningStyle) says. Written after its item and part.
//! * `response.function_call_arguments.delta`, `response.custom_tool_call_input.delta`:
//!   `tool_calls[].function.arguments`. Written after its item.
//! * The `.done` of all these: adds what the deltas lacked. Preceded by a delta for what was missing.
//! * `response.output_text.annotation.added`: `annotations` if it cites a URL, with positions in the whole content.
//!   Unchanged.
//! * `response.completed`, `response.done`: the finish. `response.completed` with the whole output, or an error if a
//!   tool call is incomplete.
//! * `response.incomplete`: `length` or `content_filter`. With the whole output; open items end as incomplete.
//! * `response.failed`, `response.cancelled`, `error`: an error. `response.failed` if the stream has begun.
//! * `keepalive`, `[DONE]`, and events without a type or data: dropped on both paths.
//!
//! A message whose phase is `commentary` or `analysis` is commentary, any other is part of the answer. The phase is
//! written as `commentary` or `final_answer`, which SDKs know, unless
//! [`ReplyPlan::keep_phases`](crate::ReplyPlan::keep_phases) is set. A lone surrogate, which is not a character,
//! becomes U+FFFD.

mod align;
mod chat;
mod event_buffer;
mod limit;
mod pipe;
mod responses;
mod sink;
mod source;

pub use chat::{ChatFold, ChatPipe, ChatStream};
pub use event_buffer::EventBuffer;
pub use pipe::{Fold, Pipe};
pub use responses::{Response, ResponseStream, ResponsesFold, ResponsesPipe};
pub use sink::EventSink;
pub use source::{Chunk, EventReader};
