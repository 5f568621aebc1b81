//! `GET /backend-api/wham/usage` and `/wham/accounts/check` (`docs/backend.md` §6, §9).

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::backend::auth;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body};
use crate::state::SimState;
use crate::state::overrides::Workspace;
use crate::tokens::grant::Grant;

pub(crate) fn usage(inbound: &Inbound, state: &SimState) -> Response<Body> {
    match auth::authenticate(&inbound.headers, state) {
        Ok(grant) => {
            let now = state.clock.unix_now();
            reply::json(StatusCode::OK, &state.quota(now).usage(&grant.plan_type, now))
        }
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
