//! Rendering replies: which output items, which events, which bytes. It never refuses a request, and shares no code with the
//! translator that is tested against it.
//!
//! [`outputs`] decides what the model says, [`items`] turns each output into its events, [`script`] strings them together
//! between `response.created` and the terminal event, and [`frames`] writes them as bytes with the faults that were asked for.

pub(crate) mod echo;
pub(crate) mod error_event;
pub(crate) mod event;
pub(crate) mod frames;
pub(crate) mod items;
pub(crate) mod outputs;
pub(crate) mod quota_snapshot;
pub(crate) mod sample;
pub(crate) mod script;
pub(crate) mod usage;
