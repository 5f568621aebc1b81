//! The endpoints: each names a reader for the request and a writer for the reply; everything in between is shared.
//! Never whether the caller may ask: a request that gets here has been admitted.

mod alpha;
mod cli_query;
mod compact;
mod health;
mod images;
mod metrics;
mod models;
mod openapi;
mod status;
mod stored;
mod storing;
mod turn;
pub(crate) mod usage;
pub(crate) mod websocket;

pub(crate) use alpha::alpha;
pub(crate) use cli_query::cli_query;
pub(crate) use compact::compact;
pub(crate) use health::health;
pub(crate) use images::images;
pub(crate) use metrics::metrics;
pub(crate) use models::{model, models};
pub(crate) use openapi::openapi;
pub(crate) use status::{status, status_page};
pub(crate) use stored::stored;
pub(crate) use storing::{StoreOnCompletion, StoringDecision, StoringPipe, completed};
pub(crate) use turn::{prepare, turn};
pub(crate) use usage::usage;
