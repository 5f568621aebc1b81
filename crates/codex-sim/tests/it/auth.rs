//! Login, refresh, device code (`docs/backend.md` §1).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_sim::{Mint, RefreshFault, SimConfig};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::peer::{Peer, Reply, turn};

const CLIENT: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
const REDIRECT: &str = "http://localhost:1455/auth/callback";
const VERIFIER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK";

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

fn parameters() -> Vec<(&'static str, String)> {
    vec![
        ("response_type", "code".to_owned()),
        ("client_id", CLIENT.to_owned()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("scope", "openid profile email offline_access api.connectors.read".to_owned()),
        ("code_challenge", challenge()),
        ("code_challenge_method", "S256".to_owned()),
        ("id_token_add_organizations", "true".to_owned()),
        ("codex_cli_simplified_flow", "true".to_owned()),
        ("state", "a state & more".to_owned()),
        ("originator", "codex_cli_rs".to_owned()),
    ]
}

async fn authorize(peer: &Peer, parameters: &[(&str, String)]) -> Reply {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    peer.fetch(&format!("/oauth/authorize?{query}")).await
}

/// Presses a button of the page and returns the redirect.
async fn press(peer: &Peer, page: &Reply, decision: &str) -> Url {
    let marker = "name=\"transaction\" value=\"";
    let (_, rest) = page.text().split_once(marker).expect("a form");
    let (transaction, _) = rest.split_once('"').expect("a value");
    let reply = peer.form("/oauth/authorize", &[("transaction", transaction), ("decision", decision)]).await;
    assert_eq!(reply.status, 302);
    Url::parse(reply.header("location").expect("a location")).expect("a URL")
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn exchange(peer: &Peer, code: &str, redirect: &str, verifier: &str) -> Reply {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect),
        ("client_id", CLIENT),
        ("code_verifier", verifier),
    ];
    peer.form("/oauth/token", &fields).await
}

