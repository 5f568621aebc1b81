//! The backend's vocabulary: turns, refusals, strict schemas, quotas, encrypted reasoning.
//!
//! Pure values. It never reads the simulator's state, and never decides what is checked or answered.

pub(crate) mod encrypted_reasoning;
pub(crate) mod failure;
pub(crate) mod metaschema;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod schema;
pub(crate) mod turn;
