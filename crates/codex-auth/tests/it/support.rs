//! Peers for the tests: an authority that rotates, an HTTP client that replays, a store that fails on demand.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use codex_auth::{
    AuthConfig, BlockingStore, EndpointError, GrantRefusal, HttpClient, HttpClientError, MemoryLock, MemoryStore,
    RefreshPolicy, RefreshReason, Secret, StoreError, StoreVersion, TokenEndpoint, TokenManager, TokenResponse,
    TokenStore, Tokens,
};
use http::{Request, Response};
use tokio::sync::Semaphore;
use url::Url;

/// The lifetime of the tokens that [`Authority`] issues.
pub(crate) const HOUR: u64 = 3600;

/// A wall clock that tests move forward.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_790_000_000)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn handle(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let clock = self.clone();
        move || clock.now()
    }

    /// Returns tokens of the given generation that expire in `seconds`.
    pub(crate) fn tokens(&self, generation: u64, seconds: u64) -> Tokens {
        let mut tokens = Tokens::new(Secret::new(format!("access-{generation}")));
        tokens.refresh_token = Some(Secret::new(format!("refresh-{generation}")));
        tokens.account_id = Some("account".to_owned());
        tokens.expires_at = Some(self.now() + Duration::from_secs(seconds));
        tokens
    }
}

/// What the authority does instead of renewing.
pub(crate) enum Whim {
    Fail(EndpointError),
    /// Rotates the token, then loses the reply.
    LoseReply,
    /// Renews the access token only.
    KeepRefreshToken,
    /// Renews the refresh token only.
    NoAccessToken,
    /// Rotates the token, then the client that should read the reply panics.
    Panic,
    Hang,
}

/// An authority that rotates refresh tokens and answers reuse as the real one does.
#[derive(Clone)]
pub(crate) struct Authority(Arc<Inner>);

struct Inner {
    generation: AtomicU64,
    seen: Mutex<Vec<String>>,
    whims: Mutex<VecDeque<Whim>>,
    gate: Semaphore,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with_gate(Semaphore::MAX_PERMITS)
    }

    /// Answers only as often as [`Authority::open`] was called.
    pub(crate) fn gated() -> Self {
        Self::with_gate(0)
    }

    fn with_gate(permits: usize) -> Self {
        Self(Arc::new(Inner {
            generation: AtomicU64::new(1),
            seen: Mutex::default(),
            whims: Mutex::default(),
            gate: Semaphore::new(permits),
        }))
    }

    pub(crate) fn open(&self) {
        self.0.gate.add_permits(1);
    }

    pub(crate) fn next(&self, whim: Whim) {
        self.0.whims.lock().unwrap().push_back(whim);
    }

    /// Every refresh token that was sent, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.seen.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen().len()
    }

    /// Waits until that many requests have come in.
    pub(crate) async fn reached(&self, requests: usize) {
        while self.requests() < requests {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until that many requests have come in, letting a paused clock run.
    pub(crate) async fn reached_with_time(&self, requests: usize) {
        while self.requests() < requests {
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn assert_no_token_was_sent_twice(&self) {
        let mut seen = self.seen();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), self.requests(), "a refresh token was used twice: {:?}", self.seen());
    }

    fn rotate(&self) -> TokenResponse {
        let generation = self.0.generation.fetch_add(1, Ordering::SeqCst) + 1;
        TokenResponse {
            access_token: Some(Secret::new(format!("access-{generation}"))),
            refresh_token: Some(Secret::new(format!("refresh-{generation}"))),
            id_token: None,
            expires_in: Some(Duration::from_secs(HOUR)),
        }
    }
}

impl TokenEndpoint for Authority {
    async fn refresh(&self, refresh_token: &Secret, _: RefreshReason) -> Result<TokenResponse, EndpointError> {
        self.0.seen.lock().unwrap().push(refresh_token.expose().to_owned());
        self.0.gate.acquire().await.unwrap().forget();
        let whim = self.0.whims.lock().unwrap().pop_front();
        if matches!(whim, Some(Whim::Hang)) {
            return std::future::pending().await;
        }
        if let Some(Whim::Fail(error)) = whim {
            return Err(error);
        }
        let current = format!("refresh-{}", self.0.generation.load(Ordering::SeqCst));
        if refresh_token.expose() != current {
            return Err(EndpointError::Refused { refusal: GrantRefusal::Reused });
        }
        let reply = self.rotate();
        match whim {
            Some(Whim::LoseReply) => Err(EndpointError::Interrupted("connection reset".to_owned())),
            Some(Whim::KeepRefreshToken) => {
                self.0.generation.fetch_sub(1, Ordering::SeqCst);
                Ok(TokenResponse { refresh_token: None, ..reply })
            }
            Some(Whim::NoAccessToken) => Ok(TokenResponse { access_token: None, ..reply }),
            Some(Whim::Panic) => panic!("the client has a fault"),
            Some(Whim::Fail(_) | Whim::Hang) | None => Ok(reply),
        }
    }
}

/// A memory store whose operations fail on demand.
#[derive(Clone, Default)]
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    pub(crate) faults: Arc<Faults>,
}

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) load: AtomicBool,
    pub(crate) probe: AtomicBool,
    pub(crate) save: AtomicBool,
    /// Makes the next write wait for a message.
    pub(crate) save_gate: Mutex<Option<mpsc::Receiver<()>>>,
    /// Ends the task before the tokens are written, as a kill would.
    pub(crate) die_before_save: AtomicBool,
    /// Ends the task after the tokens are written.
    pub(crate) die_after_save: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn holding(tokens: Tokens) -> Self {
        Self { inner: MemoryStore::with_tokens(tokens), faults: Arc::default() }
    }

    fn check(&self, fault: &AtomicBool) -> Result<(), StoreError> {
        if fault.load(Ordering::SeqCst) {
            return Err(StoreError::Unwritable {
                location: "memory".to_owned(),
                reason: "disk full".to_owned(),
                advice: "free space".to_owned(),
            });
        }
        Ok(())
    }
}

