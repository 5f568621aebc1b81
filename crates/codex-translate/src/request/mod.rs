//! From a client's body to the request that the backend accepts, and the plan of its reply.
//!
//! Nothing here reads an event or writes a byte of a reply: what the reply side has to know is in the
//! [`ReplyPlan`](crate::ReplyPlan).
//!
//! Two steps: `read` checks types and shapes and fills the hub, a
//! [`ResponsesRequest`](crate::responses::ResponsesRequest); `normalise` fits that to the model and the backend.

mod body;
mod conversation;
pub(crate) mod echo;
mod estimate;
pub mod images;
mod lite;
mod normalise;
pub mod params;
mod read;
mod schema;
mod to_responses;
mod translated;

pub use conversation::{ConversationSeed, conversation_id};
pub use lite::to_lite;
pub use normalise::{compact, normalise};
pub use read::is_same_item;
pub use to_responses::to_responses;
pub use translated::Translated;
