//! The settings of a simulator.

use std::time::Duration;

use crate::clock::Clock;

/// Access-token lifetime of the real service, by reports (`docs/backend.md` §1.4).
const ACCESS_LIFETIME: Duration = Duration::from_secs(864_000);
const REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The settings of [`Sim::start`](crate::Sim::start). Every field has a default; tests override single fields.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Serves the auth server on a listener of its own (always on a free port) instead of together with the backend.
    pub separate_auth: bool,
    /// Serves TLS with a leaf of a private CA, ALPN `h2` and `http/1.1`.
    pub tls: bool,
    /// Lifetime of access tokens.
    pub token_lifetime: Duration,
    /// Lifetime of refresh tokens.
    pub refresh_lifetime: Duration,
    /// Ports accepted in `redirect_uri`.
    pub redirect_ports: RedirectPorts,
    /// Account that tokens are issued for by default, the value of `chatgpt-account-id`.
    pub account_id: String,
    /// E-mail claim of issued tokens.
    pub email: String,
    /// Plan claim of issued tokens, e.g. `plus`.
    pub plan_type: String,
    /// Whether models that the backend has withdrawn (gpt-5.1 to gpt-5.3-codex-spark, `docs/backend.md` §5.4) still
    /// answer. They do by default, for clients that have their names built in.
    pub retired_models: bool,
    /// Whether the device-code endpoints are enabled; when not, `usercode` answers 404 as the real issuer does.
    pub device_login: bool,
    /// Polling interval the device-code endpoint asks for.
    pub device_interval_secs: u64,
    /// Source of the current time; [`Control::advance`](crate::Control::advance) adds to it.
    pub clock: Clock,
    /// Seed of identifiers and padding; `None` draws a random one.
    pub seed: Option<u64>,
    /// Largest request body accepted, before and after decompression; larger ones get 413.
    pub max_body_bytes: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            port: 0,
            separate_auth: false,
            tls: false,
            token_lifetime: ACCESS_LIFETIME,
            refresh_lifetime: REFRESH_LIFETIME,
            redirect_ports: RedirectPorts::Registered,
            account_id: "123e4567-e89b-42d3-a456-426614174000".to_owned(),
            email: "user@example.com".to_owned(),
            plan_type: "plus".to_owned(),
            retired_models: true,
            device_login: true,
            device_interval_secs: 5,
            clock: Clock::system(),
            seed: None,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }
}

/// Which ports a login's `redirect_uri` may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectPorts {
    /// 1455 and 1457, as registered for the real client (`docs/backend.md` §1.3).
    Registered,
    /// These ports only.
    Only(Vec<u16>),
    /// Any port, for tests that listen on a free one.
    Any,
}

impl RedirectPorts {
    pub(crate) fn allow(&self, port: u16) -> bool {
        match self {
            Self::Registered => matches!(port, 1455 | 1457),
            Self::Only(ports) => ports.contains(&port),
            Self::Any => true,
        }
    }
}
