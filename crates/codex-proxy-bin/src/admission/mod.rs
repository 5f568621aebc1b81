//! Who may call, from where, and how many at a time: decisions from a request's head and the settings. Never a body,
//! and never a reply: `reply/` writes what a rejected caller reads.

pub mod access;
pub(crate) mod cors;
pub mod keys;
pub mod origin;
pub mod slots;
