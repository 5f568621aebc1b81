//! The browser login over real sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_auth::{Account, BrowserLogin, CallbackError, EndpointError, GrantRefusal, LoginError, MemoryStore, Tokens};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{FaultyStore, ScriptedHttp, TestClock, config};

fn tokens_reply() -> String {
    let payload = r#"{"email":"ada@example.com","https://api.openai.com/auth":{"chatgpt_account_id":"acct","chatgpt_plan_type":"plus"}}"#;
    let id = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
    format!(
        r#"{{"id_token":"{id}","access_token":"access-token-new","refresh_token":"refresh-token-new","expires_in":60}}"#
    )
}

pub(crate) struct Pending {
    port: u16,
    pub(crate) state: String,
    store: MemoryStore,
    http: ScriptedHttp,
    ended: JoinHandle<Result<Account, LoginError>>,
}

impl Pending {
    pub(crate) async fn start(replies: impl IntoIterator<Item = (u16, String)>) -> Self {
        let login = BrowserLogin::bind(&config(), &[0]).await.unwrap();
        let port =
            login.request().redirect_uri().split(':').nth(2).unwrap().split('/').next().unwrap().parse().unwrap();
        let state = login.request().state().as_str().to_owned();
        let store = MemoryStore::with_tokens(Tokens::new("previous".into()));
        let http = ScriptedHttp::replying(replies);
        let ended = tokio::spawn({
            let (store, http) = (store.clone(), http.clone());
            async move { login.complete(&http, &store, &TestClock::new().handle()).await }
        });
        Self { port, state, store, http, ended }
    }

    pub(crate) async fn visit(&self, path: &str) -> Reply {
        get(self.port, &path.replace("{state}", &self.state), "").await
    }

