#![doc = include_str!("../README.md")]
//!
//! ## Control over HTTP
//!
//! This is [`Control`] for tests in other languages. Bodies are JSON objects, whatever the content-type. Replies are
//! JSON; errors are 400 `{"error":"…"}`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /__sim/requests` | | `{"requests":[…]}` (those under `/__sim/` left out) |
//! | `DELETE /__sim/requests` | | `{}` |
//! | `POST /__sim/scenario` | `{"scenario":"tool,crlf"}` | `{}` |
//! | `POST /__sim/refresh-fault` | `{"fault":"server_error"}` | `{}` |
//! | `POST /__sim/cloudflare` | `{"on":true}` | `{}` |
//! | `POST /__sim/compression` | `{"on":true}` | `{}` |
//! | `POST /__sim/quota` | `{"primary_percent":100,"secondary_percent":40}` | `{}` |
//! | `POST /__sim/weekly-quota` | `{"percent":12.5}` | `{}` |
//! | `POST /__sim/workspaces` | `{"workspaces":[{"id","name","plan_type","is_deactivated"?}]}` | `{}` |
//! | `POST /__sim/upgrades` | `{"status":426}`, or `null` | `{}` |
//! | `POST /__sim/forget-responses` | | `{}` |
//! | `POST /__sim/region` | `{"region":"us"}`, or `null` | `{}` |
//! | `POST /__sim/release` | | `{}` |
//! | `POST /__sim/advance` | `{"secs":60}` | `{}` |
//! | `POST /__sim/tokens` | `{"account_id"?,"lifetime_secs"?,"email"?,"plan_type"?,"fedramp"?}` | the tokens |
//! | `POST /__sim/invalidate` | | `{}` |
//! | `POST /__sim/device` | `{"user_code":"…","approve":true}` | `{}` |
//! | `GET /__sim/refreshes` | | `{"granted":n,"uses":[{"refresh_token","uses"}]}` |
//! | `POST /__sim/reset` | | `{}` |

mod auth_server;
mod backend;
mod bounded;
mod catalogue;
mod clock;
mod cloudflare;
mod config;
mod control;
mod exchange;
mod ids;
mod launch;
mod protocol;
mod recipe;
mod request_log;
mod scenario;
mod server;
mod sim;
mod state;
mod tokens;

pub use clock::Clock;
pub use config::{RedirectPorts, SimConfig};
pub use control::{Control, ControlError};
pub use launch::{Args, run};
pub use request_log::{Outcome, RecordedRequest};
pub use scenario::Scenario;
pub use scenario::word::ScenarioError;
pub use sim::{Sim, SimError};
pub use state::overrides::{RefreshFault, Workspace};
pub use tokens::ledger::{Mint, RefreshUse, Tokens};
