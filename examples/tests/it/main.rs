//! The tests of this crate.

#[cfg(test)]
mod run;
