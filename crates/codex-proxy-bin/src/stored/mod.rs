//! The responses that clients asked to store (docs/features.md E7), and the requests that continue them. Never on disk,
//! and never sent to the backend by itself.
//!
//! The backend stores none, and many clients rely on it: they send `previous_response_id` and only the new input, or an
//! `item_reference` instead of an item. So responses are stored here, in memory only, each for the caller whose request
//! it answered, up to a total size; the least recently used are evicted first. The request is stored as it was sent,
//! and parsed only when a client continues the response, so storing costs a reply next to nothing.

mod conversation;
mod store;

pub(crate) use conversation::{ExpandedRequest, items};
pub(crate) use store::{Stored, StoredResponse};
