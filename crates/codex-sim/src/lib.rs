//! A simulated ChatGPT Codex backend and auth server, as strict as the real one.
//!
//! One listener on 127.0.0.1 answers as `chatgpt.com` (`/backend-api/codex/responses`, `/backend-api/codex/models`,
//! `/backend-api/wham/*`) and as `auth.openai.com` (`/oauth/*`, `/api/accounts/deviceauth/*`, `/codex/device`). It
//! makes the checks of the real services, in their order and with their error bodies (`docs/backend.md` §1-§8),
//! rotates refresh tokens and detects their reuse, and records every request.
//!
//! A magic word in the last user text (`[sim:tool]`, `[sim:cut]`, see [`Scenario`]), the header `x-sim-scenario`, or
//! [`Control::queue`] chooses the reply. Streams are rendered from this crate's own recipes, so it cannot share a bug
//! with the translator it tests.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), codex_sim::SimError> {
//! use codex_sim::{Mint, Sim, SimConfig};
//!
//! let sim = Sim::start(SimConfig::default()).await?;
//! let tokens = sim.mint_tokens(Mint::default());
//! assert!(sim.upstream_url().ends_with("/backend-api"));
//! assert_eq!(tokens.access_token.split('.').count(), 3);
//! # Ok(()) }
//! ```
//!
//! # Control over HTTP
//!
//! Tests in other languages start the `codex-sim` program, read its addresses from the one JSON line it prints, and
//! use the HTTP form of [`Control`]. Bodies are JSON objects, whatever the content-type. Replies are JSON; errors are
//! 400 `{"error":"…"}`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /__sim/requests` | | `{"requests":[…]}` (those under `/__sim/` left out) |
//! | `DELETE /__sim/requests` | | `{}` |
//! | `POST /__sim/scenario` | `{"scenario":"tool,crlf"}` | `{}` |
//! | `POST /__sim/refresh-fault` | `{"fault":"server_error"}` | `{}` |
//! | `POST /__sim/cloudflare` | `{"on":true}` | `{}` |
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
