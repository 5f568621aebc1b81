//! Builds the requests to the auth server: pure functions from values to [`http::Request`] (`docs/backend.md §1.4` to
//! `§1.8`).
//!
//! Headers, body members and their order are those that the official client 0.171.0 was seen to send. Only its
//! refreshes and revocations name the client; the requests of a login have neither `originator` nor `user-agent`.
//!
//! Each fails only if the configuration cannot be written into a request: an originator or user agent with
//! control characters, or an issuer that is not an HTTP URL.

use bytes::Bytes;
use http::request::Builder;
use http::{Request, header};
use serde::Serialize;
use url::form_urlencoded;

use crate::config::AuthConfig;
use crate::refresh::freshness::RefreshReason;
use crate::secret::Secret;
use crate::tokens::Tokens;

/// Builds the exchange of an authorization code for tokens (`docs/backend.md §1.4`).
///
/// # Errors
/// `config` cannot be written into a request.
pub fn exchange_request(
    config: &AuthConfig,
    code: &Secret,
    verifier: &Secret,
    redirect_uri: &str,
) -> http::Result<Request<Bytes>> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", &config.client_id)
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", verifier.expose())
        .finish();
    let request = post(config, "/oauth/token", "application/x-www-form-urlencoded");
    with_body(request, form.into())
}

/// Builds the exchange of a refresh token for new tokens, which uses up the refresh token (`docs/backend.md §1.5`).
///
/// # Errors
/// `config` cannot be written into a request.
pub fn refresh_request(
    config: &AuthConfig,
    refresh_token: &Secret,
    reason: RefreshReason,
) -> http::Result<Request<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        client_id: &'a str,
        grant_type: &'a str,
        refresh_reason: &'a str,
        refresh_token: &'a str,
    }
    let refresh_reason = match reason {
        RefreshReason::Rejected => "unauthorized_recovery",
        RefreshReason::Expired | RefreshReason::ExpiresSoon | RefreshReason::TooOld => "proactive_expiry",
    };
    let body = Body {
        client_id: &config.client_id,
        grant_type: "refresh_token",
        refresh_reason,
        refresh_token: refresh_token.expose(),
    };
    with_body(identify(post(config, "/oauth/token", JSON), config), json(&body))
}

/// Builds the revocation of the login, on every device that shares the grant (`docs/backend.md §1.7`).
///
/// # Errors
/// `config` cannot be written into a request.
pub fn revoke_request(config: &AuthConfig, tokens: &Tokens) -> http::Result<Request<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        token: &'a str,
        token_type_hint: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
    }
    let body = match &tokens.refresh_token {
        Some(token) => {
            Body { token: token.expose(), token_type_hint: "refresh_token", client_id: Some(&config.client_id) }
        }
        None => Body { token: tokens.access_token.expose(), token_type_hint: "access_token", client_id: None },
    };
    with_body(identify(post(config, "/oauth/revoke", JSON), config), json(&body))
}

/// Builds the request for a device code (`docs/backend.md §1.8`, step 1).
///
/// # Errors
/// `config` cannot be written into a request.
pub fn device_code_request(config: &AuthConfig) -> http::Result<Request<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        client_id: &'a str,
    }
    let body = Body { client_id: &config.client_id };
    with_body(post(config, "/api/accounts/deviceauth/usercode", JSON), json(&body))
}

/// Builds the poll for whether the user has entered the device code (`docs/backend.md §1.8`, step 3).
///
/// # Errors
/// `config` cannot be written into a request.
pub fn device_poll_request(
    config: &AuthConfig,
    device_auth_id: &Secret,
    user_code: &str,
) -> http::Result<Request<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        device_auth_id: &'a str,
        user_code: &'a str,
    }
    let body = Body { device_auth_id: device_auth_id.expose(), user_code };
    with_body(post(config, "/api/accounts/deviceauth/token", JSON), json(&body))
}

const JSON: &str = "application/json";

