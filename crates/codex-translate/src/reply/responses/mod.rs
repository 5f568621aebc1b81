//! The Responses writer: events to the same events, repaired for the clients that read them.
//!
//! Nothing here invents an event whose content upstream has not sent, and nothing knows the chat dialect.
//!
//! `stream.rs` holds the machine and takes one event after the other; the other files add methods to it, each for one part of
//! the work.

mod finish;
mod output;
mod pipe;
mod prelude;
mod push_text;
mod repair;
mod response;
mod stream;
mod writer;

pub use pipe::{ResponsesFold, ResponsesPipe};
pub use response::Response;
pub use stream::ResponseStream;
