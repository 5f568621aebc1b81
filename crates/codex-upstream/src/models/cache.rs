//! Caches the model catalogue in memory and on disk. A caller never waits long for it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{Either, select};
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::headers::X_MODELS_ETAG;
use crate::lock::lock;
use crate::models::catalogue::Catalogue;
use crate::requests::{self, Backend};
use crate::retry::{SendError, error_for_status};
use crate::timer::Timer;
use crate::upstream::{Upstream, read_to_end};

/// The largest catalogue that is accepted; each model's instructions make it large.
const CATALOGUE_BYTES: usize = 16 * 1024 * 1024;

/// The configuration of a [`ModelCache`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCacheConfig {
    /// The file that stores the catalogue between runs; `None` stores it in memory only.
    pub file: Option<PathBuf>,
    /// How long a catalogue is valid.
    pub ttl: Duration,
    /// The time limit of a request for the catalogue.
    pub timeout: Duration,
    /// The pause after a failed request.
    pub pause: Duration,
}

impl Default for ModelCacheConfig {
    /// Returns a configuration without a file, with the official client's times (`docs/backend.md §5.1`).
    fn default() -> Self {
        Self {
            file: None,
            ttl: Duration::from_secs(300),
            timeout: Duration::from_secs(5),
            pause: Duration::from_secs(60),
        }
    }
}

/// The source of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogueSource {
    /// The backend, which sent or confirmed it during this run.
    Live,
    /// The file of an earlier run.
    Disk,
    /// The program itself.
    BuiltIn,
}

/// A catalogue with its source and age.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueSnapshot {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Its source.
    pub source: CatalogueSource,
    /// When the backend last sent or confirmed it.
    pub fetched_at: Option<SystemTime>,
    /// Why the last attempt to get a newer one failed; `None` if it succeeded.
    pub problem: Option<String>,
}

/// The catalogue of one account, shared by all requests.
///
/// It belongs to an account and a client version: for others, it starts again from the built-in list.
///
/// # Example
/// ```no_run
/// use codex_upstream::{Backend, ModelCache, ModelCacheConfig, TokioTimer, Upstream};
///
/// /// Lists the account's models.
/// async fn list(upstream: &impl Upstream, backend: &Backend<'_>) -> Vec<String> {
///     let file = Some("/var/cache/myapp/models.json".into());
///     let cache = ModelCache::open(ModelCacheConfig { file, ..ModelCacheConfig::default() });
///     let catalogue = cache.current(upstream, backend, &TokioTimer).await.catalogue;
///     catalogue.listed().map(|model| model.slug.clone()).collect()
/// }
/// ```
#[derive(Debug)]
pub struct ModelCache {
    config: ModelCacheConfig,
    state: Mutex<CacheState>,
    fetching: AtomicBool,
    /// Notified when a request uses a catalogue that is too old.
    expired_use: Notify,
}

#[derive(Debug)]
struct CacheState {
    snapshot: CatalogueSnapshot,
    etag: Option<String>,
    /// The account that the catalogue belongs to; `None` for the built-in one.
    owner: Option<CatalogueOwner>,
    /// Whether the backend has reported a changed catalogue.
    outdated: bool,
    /// When the last attempt failed.
    failed_at: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CatalogueOwner {
    client_version: String,
    account_id: Option<String>,
}

/// The file's content: the official client's keys (`docs/backend.md §5.1`) and the account.
#[derive(Serialize, Deserialize)]
struct CatalogueFile {
    /// Unix seconds.
    fetched_at: u64,
    etag: Option<String>,
    client_version: String,
    account_id: Option<String>,
    models: Vec<Value>,
}

impl ModelCache {
    /// Opens the cache with the catalogue on disk, or else with the built-in list. A file that cannot be read is a
    /// [`CatalogueSnapshot::problem`], not an error, and is replaced by the next catalogue.
    #[must_use]
    pub fn open(config: ModelCacheConfig) -> Self {
        let mut state = CacheState::built_in();
        if let Some(path) = &config.file {
            match load(path) {
                Ok(Some(on_disk)) => state = CacheState::from_disk(on_disk),
                Ok(None) => {}
                Err(problem) => state.snapshot.problem = Some(problem),
            }
        }
        Self { config, state: Mutex::new(state), fetching: AtomicBool::new(false), expired_use: Notify::new() }
    }

