//! `GET /health`: that the program runs, and whether its login is usable. Needs no key and tells nothing private.

use http::{Response, StatusCode};
use serde::Serialize;

use crate::reply::{self, Body};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    logged_in: bool,
}

/// Answers 200 as long as the program runs.
pub(crate) fn health(logged_in: bool) -> Response<Body> {
    reply::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION"), logged_in })
}
