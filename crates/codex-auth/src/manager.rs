//! Bearers for requests, renewed in time and once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::flight::{InFlight, SingleFlight};
use crate::token_state::{Moment, NextStep, TokenState, differ};
use crate::{
    AuthError, Bearer, Clock, EndpointError, LoginState, LoginStatus, RefreshPolicy, RefreshReason, Secret, StoreError,
    StoreVersion, SystemClock, TokenEndpoint, TokenResponse, TokenStore, Tokens, store,
};

type Outcome = Result<Bearer, AuthError>;

/// Hands out bearers and keeps the tokens behind them fresh.
///
/// Clones share everything. Methods must be called within a tokio runtime; the runtime must not end while a refresh is
/// under way, so await [`TokenManager::wait_for_refresh`] before it does. See the crate documentation for the order of a refresh.
pub struct TokenManager<S, E> {
    shared: Arc<ManagerInner<S, E>>,
}

impl<S: TokenStore, E: TokenEndpoint> TokenManager<S, E> {
    /// Manages the tokens in `store`, which is first read when a bearer is asked for, with the system's clock and the
    /// default policy with a random jitter of up to a minute.
    pub fn new(store: S, endpoint: E) -> Self {
        // Without randomness there is no jitter, which is only a courtesy.
        let seconds = getrandom::u32().map_or(0, |random| random % 60);
        let policy = RefreshPolicy { jitter: Duration::from_secs(seconds.into()), ..RefreshPolicy::default() };
        Self::with_policy(store, endpoint, SystemClock, policy)
    }

    /// Manages the tokens in `store` by the given clock and policy.
    pub fn with_policy(store: S, endpoint: E, clock: impl Clock, policy: RefreshPolicy) -> Self {
        let shared = ManagerInner {
            state: Mutex::new(TokenState::new(store.login_command())),
            store: Arc::new(store),
            endpoint,
            clock: Box::new(clock),
            policy,
            reading: SingleFlight::new(),
            flight: SingleFlight::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns a bearer for a request, renewing the tokens first when that is due.
    ///
    /// While the present access token is valid, a slow or failing refresh does not keep the caller from getting it.
    ///
    /// # Errors
    ///
    /// [`AuthError`], by what to do next. Temporary errors are worth a retry, the others a login or a repair; nothing
    /// is sent to the authority in vain for them.
    pub async fn bearer(&self) -> Result<Bearer, AuthError> {
        self.shared.acquire(None).await
    }

    /// Returns a bearer in place of one that the backend answered with 401.
    ///
    /// The token is renewed only if the rejected one is still current; otherwise the newer one is returned. Call it once
    /// per request: a second 401 is the backend's last word.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::bearer`]; also [`AuthError::AccountChanged`] when the newer token is for another account.
    pub async fn replace(&self, rejected: &Bearer) -> Result<Bearer, AuthError> {
        self.shared.acquire(Some(rejected)).await
    }

    /// Returns the state of the login. Reads the store when it has changed; never asks the authority.
    pub async fn status(&self) -> LoginStatus {
        self.shared.status().await
    }

    /// Renews tokens when that is due, so that a proxy without requests keeps its login. Runs until dropped.
    pub async fn keep_fresh(&self) {
        loop {
            // The outcome is remembered and was logged where it came about.
            let _ = self.shared.acquire(None).await;
            tokio::time::sleep(self.shared.policy.check_interval).await;
        }
    }

    /// Waits until no refresh is under way. A runtime that ends earlier may lose a rotated token.
    pub async fn wait_for_refresh(&self) {
        if let Some(landing) = self.shared.flight.under_way() {
            let _ = landing.wait().await;
        }
    }
}

impl<S, E> Clone for TokenManager<S, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, E> fmt::Debug for TokenManager<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager").finish_non_exhaustive()
    }
}