async fn refresh(peer: &Peer, token: &str) -> Reply {
    let body = json!({"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": token});
    peer.post("/oauth/token", &body).await
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn a_browser_login_yields_tokens_that_the_backend_accepts() {
    let mut peer = Peer::start().await;
    let page = authorize(&peer, &parameters()).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Approve") && page.text().contains("Deny") && !page.text().contains("<script"));
    let back = press(&peer, &page, "approve").await;
    assert!(back.as_str().starts_with(REDIRECT));
    assert_eq!(query(&back, "state").as_deref(), Some("a state & more"));
    let code = query(&back, "code").expect("a code");

    let granted = exchange(&peer, &code, REDIRECT, VERIFIER).await.json();
    let access = granted["access_token"].as_str().expect("a token").to_owned();
    let claims = claims(&access);
    let account = "123e4567-e89b-42d3-a456-426614174000";
    assert_eq!(claims["https://api.openai.com/auth"]["chatgpt_account_id"], account);
    assert_eq!(granted["token_type"], "Bearer");
    let span = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat);
    assert_eq!(span, granted["expires_in"].as_u64());
    peer.tokens.access_token = access;
    assert_eq!(peer.say("hello").await.status, 200);

    let again = exchange(&peer, &code, REDIRECT, VERIFIER).await;
    assert_eq!((again.status.as_u16(), &again.json()["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn denying_returns_access_denied_with_the_state() {
    let peer = Peer::start().await;
    let page = authorize(&peer, &parameters()).await;
    let back = press(&peer, &page, "deny").await;
    assert_eq!(query(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&back, "state").as_deref(), Some("a state & more"));
    assert_eq!(query(&back, "code"), None);
}

#[tokio::test]
async fn every_authorize_parameter_is_checked() {
    let peer = Peer::start().await;
    let wrong = [
        ("response_type", "token"),
        ("client_id", "app_other"),
        ("redirect_uri", "http://localhost:9999/auth/callback"),
        ("redirect_uri", "http://example.com:1455/auth/callback"),
        ("redirect_uri", "https://localhost:1455/auth/callback"),
        ("redirect_uri", "http://LOCALHOST:1455/auth/callback"),
        ("redirect_uri", "http://user@localhost:1455/auth/callback"),
        ("redirect_uri", "http://localhost:1455/auth/callback?next=1"),
        ("redirect_uri", "http://localhost:1455/auth/other/../callback"),
        ("redirect_uri", "http://[::1]:1455/auth/callback"),
        ("redirect_uri", "http://localhost/auth/callback"),
        ("redirect_uri", "no URL"),
        ("scope", "openid"),
        ("code_challenge", "short"),
        ("code_challenge_method", "plain"),
        ("id_token_add_organizations", "false"),
        ("codex_cli_simplified_flow", ""),
        ("state", ""),
        ("originator", ""),
    ];
    for (name, value) in wrong {
        let mut given = parameters();
        given.iter_mut().filter(|(key, _)| *key == name).for_each(|pair| pair.1 = value.to_owned());
        let reply = authorize(&peer, &given).await;
        assert_eq!(reply.status, 400, "{name}={value}");
        assert!(reply.text().contains(name), "{name}={value}: {}", reply.text());
    }
    let mut twice = parameters();
    twice.push(("state", "another".to_owned()));
    assert_eq!(authorize(&peer, &twice).await.status, 400);
}

/// Both loopback hosts and both ports of §1.3 and §9, and the login URL of the official CLI 0.169.0 as it was captured.
#[tokio::test]
async fn the_registered_redirects_and_the_official_login_url_are_accepted() {
    let peer = Peer::with(SimConfig::default()).await;
    for host in ["localhost", "127.0.0.1"] {
        for port in [1455, 1457] {
            let mut given = parameters();
            let redirect = format!("http://{host}:{port}/auth/callback");
            given.iter_mut().filter(|(key, _)| *key == "redirect_uri").for_each(|pair| pair.1.clone_from(&redirect));
            let page = authorize(&peer, &given).await;
            assert_eq!(page.status, 200, "{redirect}");
            assert!(press(&peer, &page, "approve").await.as_str().starts_with(&redirect));
        }
    }
    let captured = "/oauth/authorize?response_type=code&client_id=app_EMoamEEZ73f0CkXaXp7hrann\
                    &redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback\
                    &code_challenge=KySeUsoh_qJqAnPgIPy62DzdEXmaHr7T6O3G2QvAbGI&code_challenge_method=S256\
                    &state=v5TzGb4leVpERosaHySN8_IYhs-eSvFaz2w3g7JQFvE&scope=openid+profile+email+offline_access\
                    +api.connectors.read+api.connectors.invoke&id_token_add_organizations=true\
                    &codex_cli_simplified_flow=true&originator=codex_cli_rs";
    let page = peer.fetch(captured).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("http://127.0.0.1:1455/auth/callback"));
}

#[tokio::test]
async fn the_page_escapes_its_contents_and_decides_once() {
    let peer = Peer::start().await;
    let mut given = parameters();
    given.iter_mut().filter(|(key, _)| *key == "originator").for_each(|pair| pair.1 = "<b>\"&'".to_owned());
    let page = authorize(&peer, &given).await;
    assert!(page.text().contains("&lt;b&gt;&quot;&amp;&#39;") && !page.text().contains("<b>"));
    let again = async |page: &Reply, decision: &str| {
        let (_, rest) = page.text().split_once("name=\"transaction\" value=\"").expect("a form");
        let (transaction, _) = rest.split_once('"').expect("a value");
        peer.form("/oauth/authorize", &[("transaction", transaction), ("decision", decision)]).await.status
    };
    assert_eq!(again(&page, "perhaps").await, 400);
    press(&peer, &page, "approve").await;
    assert_eq!(again(&page, "approve").await, 400);
}

#[tokio::test]
async fn the_token_endpoint_names_the_error() {
    let peer = Peer::start().await;
    let post = async |body: Value| {
        let reply = peer.post("/oauth/token", &body).await;
        (reply.status.as_u16(), reply.json())
    };
    let (status, wrong_client) = post(json!({"client_id": "app_other", "grant_type": "refresh_token"})).await;
    assert_eq!((status, &wrong_client["error"]["code"]), (401, &json!("invalid_client")));
    for (body, code) in [
        (json!({"client_id": CLIENT}), "invalid_request"),
        (json!({"client_id": CLIENT, "grant_type": "password"}), "unsupported_grant_type"),
        (json!({"client_id": CLIENT, "grant_type": "refresh_token"}), "invalid_request"),
        (json!({"client_id": CLIENT, "grant_type": "authorization_code", "code": "x"}), "invalid_request"),
    ] {
        let (status, reply) = post(body.clone()).await;
        assert_eq!((status, &reply["error"]), (400, &json!(code)), "{body}");
        assert!(reply["error_description"].is_string());
    }
    let revoke = json!({"token": peer.tokens.refresh_token, "client_id": "app_other"});
    assert_eq!(peer.post("/oauth/revoke", &revoke).await.status, 401);
    assert_eq!(peer.say("still good").await.status, 200);
    let reply = peer.fetch("/oauth/token").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
}

/// §1.5: both encodings, with and without a scope, and the fields that newer CLIs add.
#[tokio::test]
async fn a_refresh_may_be_a_form_or_json() {
    let peer = Peer::start().await;
    let token = peer.tokens.refresh_token.as_str();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", CLIENT),
        ("scope", "openid profile email offline_access"),
    ];
    let reply = peer.form("/oauth/token", &form).await;
    assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (200, Some("no-store")));
    let body = json!({"client_id": CLIENT, "grant_type": "refresh_token", "refresh_reason": "proactive_expiry",
                      "refresh_token": reply.json()["refresh_token"], "scope": "openid profile email"});
    assert_eq!(peer.post("/oauth/token", &body).await.status, 200);
}