fn json(body: &impl Serialize) -> Bytes {
    // Structs of strings cannot fail to serialize; the server would answer an empty body with a clear error anyway.
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// Begins a request. Headers are sent in the order in which they are added.
fn post(config: &AuthConfig, path: &str, content_type: &str) -> Builder {
    Request::post(config.endpoint(path)).header(header::CONTENT_TYPE, content_type)
}

/// Names the client.
fn identify(request: Builder, config: &AuthConfig) -> Builder {
    let request = request.header("originator", &config.originator);
    match &config.user_agent {
        Some(user_agent) => request.header(header::USER_AGENT, user_agent),
        None => request,
    }
}

fn with_body(request: Builder, body: Bytes) -> http::Result<Request<Bytes>> {
    request.header(header::ACCEPT, "*/*").body(body)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn config(issuer: &str) -> AuthConfig {
        AuthConfig::new(Url::parse(issuer).unwrap())
    }

    fn text(request: &Request<Bytes>) -> &str {
        std::str::from_utf8(request.body()).unwrap()
    }

    fn headers(request: &Request<Bytes>) -> Vec<(&str, &str)> {
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn the_exchange_is_a_form_in_the_cli_order() {
        let config = config("https://auth.openai.com");
        let uri = "http://localhost:1455/auth/callback";
        let request = exchange_request(&config, &"c&d".into(), &"v".into(), uri).unwrap();
        assert_eq!(request.uri(), "https://auth.openai.com/oauth/token");
        assert_eq!(
            headers(&request),
            [("content-type", "application/x-www-form-urlencoded"), ("accept", "*/*")],
            "a login does not name the client"
        );
        assert_eq!(
            text(&request),
            "grant_type=authorization_code&client_id=app_EMoamEEZ73f0CkXaXp7hrann&code=c%26d\
             &redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback&code_verifier=v"
        );
    }

    #[test]
    fn the_refresh_is_json_with_the_reason_and_names_the_client() {
        let mut config = config("http://127.0.0.1:9/prefix/");
        config.user_agent = Some("codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm-256color".to_owned());
        let reasons = [
            (RefreshReason::Expired, "proactive_expiry"),
            (RefreshReason::ExpiresSoon, "proactive_expiry"),
            (RefreshReason::TooOld, "proactive_expiry"),
            (RefreshReason::Rejected, "unauthorized_recovery"),
        ];
        for (reason, sent) in reasons {
            let request = refresh_request(&config, &"r".into(), reason).unwrap();
            assert_eq!(request.uri(), "http://127.0.0.1:9/prefix/oauth/token");
            let expected = [
                ("content-type", "application/json"),
                ("originator", "codex_cli_rs"),
                ("user-agent", "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm-256color"),
                ("accept", "*/*"),
            ];
            assert_eq!(headers(&request), expected);
            let client = r#""client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token""#;
            assert_eq!(text(&request), format!(r#"{{{client},"refresh_reason":"{sent}","refresh_token":"r"}}"#));
        }
    }

    #[test]
    fn revoking_prefers_the_refresh_token() {
        let config = config("https://auth.openai.com");
        let mut tokens = Tokens::new("a".into());
        let request = revoke_request(&config, &tokens).unwrap();
        assert_eq!(text(&request), r#"{"token":"a","token_type_hint":"access_token"}"#);
        tokens.refresh_token = Some("r".into());
        let request = revoke_request(&config, &tokens).unwrap();
        assert_eq!(request.uri().path(), "/oauth/revoke");
        let expected = [("content-type", "application/json"), ("originator", "codex_cli_rs"), ("accept", "*/*")];
        assert_eq!(headers(&request), expected);
        assert_eq!(
            text(&request),
            r#"{"token":"r","token_type_hint":"refresh_token","client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}"#
        );
    }

    #[test]
    fn the_device_requests_name_client_and_codes() {
        let config = config("https://auth.openai.com");
        let start = device_code_request(&config).unwrap();
        assert_eq!(start.uri().path(), "/api/accounts/deviceauth/usercode");
        assert_eq!(text(&start), r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}"#);
        let poll = device_poll_request(&config, &"d".into(), "CODE-1").unwrap();
        assert_eq!(poll.uri().path(), "/api/accounts/deviceauth/token");
        assert_eq!(text(&poll), r#"{"device_auth_id":"d","user_code":"CODE-1"}"#);
        for request in [start, poll] {
            assert_eq!(headers(&request), [("content-type", "application/json"), ("accept", "*/*")]);
        }
    }

    #[test]
    fn a_name_that_cannot_be_a_header_value_is_an_error() {
        let config = config("https://auth.openai.com");
        let broken = "line\nbreak".to_owned();
        let names = [
            AuthConfig { originator: broken.clone(), ..config.clone() },
            AuthConfig { user_agent: Some(broken), ..config },
        ];
        for config in names {
            assert!(refresh_request(&config, &"r".into(), RefreshReason::Expired).is_err());
        }
    }
}
