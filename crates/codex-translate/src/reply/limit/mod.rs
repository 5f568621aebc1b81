//! The limits that a client can set and the backend does not support: stop strings and token limits.
//!
//! Nothing here knows a dialect: a writer passes in the texts that the model generates, and writes what comes out.

mod output_limiter;
mod stop;
mod tokenizer;
mod tokens;

pub(crate) use output_limiter::OutputLimiter;
