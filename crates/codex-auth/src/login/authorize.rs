//! The authorization request (`docs/backend.md §1.2`).

use url::Url;

use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::http_client::HttpClient;
use crate::login::callback::{AuthorizationCode, parse_pasted};
use crate::login::pkce::{OAuthState, PkceChallenge, PkceVerifier};
use crate::login::{Account, LoginError, exchange_code, store_login};
use crate::store::{TokenStore, check_writable};

/// The path to which the auth server redirects the browser.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// The callback ports that the auth server accepts, in the order they are tried (`docs/backend.md §1.3`).
pub const DEFAULT_PORTS: [u16; 2] = [1455, 1457];

/// The scopes of the official client.
const SCOPE: &str = "openid profile email offline_access api.connectors.read api.connectors.invoke";

/// Returns the URL where the user approves the login, with its parameters in the order of `docs/backend.md §9`.
///
/// ```
/// use codex_auth::{AuthConfig, OAuthState, PkceVerifier, authorize_url, parse_callback};
///
/// // A real program fills the buffers with random numbers.
/// let verifier = PkceVerifier::new(&mut |bytes| bytes.fill(7));
/// let state = OAuthState::new(&mut |bytes| bytes.fill(7));
/// let config = AuthConfig::new("https://auth.openai.com".parse()?);
/// let url = authorize_url(&config, "http://localhost:1455/auth/callback", &verifier.challenge(), &state);
/// assert_eq!(url.path(), "/oauth/authorize");
/// // The browser is redirected with the same state and a code.
/// let code = parse_callback(&format!("code=c&state={}", state.as_str()), &state)?;
/// assert_eq!(code.secret().expose(), "c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// Creates a request with random values of the operating system.
    ///
    /// # Errors
    /// [`LoginError::Random`].
    pub fn from_system(config: &AuthConfig, port: u16) -> Result<Self, LoginError> {
        let mut failed = None;
        let mut random = |bytes: &mut [u8]| {
            if let Err(error) = getrandom::fill(bytes) {
                failed = Some(error);
            }
        };
        let request = Self::new(config, port, &mut random);
        failed.map_or(Ok(request), |error| Err(LoginError::Random(error.to_string())))
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

    /// Completes the login with an answer that the user pasted; see [`parse_pasted`].
    ///
    /// # Errors
    /// [`LoginError::Callback`] with [`StateMismatch`](crate::CallbackError::StateMismatch) or
    /// [`MissingCode`](crate::CallbackError::MissingCode): something else was pasted, so ask again.
    /// Any other error ends the login; the tokens that were stored before are unchanged.
    pub async fn complete_pasted<H: HttpClient, S: TokenStore>(
        &self,
        input: &str,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        let code = parse_pasted(input, self.state())?;
        check_writable(store).await?;
        self.exchange_and_store(code, http, store, clock).await
    }

    pub(crate) async fn exchange_and_store<H: HttpClient, S: TokenStore>(
        &self,
        code: AuthorizationCode,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        let verifier = self.verifier.secret();
        let tokens = exchange_code(&self.config, &code, verifier, &self.redirect_uri, http, clock).await?;
        store_login(&self.config, &tokens, store).await
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
        let challenge = attempt.verifier.challenge();
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
        assert!(!text.contains(attempt.verifier.secret().expose()));
    }
}
