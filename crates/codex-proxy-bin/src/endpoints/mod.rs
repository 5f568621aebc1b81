//! The endpoints: each names a reader for the request and a writer for the reply; everything in between is shared.
//! Never whether the caller may ask: a request that gets here has been admitted.

mod chat;
mod compact;
mod health;
mod images;
mod metrics;
mod models;
mod openapi;
mod responses;
mod status;
mod stored;
pub(crate) mod usage;
pub(crate) mod websocket;

pub(crate) use chat::chat;
pub(crate) use compact::compact;
pub(crate) use health::health;
pub(crate) use images::images;
pub(crate) use metrics::metrics;
pub(crate) use models::{model, models};
pub(crate) use openapi::openapi;
pub(crate) use responses::{Keep, Keeping, Prepared, prepare, responses};
pub(crate) use status::{status, status_page};
pub(crate) use stored::stored;
pub(crate) use usage::usage;
