//! The backend's vocabulary: what a turn asks for, how a refusal reads, which schemas are strict, what a quota says in headers and
//! events.
//!
//! Pure values: it never reads the simulator's state, and decides neither what is checked nor what is answered.

pub(crate) mod encrypted_reasoning;
pub(crate) mod failure;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod schema;
pub(crate) mod turn;