struct ManagerInner<S, E> {
    store: Arc<S>,
    endpoint: E,
    clock: Box<dyn Clock>,
    policy: RefreshPolicy,
    /// Never held across an await.
    state: Mutex<TokenState>,
    reading: SingleFlight<Result<(), StoreError>>,
    flight: SingleFlight<Outcome>,
}

impl<S: TokenStore, E: TokenEndpoint> ManagerInner<S, E> {
    async fn acquire(self: &Arc<Self>, rejected: Option<&Bearer>) -> Outcome {
        /// A flight that was started for another caller may end without having replaced this one's token.
        const FLIGHTS: usize = 3;
        for _ in 0..FLIGHTS {
            let fallback = match self.step_from_store(rejected).await? {
                NextStep::Serve(bearer) => {
                    if self.state().save_is_due(self.moment()) {
                        drop(self.launch(None));
                    }
                    return Ok(bearer);
                }
                NextStep::Fail(error) => return Err(error),
                NextStep::Read => continue,
                NextStep::Refresh { fallback, .. } => fallback,
            };
            let landing = self.launch(rejected.cloned());
            // Counted from the start of the refresh, so that a hanging one delays the first callers only.
            let max_wait = landing.began() + self.policy.max_wait;
            let landed = match fallback {
                Some(bearer) => match tokio::time::timeout_at(max_wait, landing.wait()).await {
                    Ok(landed) => landed,
                    Err(_) => return Ok(bearer),
                },
                None => landing.wait().await,
            };
            match landed {
                Some(Ok(bearer)) if !serves(&bearer, rejected) => {}
                // A caller with no request under way is as well served by the other account.
                Some(Err(AuthError::AccountChanged)) if rejected.is_none() => {}
                Some(outcome) => return outcome,
                None => break,
            }
        }
        Err(self.temporary("the refresh ended unexpectedly"))
    }

    /// Decides the next step with what the store holds, reading it if it has changed. Those who come meanwhile share
    /// one reading.
    async fn step_from_store(self: &Arc<Self>, rejected: Option<&Bearer>) -> Result<NextStep, AuthError> {
        let step = self.step(Some(self.store.version()), rejected);
        let NextStep::Read = step else { return Ok(step) };
        let shared = Arc::clone(self);
        match self.reading.join(|| async move { shared.reread().await }).wait().await {
            Some(Ok(())) => Ok(self.step(None, rejected)),
            Some(Err(error)) => self.without_store(rejected, error).map(NextStep::Serve),
            None => Err(self.temporary("reading the store ended unexpectedly")),
        }
    }

    fn launch(self: &Arc<Self>, rejected: Option<Bearer>) -> InFlight<Outcome> {
        let shared = Arc::clone(self);
        self.flight.join(|| async move { shared.renew(rejected.as_ref()).await })
    }

    /// Takes the lock, reads the store again, and decides with what was read. Runs detached, once at a time.
    async fn renew(self: &Arc<Self>, rejected: Option<&Bearer>) -> Outcome {
        let account_id = self.state().account_id();
        let lock = match store::wait_for_lock(self.store.as_ref(), self.policy.lock_wait).await {
            Ok(lock) => lock,
            Err(error) => return self.without_store(rejected, error),
        };
        if let Err(error) = self.reread().await {
            return self.without_store(rejected, error);
        }
        if differ(&account_id, &self.state().account_id()) {
            return Err(AuthError::AccountChanged);
        }
        let lock = self.save_again(lock).await?;
        match self.step(None, rejected) {
            NextStep::Serve(bearer) => Ok(bearer),
            NextStep::Fail(error) => Err(error),
            NextStep::Read => Err(self.temporary("the store keeps changing")),
            NextStep::Refresh { tokens, reason, .. } => self.refresh(lock, tokens, reason, rejected).await,
        }
    }

