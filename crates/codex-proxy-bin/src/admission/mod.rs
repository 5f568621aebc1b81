//! Who may call, from where, and how many at a time: decisions from a request's head and the settings. Never a body, and never a
//! reply: what a caller that is refused gets to read stands in `reply/`.

pub mod access;
pub(crate) mod cors;
pub mod keys;
pub mod origin;
pub mod slots;
