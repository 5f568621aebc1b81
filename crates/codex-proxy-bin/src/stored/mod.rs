//! The responses that clients asked to be kept (docs/features.md E7).
//!
//! The backend keeps none, and many clients count on it: they send `previous_response_id` and what is new, or an
//! `item_reference` where an item stood. So responses are kept here, in memory alone, each for the caller whose request it
//! answered, up to a size; the longest unused go first. What was asked is kept as it came, and read when something goes on from
//! it: keeping costs a reply next to nothing.

mod conversation;
mod store;

pub(crate) use conversation::{Whole, items};
pub(crate) use store::{Kept, Stored};
