//! The endpoints: each names a reader for the request and a writer for the reply; everything between is the same.

mod chat;
mod health;
mod models;
mod responses;

pub(crate) use chat::chat;
pub(crate) use health::health;
pub(crate) use models::{model, models};
pub(crate) use responses::{Prepared, prepare, responses};
