//! The Responses writer: events to the same events, repaired for the clients that read them.
//!
//! Nothing here invents content that the backend has not sent, and nothing knows the chat dialect.
//!
//! `stream.rs` contains the machine and processes one event after the other. The other files add methods to it.

mod agree;
mod beginning;
mod compaction;
mod early_end;
mod entry;
mod finish;
mod items;
mod output;
mod part;
mod pipe;
mod prelude;
mod push_text;
mod repair;
mod replay;
mod response;
mod stream;
mod writer;

pub use compaction::{CompactionFold, CompactionReply};
pub use pipe::{ResponsesFold, ResponsesPipe};
pub use replay::{StoredReply, without_encrypted_reasoning};
pub use response::Response;
pub use stream::ResponseStream;
