//! The chat writer: events to the deltas of one choice.
//!
//! Nothing here writes bytes: [`chat`](crate::chat) turns deltas into chunks or into one completion.

mod calls;
mod choice_writer;
mod commentary;
mod items;
mod json_answer;
mod last_texts;
mod pipe;
mod stream;
mod texts;
mod thinking;
mod whole;

pub use pipe::{ChatFold, ChatPipe};
pub use stream::ChatStream;