    /// Returns the cached catalogue without contacting the backend.
    #[must_use]
    pub fn snapshot(&self) -> CatalogueSnapshot {
        self.lock().snapshot.clone()
    }

    /// Returns the cached catalogue for a request that cannot wait. If it has expired,
    /// [`ModelCache::used_when_expired`] returns.
    #[must_use]
    pub fn use_cached(&self, timer: &impl Timer) -> Arc<Catalogue> {
        let state = self.lock();
        if !state.is_good(&self.config, timer.now()) {
            self.expired_use.notify_one();
        }
        Arc::clone(&state.snapshot.catalogue)
    }

    /// Waits until a request has used an expired catalogue. The caller should then call [`ModelCache::current`]. This
    /// way an idle program requests nothing, and the requests of a busy one do not wait.
    pub async fn used_when_expired(&self) {
        self.expired_use.notified().await;
    }

    /// Returns the catalogue, after requesting it from the backend if the cached one has expired.
    ///
    /// Never fails and never takes longer than [`ModelCacheConfig::timeout`]: if the backend sends no catalogue, the
    /// cached one stays, with the reason. While one caller waits for the backend, the others get the cached catalogue.
    pub async fn current(
        &self,
        upstream: &impl Upstream,
        backend: &Backend<'_>,
        timer: &impl Timer,
    ) -> CatalogueSnapshot {
        let owner = CatalogueOwner {
            client_version: backend.identity.version.clone(),
            account_id: backend.bearer.account_id.clone(),
        };
        let etag = {
            let mut state = self.lock();
            if state.owner.as_ref().is_some_and(|known| *known != owner) {
                *state = CacheState::built_in();
            }
            if state.is_good(&self.config, timer.now()) {
                return state.snapshot.clone();
            }
            state.etag.clone()
        };
        let Some(_turn) = FetchPermit::take(&self.fetching) else {
            return self.snapshot();
        };
        let fetched = fetch(upstream, backend, etag.as_deref(), timer);
        let outcome = match select(std::pin::pin!(fetched), std::pin::pin!(timer.sleep(self.config.timeout))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(format!("the request for the models timed out after {:?}", self.config.timeout)),
        };
        if self.record(outcome, owner, timer.now()) {
            self.save().await;
        }
        self.snapshot()
    }

    /// Checks a reply's headers for a changed catalogue; if so, the next [`ModelCache::current`] requests it again.
    pub fn observe(&self, reply_headers: &HeaderMap) {
        let mut state = self.lock();
        let named = reply_headers.get(X_MODELS_ETAG).and_then(|value| value.to_str().ok());
        // Compared weakly, as `If-None-Match` is (RFC 9110 section 8.8.3.2).
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        if let (Some(named), Some(known)) = (named, &state.etag) {
            state.outdated |= opaque(named) != opaque(known);
        }
    }

    /// Records the catalogue that was fetched for `owner`, and returns whether to save it.
    fn record(&self, outcome: Result<Fetched, String>, owner: CatalogueOwner, now: SystemTime) -> bool {
        let mut state = self.lock();
        let fetched = match outcome {
            Ok(fetched) => fetched,
            Err(problem) => {
                state.snapshot.problem = Some(problem);
                state.failed_at = Some(now);
                return false;
            }
        };
        match fetched {
            Fetched::New { catalogue, etag } => {
                state.snapshot.catalogue = Arc::new(catalogue);
                state.etag = etag;
            }
            Fetched::Unchanged if state.owner.as_ref() == Some(&owner) => {}
            // A request of another account has replaced the confirmed catalogue in the meantime.
            Fetched::Unchanged => return false,
        }
        state.snapshot.source = CatalogueSource::Live;
        state.snapshot.fetched_at = Some(now);
        state.snapshot.problem = None;
        state.owner = Some(owner);
        state.outdated = false;
        state.failed_at = None;
        true
    }

    /// Writes a live catalogue to disk, on a blocking thread.
    async fn save(&self) {
        let Some(path) = self.config.file.clone() else {
            return;
        };
        let Some(on_disk) = self.lock().to_disk() else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || store(&path, &on_disk)).await;
        if let Ok(Err(problem)) = written {
            self.lock().snapshot.problem = Some(problem);
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        lock(&self.state)
    }
}

impl CacheState {
    fn built_in() -> Self {
        Self {
            snapshot: CatalogueSnapshot {
                catalogue: Catalogue::built_in(),
                source: CatalogueSource::BuiltIn,
                fetched_at: None,
                problem: None,
            },
            etag: None,
            owner: None,
            outdated: false,
            failed_at: None,
        }
    }

