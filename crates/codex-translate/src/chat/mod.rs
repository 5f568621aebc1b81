//! The Chat Completions API: a request, the deltas of a reply, and the two forms that these are written in.
//!
//! Nothing here reads an event of the backend or decides what a reply says.

mod chunk;
mod completion;
mod delta;
mod request;

pub(crate) use chunk::ChunkEncoder;
pub(crate) use completion::Choice;
pub use completion::Completion;
pub use delta::{Citation, Delta, DeltaSink, OutputImage, ReasoningKey};
pub use request::ChatRequest;
