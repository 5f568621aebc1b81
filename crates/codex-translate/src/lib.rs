//! Pure, streaming translation between OpenAI Chat Completions and the Responses API.

mod conversation;
mod error;
mod json;
mod lite;
mod normalise;
mod notice;
mod plan;
mod profile;
mod read;
mod schema;
mod to_responses;
mod tool_names;

pub mod chat;
pub mod params;
pub mod responses;

pub use conversation::{ConversationSeed, conversation_id};
pub use error::{Error, ErrorBody, ErrorKind, Origin};
pub use lite::to_lite;
pub use normalise::normalise;
pub use notice::{Fate, MAX_NOTICES, Notice};
pub use plan::{ReasoningStyle, ReplyPlan};
pub use profile::{DEFAULT_MAX_CHOICES, Effort, Options, Profile};
pub use to_responses::{Translated, to_responses};
pub use tool_names::ToolNames;
