//! The ends that a caller can set and the backend does not know: stop strings and limits of tokens.
//!
//! Nothing here knows a dialect: a writer gives it the texts that the model generates, and writes what it lets through.

mod output_limiter;
mod stop;
mod tokenizer;
mod tokens;

pub(crate) use output_limiter::OutputLimiter;
