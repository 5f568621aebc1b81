//! The browser login over real sockets.

use std::net::Ipv4Addr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth::{Account, CallbackError, EndpointError, Login, LoginError, MemoryStore, Refusal, TokenStore, Tokens};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::support::{ScriptedHttp, TestClock, config};

fn tokens_reply() -> String {
    let payload = r#"{"email":"ada@example.com","https://api.openai.com/auth":{"chatgpt_account_id":"acct","chatgpt_plan_type":"plus"}}"#;
    let id = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
    format!(
        r#"{{"id_token":"{id}","access_token":"access-token-new","refresh_token":"refresh-token-new","expires_in":60}}"#
    )
}

struct Pending {
    port: u16,
    state: String,
    store: MemoryStore,
    http: ScriptedHttp,
    ended: JoinHandle<Result<Account, LoginError>>,
}

impl Pending {
    async fn start(replies: impl IntoIterator<Item = (u16, String)>) -> Self {
        let login = Login::bind(&config(), &[0]).await.unwrap();
        let port =
            login.attempt().redirect_uri().split(':').nth(2).unwrap().split('/').next().unwrap().parse().unwrap();
        let state = login.attempt().state().as_str().to_owned();
        let store = MemoryStore::holding(Tokens::new("previous".into()));
        let http = ScriptedHttp::replying(replies);
        let ended = tokio::spawn({
            let (store, http) = (store.clone(), http.clone());
            async move { login.complete(&http, &store, &TestClock::new().handle()).await }
        });
        Self { port, state, store, http, ended }
    }

    async fn visit(&self, path: &str) -> Reply {
        get(self.port, &path.replace("{state}", &self.state), "").await
    }

    async fn end(self) -> (Result<Account, LoginError>, String) {
        let ended = self.ended.await.unwrap();
        let stored = self.store.load().unwrap().unwrap().access_token.expose().to_owned();
        (ended, stored)
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

async fn get(port: u16, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_lowercase(), body: body.to_owned() }
}

#[tokio::test]
async fn approval_stores_the_tokens_and_lands_on_a_clean_address() {
    let login = Pending::start([(200, tokens_reply())]).await;
    let callback = login.visit("/auth/callback?code=the-code&state={state}").await;
    assert_eq!(callback.status, 302);
    assert!(callback.head.contains("location: /success\r\n"), "{}", callback.head);
    let landed = login.visit("/success").await;
    assert_eq!(landed.status, 200);
    assert!(landed.body.contains("ada@example.com") && landed.body.contains("Plus"), "{}", landed.body);
    assert!(landed.head.contains("cache-control: no-store") && landed.head.contains("content-security-policy"));
    assert!(!landed.body.contains("token-new") && !landed.body.contains("the-code"));
    let request = login.http.requests().remove(0);
    assert!(std::str::from_utf8(request.body()).unwrap().contains("code=the-code"));
    let (ended, stored) = login.end().await;
    let account = ended.unwrap();
    assert_eq!((account.email.as_deref(), account.account_id.as_deref()), (Some("ada@example.com"), Some("acct")));
    assert_eq!(stored, "access-token-new");
}

#[tokio::test]
async fn a_state_mismatch_is_refused_and_the_login_goes_on() {
    let login = Pending::start([(200, tokens_reply())]).await;
    for path in ["/auth/callback?code=evil&state=other", "/auth/callback", "/auth/callback?error=access_denied"] {
        let reply = login.visit(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.body.contains("State mismatch"));
    }
    assert!(login.http.requests().is_empty());
    assert_eq!(login.visit("/success").await.status, 404);
    assert_eq!(login.visit("/auth/callback?state={state}&code=good").await.status, 302);
    login.visit("/success").await;
    assert!(login.end().await.0.is_ok());
}

#[tokio::test]
async fn denial_is_a_page_and_keeps_what_was_stored() {
    let login = Pending::start([]).await;
    let query = "/auth/callback?error=access_denied&error_description=%3Cb%3Eno%3C%2Fb%3E&state={state}";
    let reply = login.visit(query).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("&lt;b&gt;no") && !reply.body.contains("<b>"), "{}", reply.body);
    let (ended, stored) = login.end().await;
    assert!(matches!(ended, Err(LoginError::Callback(CallbackError::Denied { .. }))));
    assert_eq!(stored, "previous");
}

