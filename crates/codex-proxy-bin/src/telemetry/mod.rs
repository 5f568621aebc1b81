//! Requests as seen from outside: the log, the metrics, and the record of each request from which both are made. Never
//! the content of a request or of a reply.

mod exposition;
mod histogram;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod request_log;
