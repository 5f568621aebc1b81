//! The login of a client: refreshes, rejections, and managers that are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_auth::{
    AnyStore, AnyTokenEndpoint, EndpointError, MemoryStore, Secret, StoreError, StoreVersion, TokenEndpoint,
    TokenManager, TokenResponse, TokenStore, Tokens,
};
use codex_client::{Client, RefreshOutcome, TurnObserver};
use codex_translate::ErrorKind;
use codex_upstream::ScriptedUpstream;

use crate::support::{Rig, chat, tokens};

#[derive(Debug, Default)]
struct Counts {
    retries: AtomicUsize,
    refreshes: AtomicUsize,
}

impl TurnObserver for Counts {
    fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    fn refreshed(&self, outcome: RefreshOutcome) {
        assert_eq!(outcome, RefreshOutcome::Refreshed);
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_and_the_turn_sent_again() {
    let counts = Arc::new(Counts::default());
    let observer: Arc<dyn TurnObserver> = Arc::clone(&counts) as _;
    let rig = Rig::start_with(|client| client.observer(observer)).await;
    rig.sim.control().invalidate_access_tokens();
    rig.client.chat(chat("hi")).await.unwrap().collect().await.unwrap();
    let statuses: Vec<_> = rig.turns().iter().map(|turn| turn.status.unwrap()).collect();
    assert_eq!((statuses, rig.sim.control().refreshes()), (vec![401, 200], 1));
    assert_eq!((counts.retries.load(Ordering::Relaxed), counts.refreshes.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn an_observer_that_panics_costs_no_token() {
    #[derive(Debug)]
    struct Defective;
    impl TurnObserver for Defective {
        fn retried(&self) {
            panic!("retried");
        }

        fn refreshed(&self, _: RefreshOutcome) {
            panic!("refreshed");
        }
    }
    let counts = Arc::new(Counts::default());
    let second: Arc<dyn TurnObserver> = Arc::clone(&counts) as _;
    let rig = Rig::start_with(|client| client.observer(Arc::new(Defective)).observer(second)).await;
    rig.sim.control().invalidate_access_tokens();
    rig.client.chat(chat("hi")).await.unwrap().collect().await.unwrap();
    assert_eq!((counts.retries.load(Ordering::Relaxed), counts.refreshes.load(Ordering::Relaxed)), (1, 1));
    // The rotated token was stored.
    rig.sim.control().invalidate_access_tokens();
    rig.client.chat(chat("hi")).await.unwrap().collect().await.unwrap();
}

/// An outage of the store is nothing that the client could correct: it may send the request again.
#[tokio::test]
async fn a_store_that_does_not_answer_is_an_outage_and_no_missing_login() {
    #[derive(Clone)]
    struct Down;
    impl TokenStore for Down {
        type Lock = ();

        async fn load(&self) -> Result<Option<Tokens>, StoreError> {
            Err(self.down())
        }

        async fn try_lock(&self) -> Result<Option<()>, StoreError> {
            Err(self.down())
        }

        async fn probe(&self, (): &()) -> Result<(), StoreError> {
            Err(self.down())
        }

        async fn save(&self, (): &(), _: &Tokens) -> Result<(), StoreError> {
            Err(self.down())
        }

        async fn remove(&self, (): &()) -> Result<bool, StoreError> {
            Err(self.down())
        }

        async fn version(&self) -> StoreVersion {
            StoreVersion::from(1)
        }

        fn location(&self) -> String {
            "the database".to_owned()
        }

        fn login_command(&self) -> String {
            "myapp sign-in".to_owned()
        }
    }
    impl Down {
        fn down(&self) -> StoreError {
            StoreError::Other {
                location: self.location(),
                reason: "it is restarting".to_owned(),
                advice: "wait".to_owned(),
            }
        }
    }
    let client = Client::builder(Down).upstream(ScriptedUpstream::new()).build().unwrap();
    let error = client.chat(chat("hi")).await.unwrap_err();
    assert_eq!((error.status_hint(), error.code()), (503, Some("login_store_unavailable")));
    assert!(error.retry_after().is_some() && error.message().contains("the database"), "{error}");
}

#[tokio::test]
async fn an_expired_token_is_refreshed_before_it_is_sent() {
    let rig = Rig::start().await;
    rig.store.set_tokens(Some(Tokens { expires_at: Some(std::time::UNIX_EPOCH), ..tokens(&rig.sim) }));
    rig.client.chat(chat("hi")).await.unwrap().collect().await.unwrap();
    assert_eq!((rig.turns().len(), rig.sim.control().refreshes()), (1, 1));
}

#[tokio::test]
async fn a_client_without_a_login_names_the_command_of_its_store() {
    let rig = Rig::start().await;
    rig.store.set_tokens(None);
    let error = rig.client.chat(chat("hi")).await.unwrap_err();
    assert_eq!((error.kind(), error.status_hint()), (ErrorKind::Authentication, 401));
    assert!(error.message().contains("`myapp sign-in`"), "{error}");
    assert!(rig.turns().is_empty());

    // A login that the backend rejects: one that can be refreshed and one that cannot, by a status and in the stream.
    for refresh_token in [tokens(&rig.sim).refresh_token, None] {
        for text in ["[sim:401] hi", "[sim:failed-first=token_expired] hi"] {
            rig.store.set_tokens(Some(Tokens { refresh_token: refresh_token.clone(), ..tokens(&rig.sim) }));
            let error = rig.client.chat(chat(text)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{text}");
            let message = error.message();
            assert!(message.contains("`myapp sign-in`") && !message.contains("codex-proxy"), "{text}: {message}");
        }
    }
}

#[tokio::test]
async fn a_manager_can_be_shared_with_the_rest_of_the_program() {
    struct Own;
    impl TokenEndpoint for Own {
        async fn refresh(&self, _: &Secret, _: codex_auth::RefreshReason) -> Result<TokenResponse, EndpointError> {
            Ok(TokenResponse { access_token: Some(Secret::new("second")), ..TokenResponse::default() })
        }
    }
    let mut login = Tokens::new(Secret::new("first"));
    login.refresh_token = Some(Secret::new("single use"));
    let manager = TokenManager::new(AnyStore::new(MemoryStore::with_tokens(login)), AnyTokenEndpoint::new(Own));
    let done = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n";
    let upstream = Arc::new(ScriptedUpstream::new().reply(401, "{}").reply(200, done));
    let client = Client::builder_sharing(manager.clone()).upstream(Arc::clone(&upstream)).build().unwrap();
    client.chat(chat("hi")).await.unwrap().collect().await.unwrap();
    let sent = upstream.requests();
    let bearers: Vec<_> = sent.iter().map(|request| request.headers()["authorization"].to_str().unwrap()).collect();
    assert_eq!(bearers, ["Bearer first", "Bearer second"]);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "second");
}

#[tokio::test]
async fn an_endpoint_of_ones_own_refreshes_the_tokens() {
    struct Offline;
    impl TokenEndpoint for Offline {
        async fn refresh(&self, _: &Secret, _: codex_auth::RefreshReason) -> Result<TokenResponse, EndpointError> {
            Err(EndpointError::Unavailable { message: "offline".to_owned(), retry_after: None })
        }
    }
    let mut expired = Tokens::new(Secret::new("first"));
    expired.refresh_token = Some(Secret::new("single use"));
    expired.expires_at = Some(std::time::UNIX_EPOCH);
    let store = MemoryStore::with_tokens(expired);
    let upstream = Arc::new(ScriptedUpstream::new());
    let client = Client::builder(store).upstream(Arc::clone(&upstream)).token_endpoint(Offline).build().unwrap();
    let error = client.chat(chat("hi")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Overloaded, Some("login_refresh_failed")));
    assert!(upstream.requests().is_empty());
}
