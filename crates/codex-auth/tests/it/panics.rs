//! Panics of the store and of the clock at each step of a refresh: no token is lost, and a valid one is always served.

use std::panic::panic_any;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_auth::{
    AuthError, AuthorizationRequest, EndpointError, MemoryLock, MemoryStore, RefreshPolicy, StoreError, StoreVersion,
    TokenManager, TokenStore, Tokens,
};

use crate::support::{Authority, HOUR, ScriptedHttp, TestClock, Whim, config, manager};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Version,
    Load,
    Lock,
    Probe,
    Save,
    /// The lock is dropped.
    Unlock,
    Location,
    LoginCommand,
    Clock,
}

const ALL: [Step; 9] = [
    Step::Version,
    Step::Load,
    Step::Lock,
    Step::Probe,
    Step::Save,
    Step::Unlock,
    Step::Location,
    Step::LoginCommand,
    Step::Clock,
];

/// Panics at a step that tests choose.
#[derive(Clone, Default)]
struct Defect(Arc<Mutex<Option<Step>>>);

impl Defect {
    fn set(&self, step: impl Into<Option<Step>>) {
        *self.0.lock().unwrap() = step.into();
    }

    fn reach(&self, step: Step) {
        let defect = *self.0.lock().unwrap();
        if defect == Some(step) && !std::thread::panicking() {
            panic_any("a defect");
        }
    }

    /// The time of the operating system, which is also used when this panics.
    fn clock(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let defect = self.clone();
        move || {
            defect.reach(Step::Clock);
            SystemTime::now()
        }
    }
}

#[derive(Clone)]
struct DefectiveStore {
    inner: MemoryStore,
    defect: Defect,
    /// Whether calls wait before they complete.
    is_remote: bool,
}

struct DefectiveLock {
    inner: MemoryLock,
    defect: Defect,
}

impl Drop for DefectiveLock {
    fn drop(&mut self) {
        self.defect.reach(Step::Unlock);
    }
}

impl DefectiveStore {
    fn holding(expires_at: SystemTime, is_remote: bool) -> Self {
        let mut tokens = TestClock::new().tokens(1, 0);
        tokens.expires_at = Some(expires_at);
        Self { inner: MemoryStore::with_tokens(tokens), defect: Defect::default(), is_remote }
    }

    /// Returns a manager that tries everything again at once.
    fn manager(&self, authority: &Authority) -> TokenManager<Self, Authority> {
        self.manager_with(authority, Duration::ZERO)
    }

    fn manager_with(&self, authority: &Authority, check_interval: Duration) -> TokenManager<Self, Authority> {
        let policy = RefreshPolicy { backoff: Duration::ZERO, check_interval, ..RefreshPolicy::default() };
        TokenManager::with_policy(self.clone(), authority.clone(), self.defect.clock(), policy)
    }

    fn stored(&self) -> String {
        self.inner.tokens().unwrap().refresh_token.unwrap().expose().to_owned()
    }

    async fn reach(&self, step: Step) {
        if self.is_remote {
            tokio::task::yield_now().await;
        }
        self.defect.reach(step);
    }
}

impl TokenStore for DefectiveStore {
    type Lock = DefectiveLock;

    async fn load(&self) -> Result<Option<Tokens>, StoreError> {
        self.reach(Step::Load).await;
        self.inner.load().await
    }

    async fn try_lock(&self) -> Result<Option<DefectiveLock>, StoreError> {
        self.reach(Step::Lock).await;
        let lock = self.inner.try_lock().await?;
        Ok(lock.map(|inner| DefectiveLock { inner, defect: self.defect.clone() }))
    }

    async fn probe(&self, lock: &DefectiveLock) -> Result<(), StoreError> {
        self.reach(Step::Probe).await;
        self.inner.probe(&lock.inner).await
    }

    async fn save(&self, lock: &DefectiveLock, tokens: &Tokens) -> Result<(), StoreError> {
        self.reach(Step::Save).await;
        self.inner.save(&lock.inner, tokens).await
    }

    async fn remove(&self, lock: &DefectiveLock) -> Result<bool, StoreError> {
        self.inner.remove(&lock.inner).await
    }

    async fn version(&self) -> StoreVersion {
        self.reach(Step::Version).await;
        self.inner.version().await
    }

    fn location(&self) -> String {
        self.defect.reach(Step::Location);
        self.inner.location()
    }

    fn login_command(&self) -> String {
        self.defect.reach(Step::LoginCommand);
        self.inner.login_command()
    }
}

/// A token that is renewed because it expires soon, and is valid until then.
fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_secs(120)
}

