//! The simulated ChatGPT backend (`docs/backend.md` §2-§6): which endpoint answers, what it checks, and in which order.
//!
//! It never renders a reply itself: `recipe` decides what the model says and turns it into events.

use std::sync::Arc;

use http::Response;

use crate::cloudflare;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body, Dropped};
use crate::protocol::refusal::Refusal;
use crate::state::SimState;

pub(crate) mod account;
pub(crate) mod agent_tools;
pub(crate) mod auth;
pub(crate) mod checks;
pub(crate) mod faults;
pub(crate) mod images;
pub(crate) mod models;
pub(crate) mod responses;
pub(crate) mod unary;
pub(crate) mod websocket;

/// Answers as the backend does, or as Cloudflare in front of it.
pub(crate) async fn answer(inbound: Inbound, state: &Arc<SimState>) -> Result<Response<Body>, Dropped> {
    let challenged = state.overrides().cloudflare;
    let response = if challenged { cloudflare::challenge() } else { route(inbound, state).await? };
    Ok(cloudflare::with_support_headers(response, state.rng()))
}

async fn route(inbound: Inbound, state: &Arc<SimState>) -> Result<Response<Body>, Dropped> {
    const RESPONSES: &str = "/backend-api/codex/responses";
    const GENERATIONS: &str = "/backend-api/codex/images/generations";
    const EDITS: &str = "/backend-api/codex/images/edits";
    const MODELS: &str = "/backend-api/codex/models";
    const USAGE: &str = "/backend-api/wham/usage";
    const RESET_CREDITS: &str = "/backend-api/wham/rate-limit-reset-credits";
    const CONSUME: &str = "/backend-api/wham/rate-limit-reset-credits/consume";
    const ACCOUNTS: &str = "/backend-api/wham/accounts/check";
    const ALPHA: &str = "/backend-api/codex/alpha/";
    if let Some(tool) = inbound.path.strip_prefix(ALPHA).filter(|tool| agent_tools::exists(tool)) {
        return match (tool, inbound.method.as_str()) {
            ("search", "POST") => agent_tools::search(&inbound, state).await,
            (operation, "POST") => agent_tools::history_or_notes(operation, &inbound, state).await,
            _ => Ok(reply::method_not_allowed("POST")),
        };
    }
    Ok(match (inbound.path.as_str(), inbound.method.as_str()) {
        (RESPONSES, "POST") => return responses::answer(inbound, state).await,
        (RESPONSES, "GET") if inbound.upgrade.is_some() => websocket::upgrade::answer(inbound, state),
        (GENERATIONS, "POST") => return images::answer(&inbound, images::GENERATION, state).await,
        (EDITS, "POST") => return images::answer(&inbound, images::EDIT, state).await,
        (CONSUME, "POST") => account::consume_reset_credit(&inbound, state),
        (RESPONSES | GENERATIONS | EDITS | CONSUME, _) => reply::method_not_allowed("POST"),
        (MODELS, "GET") => models::list(&inbound, state),
        (USAGE, "GET") => account::usage(&inbound, state),
        (ACCOUNTS, "GET") => account::check(&inbound, state),
        (RESET_CREDITS, "GET") => account::reset_credits(&inbound, state),
        (MODELS | USAGE | RESET_CREDITS | ACCOUNTS, _) => reply::method_not_allowed("GET"),
        // The gateway knows the bearer before it looks for the path.
        _ => auth::authenticate(&inbound.headers, state).map_or_else(Refusal::into_response, |_| reply::not_found()),
    })
}
