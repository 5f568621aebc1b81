//! Who may call, from where, and how many at a time: decisions from a request's head and the settings. Never a body,
//! and never a reply: `reply/` writes what a rejected caller reads.

pub(crate) mod access;
pub(crate) mod advice;
pub(crate) mod caller;
pub(crate) mod cors;
pub(crate) mod keys;
pub(crate) mod origin;
pub(crate) mod slots;