#[tokio::test]
async fn a_code_is_bound_to_verifier_redirect_and_time() {
    let peer = Peer::start().await;
    let code = async || {
        let page = authorize(&peer, &parameters()).await;
        query(&press(&peer, &page, "approve").await, "code").expect("a code")
    };
    let other = "x".repeat(43);
    let loopback = "http://127.0.0.1:1455/auth/callback";
    for (redirect, verifier) in [(REDIRECT, other.as_str()), (loopback, VERIFIER)] {
        let reply = exchange(&peer, &code().await, redirect, verifier).await;
        assert_eq!(reply.json()["error"], "invalid_grant");
    }
    let late = code().await;
    peer.sim.control().advance(Duration::from_secs(601));
    assert_eq!(exchange(&peer, &late, REDIRECT, VERIFIER).await.status, 400);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_is_reported_as_the_real_service_does() {
    let peer = Peer::start().await;
    let first = peer.tokens.refresh_token.clone();
    let second = refresh(&peer, &first).await.json()["refresh_token"].as_str().expect("rotated").to_owned();
    assert_ne!(first, second);
    let reused = refresh(&peer, &first).await;
    assert_eq!(reused.status, 401);
    assert_eq!(
        reused.json(),
        json!({"error": {"message": "Your refresh token has already been used to generate a new access token. Please try \
                                     signing in again.",
                         "type": "invalid_request_error", "param": null, "code": "refresh_token_reused"}})
    );
    assert_eq!(refresh(&peer, &second).await.status, 200);
    let unknown = refresh(&peer, "rt_unknown").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["error"]["code"]), (401, &json!("token_expired")));
    let control = peer.sim.control();
    assert_eq!(control.refreshes(), 2);
    let uses = control.refresh_uses();
    assert_eq!((uses[0].refresh_token.as_str(), uses[0].uses), (first.as_str(), 2));
    assert_eq!((uses[1].refresh_token.as_str(), uses[1].uses), (second.as_str(), 1));
}

#[tokio::test]
async fn tokens_expire_by_the_simulated_clock() {
    let config = SimConfig {
        token_lifetime: Duration::from_secs(60),
        refresh_lifetime: Duration::from_secs(600),
        ..SimConfig::default()
    };
    let peer = Peer::with(config).await;
    assert_eq!(peer.say("hello").await.status, 200);
    peer.sim.control().advance(Duration::from_secs(60));
    let expired = peer.say("hello").await;
    assert_eq!(expired.status, 401);
    assert_eq!(expired.json()["error"]["code"], "token_expired");
    assert_eq!(expired.header("x-openai-authorization-error"), Some("token_expired"));
    peer.sim.control().advance(Duration::from_secs(600));
    let dead = refresh(&peer, &peer.tokens.refresh_token).await;
    assert_eq!(dead.json()["error"]["code"], "refresh_token_expired");
}

#[tokio::test]
async fn refresh_faults_apply_once_and_keep_or_consume_the_token() {
    let peer = Peer::start().await;
    let control = peer.sim.control();
    let token = peer.tokens.refresh_token.clone();
    let order = |fault| control.fault_refresh(fault).expect("room");
    order(RefreshFault::ServerError);
    assert_eq!(refresh(&peer, &token).await.status, 500);
    order(RefreshFault::Cloudflare);
    let challenge = refresh(&peer, &token).await;
    assert_eq!((challenge.status.as_u16(), challenge.header("cf-mitigated")), (403, Some("challenge")));
    order(RefreshFault::ReusedBadRequest);
    let reused = refresh(&peer, &token).await;
    assert_eq!((reused.status.as_u16(), &reused.json()["error"]["code"]), (400, &json!("refresh_token_reused")));
    order(RefreshFault::OmitRefreshToken);
    let kept = refresh(&peer, &token).await.json();
    assert!(kept["access_token"].is_string() && kept.get("refresh_token").is_none());
    order(RefreshFault::ConsumeThenDrop);
    let body = json!({"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": token});
    let request = peer.request(http::Method::POST, "/oauth/token").body(body.to_string().into()).expect("a request");
    assert!(peer.client.request(request).await.is_err());
    assert_eq!(refresh(&peer, &token).await.json()["error"]["code"], "refresh_token_reused");
}