    /// Spends the refresh token. The lock is held, and `tokens` were read under it.
    async fn refresh(
        self: &Arc<Self>,
        lock: S::Lock,
        tokens: Tokens,
        reason: RefreshReason,
        rejected: Option<&Bearer>,
    ) -> Outcome {
        let Some(refresh_token) = tokens.refresh_token.clone() else {
            return self.outcome(rejected);
        };
        let (probed, lock) = self.blocking(move |store| (store.probe(&lock), lock)).await?;
        if let Err(error) = probed {
            if reason.still_usable() {
                // Spending the stored token when the next cannot be stored would end the login at the next restart.
                if self.state().postpone(&error, self.moment(), &self.policy) == 1 {
                    tracing::warn!(%error, "refreshing the access token is put off until it ends");
                }
                match self.step(None, rejected) {
                    NextStep::Serve(bearer) => return Ok(bearer),
                    NextStep::Fail(error) => return Err(error),
                    // The access token has ended meanwhile.
                    NextStep::Read | NextStep::Refresh { .. } => {}
                }
            }
            tracing::warn!(%error, "the next tokens will be kept in memory only");
        }
        if reason == RefreshReason::Rejected {
            self.state().count_rejection(self.moment());
        }
        tracing::info!(%reason, "refreshing the access token");
        match self.send(refresh_token.clone()).await {
            Ok(reply) => self.keep(lock, &tokens, reply, rejected).await,
            Err(error @ EndpointError::Refused { .. }) => {
                // A program that knows no locks may have been faster; then its tokens are in the store.
                let is_read = self.state().read_version() == Some(self.store.version());
                if !is_read && self.reread().await.is_ok() {
                    let held = self.state().tokens().and_then(|tokens| tokens.refresh_token.clone());
                    if !crate::secret::same(held.as_ref(), Some(&refresh_token)) {
                        return self.outcome(rejected);
                    }
                }
                self.failed(&error, rejected)
            }
            Err(error) => self.failed(&error, rejected),
        }
    }

    /// Sends the refresh token, in a task of its own: should the client panic, the token counts as spent, too.
    async fn send(self: &Arc<Self>, refresh_token: Secret) -> Result<TokenResponse, EndpointError> {
        let shared = Arc::clone(self);
        let sent = tokio::spawn(async move { shared.endpoint.refresh(&refresh_token).await });
        sent.await.unwrap_or_else(|_| Err(EndpointError::Interrupted("the HTTP client panicked".to_owned())))
    }

    /// Makes the reply durable, then publishes it.
    async fn keep(
        self: &Arc<Self>,
        lock: S::Lock,
        tokens: &Tokens,
        reply: TokenResponse,
        rejected: Option<&Bearer>,
    ) -> Outcome {
        let complete = reply.access_token.is_some();
        let renewed = tokens.renewed(reply, self.clock.now());
        let saved = self.save(lock, renewed.clone()).await;
        match &saved {
            Ok(_) => tracing::info!("the new tokens are stored"),
            Err(error) => tracing::warn!(
                %error,
                "the new tokens are kept in memory only; if codex-proxy ends before they can be stored, a login is needed"
            ),
        }
        self.state().publish(renewed, saved.ok(), Instant::now() + self.policy.check_interval);
        if !complete {
            let message = "the authority's reply held no access token".to_owned();
            return self.failed(&EndpointError::Unavailable { message, retry_after: None }, rejected);
        }
        self.state().tokens().map(Tokens::bearer).ok_or_else(|| self.temporary("the tokens are gone"))
    }

    /// Offers the store again what it could not take.
    async fn save_again(&self, lock: S::Lock) -> Result<S::Lock, StoreError> {
        let due = {
            let state = self.state();
            state.tokens().filter(|_| state.is_unsaved()).cloned()
        };
        let Some(tokens) = due else { return Ok(lock) };
        let (lock, saved) = self
            .blocking(move |store| {
                let saved = store.save(&lock, &tokens).map(|()| store.version());
                (lock, saved)
            })
            .await?;
        match &saved {
            Ok(_) => tracing::info!("the tokens that were kept in memory are stored"),
            Err(error) => tracing::debug!(%error, "the tokens are still kept in memory only"),
        }
        self.state().note_saved(saved.ok(), Instant::now() + self.policy.check_interval);
        Ok(lock)
    }

