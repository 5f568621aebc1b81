//! The state every connection shares.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::auth::ledger::{Ledger, Mint, Tokens};
use crate::backend::account::Workspace;
use crate::backend::quota::Quota;
use crate::catalogue::Catalogue;
use crate::config::SimConfig;
use crate::control::RefreshFault;
use crate::ids::Rng;
use crate::log::{Log, Ticket};
use crate::scenario::Scenario;

/// Entries any one table of the simulator keeps; the oldest go first.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// The longest lifetime and clock advance: what is asked beyond it is cut, so that adding times cannot overflow.
pub(crate) const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: SimConfig,
    /// Origin of the backend.
    pub(crate) origin: String,
    /// Origin of the auth server, the `iss` of every token.
    pub(crate) issuer: String,
    pub(crate) catalogue: Catalogue,
    pub(crate) log: Arc<Log>,
    pub(crate) connections: AtomicU64,
    /// Counts releases; whoever stalls waits for it to change.
    pub(crate) releases: watch::Sender<u64>,
    advanced: Mutex<Duration>,
    rng: Mutex<Rng>,
    ledger: Mutex<Ledger>,
    orders: Mutex<Orders>,
}

/// What tests have asked for, and what must be remembered between requests to do it.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) scenarios: VecDeque<Scenario>,
    pub(crate) refresh_faults: VecDeque<RefreshFault>,
    pub(crate) cloudflare: bool,
    pub(crate) quota: Quota,
    /// The workspaces that every login may choose beside its own account.
    pub(crate) workspaces: Vec<Workspace>,
    /// The status that upgrades to WebSocket are refused with.
    pub(crate) upgrades: Option<u16>,
    /// Counts the times that all connections were made to forget their responses.
    pub(crate) forgettings: u64,
    /// The region that the workspaces are bound to.
    pub(crate) region: Option<String>,
    /// `-once` words that have fired and not yet been passed by, by the text they stood in.
    pub(crate) fired: Bounded<u64, ()>,
    /// Input tokens last seen, by a hash of prompt_cache_key and session-id (`docs/backend.md` §2.6).
    pub(crate) prompt_cache: Bounded<u64, u64>,
}

impl Orders {
    fn none(now: SystemTime) -> Self {
        Self {
            scenarios: VecDeque::new(),
            refresh_faults: VecDeque::new(),
            cloudflare: false,
            quota: Quota::fresh(unix_secs(now)),
            workspaces: Vec::new(),
            upgrades: None,
            forgettings: 0,
            region: None,
            fired: Bounded::default(),
            prompt_cache: Bounded::default(),
        }
    }
}

impl World {
    pub(crate) fn new(config: SimConfig, origin: String, issuer: String) -> Result<Self, serde_json::Error> {
        Ok(Self {
            rng: Mutex::new(Rng::new(config.seed)),
            catalogue: Catalogue::built_in(config.retired_models)?,
            orders: Mutex::new(Orders::none(config.clock.now())),
            config,
            origin,
            issuer,
            log: Arc::new(Log::new()),
            connections: AtomicU64::new(0),
            releases: watch::Sender::new(0),
            advanced: Mutex::default(),
            ledger: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.config.clock.now() + *lock(&self.advanced)
    }

    pub(crate) fn unix_now(&self) -> u64 {
        unix_secs(self.now())
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut advanced = lock(&self.advanced);
        *advanced = advanced.saturating_add(by).min(FAR);
    }

    pub(crate) fn rng(&self) -> Rng {
        lock(&self.rng).fork()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn orders(&self) -> MutexGuard<'_, Orders> {
        lock(&self.orders)
    }

    pub(crate) fn mint(&self, mint: Mint) -> Tokens {
        let (now, mut rng) = (self.now(), self.rng());
        self.ledger().mint(mint, &self.config, &self.issuer, now, &mut rng)
    }

    /// The account's quota at `now`, a Unix second.
    pub(crate) fn quota(&self, now: u64) -> Quota {
        self.orders().quota.at(now)
    }

    /// Resolves when [`World::release`] is next called; until then the request of `ticket` is shown as waiting.
    pub(crate) async fn released(&self, ticket: &Ticket) {
        // Subscribed first, so that whoever sees the request wait can release it.
        let mut releases = self.releases.subscribe();
        ticket.waiting(true);
        // The sender lives in `self`, so this cannot fail.
        let _ = releases.changed().await;
        ticket.waiting(false);
    }

    pub(crate) fn release(&self) {
        self.releases.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Forgets requests, orders and tokens; the clock's advance stays, since time does not go backwards.
    pub(crate) fn reset(&self) {
        let now = self.now();
        *self.orders() = Orders::none(now);
        *self.ledger() = Ledger::default();
        self.log.clear();
        self.release();
    }
}

/// A map that forgets its oldest key when it would hold more than [`MAX_ENTRIES`].
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MAX_ENTRIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    pub(crate) fn find(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.map.remove(key)?;
        self.order.retain(|k| k != key);
        Some(value)
    }

    /// Entries in the order of insertion.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|key| Some((key, self.map.get(key)?)))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { map: HashMap::new(), order: VecDeque::new() }
    }
}

pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