#[tokio::test]
async fn a_code_that_has_expired_is_explained_away_from_the_code() {
    let login = Pending::start([(400, r#"{"error":"invalid_grant"}"#.to_owned())]).await;
    let callback = login.visit("/auth/callback?code=old&state={state}").await;
    assert!(callback.head.contains("location: /failed\r\n"), "{}", callback.head);
    let landed = login.visit("/failed").await;
    assert!(landed.body.contains("expired"), "{}", landed.body);
    let (ended, stored) = login.end().await;
    let refused = EndpointError::Refused { refusal: Refusal::InvalidGrant };
    assert_eq!(ended.unwrap_err(), LoginError::Exchange(refused));
    assert_eq!(stored, "previous");
}

#[tokio::test]
async fn a_challenge_page_and_a_missing_code_are_explained() {
    let login = Pending::start([(403, "<html>Just a moment...</html>".to_owned())]).await;
    login.visit("/auth/callback?code=c&state={state}").await;
    assert!(login.visit("/failed").await.body.contains("bot challenge"));
    assert_eq!(login.end().await.1, "previous");

    let login = Pending::start([]).await;
    assert!(login.visit("/auth/callback?state={state}").await.body.contains("missing_authorization_code"));
    assert_eq!(login.end().await.0.unwrap_err(), LoginError::Callback(CallbackError::MissingCode));
}

#[tokio::test]
async fn another_login_can_take_the_port_but_another_site_cannot() {
    let login = Pending::start([]).await;
    let foreign = get(login.port, "/cancel", "Sec-Fetch-Site: cross-site\r\n").await;
    assert_eq!(foreign.status, 404);
    assert_eq!(login.visit("/favicon.ico").await.status, 404);

    let second = Login::bind(&config(), &[login.port]).await.unwrap();
    assert!(second.authorize_url().as_str().contains(&format!("%3A{}%2F", login.port)));
    assert_eq!(login.end().await, (Err(LoginError::Cancelled), "previous".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_stays_busy_leads_to_the_next_and_then_to_an_error() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = busy.local_addr().unwrap().port();
    assert!(Login::bind(&config(), &[port, 0]).await.is_ok());
    let error = Login::bind(&config(), &[port]).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_pasted_answer_completes_the_login_without_a_listener() {
    let attempt = codex_auth::Attempt::from_system(&config(), 1455).unwrap();
    let (store, http) = (MemoryStore::default(), ScriptedHttp::replying([(200, tokens_reply())]));
    let clock = TestClock::new().handle();
    let wrong = attempt.complete_pasted("c#other", &http, &store, &clock).await.unwrap_err();
    assert_eq!(wrong, LoginError::Callback(CallbackError::StateMismatch));
    let pasted = format!("http://localhost:1455/auth/callback?code=c&state={}", attempt.state().as_str());
    let account = attempt.complete_pasted(&pasted, &http, &store, &clock).await.unwrap();
    assert_eq!(account.account_id.as_deref(), Some("acct"));
    assert!(store.load().unwrap().is_some());
}

#[tokio::test]
async fn a_workspace_that_is_not_allowed_is_not_stored() {
    let mut config = config();
    config.allowed_workspaces = vec!["other".to_owned()];
    let attempt = codex_auth::Attempt::from_system(&config, 1455).unwrap();
    let (store, http) = (MemoryStore::default(), ScriptedHttp::replying([(200, tokens_reply())]));
    let error = attempt.complete_pasted("code", &http, &store, &TestClock::new().handle()).await.unwrap_err();
    assert_eq!(error, LoginError::Workspace { found: "acct".to_owned() });
    assert!(store.load().unwrap().is_none());
}
