//! The manager that returns bearers for requests and renews their tokens.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, SystemClock};
use crate::endpoint::{AnyTokenEndpoint, TokenEndpoint};
use crate::error::AuthError;
use crate::lock::lock;
use crate::refresh::freshness::{RefreshPolicy, RefreshReason};
use crate::refresh::single_flight::{InFlight, SingleFlight};
use crate::refresh::state::{Moment, NextStep, TokenState, differ};
use crate::response::{EndpointError, TokenResponse};
use crate::secret::{Secret, same};
use crate::status::{LoginState, LoginStatus};
use crate::store::any::AnyStore;
use crate::store::{StoreError, StoreVersion, TokenStore, wait_for_lock};
use crate::tokens::{Bearer, Tokens};

type Outcome = Result<Bearer, AuthError>;

/// Returns bearers for requests, and keeps their tokens fresh.
///
/// Clones share everything. Methods must be called within a tokio runtime. The runtime must not end during a refresh,
/// so await [`TokenManager::wait_for_refresh`] before it does. See the crate documentation for the order of a refresh.
///
/// `TokenManager` without parameters is the manager of any store and endpoint:
///
/// ```
/// use codex_auth::{AnyStore, AnyTokenEndpoint, TokenEndpoint, TokenManager, TokenStore};
///
/// fn manager(store: impl TokenStore, endpoint: impl TokenEndpoint) -> TokenManager {
///     TokenManager::new(AnyStore::new(store), AnyTokenEndpoint::new(endpoint))
/// }
/// ```
pub struct TokenManager<S = AnyStore, E = AnyTokenEndpoint> {
    shared: Arc<ManagerInner<S, E>>,
}

impl<S: TokenStore, E: TokenEndpoint> TokenManager<S, E> {
    /// Creates a manager of the tokens in `store` with the system's clock and the default policy, plus a random jitter
    /// of up to a minute. The store is first read by the first call that needs a bearer.
    pub fn new(store: S, endpoint: E) -> Self {
        // Jitter is a courtesy: without random numbers there is none.
        let seconds = getrandom::u32().map_or(0, |random| random % 60);
        let policy = RefreshPolicy { jitter: Duration::from_secs(seconds.into()), ..RefreshPolicy::default() };
        Self::with_policy(store, endpoint, SystemClock, policy)
    }

