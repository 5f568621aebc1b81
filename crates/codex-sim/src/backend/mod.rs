//! The simulated ChatGPT backend (`docs/backend.md` §2-§6).

use std::sync::Arc;

use http::Response;

use crate::inbound::Inbound;
use crate::reply::{self, Body, Dropped};
use crate::world::World;

pub(crate) mod account;
pub(crate) mod compaction;
pub(crate) mod detail;
pub(crate) mod edge;
pub(crate) mod faults;
pub(crate) mod gate;
pub(crate) mod images;
pub(crate) mod items;
pub(crate) mod models;
pub(crate) mod pairing;
pub(crate) mod params;
pub(crate) mod parts;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod responses;
pub(crate) mod schema;
pub(crate) mod seal;
pub(crate) mod session;
pub(crate) mod tools;
pub(crate) mod turn;
pub(crate) mod upgrade;
pub(crate) mod whole;

/// Answers as the backend does, behind the edge that every request passes.
pub(crate) async fn answer(inbound: Inbound, world: &Arc<World>) -> Result<Response<Body>, Dropped> {
    let challenged = world.orders().cloudflare;
    let response = if challenged { edge::challenge() } else { behind_the_edge(inbound, world).await? };
    Ok(edge::diagnosed(response, world.rng()))
}

async fn behind_the_edge(inbound: Inbound, world: &Arc<World>) -> Result<Response<Body>, Dropped> {
    const RESPONSES: &str = "/backend-api/codex/responses";
    const COMPACT: &str = "/backend-api/codex/responses/compact";
    const GENERATIONS: &str = "/backend-api/codex/images/generations";
    const EDITS: &str = "/backend-api/codex/images/edits";
    const MODELS: &str = "/backend-api/codex/models";
    const USAGE: &str = "/backend-api/wham/usage";
    const ACCOUNTS: &str = "/backend-api/wham/accounts/check";
    Ok(match (inbound.path.as_str(), inbound.method.as_str()) {
        (RESPONSES, "POST") => return responses::answer(inbound, world).await,
        (RESPONSES, "GET") if inbound.upgrade.is_some() => upgrade::answer(inbound, world),
        (COMPACT, "POST") => return compaction::answer(&inbound, world).await,
        (GENERATIONS, "POST") => return images::answer(&inbound, images::GENERATION, world).await,
        (EDITS, "POST") => return images::answer(&inbound, images::EDIT, world).await,
        (RESPONSES | COMPACT | GENERATIONS | EDITS, _) => reply::method_not_allowed("POST"),
        (MODELS, "GET") => models::list(&inbound, world),
        (USAGE, "GET") => account::usage(&inbound, world),
        (ACCOUNTS, "GET") => account::check(&inbound, world),
        (MODELS | USAGE | ACCOUNTS, _) => reply::method_not_allowed("GET"),
        _ => reply::not_found(),
    })
}
