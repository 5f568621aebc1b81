//! The backend's faults: one reader of its error reports, and one table of their meanings (docs/backend.md §2.7, §3.6,
//! §10).
//!
//! The backend reports a fault as an HTTP status with a body, as an event of a stream (`response.failed`, `error`), or
//! as a frame of a WebSocket. [`FaultReport`] reads all three, and [`Fault::ALL`] gives each fault one kind (and so
//! one status), one code for the client and one rule for retries, however it is reported.
//!
//! ```
//! use codex_translate::ErrorKind;
//! use codex_translate::backend::FaultReport;
//!
//! let body = br#"{"error":{"code":"cyber_policy","message":"flagged"}}"#;
//! let event = br#"{"type":"response.failed","response":{"error":{"code":"cyber_policy","message":"flagged"}}}"#;
//! for json in [&body[..], &event[..]] {
//!     let error = FaultReport::parse(json).into_error();
//!     assert_eq!((error.kind(), error.status_hint()), (ErrorKind::PolicyRefused, 400));
//! }
//! ```

mod fault;
mod report;

pub use fault::{Fault, Sign, UNREADABLE};
pub use report::FaultReport;
