//! The manager that returns bearers for requests and renews their tokens.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, SystemClock, later, read_clock};
use crate::endpoint::{AnyTokenEndpoint, TokenEndpoint};
use crate::error::AuthError;
use crate::lock::lock;
use crate::refresh::freshness::{RefreshPolicy, RefreshReason};
use crate::refresh::single_flight::{InFlight, SingleFlight};
use crate::refresh::state::{Moment, NextStep, TokenState, differ};
use crate::refresh::store_access::StoreAccess;
use crate::response::{EndpointError, TokenResponse};
use crate::secret::{Secret, same};
use crate::status::{LoginState, LoginStatus};
use crate::store::any::AnyStore;
use crate::store::{StoreError, StoreVersion, TokenStore};
use crate::tokens::{Bearer, Tokens};

type Outcome = Result<Bearer, AuthError>;

/// Returns bearers for requests, and keeps their tokens fresh.
///
/// Clones share everything. Methods must be called within a tokio runtime with timers, which must not end during a
/// refresh, so await [`TokenManager::wait_for_refresh`] before it does. See the crate documentation for the order of a
/// refresh.
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
            store: StoreAccess::new(store, &policy),
            endpoint,
            clock: Box::new(clock),
            policy,
            version_flight: SingleFlight::new(),
            read_flight: SingleFlight::new(),
            refresh_flight: SingleFlight::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns a bearer for a request, after renewing the tokens if that is due.
    ///
    /// While the current access token is valid, neither a refresh nor a store that is slow or fails prevents the caller
    /// from getting it. Dropping the future is safe: what it waits for runs in tasks of its own.
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

    /// Returns the state of the login. Reads the store if it has changed, waiting no longer than
    /// [`RefreshPolicy::max_wait`]; never contacts the auth server.
    pub async fn status(&self) -> LoginStatus {
        self.shared.status().await
    }

    /// Renews tokens when that is due, so an idle proxy keeps its login. Runs until dropped.
    pub async fn keep_fresh(&self) {
        loop {
            // The outcome was recorded and logged where it occurred.
            let _ = self.shared.acquire(None).await;
            let policy = &self.shared.policy;
            let is_unsaved = self.shared.state().is_unsaved();
            // The next save of tokens that are only in memory is due sooner.
            let pause = if is_unsaved { policy.backoff.min(policy.check_interval) } else { policy.check_interval };
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the command that logs in again, as in [`TokenStore::login_command`].
    #[must_use]
    pub fn login_command(&self) -> String {
        self.shared.state().login_command().to_owned()
    }

    /// Waits until no refresh is running; then tries once more to save tokens that are only in memory, because their
    /// save failed. A runtime that ends earlier may lose a new refresh token.
    pub async fn wait_for_refresh(&self) {
        if let Some(refresh) = self.shared.refresh_flight.running() {
            let _ = refresh.wait().await;
        }
        if self.shared.state().is_unsaved() {
            let _ = self.shared.start_refresh(None).wait().await;
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
    store: StoreAccess<S>,
    endpoint: E,
    clock: Box<dyn Clock>,
    policy: RefreshPolicy,
    /// Never held across an await.
    state: Mutex<TokenState>,
    version_flight: SingleFlight<Result<StoreVersion, StoreError>>,
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
            let deadline = later(refresh.started(), self.policy.max_wait);
            let outcome = match &fallback {
                Some(bearer) => match tokio::time::timeout_at(deadline, refresh.wait()).await {
                    Ok(outcome) => outcome,
                    Err(_) => return Ok(bearer.clone()),
                },
                None => refresh.wait().await,
            };
            match (outcome, fallback) {
                (Some(Ok(bearer)), _) if !replaces(&bearer, rejected) => {}
                // A caller that has sent no request yet can use the other account.
                (Some(Err(AuthError::AccountChanged)), _) if rejected.is_none() => {}
                // The refresh has failed, perhaps for a caller whose token was rejected; this one's is still valid.
                (Some(Err(AuthError::Store(_) | AuthError::Temporary { .. })) | None, Some(bearer)) => {
                    return Ok(bearer);
                }
                (Some(outcome), _) => return outcome,
                (None, None) => return self.outcome(rejected),
            }
        }
        Err(self.temporary("the refresh ended unexpectedly"))
    }

    /// Returns the next step, after reading the store if it has changed. Concurrent callers share one read.
    async fn step_from_store(self: &Arc<Self>, rejected: Option<&Bearer>) -> Result<NextStep, AuthError> {
        let seen = match self.version(rejected).await {
            Ok(seen) => seen,
            Err(outcome) => return outcome.map(NextStep::Serve),
        };
        let step = self.step(Some(seen), rejected);
        let NextStep::Read = step else { return Ok(step) };
        let shared = Arc::clone(self);
        let read = self.read_flight.join(|| async move { shared.reread().await });
        match self.answer(read, rejected).await {
            Ok(()) => Ok(self.step(None, rejected)),
            Err(outcome) => outcome.map(NextStep::Serve),
        }
    }

    /// Returns the store's version, or the caller's outcome if the store does not answer. Concurrent callers share one
    /// call, except if the store has the version at hand: this is done before every request.
    async fn version(self: &Arc<Self>, rejected: Option<&Bearer>) -> Result<StoreVersion, Outcome> {
        if let Some(asked) = self.version_flight.running() {
            return self.answer(asked, rejected).await;
        }
        let rest = match self.store.ask_version() {
            ControlFlow::Break(Ok(version)) => return Ok(version),
            ControlFlow::Break(Err(error)) => return Err(self.without_store(rejected, error)),
            ControlFlow::Continue(rest) => rest,
        };
        let shared = Arc::clone(self);
        let asked = self.version_flight.join(|| async move {
            let version = rest.await;
            if version.is_err() {
                shared.state().forget_version();
            }
            version
        });
        self.answer(asked, rejected).await
    }

    /// Waits for the store's answer to a call. `Err` is the caller's outcome without one: the bearer in memory if it
    /// can still be sent, which waits only for so long.
    async fn answer<T: Clone>(
        &self,
        call: InFlight<Result<T, StoreError>>,
        rejected: Option<&Bearer>,
    ) -> Result<T, Outcome> {
        let usable = self.state().usable(rejected, self.moment(), &self.policy);
        // Counted from the start of the call, so a hanging one delays only its first callers.
        let deadline = later(call.started(), self.policy.max_wait);
        let answer = match usable {
            Some(bearer) => match tokio::time::timeout_at(deadline, call.wait()).await {
                Ok(answer) => answer,
                Err(_) => return Err(Ok(bearer)),
            },
            None => call.wait().await,
        };
        answer.unwrap_or_else(|| Err(self.store.panicked())).map_err(|error| self.without_store(rejected, error))
    }

    fn start_refresh(self: &Arc<Self>, rejected: Option<Bearer>) -> InFlight<Outcome> {
        let shared = Arc::clone(self);
        self.refresh_flight.join(|| async move { shared.renew(rejected.as_ref()).await })
    }

    /// Acquires the lock, reads the store again, and decides with the tokens just read. Runs detached, one at a time.
    async fn renew(self: &Arc<Self>, rejected: Option<&Bearer>) -> Outcome {
        let account_id = self.state().account_id();
        let lock = match self.store.lock().await {
            Ok(lock) => lock,
            Err(error) => return self.without_store(rejected, error),
        };
        if let Err(error) = self.reread().await {
            return self.without_store(rejected, error);
        }
        if differ(&account_id, &self.state().account_id()) {
            return Err(AuthError::AccountChanged);
        }
        self.save_again(&lock).await;
        match self.step(None, rejected) {
            NextStep::Serve(bearer) => Ok(bearer),
            NextStep::Fail(error) => Err(error),
            NextStep::Read => Err(self.temporary("the store keeps changing")),
            NextStep::Refresh { tokens, reason, .. } => self.refresh(&lock, tokens, reason, rejected).await,
        }
    }

    /// Sends the refresh token. The lock is held, and `tokens` were read under it.
    async fn refresh(
        self: &Arc<Self>,
        lock: &Arc<S::Lock>,
        tokens: Tokens,
        reason: RefreshReason,
        rejected: Option<&Bearer>,
    ) -> Outcome {
        let Some(refresh_token) = tokens.refresh_token.clone() else {
            return self.outcome(rejected);
        };
        let (probed, has_answered) = match self.store.probe(lock).await {
            Ok(probed) => (probed, true),
            Err(error) => (Err(error), false),
        };
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
            if !has_answered {
                // It might not return from saving, either.
                return self.without_store(rejected, error);
            }
            tracing::warn!(%error, "the next tokens will be in memory only");
        }
        if reason == RefreshReason::Rejected {
            self.state().count_rejection(self.moment());
        }
        tracing::info!(%reason, "refreshing the access token");
        match self.send(refresh_token.clone(), reason).await {
            Ok(response) => self.store_and_publish(lock, &tokens, response, rejected).await,
            Err(error @ EndpointError::Refused { .. }) => {
                // A program without locks may have been faster; then its tokens are in the store.
                if self.read_if_changed().await == Ok(true) {
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
    async fn send(
        self: &Arc<Self>,
        refresh_token: Secret,
        reason: RefreshReason,
    ) -> Result<TokenResponse, EndpointError> {
        let shared = Arc::clone(self);
        let sent = tokio::spawn(async move { shared.endpoint.refresh(&refresh_token, reason).await });
        sent.await.unwrap_or_else(|_| Err(EndpointError::Interrupted("the HTTP client panicked".to_owned())))
    }

    /// Stores the new tokens durably, then publishes them. Until then this is the only copy of the refresh token.
    async fn store_and_publish(
        &self,
        lock: &Arc<S::Lock>,
        tokens: &Tokens,
        response: TokenResponse,
        rejected: Option<&Bearer>,
    ) -> Outcome {
        let is_complete = response.access_token.is_some();
        let renewed = tokens.renewed(response, self.moment().wall);
        let saved = self.store.save(lock, renewed.clone()).await;
        self.state().publish(renewed, saved.as_ref().ok().copied(), self.next_save());
        match &saved {
            Ok(_) => tracing::info!("the new tokens are stored"),
            Err(error) => tracing::warn!(
                %error,
                "the new tokens are in memory only; if the program exits before they can be stored, log in again"
            ),
        }
        if !is_complete {
            let message = "the auth server's response contains no access token".to_owned();
            return self.failed(&EndpointError::Unavailable { message, retry_after: None }, rejected);
        }
        self.state().tokens().map(Tokens::bearer).ok_or_else(|| self.temporary("the tokens were removed"))
    }

    /// Tries again to save tokens that are only in memory.
    async fn save_again(&self, lock: &Arc<S::Lock>) {
        let due = {
            let state = self.state();
            state.tokens().filter(|_| state.is_unsaved()).cloned()
        };
        let Some(tokens) = due else { return };
        let saved = self.store.save(lock, tokens).await;
        self.state().note_saved(saved.as_ref().ok().copied(), self.next_save());
        match &saved {
            Ok(_) => tracing::info!("stored the tokens that were in memory only"),
            Err(error) => tracing::debug!(%error, "the tokens are still in memory only"),
        }
    }

    /// Reads the store if it has changed, and returns whether it has.
    async fn read_if_changed(&self) -> Result<bool, StoreError> {
        let version = self.store.version().await?;
        if self.state().read_version() == Some(version) {
            return Ok(false);
        }
        self.reread().await.map(|()| true)
    }

    async fn reread(&self) -> Result<(), StoreError> {
        let store_read = self.state().begin_read();
        let (tokens, version) = self.store.read().await?;
        if self.state().adopt(store_read, tokens, version) {
            tracing::info!("the stored credentials have changed; using the new ones");
        }
        Ok(())
    }

    fn failed(&self, error: &EndpointError, rejected: Option<&Bearer>) -> Outcome {
        let failures = self.state().fail(error, self.moment(), &self.policy);
        if matches!(error, EndpointError::Refused { .. }) {
            let login = self.state().login_command().to_owned();
            tracing::error!(reason = %error, "the login has ended: run `{login}`");
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
        // Only a read clears the error, so the next caller reads the store again.
        state.forget_version();
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
        let wait = self.policy.max_wait;
        match tokio::time::timeout(wait, self.read_if_changed()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                self.state().note_store_error(&error);
            }
            Err(_) => {
                self.state().note_store_error(&self.store.unanswered(wait));
                self.state().forget_version();
            }
        }
        let state = self.state();
        let mut status = LoginStatus::of(state.tokens(), self.store.location().to_owned(), self.moment().wall);
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
        self.state().step(seen, rejected, self.moment(), &self.policy, || self.store.location().to_owned())
    }

    fn temporary(&self, reason: &str) -> AuthError {
        AuthError::Temporary { retry_after: self.policy.backoff, reason: reason.to_owned() }
    }

    fn moment(&self) -> Moment {
        Moment { wall: read_clock(&*self.clock), instant: Instant::now() }
    }

    /// Returns when to try again to save tokens that are only in memory.
    fn next_save(&self) -> Instant {
        later(Instant::now(), self.policy.backoff)
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
