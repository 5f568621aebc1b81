//! Login by device code on a paused clock.

use std::time::Duration;

use codex_auth::{DeviceLogin, LoginError, MemoryStore};
use tokio::time::Instant;

use crate::support::{ScriptedHttp, TestClock, config};

const START: &str = r#"{"device_auth_id":"device-auth","user_code":"CODE-12345","interval":"5"}"#;
const APPROVED: &str = r#"{"authorization_code":"code","code_challenge":"x","code_verifier":"theirs"}"#;
const TOKENS: &str = r#"{"access_token":"a","refresh_token":"r"}"#;

fn replies(bodies: &[(u16, &str)]) -> ScriptedHttp {
    ScriptedHttp::replying(bodies.iter().map(|(status, body)| (*status, (*body).to_owned())))
}

#[tokio::test(start_paused = true)]
async fn approval_after_some_polling_stores_the_tokens() {
    let http = replies(&[(200, START), (403, ""), (404, ""), (200, APPROVED), (200, TOKENS)]);
    let (store, clock) = (MemoryStore::default(), TestClock::new().handle());
    let login = DeviceLogin::start(&config(), &http, &clock).await.unwrap();
    assert_eq!(login.user_code(), "CODE-12345");
    assert_eq!(login.verification_url(), "http://127.0.0.1:9/codex/device");
    let started = Instant::now();
    login.complete(&http, &store, &clock).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "r");
    let exchange = http.requests().pop().unwrap();
    let form = std::str::from_utf8(exchange.body()).unwrap().to_owned();
    assert!(form.contains("code_verifier=theirs"), "{form}");
    assert!(form.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fdeviceauth%2Fcallback"), "{form}");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_not_entered_expires() {
    let http = replies(&[(200, START)]);
    let clock = TestClock::new().handle();
    let login = DeviceLogin::start(&config(), &http, &clock).await.unwrap();
    assert_eq!(login.expires_in(), Duration::from_secs(900));
    let started = Instant::now();
    // Every poll fails to connect, which does not end the login.
    let error = login.complete(&http, &MemoryStore::default(), &clock).await.unwrap_err();
    assert_eq!(error, LoginError::DeviceExpired);
    assert!(started.elapsed() <= Duration::from_secs(900));
    assert!(http.requests().len() > 100);
}

#[tokio::test(start_paused = true)]
async fn denial_and_a_missing_feature_are_reported() {
    let clock = TestClock::new().handle();
    let http = replies(&[(200, START), (401, r#"{"error":"authorization_declined"}"#)]);
    let login = DeviceLogin::start(&config(), &http, &clock).await.unwrap();
    let error = login.complete(&http, &MemoryStore::default(), &clock).await.unwrap_err();
    assert_eq!(error, LoginError::DeviceDenied);
    let unsupported = DeviceLogin::start(&config(), &replies(&[(404, "")]), &clock).await.unwrap_err();
    assert_eq!(unsupported, LoginError::DeviceUnsupported);
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_any_length_ends_the_login_in_time() {
    let start = r#"{"device_auth_id":"device-auth","user_code":"CODE-12345","interval":18446744073709549568}"#;
    let http = replies(&[(200, start), (400, r#"{"error":"slow_down"}"#)]);
    let clock = TestClock::new().handle();
    let login = DeviceLogin::start(&config(), &http, &clock).await.unwrap();
    let error = login.complete(&http, &MemoryStore::default(), &clock).await.unwrap_err();
    assert_eq!((error, http.requests().len()), (LoginError::DeviceExpired, 2));
}
