//! Pure, streaming translation between OpenAI Chat Completions and the Responses API.

mod align;
mod conversation;
mod cut;
mod error;
mod json;
mod limits;
mod lite;
mod normalise;
mod notice;
mod pipe;
mod plan;
mod profile;
mod read;
mod reply;
mod schema;
mod splice;
mod sse;
mod stop;
mod text;
mod to_chat;
mod to_responses;
mod to_responses_stream;
mod tool_names;
mod usage;
mod voice;

pub mod chat;
pub mod params;
pub mod responses;

pub use conversation::{ConversationSeed, conversation_id};
pub use error::{Error, ErrorBody, ErrorKind, Origin};
pub use lite::to_lite;
pub use normalise::normalise;
pub use notice::{Fate, MAX_NOTICES, Notice};
pub use pipe::{ChatFold, ChatPipe, MAX_EVENT_BYTES, ResponsesFold, ResponsesPipe};
pub use plan::{ReasoningStyle, ReplyPlan};
pub use profile::{DEFAULT_MAX_CHOICES, Effort, Options, Profile};
pub use reply::{Finish, Flow, Identity, Summary};
pub use sse::{DecodeError, Decoder, Frame};
pub use text::Text;
pub use to_chat::{ChatStream, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
pub use to_responses::{Translated, to_responses};
pub use to_responses_stream::{EventSink, MAX_EARLY_BYTES, MAX_OUTPUT_BYTES, Response, ResponseStream};
pub use tool_names::ToolNames;
pub use usage::Usage;
pub use voice::MAX_COMMENTARY_BYTES;
