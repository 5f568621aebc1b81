//! The responses that clients asked to store (docs/features.md E7), and the requests that continue them. Never on disk,
//! and never sent to the backend by itself.
//!
//! The backend stores none, and many clients rely on it: they send `previous_response_id` and only the new input, or an
//! `item_reference` instead of an item. So responses are stored here, in memory only, each for the caller whose request
//! it answered, up to a total size; the least recently used are evicted first. A response holds those that it
//! continues, so what a client has been promised does not depend on what became of them.

mod conversation;
mod items;
mod response;
mod store;

#[cfg(test)]
mod tests;

pub(crate) use conversation::{CompletedItems, Continued, ExpandedRequest, own_body};
pub(crate) use items::{Item, is_reasoning, items};
pub(crate) use response::{NewResponse, StoredResponse};
pub(crate) use store::Stored;
