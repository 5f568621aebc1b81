//! `GET /backend-api/wham/usage` and `/wham/accounts/check` (`wire.md` §6, §9).

use http::{Response, StatusCode};
use serde_json::json;

use crate::backend::gate;
use crate::inbound::Inbound;
use crate::reply::{self, Body};
use crate::world::World;

pub(crate) fn usage(inbound: &Inbound, world: &World) -> Response<Body> {
    match gate::authenticate(&inbound.headers, world) {
        Ok(grant) => {
            let now = world.unix_now();
            reply::json(StatusCode::OK, &world.quota(now).usage(&grant.plan_type, now))
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// The workspace discovery that newer clients make before the first turn.
pub(crate) fn check(inbound: &Inbound, world: &World) -> Response<Body> {
    let grant = match gate::authenticate(&inbound.headers, world) {
        Ok(grant) => grant,
        Err(refusal) => return refusal.into_response(),
    };
    let account = json!({
        "id": grant.account_id,
        "account_user_id": format!("{}__{}", grant.user_id(), grant.account_id),
        "name": "Personal",
        "structure": "personal",
        "plan_type": grant.plan_type,
        "is_deactivated": false,
        "can_access_with_session": true,
        "is_fedramp_compliant_workspace": grant.fedramp,
        "workspace_backend_origin": world.origin,
        "account_routing_override": "NO_CONSTRAINT",
        "profile_picture_url": null,
    });
    let body = json!({
        "accounts": [account],
        "default_account_id": grant.account_id,
        "account_ordering": [grant.account_id],
    });
    reply::json(StatusCode::OK, &body)
}
