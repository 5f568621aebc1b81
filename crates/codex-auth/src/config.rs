//! What a login needs to know about the auth server.

use url::Url;

/// The URL of the real auth server.
pub const ISSUER_URL: &str = "https://auth.openai.com";

/// The auth server's address, and how this program presents itself to it (`docs/backend.md §1.1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// The auth server's origin, with an optional path prefix. Endpoint paths are appended to it.
    pub issuer: Url,
    /// The registered OAuth client id.
    pub client_id: String,
    /// The `originator` query parameter of a login, and header of refreshes and revocations.
    pub originator: String,
    /// The `user-agent` of refreshes and revocations. The official client always sends one; codex-upstream's
    /// `ClientIdentity::startup_user_agent` is its value.
    pub user_agent: Option<String>,
    /// The host in the redirect URI: `127.0.0.1`, as the official client sends it (`docs/backend.md §9`) and RFC 8252
    /// section 8.3 recommends, or `localhost`, as other programs do. The listener binds both loopback addresses either
    /// way.
    pub redirect_host: String,
    /// The workspaces that the login is limited to; empty for no limit.
    pub allowed_workspaces: Vec<String>,
}

impl AuthConfig {
    /// The client id that the official command-line client registered.
    pub const CLIENT_ID: &'static str = "app_EMoamEEZ73f0CkXaXp7hrann";
    /// The originator that the official command-line client sends.
    pub const ORIGINATOR: &'static str = "codex_cli_rs";

    /// Returns the official client's settings for the given auth server, without a user agent.
    #[must_use]
    pub fn new(issuer: Url) -> Self {
        Self {
            issuer,
            client_id: Self::CLIENT_ID.to_owned(),
            originator: Self::ORIGINATOR.to_owned(),
            user_agent: None,
            redirect_host: "127.0.0.1".to_owned(),
            allowed_workspaces: Vec::new(),
        }
    }

    /// Returns the URL of an endpoint of the auth server; `path` starts with a slash.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.as_str().trim_end_matches('/'))
    }
}

/// The real auth server.
impl Default for AuthConfig {
    fn default() -> Self {
        Self::new(Url::parse(ISSUER_URL).expect("a URL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_real_auth_server() {
        assert_eq!(AuthConfig::default().endpoint("/oauth/token"), "https://auth.openai.com/oauth/token");
    }
}
