//! No secret reaches a log, even at the most verbose level.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use codex_auth::{
    AuthorizationRequest, BlockingStore, FileStore, HttpTokenEndpoint, LoginError, RefreshPolicy, TokenManager,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::login::Pending;
use crate::support::{ScriptedHttp, TestClock, config};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const SECRETS: [&str; 7] = [
    "SECRET-code",
    "SECRET-access-1",
    "SECRET-refresh-1",
    "SECRET-access-2",
    "SECRET-refresh-2",
    "SECRET-id",
    "SECRET-damaged",
];

fn reply(number: u8) -> (u16, String) {
    let body = format!(
        r#"{{"access_token":"SECRET-access-{number}","refresh_token":"SECRET-refresh-{number}","id_token":"SECRET-id","expires_in":60}}"#
    );
    (200, body)
}

#[tokio::test]
async fn no_log_line_and_no_error_contains_a_token() {
    let captured = Captured::default();
    // Global, because stores are called on other threads. Tests that share the process only add lines.
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(captured.clone());
    subscriber.init();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("credentials.json");
    std::fs::write(&path, "SECRET-damaged").unwrap();
    let store = FileStore::new(&path);
    let clock = TestClock::new();
    let garbled = (200, r#"{"access_token":"SECRET-access-2"#.to_owned());
    let refused = (401, r#"{"error":{"message":"SECRET-refresh-2 is bad","code":"refresh_token_reused"}}"#.to_owned());
    let http =
        ScriptedHttp::replying([(500, String::new()), reply(1), (503, String::new()), reply(2), garbled, refused]);
    let mut said = vec![format!("{:?}", store.load())];

    let attempt = AuthorizationRequest::from_system(&config(), 1455).unwrap();
    let failed: Result<_, LoginError> = attempt.complete_pasted("SECRET-code", &http, &store, &clock.handle()).await;
    said.push(format!("{attempt:?} {failed:?}"));
    attempt.complete_pasted("SECRET-code", &http, &store, &clock.handle()).await.unwrap();
    let endpoint = HttpTokenEndpoint::new(http.clone(), config());
    let policy = RefreshPolicy { backoff: std::time::Duration::ZERO, ..RefreshPolicy::default() };
    let manager = TokenManager::with_policy(store.clone(), endpoint, clock.handle(), policy);
    for _ in 0..4 {
        clock.advance(60);
        said.push(format!("{:?} {:?}", manager.bearer().await, manager.status().await));
    }
    said.push(format!("{manager:?} {:?}", store.load()));
    assert_eq!(http.requests().len(), 6, "every scripted reply was used");

    let login = Pending::start([reply(1)]).await;
    for path in
        ["/auth/callback?code=SECRET-code&state=SECRET-id", "/auth/callback?code=SECRET-code&state={state}", "/success"]
    {
        let page = login.visit(path).await;
        said.push(format!("{} {}", page.head, page.body));
    }
    let states = [attempt.state().as_str().to_owned(), login.state.clone()];
    said.push(format!("{:?}", login.end().await.0));

    let logged = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("codex_auth"), "there is something to check: {logged}");
    for text in said.iter().chain([&logged]) {
        for secret in SECRETS.into_iter().chain(states.iter().map(String::as_str)) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
