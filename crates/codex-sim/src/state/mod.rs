//! The state that all connections share: tokens, logins, overrides, the prompt cache, the request log, the clock.
//!
//! Each part has a file, a type and a lock of its own. It never answers a request.

pub(crate) mod logins;
pub(crate) mod overrides;
pub(crate) mod prompt_cache;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::catalogue::Catalogue;
use crate::clock::SimClock;
use crate::config::SimConfig;
use crate::exchange::stalls::Stalls;
use crate::ids::Rng;
use crate::protocol::quota::Quota;
use crate::request_log::RequestLog;
use crate::state::logins::Logins;
use crate::state::overrides::Overrides;
use crate::state::prompt_cache::PromptCache;
use crate::tokens::ledger::{Mint, TokenLedger, Tokens};

/// The parts of a running simulator.
#[derive(Debug)]
pub(crate) struct SimState {
    pub(crate) config: SimConfig,
    /// Origin of the backend.
    pub(crate) origin: String,
    /// Origin of the auth server, the `iss` of every token.
    pub(crate) issuer: String,
    pub(crate) catalogue: Catalogue,
    pub(crate) clock: SimClock,
    pub(crate) log: Arc<RequestLog>,
    pub(crate) stalls: Arc<Stalls>,
    /// Counts the accepted connections.
    pub(crate) connections: AtomicU64,
    rng: Mutex<Rng>,
    tokens: Mutex<TokenLedger>,
    logins: Mutex<Logins>,
    overrides: Mutex<Overrides>,
    prompt_cache: Mutex<PromptCache>,
}

impl SimState {
    pub(crate) fn new(config: SimConfig, origin: String, issuer: String) -> Result<Self, serde_json::Error> {
        let clock = SimClock::new(config.clock.clone());
        Ok(Self {
            rng: Mutex::new(Rng::new(config.seed)),
            catalogue: Catalogue::built_in(config.retired_models)?,
            overrides: Mutex::new(Overrides::none(clock.unix_now())),
            config,
            origin,
            issuer,
            clock,
            log: Arc::new(RequestLog::new()),
            stalls: Arc::new(Stalls::new()),
            connections: AtomicU64::new(0),
            tokens: Mutex::default(),
            logins: Mutex::default(),
            prompt_cache: Mutex::default(),
        })
    }

    pub(crate) fn rng(&self) -> Rng {
        lock(&self.rng).fork()
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, TokenLedger> {
        lock(&self.tokens)
    }

    pub(crate) fn logins(&self) -> MutexGuard<'_, Logins> {
        lock(&self.logins)
    }

    pub(crate) fn overrides(&self) -> MutexGuard<'_, Overrides> {
        lock(&self.overrides)
    }

    pub(crate) fn prompt_cache(&self) -> MutexGuard<'_, PromptCache> {
        lock(&self.prompt_cache)
    }

    pub(crate) fn mint(&self, mint: Mint) -> Tokens {
        let (now, mut rng) = (self.clock.now(), self.rng());
        self.tokens().mint(mint, &self.config, &self.issuer, now, &mut rng)
    }

    /// Returns the account's quota at `now`, a Unix second.
    pub(crate) fn quota(&self, now: u64) -> Quota {
        self.overrides().quota.at(now)
    }

    /// Forgets requests, overrides, logins and tokens. The clock is not set back, since time does not go backwards.
    pub(crate) fn reset(&self) {
        *self.overrides() = Overrides::none(self.clock.unix_now());
        *self.tokens() = TokenLedger::default();
        *self.logins() = Logins::default();
        *self.prompt_cache() = PromptCache::default();
        self.log.clear();
        self.stalls.release();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
