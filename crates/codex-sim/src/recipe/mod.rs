//! Rendering replies: which output items, which events, which bytes. It never refuses a request, and it shares no
//! code with the translator, which is tested against it.
//!
//! [`outputs`] decides what the model says, [`items`] turns each output into its events, [`script`] puts them between
//! `response.created` and the terminal event, and [`frames`] writes them as bytes, with the faults of the scenario.

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
