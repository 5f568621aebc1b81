//! Usage, reset credits and workspaces of an account (`docs/backend.md` §6, §9).

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::backend::auth;
use crate::backend::responses::object;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body};
use crate::protocol::quota::Quota;
use crate::protocol::refusal::Refusal;
use crate::state::SimState;
use crate::state::overrides::Workspace;
use crate::tokens::grant::Grant;

/// Answers `GET /backend-api/wham/usage`. A client that can use the reserve says so, and is shown it.
pub(crate) fn usage(inbound: &Inbound, state: &SimState) -> Response<Body> {
    authenticated(inbound, state, |grant| {
        let now = state.clock.unix_now();
        let quota = state.overrides().reported_quota().at(now);
        let mut usage = quota.usage(&grant.plan_type, now);
        for (member, value) in
            [("user_id", grant.user_id()), ("account_id", grant.account_id.clone()), ("email", grant.email.clone())]
        {
            usage[member] = value.into();
        }
        if inbound.header("x-openai-codex-luna-reserve") == Some("1") {
            Quota::show_reserve(&mut usage, now);
        }
        Ok(usage)
    })
}

/// Answers `GET /backend-api/wham/rate-limit-reset-credits`: there are none.
pub(crate) fn reset_credits(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let none = json!({"credits": [], "available_count": 0, "total_earned_count": 0});
    authenticated(inbound, state, |_| Ok(none))
}

/// Answers `POST /backend-api/wham/rate-limit-reset-credits/consume`.
pub(crate) fn consume_reset_credit(inbound: &Inbound, state: &SimState) -> Response<Body> {
    authenticated(inbound, state, |_| {
        let body = object(&inbound.body)?;
        match body.get("redeem_request_id") {
            Some(Value::String(id)) if !id.is_empty() => Ok(json!({"code": "no_credit", "windows_reset": 0})),
            Some(Value::String(_)) => Err(Refusal::empty("redeem_request_id")),
            Some(other) => Err(Refusal::wrong_type("redeem_request_id", "a string", other)),
            None => Err(Refusal::missing("redeem_request_id")),
        }
    })
}

fn authenticated(
    inbound: &Inbound,
    state: &SimState,
    answer: impl FnOnce(&Grant) -> Result<Value, Refusal>,
) -> Response<Body> {
    match auth::authenticate(&inbound.headers, state).and_then(|grant| answer(&grant)) {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(refusal) => refusal.into_response(),
    }
}

/// Answers the workspace discovery that newer clients make before the first turn. It also answers clients that have
/// selected a deactivated workspace: the flag in the reply tells them.
pub(crate) fn check(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let grant = match auth::bearer(&inbound.headers, state) {
        Ok(grant) => grant,
        Err(refusal) => return refusal.into_response(),
    };
    let own = Workspace {
        id: grant.account_id.clone(),
        name: "Personal".to_owned(),
        plan_type: grant.plan_type.clone(),
        is_deactivated: false,
    };
    let overrides = state.overrides();
    let region = overrides.region.as_deref().unwrap_or("NO_CONSTRAINT");
    let origin = origin(inbound, state);
    let entry = |workspace, structure| entry(workspace, structure, &origin, region, &grant);
    let mut accounts = vec![entry(&own, "personal")];
    accounts.extend(overrides.workspaces.iter().map(|workspace| entry(workspace, "workspace")));
    let ids: Vec<&Value> = accounts.iter().map(|account| &account["id"]).collect();
    let body = json!({"accounts": accounts, "default_account_id": grant.account_id, "account_ordering": ids});
    reply::json(StatusCode::OK, &body)
}

/// Returns the origin under which the client reached the backend. Behind a proxy, it may be a real name.
fn origin(inbound: &Inbound, state: &SimState) -> String {
    let scheme = state.origin.split_once("://").map_or("https", |(scheme, _)| scheme);
    inbound.authority.as_ref().map_or_else(|| state.origin.clone(), |authority| format!("{scheme}://{authority}"))
}

fn entry(workspace: &Workspace, structure: &str, origin: &str, region: &str, grant: &Grant) -> Value {
    json!({
        "id": workspace.id,
        "account_user_id": format!("{}__{}", grant.user_id(), workspace.id),
        "name": workspace.name,
        "structure": structure,
        "plan_type": workspace.plan_type,
        "is_deactivated": workspace.is_deactivated,
        "can_access_with_session": true,
        "is_fedramp_compliant_workspace": grant.fedramp,
        "workspace_backend_origin": origin,
        "account_routing_override": region,
        "profile_picture_url": null,
    })
}