    pub(crate) async fn end(self) -> (Result<Account, LoginError>, String) {
        let ended = self.ended.await.unwrap();
        let stored = self.store.tokens().unwrap().access_token.expose().to_owned();
        (ended, stored)
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

async fn get(port: u16, path: &str, headers: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    Reply::read(&exchange(Ipv4Addr::LOCALHOST.into(), port, request.as_bytes()).await)
}

/// Sends bytes and returns what comes back until the server closes the connection, which it may do at any time.
async fn exchange(address: IpAddr, port: u16, bytes: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect((address, port)).await.unwrap().into_split();
    let mut reply = Vec::new();
    let (_, _) = tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut reply));
    String::from_utf8(reply).unwrap()
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
async fn a_state_mismatch_is_rejected_and_the_login_continues() {
    let login = Pending::start([(200, tokens_reply())]).await;
    for path in ["/auth/callback?code=evil&state=other", "/auth/callback", "/auth/callback?error=access_denied"] {
        let reply = login.visit(path).await;
        assert_eq!(reply.status, 400, "{path}");
    }
    assert!(login.http.requests().is_empty());
    assert_eq!(login.visit("/success").await.status, 404);
    assert_eq!(login.visit("/auth/callback?state={state}&code=good").await.status, 302);
    login.visit("/success").await;
    assert!(login.end().await.0.is_ok());
}

#[tokio::test]
async fn requests_that_are_not_visits_use_no_code_and_end_nothing() {
    let login = Pending::start([(200, tokens_reply())]).await;
    let callback = format!("/auth/callback?code=good&state={}", login.state);
    for method in ["HEAD", "POST", "OPTIONS", "DELETE", "TRACE"] {
        let request = format!("{method} {callback} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let reply = Reply::read(&exchange(Ipv4Addr::LOCALHOST.into(), login.port, request.as_bytes()).await);
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.head.contains("allow: get\r\n"), "{}", reply.head);
    }
    let long = |length: usize| "x".repeat(length);
    let garbage: [Vec<u8>; 6] = [
        // A browser that insists on TLS.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\r\n\r\n\r\n\0\0\0".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", long(200_000)).into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", long(2_000_000)).into_bytes(),
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n{}", long(2_000_000))
            .into_bytes(),
    ];
    for bytes in garbage {
        let reply = exchange(Ipv4Addr::LOCALHOST.into(), login.port, &bytes).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    for path in ["/", "/favicon.ico", "/auth/callback/", "//auth/callback", "/auth/callback%3fcode=good"] {
        assert_eq!(login.visit(path).await.status, 404, "{path}");
    }
    assert!(login.http.requests().is_empty());
    assert_eq!(get(login.port, &callback, "").await.status, 302);
    login.visit("/success").await;
    assert!(login.end().await.0.is_ok());
}

#[tokio::test]
async fn slow_clients_do_not_delay_others() {
    let login = Pending::start([(200, tokens_reply())]).await;
    let mut slow = Vec::new();
    for started in
        [&b""[..], b"GET /auth", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "].into_iter().cycle().take(24)
    {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, login.port)).await.unwrap();
        stream.write_all(started).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(login.visit("/auth/callback?code=good&state={state}").await.status, 302);
    assert_eq!(login.visit("/success").await.status, 200);
    assert!(login.end().await.0.is_ok());
    // The login has ended, and with it every connection.
    for mut stream in slow {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn both_loopback_addresses_are_served() {
    let login = Pending::start([(200, tokens_reply())]).await;
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
        addresses.push(Ipv6Addr::LOCALHOST.into());
    }
    for address in addresses {
        let reply = exchange(address, login.port, b"GET /nothing HTTP/1.1\r\nHost: [::1]\r\n\r\n").await;
        assert!(reply.starts_with("HTTP/1.1 404"), "{address}: {reply}");
    }
    assert_eq!(login.visit("/auth/callback?code=good&state={state}").await.status, 302);
    login.visit("/success").await;
    assert!(login.end().await.0.is_ok());
}

#[tokio::test]
async fn a_repeated_callback_shows_the_same_page() {
    let login = Pending::start([(200, tokens_reply())]).await;
    let callback = "/auth/callback?code=good&state={state}";
    for _ in 0..2 {
        assert!(login.visit(callback).await.head.contains("location: /success\r\n"));
    }
    assert_eq!(login.http.requests().len(), 1, "the code was sent once");
    login.visit("/success").await;
    assert!(login.end().await.0.is_ok());
}

#[tokio::test]
async fn a_failed_exchange_is_shown_and_leaves_the_stored_login_unchanged() {
    type Check = fn(&EndpointError) -> bool;
    let refused = r#"{"error":{"message":"No eligible ChatGPT workspaces found.","code":"chatgpt_account_missing"}}"#;
    let unavailable: Check = |error| matches!(error, EndpointError::Unavailable { .. });
    let rows: [(_, Check); 5] = [
        (Some((500, String::new())), unavailable),
        (Some((400, refused.to_owned())), unavailable),
        (Some((200, "{}".to_owned())), unavailable),
        (Some((200, "tokens".to_owned())), |error| matches!(error, EndpointError::Interrupted(_))),
        (None, |error| matches!(error, EndpointError::Unreachable(_))),
    ];
    for (response, is_expected) in rows {
        let login = Pending::start(response).await;
        let callback = login.visit("/auth/callback?code=c&state={state}").await;
        assert!(callback.head.contains("location: /failed\r\n"), "{}", callback.head);
        let page = login.visit("/failed").await.body;
        let (ended, stored) = login.end().await;
        let LoginError::Exchange(error) = ended.unwrap_err() else { panic!("another error") };
        assert!(is_expected(&error) && page.replace("&#39;", "'").contains(&error.to_string()), "{error}: {page}");
        assert_eq!(stored, "previous");
    }
}

#[tokio::test]
async fn an_unwritable_store_is_reported_before_the_user_approves() {
    for unreadable in [true, false] {
        let store = FaultyStore::default();
        let fault = if unreadable { &store.faults.load } else { &store.faults.probe };
        fault.store(true, Ordering::SeqCst);
        let login = BrowserLogin::bind(&config(), &[0]).await.unwrap();
        let attempt = login.request().clone();
        let (http, clock) = (ScriptedHttp::replying([(200, tokens_reply())]), TestClock::new().handle());
        assert!(matches!(login.complete(&http, &store, &clock).await, Err(LoginError::Store(_))));
        assert!(matches!(attempt.complete_pasted("code", &http, &store, &clock).await, Err(LoginError::Store(_))));
        assert!(http.requests().is_empty(), "the code is not used");
    }
}

#[tokio::test]
async fn a_denial_is_shown_and_leaves_the_stored_login_unchanged() {
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
async fn an_expired_code_is_explained_on_a_page_without_the_code() {
    let login = Pending::start([(400, r#"{"error":"invalid_grant"}"#.to_owned())]).await;
    let callback = login.visit("/auth/callback?code=old&state={state}").await;
    assert!(callback.head.contains("location: /failed\r\n"), "{}", callback.head);
    let landed = login.visit("/failed").await;
    assert_eq!(landed.status, 200);
    assert!(!landed.body.contains("old"), "{}", landed.body);
    let (ended, stored) = login.end().await;
    let refused = EndpointError::Refused { refusal: GrantRefusal::InvalidGrant };
    assert_eq!(ended.unwrap_err(), LoginError::Exchange(refused));
    assert_eq!(stored, "previous");
}

#[tokio::test]
async fn a_challenge_page_and_a_missing_code_are_explained() {
    let login = Pending::start([(403, "<html>Just a moment...</html>".to_owned())]).await;
    login.visit("/auth/callback?code=c&state={state}").await;
    assert_eq!(login.visit("/failed").await.status, 200);
    let (ended, stored) = login.end().await;
    let challenge = EndpointError::WebPage { status: 403, challenge: true };
    assert_eq!((ended.unwrap_err(), stored.as_str()), (LoginError::Exchange(challenge), "previous"));

    let login = Pending::start([]).await;
    assert_eq!(login.visit("/auth/callback?state={state}").await.status, 200);
    assert_eq!(login.end().await.0.unwrap_err(), LoginError::Callback(CallbackError::MissingCode));
}

#[tokio::test]
async fn another_login_can_take_the_port_but_another_site_cannot() {
    let login = Pending::start([]).await;
    for site in ["cross-site", "same-site"] {
        let foreign = get(login.port, "/cancel", &format!("Sec-Fetch-Site: {site}\r\n")).await;
        assert_eq!(foreign.status, 404);
    }
    // To the browser, a page is same-origin if its name was made to resolve to this machine.
    for host in ["evil.example", "evil.example:1455", "127.0.0.1.evil.example", "::", ""] {
        let request = format!("GET /cancel HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n\r\n");
        let reply = exchange(Ipv4Addr::LOCALHOST.into(), login.port, request.as_bytes()).await;
        assert!(reply.starts_with("HTTP/1.1 4"), "{host}: {reply}");
    }

    let second = BrowserLogin::bind(&config(), &[login.port]).await.unwrap();
    assert!(second.authorize_url().as_str().contains(&format!("%3A{}%2F", login.port)));
    assert_eq!(login.end().await, (Err(LoginError::Cancelled), "previous".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_stays_busy_leads_to_the_next_and_then_to_an_error() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = busy.local_addr().unwrap().port();
    assert!(BrowserLogin::bind(&config(), &[port, 0]).await.is_ok());
    let error = BrowserLogin::bind(&config(), &[port]).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_pasted_answer_completes_the_login_without_a_listener() {
    let attempt = codex_auth::AuthorizationRequest::from_system(&config(), 1455).unwrap();
    let (store, http) = (MemoryStore::default(), ScriptedHttp::replying([(200, tokens_reply())]));
    let clock = TestClock::new().handle();
    let wrong = attempt.complete_pasted("c#other", &http, &store, &clock).await.unwrap_err();
    assert_eq!(wrong, LoginError::Callback(CallbackError::StateMismatch));
    let pasted = format!("http://localhost:1455/auth/callback?code=c&state={}", attempt.state().as_str());
    let account = attempt.complete_pasted(&pasted, &http, &store, &clock).await.unwrap();
    assert_eq!(account.account_id.as_deref(), Some("acct"));
    assert!(store.tokens().is_some());
}

#[tokio::test]
async fn a_workspace_that_is_not_allowed_is_not_stored() {
    let nameless = r#"{"access_token":"a","refresh_token":"r"}"#.to_owned();
    for (allowed, reply, found) in [
        (&["other"][..], tokens_reply(), Some(Some("acct"))),
        (&["other", "acct"], tokens_reply(), None),
        // An unknown account is not one of those allowed.
        (&["other"], nameless.clone(), Some(None)),
        (&[], nameless, None),
    ] {
        let mut config = config();
        config.allowed_workspaces = allowed.iter().map(|id| (*id).to_owned()).collect();
        let attempt = codex_auth::AuthorizationRequest::from_system(&config, 1455).unwrap();
        let (store, http) = (MemoryStore::default(), ScriptedHttp::replying([(200, reply)]));
        let ended = attempt.complete_pasted("code", &http, &store, &TestClock::new().handle()).await;
        let expected = found.map(|found| LoginError::Workspace { found: found.map(str::to_owned) });
        assert_eq!(ended.err(), expected);
        assert_eq!(store.tokens().is_some(), found.is_none());
    }
}
