//! Keeps the model catalogue at hand: asked for at most once in a while, kept on disk, never waited for for long.

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

/// The most that a catalogue may weigh; each model's instructions make it large.
const CATALOGUE_BYTES: usize = 16 * 1024 * 1024;

/// How a [`ModelCache`] keeps its catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCacheConfig {
    /// Where the catalogue is kept between runs; `None` keeps it in memory only.
    pub file: Option<PathBuf>,
    /// How long a catalogue is good for.
    pub ttl: Duration,
    /// How long asking for one may take.
    pub timeout: Duration,
    /// How long to leave the backend alone after it failed to give one.
    pub pause: Duration,
}

impl Default for ModelCacheConfig {
    /// In memory; times as the official client's (docs/backend.md §5.1).
    fn default() -> Self {
        Self {
            file: None,
            ttl: Duration::from_secs(300),
            timeout: Duration::from_secs(5),
            pause: Duration::from_secs(60),
        }
    }
}

/// Where a catalogue came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogueSource {
    /// The backend gave or confirmed it during this run.
    Live,
    /// An earlier run left it on disk.
    Disk,
    /// It is part of the program.
    BuiltIn,
}

/// A catalogue and what there is to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueSnapshot {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Where it came from.
    pub source: CatalogueSource,
    /// When the backend last gave or confirmed it.
    pub fetched_at: Option<SystemTime>,
    /// Why the last attempt to get a newer one failed; `None` when it did not.
    pub problem: Option<String>,
}

/// The catalogue of one account, shared by all requests.
///
/// It belongs to an account and a client version: asked for with others, it starts again from the built-in list.
#[derive(Debug)]
pub struct ModelCache {
    config: ModelCacheConfig,
    state: Mutex<CacheState>,
    fetching: AtomicBool,
    /// Told when somebody uses a catalogue that is too old.
    old: Notify,
}