    fn from_disk(on_disk: CatalogueFile) -> Self {
        let mut state = Self::built_in();
        state.snapshot.catalogue = Arc::new(Catalogue::from_entries(on_disk.models));
        state.snapshot.source = CatalogueSource::Disk;
        state.snapshot.fetched_at = UNIX_EPOCH.checked_add(Duration::from_secs(on_disk.fetched_at));
        state.etag = on_disk.etag;
        state.owner = Some(CatalogueOwner { client_version: on_disk.client_version, account_id: on_disk.account_id });
        state
    }

    fn to_disk(&self) -> Option<CatalogueFile> {
        let owner = self.owner.as_ref().filter(|_| self.snapshot.source == CatalogueSource::Live)?;
        let entry = |raw: &Arc<Map<String, Value>>| Value::Object(raw.as_ref().clone());
        Some(CatalogueFile {
            fetched_at: self.snapshot.fetched_at?.duration_since(UNIX_EPOCH).ok()?.as_secs(),
            etag: self.etag.clone(),
            client_version: owner.client_version.clone(),
            account_id: owner.account_id.clone(),
            models: self.snapshot.catalogue.models().iter().map(|model| entry(&model.raw)).collect(),
        })
    }

    /// Returns whether to use the cached catalogue. If the clock was set back, a catalogue counts as expired.
    fn is_good(&self, config: &ModelCacheConfig, now: SystemTime) -> bool {
        let within = |since: Option<SystemTime>, limit: Duration| {
            since.is_some_and(|since| now.duration_since(since).is_ok_and(|age| age < limit))
        };
        within(self.failed_at, config.pause) || !self.outdated && within(self.snapshot.fetched_at, config.ttl)
    }
}

/// The permission to request the catalogue, returned when dropped: a cancelled request must not hold it.
struct FetchPermit<'a>(&'a AtomicBool);

impl<'a> FetchPermit<'a> {
    fn take(taken: &'a AtomicBool) -> Option<Self> {
        (!taken.swap(true, Ordering::AcqRel)).then_some(Self(taken))
    }
}

impl Drop for FetchPermit<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

enum Fetched {
    New { catalogue: Catalogue, etag: Option<String> },
    Unchanged,
}

async fn fetch(
    upstream: &impl Upstream,
    backend: &Backend<'_>,
    etag: Option<&str>,
    timer: &impl Timer,
) -> Result<Fetched, String> {
    let request = requests::models(backend, etag).map_err(|error| error.to_string())?;
    let reply = upstream.send(request).await.map_err(|error| error.to_string())?;
    if reply.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
        return Ok(Fetched::Unchanged);
    }
    let reply = error_for_status(reply, timer).await.map_err(|error| match error {
        SendError::Transport(error) => error.to_string(),
        SendError::Refused { failure, .. } => failure.error.message().to_owned(),
    })?;
    let etag = reply.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = read_to_end(reply.into_body(), CATALOGUE_BYTES).await.map_err(|error| error.to_string())?;
    let catalogue = Catalogue::parse(&body).map_err(|error| error.to_string())?;
    if catalogue.models().is_empty() {
        return Err("the backend lists no models for this account".to_owned());
    }
    Ok(Fetched::New { catalogue, etag })
}

fn load(path: &Path) -> Result<Option<CatalogueFile>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read the model cache {}: {error}", path.display())),
    };
    let on_disk: CatalogueFile =
        serde_json::from_slice(&text).map_err(|_| format!("the model cache {} is damaged", path.display()))?;
    Ok(Some(on_disk).filter(|on_disk| !on_disk.models.is_empty()))
}

/// Writes to a temporary file and renames it, so a reader gets either the old or the new file.
fn store(path: &Path, on_disk: &CatalogueFile) -> Result<(), String> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        serde_json::to_writer(&mut file, on_disk)?;
        file.flush()?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // A partial file is useless; failing to delete it changes nothing.
        let _ = std::fs::remove_file(&beside);
        format!("cannot write the model cache {}: {error}", path.display())
    })
}
