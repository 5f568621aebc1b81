//! The authorization request (`docs/backend.md §1.2`).

use url::Url;

use crate::config::AuthConfig;
use crate::login::pkce::{OAuthState, PkceChallenge, PkceVerifier};

/// The path to which the auth server redirects the browser.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// The scopes of the official client.
const SCOPE: &str = "openid profile email offline_access api.connectors.read api.connectors.invoke";

/// Returns the URL where the user approves the login, with its parameters in the order of `docs/backend.md §9`.
#[must_use]
pub fn authorize_url(config: &AuthConfig, redirect_uri: &str, challenge: &PkceChallenge, state: &OAuthState) -> Url {
    let mut url = config.issuer.clone();
    url.set_path(&format!("{}/oauth/authorize", config.issuer.path().trim_end_matches('/')));
    let mut query = url.query_pairs_mut();
    query
        .clear()
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", "S256")
        .append_pair("state", state.as_str())
        .append_pair("scope", SCOPE)
        .append_pair("id_token_add_organizations", "true")
        .append_pair("codex_cli_simplified_flow", "true")
        .append_pair("originator", &config.originator);
    if !config.allowed_workspaces.is_empty() {
        query.append_pair("allowed_workspace_id", &config.allowed_workspaces.join(","));
    }
    drop(query);
    url
}

/// One authorization request (RFC 6749 section 4.1.1), with the values that its answer is checked against and exchanged
/// with.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    config: AuthConfig,
    redirect_uri: String,
    verifier: PkceVerifier,
    state: OAuthState,
}

impl AuthorizationRequest {
    /// Creates a request whose answer goes to `port` of this machine. `random` fills buffers with unpredictable bytes.
    pub fn new(config: &AuthConfig, port: u16, random: &mut impl FnMut(&mut [u8])) -> Self {
        Self {
            redirect_uri: format!("http://{}:{port}{CALLBACK_PATH}", config.redirect_host),
            config: config.clone(),
            verifier: PkceVerifier::new(random),
            state: OAuthState::new(random),
        }
    }

    /// Returns the URL where the user approves the login.
    #[must_use]
    pub fn authorize_url(&self) -> Url {
        authorize_url(&self.config, &self.redirect_uri, &self.verifier.challenge(), &self.state)
    }

    /// Returns the address to which the browser is redirected.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns the state that the answer must contain.
    #[must_use]
    pub fn state(&self) -> &OAuthState {
        &self.state
    }

    pub(crate) fn verifier(&self) -> &PkceVerifier {
        &self.verifier
    }

    pub(crate) fn config(&self) -> &AuthConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_has_every_parameter_in_order() {
        let mut config = AuthConfig::new(Url::parse("https://auth.openai.com").unwrap());
        config.allowed_workspaces = vec!["w1".to_owned(), "w2".to_owned()];
        let attempt = AuthorizationRequest::new(&config, 1455, &mut |bytes| bytes.fill(0));
        let challenge = attempt.verifier().challenge();
        let expected = format!(
            "https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_EMoamEEZ73f0CkXaXp7hrann\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_challenge={}&code_challenge_method=S256\
             &state={}&scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke\
             &id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=codex_cli_rs\
             &allowed_workspace_id=w1%2Cw2",
            challenge.as_str(),
            attempt.state().as_str(),
        );
        assert_eq!(attempt.authorize_url().as_str(), expected);
    }

    #[test]
    fn issuer_prefix_redirect_host_and_port_are_settings() {
        let mut config = AuthConfig::new(Url::parse("http://127.0.0.1:9/sim/").unwrap());
        config.redirect_host = "localhost".to_owned();
        let attempt = AuthorizationRequest::new(&config, 1457, &mut |bytes| bytes.fill(0));
        assert_eq!(attempt.redirect_uri(), "http://localhost:1457/auth/callback");
        assert_eq!(attempt.authorize_url().path(), "/sim/oauth/authorize");
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = AuthConfig::new(Url::parse("https://auth.openai.com").unwrap());
        let attempt = AuthorizationRequest::new(&config, 1455, &mut |bytes| bytes.fill(3));
        let text = format!("{attempt:?}");
        assert!(!text.contains(attempt.state().as_str()));
        assert!(!text.contains(attempt.verifier().secret().expose()));
    }
}
