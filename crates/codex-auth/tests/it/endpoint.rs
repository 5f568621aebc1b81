//! Failures of an auth server behind HTTP.

use bytes::Bytes;
use codex_auth::{
    AuthError, EndpointError, GrantRefusal, HttpClient, HttpClientError, HttpTokenEndpoint, LoginReason, MemoryStore,
    RefreshPolicy, RefreshReason, TokenEndpoint as _, TokenManager, Tokens,
};
use http::{Request, Response};
use tokio::time::Instant;

use crate::support::{ScriptedHttp, TestClock, config};

/// Accepts a request and never answers.
struct Silence;

impl HttpClient for Silence {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        std::future::pending().await
    }
}

fn manager<H: HttpClient>(
    tokens: Tokens,
    http: H,
    clock: &TestClock,
) -> TokenManager<MemoryStore, HttpTokenEndpoint<H>> {
    let endpoint = HttpTokenEndpoint::new(http, config());
    TokenManager::with_policy(MemoryStore::with_tokens(tokens), endpoint, clock.handle(), RefreshPolicy::default())
}

const REUSED: &str = r#"{"error":{"message":"Your refresh token has already been used to generate a new access token. Please try signing in again.","type":"invalid_request_error","param":null,"code":"refresh_token_reused"}}"#;

/// Responses without an access token, and whether the login has ended.
const FAILURES: [(u16, &str, bool); 9] = [
    (500, "", false),
    (502, "<html>Bad gateway</html>", false),
    (403, "<!DOCTYPE html><title>Just a moment...</title>", false),
    (200, "<html>Welcome to the hotel</html>", false),
    (200, "{}", false),
    (200, "{\"access_token\":\"half", false),
    (429, r#"{"error":"slow_down"}"#, false),
    (401, REUSED, true),
    (400, REUSED, true),
];

#[tokio::test]
async fn a_token_that_is_still_valid_is_served_whatever_the_auth_server_answers() {
    let clock = TestClock::new();
    for (status, body, _) in FAILURES {
        let http = ScriptedHttp::replying([(status, body.to_owned())]);
        let manager = manager(clock.tokens(1, 60), http.clone(), &clock);
        for _ in 0..3 {
            assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1", "{status} {body}");
        }
        assert_eq!(http.requests().len(), 1, "{status} {body}");
        assert!(manager.status().await.problem.is_some(), "{status} {body}");
    }
}

#[tokio::test]
async fn without_a_valid_token_callers_get_the_error_of_one_request() {
    let clock = TestClock::new();
    for (status, body, has_ended) in FAILURES {
        let http = ScriptedHttp::replying([(status, body.to_owned())]);
        let manager = manager(clock.tokens(1, 0), http.clone(), &clock);
        for _ in 0..3 {
            match (manager.bearer().await.unwrap_err(), has_ended) {
                (AuthError::Temporary { .. }, false) => {}
                (AuthError::LoginExpired { reason, .. }, true) => {
                    assert_eq!(reason, LoginReason::Refused(GrantRefusal::Reused));
                }
                (error, _) => panic!("{status} {body}: {error}"),
            }
        }
        assert_eq!(http.requests().len(), 1, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_auth_server_times_out() {
    let clock = TestClock::new();
    let manager = manager(clock.tokens(1, 0), Silence, &clock);
    let began = Instant::now();
    let error = manager.bearer().await.unwrap_err();
    assert_eq!(began.elapsed(), HttpTokenEndpoint::<Silence>::REFRESH_TIMEOUT);
    assert!(matches!(error, AuthError::Temporary { .. }), "{error}");
    let silent = HttpTokenEndpoint::new(Silence, config());
    let lost = silent.refresh(&"refresh-1".into(), RefreshReason::Expired).await.unwrap_err();
    assert!(matches!(lost, EndpointError::Interrupted(_)), "the token may be used up: {lost}");
}

#[tokio::test]
async fn a_response_with_tokens_clears_the_problem() {
    let clock = TestClock::new();
    let good = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":3600}"#.to_owned();
    let http = ScriptedHttp::replying([(200, good)]);
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let endpoint = HttpTokenEndpoint::new(http, config());
    let manager = TokenManager::with_policy(store.clone(), endpoint, clock.handle(), RefreshPolicy::default());
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    let stored = store.tokens().unwrap();
    assert_eq!(stored.refresh_token.unwrap().expose(), "refresh-2");
    assert_eq!(stored.account_id.as_deref(), Some("account"), "members that the response leaves out keep their value");
    assert_eq!(manager.status().await.problem, None);
}

#[tokio::test]
async fn the_auth_server_learns_why_the_tokens_are_renewed() {
    let clock = TestClock::new();
    let reply = |generation| {
        format!(r#"{{"access_token":"access-{generation}","refresh_token":"refresh-{generation}","expires_in":3600}}"#)
    };
    let http = ScriptedHttp::replying([(200, reply(2)), (200, reply(3))]);
    let manager = manager(clock.tokens(1, 0), http.clone(), &clock);
    let renewed = manager.bearer().await.unwrap();
    manager.replace(&renewed).await.unwrap();
    let reasons = http.requests().into_iter().map(|request| {
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        body["refresh_reason"].as_str().unwrap().to_owned()
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["proactive_expiry", "unauthorized_recovery"]);
}

#[tokio::test(start_paused = true)]
async fn revoking_reports_whether_it_worked() {
    let clock = TestClock::new();
    let tokens = clock.tokens(1, 60);
    let http = ScriptedHttp::replying([(200, String::new()), (503, String::new())]);
    let endpoint = HttpTokenEndpoint::new(http.clone(), config());
    assert_eq!(endpoint.revoke(&tokens).await, Ok(()));
    assert!(matches!(endpoint.revoke(&tokens).await, Err(EndpointError::Unavailable { .. })));
    assert!(matches!(endpoint.revoke(&tokens).await, Err(EndpointError::Unreachable(_))));
    assert_eq!(http.requests()[0].uri().path(), "/oauth/revoke");
    let silent = HttpTokenEndpoint::new(Silence, config());
    assert!(matches!(silent.revoke(&tokens).await, Err(EndpointError::Interrupted(_))));
}
