//! The Chat Completions API.

mod chunk;
mod completion;
mod delta;
mod request;

pub(crate) use chunk::ChunkEncoder;
pub(crate) use completion::Choice;
pub use completion::{Completion, MAX_COMPLETION_BYTES};
pub use delta::{Citation, Delta, Image, ReasoningKey, Sink};
pub use request::Request;
