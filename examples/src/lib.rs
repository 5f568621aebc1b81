//! Programs that embed the crates: see `README.md` beside this crate's manifest. The library itself is empty.

/// Compiles the code of the page for embedders.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-login-to-stream.md")]
pub struct FromLoginToStream;

/// Compiles the code of the README of the repository.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