#[tokio::test]
async fn a_valid_token_is_served_whatever_panics_and_renewed_afterwards() {
    for (step, is_remote) in ALL.into_iter().flat_map(|step| [(step, false), (step, true)]) {
        let (store, authority) = (DefectiveStore::holding(soon(), is_remote), Authority::new());
        let manager = store.manager(&authority);
        // The first read succeeds, and the refresh that follows is refused for now.
        authority.next(Whim::Fail(EndpointError::Unavailable { message: "busy".to_owned(), retry_after: None }));
        manager.bearer().await.unwrap();
        store.defect.set(step);
        for _ in 0..3 {
            let bearer = manager.bearer().await.unwrap_or_else(|error| panic!("{step:?} {is_remote}: {error}"));
            assert!(["access-1", "access-2"].contains(&bearer.token.expose()));
            manager.status().await;
            assert_eq!(manager.login_command(), store.inner.login_command());
        }
        store.defect.set(None);
        while store.stored() == "refresh-1" {
            manager.bearer().await.unwrap();
            manager.wait_for_refresh().await;
        }
        assert_eq!(store.stored(), "refresh-2", "{step:?} {is_remote}");
        assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
        assert_eq!(manager.status().await.problem, None, "{step:?} {is_remote}");
        assert!(manager.status().await.saved);
    }
}

#[tokio::test]
async fn no_panic_after_the_answer_loses_the_new_token() {
    for (step, is_remote) in ALL.into_iter().flat_map(|step| [(step, false), (step, true)]) {
        let (store, authority) = (DefectiveStore::holding(UNIX_EPOCH, is_remote), Authority::gated());
        let manager = store.manager(&authority);
        let caller = tokio::spawn({
            let manager = manager.clone();
            async move { manager.bearer().await }
        });
        authority.reached(1).await;
        store.defect.set(step);
        authority.open();
        assert_eq!(caller.await.unwrap().unwrap().token.expose(), "access-2", "{step:?} {is_remote}");
        store.defect.set(None);
        while store.stored() == "refresh-1" {
            manager.bearer().await.unwrap();
            manager.wait_for_refresh().await;
        }
        assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
        assert_eq!((authority.requests(), manager.status().await.saved), (1, true), "{step:?} {is_remote}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_fresh_survives_every_panic() {
    for (step, is_remote) in ALL.into_iter().flat_map(|step| [(step, false), (step, true)]) {
        let (store, authority) = (DefectiveStore::holding(UNIX_EPOCH, is_remote), Authority::new());
        let manager = store.manager_with(&authority, Duration::from_secs(1));
        store.defect.set(step);
        let refresher = tokio::spawn(async move { manager.keep_fresh().await });
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!refresher.is_finished(), "{step:?} {is_remote}");
        store.defect.set(None);
        while store.stored() == "refresh-1" {
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        authority.assert_no_token_was_sent_twice();
        refresher.abort();
    }
}

#[tokio::test]
async fn a_valid_token_survives_a_refresh_that_fails_for_a_rejected_one() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, HOUR)), &authority, &clock);
    let rejected = manager.bearer().await.unwrap();
    clock.advance(HOUR - 60);
    let replace = tokio::spawn({
        let manager = manager.clone();
        async move { manager.replace(&rejected).await }
    });
    authority.reached(1).await;
    authority.next(Whim::Fail(EndpointError::Unavailable { message: "busy".to_owned(), retry_after: None }));
    let mut other = Box::pin(manager.bearer());
    // Polled once, so it joins the refresh.
    tokio::select! {
        biased;
        bearer = &mut other => panic!("{bearer:?}"),
        () = std::future::ready(()) => {}
    }
    authority.open();
    assert_eq!(other.await.unwrap().token.expose(), "access-1");
    assert!(matches!(replace.await.unwrap(), Err(AuthError::Temporary { .. })));
}

#[tokio::test]
async fn a_policy_without_limits_loses_no_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, 60));
    let policy = RefreshPolicy {
        max_wait: Duration::MAX,
        lock_wait: Duration::MAX,
        store_wait: Duration::MAX,
        backoff: Duration::MAX,
        max_backoff: Duration::MAX,
        check_interval: Duration::MAX,
        ..RefreshPolicy::default()
    };
    let manager = TokenManager::with_policy(store.clone(), authority.clone(), clock.handle(), policy);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-2");
    clock.advance(HOUR);
    authority.next(Whim::Fail(EndpointError::Unavailable { message: "busy".to_owned(), retry_after: None }));
    assert!(matches!(manager.bearer().await, Err(AuthError::Temporary { .. })));
}

#[tokio::test]
async fn a_clock_that_panics_does_not_end_a_login() {
    let store = MemoryStore::default();
    let reply = r#"{"access_token":"a","refresh_token":"r","expires_in":60}"#;
    let http = ScriptedHttp::replying([(200, reply.to_owned())]);
    let defect = Defect::default();
    defect.set(Step::Clock);
    let attempt = AuthorizationRequest::from_system(&config(), 1455).unwrap();
    attempt.complete_pasted("code", &http, &store, &defect.clock()).await.unwrap();
    assert!(store.tokens().is_some());
}
