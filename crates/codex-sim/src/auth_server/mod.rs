//! The simulated auth server (`docs/backend.md` §1): its pages, its token endpoint, its device-code endpoints.
//!
//! It reads and changes logins and tokens; it knows nothing about the backend.

use http::{Response, StatusCode};

use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body, Dropped};
use crate::state::SimState;

pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod page;
pub(crate) mod pkce;
pub(crate) mod token;

/// Answers as the auth server does.
pub(crate) async fn answer(inbound: &Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    Ok(match (inbound.path.as_str(), inbound.method.as_str()) {
        ("/oauth/authorize", "GET") => authorize::show(inbound, state),
        ("/oauth/authorize", "POST") => authorize::decide(inbound, state),
        ("/oauth/token", "POST") => return token::exchange(inbound, state).await,
        ("/oauth/revoke", "POST") => token::revoke(inbound, state),
        ("/api/accounts/deviceauth/usercode", "POST") => device::usercode(inbound, state),
        ("/api/accounts/deviceauth/token", "POST") => device::poll(inbound, state),
        ("/codex/device", "GET") => device::show(inbound),
        ("/codex/device", "POST") => device::decide(inbound, state),
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
