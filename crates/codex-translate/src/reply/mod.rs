//! From the backend's events to the reply that the client reads: a writer for each dialect, and pipes and folds around them.
//!
//! Nothing here looks at a request, decides what a client asked for, or knows HTTP: the [`ReplyPlan`](crate::ReplyPlan) says
//! how the reply is written.

mod align;
mod bounds;
mod chat;
mod limit;
mod pipe;
mod responses;

pub use bounds::{
    MAX_COMMENTARY_BYTES, MAX_EARLY_BYTES, MAX_EVENT_BYTES, MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS,
};
pub use chat::ChatStream;
pub use pipe::{ChatFold, ChatPipe, ResponsesFold, ResponsesPipe};
pub use responses::{EventSink, Response, ResponseStream};
