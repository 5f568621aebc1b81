//! The chat writer: events to the deltas of one choice.
//!
//! How deltas become bytes, as chunks or as one completion, is no concern of this wing; that is in [`chat`](crate::chat).

mod choice_writer;
mod items;
mod pipe;
mod stream;

pub use pipe::{ChatFold, ChatPipe};
pub use stream::ChatStream;