    /// Creates a manager of the tokens in `store` with the given clock and policy.
    pub fn with_policy(store: S, endpoint: E, clock: impl Clock, policy: RefreshPolicy) -> Self {
        let shared = ManagerInner {
            state: Mutex::new(TokenState::new(store.login_command())),
            store: Arc::new(store),
            endpoint,
            clock: Box::new(clock),
            policy,
            read_flight: SingleFlight::new(),
            refresh_flight: SingleFlight::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns a bearer for a request, after renewing the tokens if that is due.
    ///
    /// While the current access token is valid, a slow or failing refresh does not prevent the caller from getting it.
    ///
    /// # Errors
    /// [`AuthError`], by what to do next: retry after a temporary error, log in or repair the store after the others.
    /// Nothing is sent to the auth server needlessly.
    pub async fn bearer(&self) -> Result<Bearer, AuthError> {
        self.shared.acquire(None).await
    }

    /// Returns a bearer to replace one that the backend rejected with 401.
    ///
    /// The token is renewed only if the rejected one is still current; otherwise the newer one is returned. Call this
    /// once per request: a second 401 is final.
    ///
    /// # Errors
    /// As [`TokenManager::bearer`]; also [`AuthError::AccountChanged`] if the newer token is for another account.
    pub async fn replace(&self, rejected: &Bearer) -> Result<Bearer, AuthError> {
        self.shared.acquire(Some(rejected)).await
    }

    /// Returns the state of the login. Reads the store if it has changed; never contacts the auth server.
    pub async fn status(&self) -> LoginStatus {
        self.shared.status().await
    }

    /// Renews tokens when that is due, so an idle proxy keeps its login. Runs until dropped.
    pub async fn keep_fresh(&self) {
        loop {
            // The outcome was recorded and logged where it occurred.
            let _ = self.shared.acquire(None).await;
            tokio::time::sleep(self.shared.policy.check_interval).await;
        }
    }

    /// Waits until no refresh is running. A runtime that ends earlier may lose a new refresh token.
    pub async fn wait_for_refresh(&self) {
        if let Some(refresh) = self.shared.refresh_flight.running() {
            let _ = refresh.wait().await;
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
    read_flight: SingleFlight<Result<(), StoreError>>,
    refresh_flight: SingleFlight<Outcome>,
}

impl<S: TokenStore, E: TokenEndpoint> ManagerInner<S, E> {
    async fn acquire(self: &Arc<Self>, rejected: Option<&Bearer>) -> Outcome {
        /// A refresh that was started for another caller may end without having replaced this one's token.
        const ATTEMPTS: usize = 3;
        for _ in 0..ATTEMPTS {
            let fallback = match self.step_from_store(rejected).await? {
                NextStep::Serve(bearer) => {
                    if self.state().save_is_due(self.moment()) {
                        drop(self.start_refresh(None));
                    }
                    return Ok(bearer);
                }
                NextStep::Fail(error) => return Err(error),
                NextStep::Read => continue,
                NextStep::Refresh { fallback, .. } => fallback,
            };
            let refresh = self.start_refresh(rejected.cloned());
            // Counted from the start of the refresh, so a hanging one delays only its first callers.
            let deadline = refresh.started() + self.policy.max_wait;
            let outcome = match fallback {
                Some(bearer) => match tokio::time::timeout_at(deadline, refresh.wait()).await {
                    Ok(outcome) => outcome,
                    Err(_) => return Ok(bearer),
                },
                None => refresh.wait().await,
            };
            match outcome {
                Some(Ok(bearer)) if !replaces(&bearer, rejected) => {}
                // A caller that has sent no request yet can use the other account.
                Some(Err(AuthError::AccountChanged)) if rejected.is_none() => {}
                Some(outcome) => return outcome,
                None => break,
            }
        }
        Err(self.temporary("the refresh ended unexpectedly"))
    }

    /// Returns the next step, after reading the store if it has changed. Concurrent callers share one read.
    async fn step_from_store(self: &Arc<Self>, rejected: Option<&Bearer>) -> Result<NextStep, AuthError> {
        let step = self.step(Some(self.store.version()), rejected);
        let NextStep::Read = step else { return Ok(step) };
        let shared = Arc::clone(self);
        match self.read_flight.join(|| async move { shared.reread().await }).wait().await {
            Some(Ok(())) => Ok(self.step(None, rejected)),
            Some(Err(error)) => self.without_store(rejected, error).map(NextStep::Serve),
            None => Err(self.temporary("reading the store ended unexpectedly")),
        }
    }

    fn start_refresh(self: &Arc<Self>, rejected: Option<Bearer>) -> InFlight<Outcome> {
        let shared = Arc::clone(self);
        self.refresh_flight.join(|| async move { shared.renew(rejected.as_ref()).await })
    }

    /// Acquires the lock, reads the store again, and decides with the tokens just read. Runs detached, one at a time.
    async fn renew(self: &Arc<Self>, rejected: Option<&Bearer>) -> Outcome {
        let account_id = self.state().account_id();
        let lock = match wait_for_lock(self.store.as_ref(), self.policy.lock_wait).await {
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

    /// Sends the refresh token. The lock is held, and `tokens` were read under it.
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
                // Using the stored token when the next cannot be stored would end the login at the next restart.
                if self.state().postpone(&error, self.moment(), &self.policy) == 1 {
                    tracing::warn!(%error, "postponing the refresh until the access token expires");
                }
                match self.step(None, rejected) {
                    NextStep::Serve(bearer) => return Ok(bearer),
                    NextStep::Fail(error) => return Err(error),
                    // The access token has expired in the meantime.
                    NextStep::Read | NextStep::Refresh { .. } => {}
                }
            }
            tracing::warn!(%error, "the next tokens will be in memory only");
        }
        if reason == RefreshReason::Rejected {
            self.state().count_rejection(self.moment());
        }
        tracing::info!(%reason, "refreshing the access token");
        match self.send(refresh_token.clone()).await {
            Ok(response) => self.store_and_publish(lock, &tokens, response, rejected).await,
            Err(error @ EndpointError::Refused { .. }) => {
                // A program without locks may have been faster; then its tokens are in the store.
                let is_read = self.state().read_version() == Some(self.store.version());
                if !is_read && self.reread().await.is_ok() {
                    let held = self.state().tokens().and_then(|tokens| tokens.refresh_token.clone());
                    if !same(held.as_ref(), Some(&refresh_token)) {
                        return self.outcome(rejected);
                    }
                }
                self.failed(&error, rejected)
            }
            Err(error) => self.failed(&error, rejected),
        }
    }

    /// Sends the refresh token, in its own task: if the client panics, the token counts as used.
    async fn send(self: &Arc<Self>, refresh_token: Secret) -> Result<TokenResponse, EndpointError> {
        let shared = Arc::clone(self);
        let sent = tokio::spawn(async move { shared.endpoint.refresh(&refresh_token).await });
        sent.await.unwrap_or_else(|_| Err(EndpointError::Interrupted("the HTTP client panicked".to_owned())))
    }

    /// Stores the new tokens durably, then publishes them.
    async fn store_and_publish(
        self: &Arc<Self>,
        lock: S::Lock,
        tokens: &Tokens,
        response: TokenResponse,
        rejected: Option<&Bearer>,
    ) -> Outcome {
        let is_complete = response.access_token.is_some();
        let renewed = tokens.renewed(response, self.clock.now());
        let saved = self.save(lock, renewed.clone()).await;
        match &saved {
            Ok(_) => tracing::info!("the new tokens are stored"),
            Err(error) => tracing::warn!(
                %error,
                "the new tokens are in memory only; if codex-proxy exits before they can be stored, log in again"
            ),
        }
        self.state().publish(renewed, saved.ok(), Instant::now() + self.policy.check_interval);
        if !is_complete {
            let message = "the auth server's response contains no access token".to_owned();
            return self.failed(&EndpointError::Unavailable { message, retry_after: None }, rejected);
        }
        self.state().tokens().map(Tokens::bearer).ok_or_else(|| self.temporary("the tokens were removed"))
    }

    /// Tries again to save tokens that are only in memory.
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
            Ok(_) => tracing::info!("stored the tokens that were in memory only"),
            Err(error) => tracing::debug!(%error, "the tokens are still in memory only"),
        }
        self.state().note_saved(saved.ok(), Instant::now() + self.policy.check_interval);
        Ok(lock)
    }

    /// Writes tokens, releases the lock, and returns the store's version with them in it.
    async fn save(&self, lock: S::Lock, tokens: Tokens) -> Result<StoreVersion, StoreError> {
        self.blocking(move |store| store.save(&lock, &tokens).map(|()| store.version())).await?
    }

    async fn reread(&self) -> Result<(), StoreError> {
        let store_read = self.state().begin_read();
        let read = self.blocking(|store| {
            // The version first: a change in between is then noticed the next time.
            let version = store.version();
            store.load().map(|tokens| (tokens, version))
        });
        let (tokens, version) = read.await??;
        if self.state().adopt(store_read, tokens, version) {
            tracing::info!("the stored credentials have changed; using the new ones");
        }
        Ok(())
    }

    fn failed(&self, error: &EndpointError, rejected: Option<&Bearer>) -> Outcome {
        let failures = self.state().fail(error, self.moment(), &self.policy);
        if matches!(error, EndpointError::Refused { .. }) {
            tracing::error!(reason = %error, "the login has ended: run `codex-proxy login`");
        } else if failures == 1 {
            tracing::warn!(reason = %error, "cannot refresh the access token; will try again");
        } else {
            tracing::debug!(failures, reason = %error, "still cannot refresh the access token");
        }
        self.outcome(rejected)
    }

    /// Returns the bearer in memory if the store cannot be read or locked.
    fn without_store(&self, rejected: Option<&Bearer>, error: StoreError) -> Outcome {
        let mut state = self.state();
        if state.note_store_error(&error) {
            tracing::warn!(%error, "cannot use the stored credentials");
        }
        let usable = state.usable(rejected, self.moment(), &self.policy);
        usable.ok_or(AuthError::Store(error))
    }

    /// Returns the outcome from memory after an attempt.
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
        status.problem = state.store_error().map(ToString::to_string).or_else(|| state.problem());
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
        lock(&self.state)
    }
}

/// Returns whether a bearer helps a caller whose last one was rejected.
fn replaces(bearer: &Bearer, rejected: Option<&Bearer>) -> bool {
    rejected.is_none_or(|rejected| {
        !bearer.token.matches(&rejected.token) && !differ(&bearer.account_id, &rejected.account_id)
    })
}