impl BlockingStore for FaultyStore {
    type Lock = MemoryLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        if self.faults.load.load(Ordering::SeqCst) {
            return Err(StoreError::Unreadable {
                location: "memory".to_owned(),
                reason: "permission denied".to_owned(),
                advice: "repair it".to_owned(),
            });
        }
        at_once(self.inner.load())
    }

    fn try_lock(&self) -> Result<Option<MemoryLock>, StoreError> {
        at_once(self.inner.try_lock())
    }

    fn probe(&self, lock: &MemoryLock) -> Result<(), StoreError> {
        self.check(&self.faults.probe)?;
        at_once(self.inner.probe(lock))
    }

    fn save(&self, lock: &MemoryLock, tokens: &Tokens) -> Result<(), StoreError> {
        let gate = self.faults.save_gate.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gate) = gate {
            let _ = gate.recv();
        }
        assert!(!self.faults.die_before_save.load(Ordering::SeqCst), "killed before the write");
        self.check(&self.faults.save)?;
        at_once(self.inner.save(lock, tokens))?;
        assert!(!self.faults.die_after_save.load(Ordering::SeqCst), "killed after the write");
        Ok(())
    }

    fn remove(&self, lock: &MemoryLock) -> Result<bool, StoreError> {
        at_once(self.inner.remove(lock))
    }

    fn version(&self) -> StoreVersion {
        at_once(self.inner.version())
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn login_command(&self) -> String {
        "log in again".to_owned()
    }
}

/// Returns the output of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

pub(crate) fn manager<S: TokenStore>(store: S, authority: &Authority, clock: &TestClock) -> TokenManager<S, Authority> {
    TokenManager::with_policy(store, authority.clone(), clock.handle(), RefreshPolicy::default())
}

/// An HTTP client that records requests and replays replies.
#[derive(Clone, Default)]
pub(crate) struct ScriptedHttp {
    replies: Arc<Mutex<VecDeque<Response<Bytes>>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl ScriptedHttp {
    pub(crate) fn replying(replies: impl IntoIterator<Item = (u16, String)>) -> Self {
        let reply = |(status, body): (u16, String)| Response::builder().status(status).body(body.into()).unwrap();
        let http = Self::default();
        http.replies.lock().unwrap().extend(replies.into_iter().map(reply));
        http
    }

    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpClient for ScriptedHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let reply = self.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        reply.ok_or_else(|| HttpClientError::NotSent("no reply is scripted".to_owned()))
    }
}

pub(crate) fn config() -> AuthConfig {
    AuthConfig::new(Url::parse("http://127.0.0.1:9").unwrap())
}
