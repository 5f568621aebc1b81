//! What is read of a request before an endpoint gets it, and how much: its head, its body, and the bounds of both. Never what a
//! request means: that is for the endpoint, and for codex-translate.

pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod context;
pub(crate) mod decode;
pub mod limits;
pub(crate) mod multipart;
