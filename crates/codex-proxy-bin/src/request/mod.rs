//! What is read of a request before an endpoint gets it, and how much: its head, its body, and the limits of both.
//! Never what a request means: that is up to the endpoint and to codex-translate.

pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod deployment;
pub(crate) mod json_text;
pub(crate) mod limits;
pub(crate) mod multipart;
pub(crate) mod official_client;
