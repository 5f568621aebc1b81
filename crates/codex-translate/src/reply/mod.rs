//! From the backend's events to the reply that the client reads: a writer for each dialect, and pipes and folds around them.
//!
//! Nothing here looks at a request, decides what a client asked for, or knows HTTP: the [`ReplyPlan`](crate::ReplyPlan) says
//! how the reply is written.

mod align;
mod bounds;
mod chat;
mod event_buffer;
mod limit;
mod pipe;
mod responses;
mod sink;
mod source;

pub use bounds::{
    MAX_COMMENTARY_BYTES, MAX_EARLY_BYTES, MAX_EVENT_BYTES, MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS,
};
pub use chat::{ChatFold, ChatPipe, ChatStream};
pub use event_buffer::EventBuffer;
pub use pipe::{Fold, Pipe};
pub use responses::{Response, ResponseStream, ResponsesFold, ResponsesPipe};
pub use sink::EventSink;
pub use source::{Chunk, EventReader};
