//! A store that answers late, never, or with a panic; and the words of each store.

use std::fs;
use std::future::pending;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_auth::{
    AuthError, BlockingStore, EndpointError, FileStore, GrantRefusal, LoginState, MemoryLock, MemoryStore,
    RefreshPolicy, StoreError, StoreVersion, TokenStore, Tokens,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{Authority, HOUR, TestClock, Whim, manager};

/// A store over a network that can fall silent.
#[derive(Clone)]
struct RemoteStore {
    inner: MemoryStore,
    is_silent: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    /// Each save takes a permit.
    saves: Arc<Semaphore>,
    begun: Arc<Mutex<u32>>,
}

impl RemoteStore {
    fn holding(tokens: Tokens) -> Self {
        Self {
            inner: MemoryStore::with_tokens(tokens).with_login_command("myapp sign-in --profile work"),
            is_silent: Arc::default(),
            panics: Arc::default(),
            saves: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            begun: Arc::default(),
        }
    }

    async fn answer(&self) {
        tokio::task::yield_now().await;
        assert!(!self.panics.load(SeqCst), "the store has a defect");
        if self.is_silent.load(SeqCst) {
            pending().await
        }
    }
}

impl TokenStore for RemoteStore {
    type Lock = MemoryLock;

    async fn load(&self) -> Result<Option<Tokens>, StoreError> {
        self.answer().await;
        self.inner.load().await
    }

    async fn try_lock(&self) -> Result<Option<MemoryLock>, StoreError> {
        self.answer().await;
        self.inner.try_lock().await
    }

    async fn probe(&self, lock: &MemoryLock) -> Result<(), StoreError> {
        self.answer().await;
        self.inner.probe(lock).await
    }

    async fn save(&self, lock: &MemoryLock, tokens: &Tokens) -> Result<(), StoreError> {
        *self.begun.lock().unwrap() += 1;
        self.saves.acquire().await.unwrap().forget();
        self.inner.save(lock, tokens).await
    }

    async fn remove(&self, lock: &MemoryLock) -> Result<bool, StoreError> {
        self.inner.remove(lock).await
    }

    async fn version(&self) -> StoreVersion {
        self.answer().await;
        self.inner.version().await
    }

    fn location(&self) -> String {
        "postgres, table logins".to_owned()
    }

    fn login_command(&self) -> String {
        self.inner.login_command()
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_delays_only_the_first_caller_with_a_fresh_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = RemoteStore::holding(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
    store.is_silent.store(true, SeqCst);
    let policy = RefreshPolicy::default();
    for wait in [policy.max_wait, Duration::ZERO, Duration::ZERO] {
        let began = Instant::now();
        assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
        assert_eq!(began.elapsed(), wait);
    }
    let began = Instant::now();
    let status = manager.status().await;
    assert_eq!((began.elapsed(), &status.state), (policy.max_wait, &LoginState::Valid));
    assert!(status.problem.is_some());
    // Once the store answers again, it is read again.
    store.is_silent.store(false, SeqCst);
    store.inner.set_tokens(Some(clock.tokens(9, HOUR)));
    tokio::time::advance(policy.store_wait).await;
    // The call that got no answer ends.
    tokio::task::yield_now().await;
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-9");
    assert_eq!(manager.status().await.problem, None);
    assert_eq!(authority.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_an_error_with_its_name_when_there_is_no_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = RemoteStore::holding(clock.tokens(1, HOUR));
    store.is_silent.store(true, SeqCst);
    let manager = manager(store.clone(), &authority, &clock);
    let began = Instant::now();
    let error = manager.bearer().await.unwrap_err();
    assert_eq!(began.elapsed(), RefreshPolicy::default().store_wait);
    let AuthError::Store(StoreError::Other { location, .. }) = error else { panic!("{error}") };
    assert_eq!(location, store.location());
    store.is_silent.store(false, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
}

#[tokio::test(start_paused = true)]
async fn a_slow_save_outlives_its_callers_and_no_token_is_used_before_it() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let mut store = RemoteStore::holding(clock.tokens(1, 0));
    store.saves = Arc::new(Semaphore::new(0));
    let manager = manager(store.clone(), &authority, &clock);
    let caller = tokio::spawn({
        let manager = manager.clone();
        async move { manager.bearer().await }
    });
    while *store.begun.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    // Longer than any other call may take.
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(!caller.is_finished());
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    store.saves.add_permits(1);
    manager.wait_for_refresh().await;
    assert_eq!(store.inner.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-2");
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn twenty_callers_on_an_async_store_cause_one_refresh() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(RemoteStore::holding(clock.tokens(1, 0)), &authority, &clock);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.bearer().await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().token.expose(), "access-2");
    }
    assert_eq!(authority.seen(), ["refresh-1"]);
}

#[tokio::test]
async fn a_panic_of_a_store_is_an_error_and_a_valid_token_is_served() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = RemoteStore::holding(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    store.panics.store(true, SeqCst);
    let error = manager.bearer().await.unwrap_err();
    assert!(matches!(error, AuthError::Store(StoreError::Other { .. })), "{error}");
    store.panics.store(false, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
    store.panics.store(true, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
}

#[tokio::test]
async fn a_call_to_a_blocking_store_runs_to_its_end_with_the_lock_held() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("login.json"));
    let lock = TokenStore::try_lock(&store).await.unwrap().unwrap();
    let tokens = TestClock::new().tokens(1, HOUR);
    let mut save = Box::pin(TokenStore::save(&store, &lock, &tokens));
    // Begun, then dropped.
    std::future::poll_fn(|context| {
        let _ = save.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    drop(save);
    drop(lock);
    while BlockingStore::try_lock(&store).unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(BlockingStore::load(&store).unwrap().is_some(), "the lock was held until the tokens were stored");
}

#[test]
fn a_failure_of_any_kind_names_the_store_its_reason_and_the_next_step() {
    let error = StoreError::Other {
        location: "redis://cache/login".to_owned(),
        reason: "connection refused".to_owned(),
        advice: "start Redis".to_owned(),
    };
    for part in ["redis://cache/login", "connection refused", "start Redis"] {
        assert!(AuthError::from(error.clone()).to_string().contains(part), "{error}");
    }
}

#[test]
fn a_store_without_a_login_command_names_no_program() {
    let file = FileStore::new("login.json");
    assert_eq!(BlockingStore::login_command(&file), MemoryStore::default().login_command());
}

#[tokio::test]
async fn every_message_that_asks_for_a_login_names_the_store_s_own_command() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let command = "myapp sign-in --profile work";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("login.json");
    let file = FileStore::new(&path).with_login_command(command);
    let mut messages = Vec::new();

    let on_file = manager(file.clone(), &authority, &clock);
    messages.push(on_file.bearer().await.unwrap_err().to_string());
    fs::write(&path, "damaged").unwrap();
    messages.push(on_file.bearer().await.unwrap_err().to_string());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    messages.push(on_file.bearer().await.unwrap_err().to_string());

    authority.next(Whim::Fail(EndpointError::Refused { refusal: GrantRefusal::Expired }));
    for tokens in [clock.tokens(1, 0), Tokens { refresh_token: None, ..clock.tokens(1, 0) }] {
        let store = RemoteStore::holding(tokens);
        messages.push(manager(store, &authority, &clock).bearer().await.unwrap_err().to_string());
    }
    assert_eq!(messages.len(), 5);
    for message in messages {
        assert!(message.contains(&format!("run `{command}`")) && !message.contains("codex-proxy"), "{message}");
    }
}
