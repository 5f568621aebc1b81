//! The simulated auth server (`docs/backend.md` §1).

use http::{Response, StatusCode};

use crate::inbound::Inbound;
use crate::reply::{self, Body, Dropped};
use crate::world::World;

pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod jwt;
pub(crate) mod ledger;
pub(crate) mod page;
pub(crate) mod token;

/// The only registered client (`docs/backend.md` §1.1).
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Answers as the auth server does.
pub(crate) async fn answer(inbound: &Inbound, world: &World) -> Result<Response<Body>, Dropped> {
    Ok(match (inbound.path.as_str(), inbound.method.as_str()) {
        ("/oauth/authorize", "GET") => authorize::show(inbound, world),
        ("/oauth/authorize", "POST") => authorize::decide(inbound, world),
        ("/oauth/token", "POST") => return token::exchange(inbound, world).await,
        ("/oauth/revoke", "POST") => token::revoke(inbound, world),
        ("/api/accounts/deviceauth/usercode", "POST") => device::usercode(inbound, world),
        ("/api/accounts/deviceauth/token", "POST") => device::poll(inbound, world),
        ("/codex/device", "GET") => device::show(inbound),
        ("/codex/device", "POST") => device::decide(inbound, world),
        ("/deviceauth/callback", "GET") => reply::text(StatusCode::OK, "You may close this page."),
        ("/oauth/authorize" | "/codex/device", _) => reply::method_not_allowed("GET, POST"),
        ("/deviceauth/callback", _) => reply::method_not_allowed("GET"),
        ("/oauth/token" | "/oauth/revoke", _) => reply::method_not_allowed("POST"),
        ("/api/accounts/deviceauth/usercode" | "/api/accounts/deviceauth/token", _) => {
            reply::method_not_allowed("POST")
        }
        _ => reply::not_found(),
    })
}
