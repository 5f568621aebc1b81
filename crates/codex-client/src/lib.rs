#![doc = include_str!("../README.md")]
//!
//! ## What is public
//!
//! | To | use |
//! |---|---|
//! | build a client | [`Client::builder`], [`ClientBuilder`], [`BuildError`] |
//! | send a turn | [`Client::chat`], [`Client::responses`], or [`Client::prepare`] and [`Turn`] |
//! | read its reply | [`Reply`], [`ReplyStream`], [`Relay`], [`ReplyEvents`] |
//! | compact a conversation, generate images | [`Client::compact`], [`Client::images`], [`Compaction`], [`Images`] |
//! | serve the official client | [`Client::alpha`], [`Client::usage_reply`], [`Client::reset_credits`] |
//! | see models, quota, login | [`Client::models`], [`Client::quota`], [`QuotaReport`], [`Client::login_status`] |
//! | tell callers apart | [`TurnContext`], [`Caller`] |
//! | log and count | [`TurnObserver`], [`RefreshOutcome`], [`ReplyObserver`] |
//! | keep an idle client ready | [`Client::keep_fresh`], [`Client::wait_for_refresh`] |
//! | map failures of your own calls | [`error`] |

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must end one reply, not the program: build with panic = \"unwind\"");

pub mod error;
pub mod ids;

mod account;
mod alpha;
mod attempts;
mod builder;
mod client;
mod compaction;
mod first_event;
mod images;
mod model;
mod observer;
mod panics;
mod quota;
mod relay;
mod reply;
mod reply_events;
mod send;
mod state;
mod turn;
mod unary;

pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
pub use compaction::{Compaction, CompactionTurn};
pub use images::Images;
pub use observer::{RefreshOutcome, ReplyObserver, TurnObserver};
pub use quota::QuotaReport;
pub use relay::{Relay, ReplyOutput, ReplyPart};
pub use reply::{FIRST_OUTPUT_WAIT, Reply, ReplyStream};
pub use reply_events::{EventBatch, LateNotice, ReplyEvents};
pub use turn::{Caller, Turn, TurnContext, TurnInfo};