#[tokio::test]
async fn a_hanging_refresh_waits_for_a_release() {
    let peer = Peer::start().await;
    let control = peer.sim.control();
    control.fault_refresh(RefreshFault::ConsumeThenHang).expect("room");
    let hanging = refresh(&peer, &peer.tokens.refresh_token);
    let releasing = async {
        peer.sim.requests_until(|requests| requests.iter().any(|r| r.waiting)).await;
        control.release();
    };
    let (reply, ()) = tokio::join!(hanging, releasing);
    assert_eq!(reply.status, 200);
    assert!(peer.sim.requests().iter().all(|r| !r.waiting));
}

#[tokio::test]
async fn revoking_ends_the_whole_grant() {
    let peer = Peer::start().await;
    let other = peer.sim.mint_tokens(Mint::default());
    let body = json!({"token": peer.tokens.refresh_token, "token_type_hint": "refresh_token", "client_id": CLIENT});
    assert_eq!(peer.post("/oauth/revoke", &body).await.status, 200);
    assert_eq!(peer.say("hello").await.status, 401);
    assert_eq!(refresh(&peer, &peer.tokens.refresh_token).await.json()["error"]["code"], "refresh_token_invalidated");
    assert_eq!(refresh(&peer, &other.refresh_token).await.status, 200);
}

#[tokio::test]
async fn a_device_login_waits_for_approval_and_exchanges_its_code() {
    let peer = Peer::start().await;
    let started = peer.post("/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT})).await.json();
    assert_eq!(started["interval"], "5");
    let poll = json!({"device_auth_id": started["device_auth_id"], "user_code": started["user_code"]});
    for pending in [403, 404, 403] {
        assert_eq!(peer.post("/api/accounts/deviceauth/token", &poll).await.status, pending);
    }
    let user_code = started["user_code"].as_str().expect("a code");
    assert!(peer.fetch("/codex/device").await.text().contains("user_code"));
    let page = peer.form("/codex/device", &[("user_code", user_code), ("decision", "approve")]).await;
    assert_eq!(page.status, 200);
    let granted = peer.post("/api/accounts/deviceauth/token", &poll).await.json();
    let text = |key: &str| granted[key].as_str().expect("text").to_owned();
    assert_eq!(text("code_challenge"), URL_SAFE_NO_PAD.encode(Sha256::digest(text("code_verifier"))));
    let redirect = format!("{}/deviceauth/callback", peer.sim.auth_url());
    let tokens = exchange(&peer, &text("authorization_code"), &redirect, &text("code_verifier")).await;
    assert_eq!(tokens.status, 200);
}

#[tokio::test]
async fn a_denied_and_an_expired_device_login_are_reported() {
    let peer = Peer::start().await;
    let start = async || peer.post("/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT})).await.json();
    let poll = async |started: &Value| {
        let body = json!({"device_auth_id": started["device_auth_id"], "user_code": started["user_code"]});
        peer.post("/api/accounts/deviceauth/token", &body).await
    };
    let denied = start().await;
    let control = peer.sim.control();
    control.deny_device(denied["user_code"].as_str().expect("a code")).expect("waiting");
    let reply = poll(&denied).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("authorization_declined")));
    let late = start().await;
    control.advance(Duration::from_secs(901));
    assert_eq!(poll(&late).await.status, 404);
    assert!(control.approve_device("NONE-00000").is_err());
}

#[tokio::test]
async fn device_login_can_be_switched_off() {
    let peer = Peer::with(SimConfig { device_login: false, ..SimConfig::default() }).await;
    let reply = peer.post("/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT})).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn invalidated_access_tokens_are_refused_until_refreshed() {
    let mut peer = Peer::start().await;
    peer.sim.control().invalidate_access_tokens();
    assert_eq!(peer.turn(&turn("hello")).await.json()["error"]["code"], "token_invalidated");
    let fresh = refresh(&peer, &peer.tokens.refresh_token).await.json();
    peer.tokens.access_token = fresh["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(peer.turn(&turn("hello")).await.status, 200);
}
