//! The chat writer: events to the deltas of one choice.
//!
//! Nothing here writes bytes: [`chat`](crate::chat) turns deltas into chunks or into one completion.

mod choice_writer;
mod commentary;
mod items;
mod json_answer;
mod pipe;
mod stream;

pub use pipe::{ChatFold, ChatPipe};
pub use stream::ChatStream;
