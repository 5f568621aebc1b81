//! The limits that a client can set and the backend does not support: stop strings and token limits.
//!
//! Nothing here knows a dialect: a writer passes in the texts that the model generates, and writes what comes out.

#[cfg(not(feature = "tokens"))]
mod estimate;
mod output_limiter;
mod stop;
#[cfg(feature = "tokens")]
mod tokenizer;
#[cfg(feature = "tokens")]
mod tokens;

#[cfg(not(feature = "tokens"))]
use estimate::TokenEstimate as TokenCount;
pub(crate) use output_limiter::OutputLimiter;
#[cfg(feature = "tokens")]
use tokens::TokenCount;