    /// Writes tokens and returns the store's mark with them in it; gives the lock back.
    async fn save(&self, lock: S::Lock, tokens: Tokens) -> Result<StoreVersion, StoreError> {
        self.blocking(move |store| store.save(&lock, &tokens).map(|()| store.version())).await?
    }

    async fn reread(&self) -> Result<(), StoreError> {
        let reading = self.state().begin_reading();
        let read = self.blocking(|store| {
            // The mark comes first: a change in between is then seen the next time.
            let version = store.version();
            store.load().map(|tokens| (tokens, version))
        });
        let (tokens, version) = read.await??;
        if self.state().adopt(reading, tokens, version) {
            tracing::info!("the stored credentials have changed and are in use");
        }
        Ok(())
    }

    fn failed(&self, error: &EndpointError, rejected: Option<&Bearer>) -> Outcome {
        let failures = self.state().fail(error, self.moment(), &self.policy);
        if matches!(error, EndpointError::Refused { .. }) {
            tracing::error!(reason = %error, "the login has ended: run `codex-proxy login`");
        } else if failures == 1 {
            tracing::warn!(reason = %error, "cannot refresh the access token; trying again later");
        } else {
            tracing::debug!(failures, reason = %error, "still cannot refresh the access token");
        }
        self.outcome(rejected)
    }

    /// Serves from memory when the store cannot be read or locked.
    fn without_store(&self, rejected: Option<&Bearer>, error: StoreError) -> Outcome {
        let mut state = self.state();
        if state.note_store_error(&error) {
            tracing::warn!(%error, "the stored credentials cannot be used");
        }
        let usable = state.usable(rejected, self.moment(), &self.policy);
        usable.ok_or(AuthError::Store(error))
    }

    /// Answers from memory after an attempt.
    fn outcome(&self, rejected: Option<&Bearer>) -> Outcome {
        match self.step(None, rejected) {
            NextStep::Serve(bearer) => Ok(bearer),
            NextStep::Fail(error) => Err(error),
            NextStep::Read | NextStep::Refresh { .. } => Err(self.temporary("the last attempt failed")),
        }
    }

    async fn status(&self) -> LoginStatus {
        let is_read = self.state().read_version() == Some(self.store.version());
        if !is_read && let Err(error) = self.reread().await {
            self.state().note_store_error(&error);
        }
        let state = self.state();
        let mut status = LoginStatus::of(state.tokens(), self.store.location(), self.clock.now());
        status.saved = !state.is_unsaved();
        status.problem = state.store_error().map(ToString::to_string).or_else(|| state.trouble());
        match (&status.state, state.refused()) {
            (LoginState::Renewable, Some(reason)) => status.state = LoginState::Expired(reason.clone()),
            (LoginState::LoggedOut, _) if state.store_error().is_some() => status.state = LoginState::Unreadable,
            _ => {}
        }
        status
    }

    fn step(&self, seen: Option<StoreVersion>, rejected: Option<&Bearer>) -> NextStep {
        self.state().step(seen, rejected, self.moment(), &self.policy, || self.store.location())
    }

    async fn blocking<T: Send + 'static>(&self, act: impl FnOnce(&S) -> T + Send + 'static) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        let panicked =
            |_| StoreError::Unwritable { path: self.store.location().into(), reason: "the store panicked".to_owned() };
        tokio::task::spawn_blocking(move || act(&store)).await.map_err(panicked)
    }

    fn temporary(&self, reason: &str) -> AuthError {
        AuthError::Temporary { retry_after: self.policy.backoff, reason: reason.to_owned() }
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), instant: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a bearer is an answer to somebody whose last one was rejected.
fn serves(bearer: &Bearer, rejected: Option<&Bearer>) -> bool {
    rejected.is_none_or(|rejected| {
        !bearer.token.matches(&rejected.token) && !differ(&bearer.account_id, &rejected.account_id)
    })
}
