//! The authority behind HTTP, in its bad moods.

use bytes::Bytes;
use codex_auth::{
    AuthError, EndpointError, GrantRefusal, HttpClient, HttpClientError, HttpTokenEndpoint, LoginReason, MemoryStore,
    RefreshPolicy, TokenManager, TokenStore, Tokens,
};
use http::{Request, Response};
use tokio::time::Instant;

use crate::support::{ScriptedHttp, TestClock, config};

/// Takes a request and never answers.
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

/// Replies that bring no access token, and what is said of them; `None` for a login that has ended.
const MOODS: [(u16, &str, Option<&str>); 9] = [
    (500, "", Some("500 Internal Server Error: no explanation")),
    (502, "<html>Bad gateway</html>", Some("a web page came instead of JSON (status 502)")),
    (403, "<!DOCTYPE html><title>Just a moment...</title>", Some("status 403, a bot challenge")),
    (200, "<html>Welcome to the hotel</html>", Some("a web page came instead of JSON (status 200)")),
    (200, "{}", Some("no access token")),
    (200, "{\"access_token\":\"half", Some("reply was lost: the reply is not the expected JSON (it ends too early)")),
    (429, r#"{"error":"slow_down"}"#, Some("429 Too Many Requests: slow_down")),
    (401, REUSED, None),
    (400, REUSED, None),
];

#[tokio::test]
async fn a_token_that_is_still_valid_is_served_whatever_the_authority_says() {
    let clock = TestClock::new();
    for (status, body, _) in MOODS {
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
async fn without_a_valid_token_the_callers_hear_what_the_authority_said_and_it_is_asked_once() {
    let clock = TestClock::new();
    for (status, body, said) in MOODS {
        let http = ScriptedHttp::replying([(status, body.to_owned())]);
        let manager = manager(clock.tokens(1, 0), http.clone(), &clock);
        for _ in 0..3 {
            match (manager.bearer().await.unwrap_err(), said) {
                (AuthError::Temporary { reason, .. }, Some(said)) => assert!(reason.contains(said), "{reason}"),
                (AuthError::LoginExpired { reason, .. }, None) => {
                    assert_eq!(reason, LoginReason::Refused(GrantRefusal::Reused));
                }
                (error, _) => panic!("{status} {body}: {error}"),
            }
        }
        assert_eq!(http.requests().len(), 1, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_authority_is_given_up_on_and_the_token_counts_as_spent() {
    let clock = TestClock::new();
    let manager = manager(clock.tokens(1, 0), Silence, &clock);
    let began = Instant::now();
    let error = manager.bearer().await.unwrap_err();
    assert_eq!(began.elapsed(), HttpTokenEndpoint::<Silence>::REFRESH_TIMEOUT);
    assert!(error.to_string().contains("reply was lost: no reply within 30 s"), "{error}");
}

#[tokio::test]
async fn a_reply_with_tokens_ends_the_trouble() {
    let clock = TestClock::new();
    let good = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":3600}"#.to_owned();
    let http = ScriptedHttp::replying([(200, good)]);
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let endpoint = HttpTokenEndpoint::new(http, config());
    let manager = TokenManager::with_policy(store.clone(), endpoint, clock.handle(), RefreshPolicy::default());
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    let stored = store.load().unwrap().unwrap();
    assert_eq!(stored.refresh_token.unwrap().expose(), "refresh-2");
    assert_eq!(stored.account_id.as_deref(), Some("account"), "what the reply leaves out is kept");
    assert_eq!(manager.status().await.problem, None);
}

#[tokio::test(start_paused = true)]
async fn revoking_says_whether_it_worked() {
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
