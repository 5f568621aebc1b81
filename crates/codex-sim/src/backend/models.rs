//! `GET /backend-api/codex/models` (`docs/backend.md` §5.1, §5.3).

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::backend::auth;
use crate::catalogue::Version;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body};
use crate::protocol::refusal::Refusal;
use crate::state::SimState;

pub(crate) fn list(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let plan = match auth::authenticate(&inbound.headers, state) {
        Ok(grant) => grant.plan_type,
        Err(refusal) => return refusal.into_response(),
    };
    let given = inbound.query_pairs().into_iter().find(|(name, _)| name == "client_version");
    let Some(version) = given.and_then(|(_, version)| Version::parse(&version)) else {
        return Refusal::detail("missing client_version").into_response();
    };
    let etag = state.catalogue.etag(version, &plan);
    let fresh = inbound.header("if-none-match").is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == etag));
    let mut response = if fresh {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        let models: Vec<&Value> = state.catalogue.visible_to(version, &plan).map(|model| &model.entry).collect();
        reply::json(StatusCode::OK, &json!({"models": models}))
    };
    reply::set(&mut response, "etag", &etag);
    response
}
