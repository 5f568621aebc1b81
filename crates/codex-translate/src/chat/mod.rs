//! The Chat Completions API: a request, the deltas of a reply, and the two forms that these are written in.
//!
//! Nothing here reads an event of the backend or decides what a reply says.

mod chunk;
mod completion;
mod delta;
mod request;
mod tool_call;

pub(crate) use chunk::ChunkEncoder;
pub(crate) use completion::ChoiceMessage;
pub use completion::{Choice, Completion};
pub use delta::{Citation, Delta, DeltaSink, OutputImage, ReasoningKey};
pub use request::ChatRequest;
pub use tool_call::ToolCall;