#[derive(Debug)]
struct CacheState {
    snapshot: CatalogueSnapshot,
    etag: Option<String>,
    /// Whom the catalogue belongs to; `None` for the built-in one.
    owner: Option<CatalogueOwner>,
    /// Set when the backend says that its catalogue has changed.
    outdated: bool,
    /// When the last attempt failed.
    failed_at: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CatalogueOwner {
    client_version: String,
    account_id: Option<String>,
}

/// The file's content: the official client's keys (docs/backend.md §5.1) and the account.
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
    /// Starts with what is on disk, or else with the built-in list. A file that cannot be read is a
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
        Self { config, state: Mutex::new(state), fetching: AtomicBool::new(false), old: Notify::new() }
    }

    /// Hands out what is at hand, without asking anybody.
    #[must_use]
    pub fn snapshot(&self) -> CatalogueSnapshot {
        self.lock().snapshot.clone()
    }

    /// Hands out what is at hand for a request that cannot wait; if it is too old, [`ModelCache::used_when_old`] hears
    /// of it.
    #[must_use]
    pub fn use_at_hand(&self, clock: &impl Timer) -> Arc<Catalogue> {
        let state = self.lock();
        if !state.is_good(&self.config, clock.now()) {
            self.old.notify_one();
        }
        Arc::clone(&state.snapshot.catalogue)
    }

    /// Waits until a request has used a catalogue that is too old. Whoever waits for that then calls
    /// [`ModelCache::current`], so that an idle program asks nothing and a busy one waits for nothing.
    pub async fn used_when_old(&self) {
        self.old.notified().await;
    }

    /// Hands out the catalogue, asking the backend first when the one at hand is too old.
    ///
    /// Never fails and never takes longer than [`ModelCacheConfig::timeout`]: when the backend does not give a
    /// catalogue the one at hand stays, with the reason. While one caller asks, the others get what is at hand.
    pub async fn current(
        &self,
        upstream: &impl Upstream,
        backend: &Backend<'_>,
        clock: &impl Timer,
    ) -> CatalogueSnapshot {
        let owner = CatalogueOwner {
            client_version: backend.identity.version.clone(),
            account_id: backend.auth.account_id.map(str::to_owned),
        };
        let etag = {
            let mut state = self.lock();
            if state.owner.as_ref().is_some_and(|known| *known != owner) {
                *state = CacheState::built_in();
            }
            if state.is_good(&self.config, clock.now()) {
                return state.snapshot.clone();
            }
            state.etag.clone()
        };
        let Some(_turn) = FetchPermit::take(&self.fetching) else {
            return self.snapshot();
        };
        let fetched = fetch(upstream, backend, etag.as_deref(), clock);
        let outcome = match select(std::pin::pin!(fetched), std::pin::pin!(clock.sleep(self.config.timeout))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(format!("the backend did not list its models within {:?}", self.config.timeout)),
        };
        if self.settle(outcome, owner, clock.now()) {
            self.save().await;
        }
        self.snapshot()
    }

    /// Notes from a reply's headers that the catalogue changed, so that the next [`ModelCache::current`] asks again.
    pub fn observe(&self, reply_headers: &HeaderMap) {
        let mut state = self.lock();
        let named = reply_headers.get(X_MODELS_ETAG).and_then(|value| value.to_str().ok());
        // Compared weakly, as `If-None-Match` is (RFC 9110 section 8.8.3.2).
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        if let (Some(named), Some(known)) = (named, &state.etag) {
            state.outdated |= opaque(named) != opaque(known);
        }
    }

    /// Takes over what was fetched for `owner`, and says whether there is something to save.
    fn settle(&self, outcome: Result<Fetched, String>, owner: CatalogueOwner, now: SystemTime) -> bool {
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
            // Another account's call has put the confirmed catalogue away in the meantime.
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

    /// Writes a live catalogue to disk, off the thread that serves requests.
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

    /// Tells whether to make do with what is at hand. A clock that was set back makes a catalogue old, not eternal.
    fn is_good(&self, config: &ModelCacheConfig, now: SystemTime) -> bool {
        let within = |since: Option<SystemTime>, limit: Duration| {
            since.is_some_and(|since| now.duration_since(since).is_ok_and(|age| age < limit))
        };
        within(self.failed_at, config.pause) || !self.outdated && within(self.snapshot.fetched_at, config.ttl)
    }
}

/// The right to ask the backend, given back when dropped: a request that is given up must not keep it.
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
    clock: &impl Timer,
) -> Result<Fetched, String> {
    let request = requests::models(backend, etag).map_err(|error| error.to_string())?;
    let reply = upstream.send(request).await.map_err(|error| error.to_string())?;
    if reply.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
        return Ok(Fetched::Unchanged);
    }
    let reply = error_for_status(reply, clock).await.map_err(|error| match error {
        SendError::Transport(error) => error.to_string(),
        SendError::Refused { failure, .. } => failure.error.message().to_owned(),
    })?;
    let etag = reply.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = read_to_end(reply.into_body(), CATALOGUE_BYTES).await.map_err(|error| error.to_string())?;
    let catalogue = Catalogue::parse(&body).map_err(|error| error.to_string())?;
    if catalogue.models().is_empty() {
        return Err("the backend listed no models for this account".to_owned());
    }
    Ok(Fetched::New { catalogue, etag })
}

fn load(path: &Path) -> Result<Option<CatalogueFile>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the model cache {} cannot be read: {error}", path.display())),
    };
    let on_disk: CatalogueFile =
        serde_json::from_slice(&text).map_err(|_| format!("the model cache {} is damaged", path.display()))?;
    Ok(Some(on_disk).filter(|on_disk| !on_disk.models.is_empty()))
}

/// Writes beside the file and renames, so that a reader sees the old or the new one whole.
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
        // What is left of a failed attempt is of no use, and removing it cannot make matters worse.
        let _ = std::fs::remove_file(&beside);
        format!("the model cache {} cannot be written: {error}", path.display())
    })
}
