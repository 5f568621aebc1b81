//! The command line as it is written: commands, flags, suggestions and completions. Never what a command does.

pub(crate) mod args;
pub(crate) mod completion;
pub(crate) mod session;
