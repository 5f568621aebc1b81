//! The client.

use std::fmt::{self, Display};
use std::sync::Arc;

use codex_auth::{LoginStatus, TokenManager};
use codex_translate::Error;
use codex_translate::chat::ChatRequest;
use codex_translate::dialect::AnyRequest;
use codex_translate::images::ImagesRequest;
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{AnyUpstream, Catalogue, CatalogueSnapshot, ClientIdentity, ModelCache};

use crate::compaction::{Compaction, CompactionTurn};
use crate::images::{self, Images};
use crate::quota::QuotaReport;
use crate::reply::Reply;
use crate::state::ClientState;
use crate::turn::{Turn, TurnContext};

/// A client of the backend for one login. Clones are the same client.
///
/// One value serves all turns. It needs a tokio runtime with time enabled. Nothing runs in the background unless
/// [`Client::keep_fresh`] does.
#[derive(Clone)]
pub struct Client(Arc<ClientState>);

impl Client {
    pub(crate) fn new(state: ClientState) -> Self {
        Self(Arc::new(state))
    }

    pub(crate) fn state(&self) -> &Arc<ClientState> {
        &self.0
    }

    /// Sends a request of the Chat Completions API, and waits until its reply begins.
    ///
    /// Dropping the future or the reply ends the turn at the backend.
    ///
    /// # Errors
    /// The request cannot be translated, there is no usable login, or the backend refused the turn:
    /// [`Error::status_hint`] is the status for a client, and [`Error::to_json`] the body.
    pub async fn chat(&self, request: ChatRequest) -> Result<Reply, Error> {
        self.prepare(request)?.send().await
    }

    /// Sends a request of the Responses API, and waits until its reply begins.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn responses(&self, request: ResponsesRequest) -> Result<Reply, Error> {
        self.prepare(request)?.send().await
    }

    /// Replaces the conversation of `request` with fewer items, which can be the input of its next turn.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn compact(&self, request: ResponsesRequest) -> Result<Compaction, Error> {
        self.prepare_compaction(request, &self.context())?.send().await
    }

    /// Generates or edits images.
    ///
    /// # Errors
    /// As [`Client::chat`].
    pub async fn images(&self, request: ImagesRequest) -> Result<Images, Error> {
        images::draw(&self.0, request).await
    }

    /// Returns the account's models, fetched again if they are out of date; the known ones if the backend cannot be
    /// reached.
    pub async fn models(&self) -> CatalogueSnapshot {
        let state = &*self.0;
        let at_hand = |problem: &dyn Display| {
            tracing::debug!(%problem, "cannot fetch the models; using the previous list");
            state.models.snapshot()
        };
        let bearer = match state.tokens.bearer().await {
            Ok(bearer) => bearer,
            Err(error) => return at_hand(&error),
        };
        match state.route(&bearer).await {
            Ok(route) => state.models.current(&state.upstream, &state.backend(&bearer, &route), &state.timer).await,
            Err(error) => at_hand(&error),
        }
    }

    /// Returns the models at hand, without a request; if they are out of date, [`Self::keep_fresh`] fetches them.
    pub fn models_at_hand(&self) -> Arc<Catalogue> {
        self.0.models.use_cached(&self.0.timer)
    }

    /// Returns the cache of the account's models.
    pub fn model_cache(&self) -> &ModelCache {
        &self.0.models
    }

    /// Translates a request of any dialect for the model that it names. Nothing is sent before [`Turn::send`].
    ///
    /// # Errors
    /// The request asks for something that is not possible: a 400 that names the parameter.
    pub fn prepare(&self, request: impl Into<AnyRequest>) -> Result<Turn, Error> {
        self.prepare_for(request, &self.context())
    }

    /// Translates a request for a caller, options and aliases of its own.
    ///
    /// # Errors
    /// As [`Client::prepare`].
    pub fn prepare_for(&self, request: impl Into<AnyRequest>, context: &TurnContext<'_>) -> Result<Turn, Error> {
        Turn::new(&self.0, request.into(), context)
    }

    /// Translates a request to compact a conversation. Nothing is sent before [`CompactionTurn::send`].
    ///
    /// # Errors
    /// As [`Client::prepare`].
    pub fn prepare_compaction(
        &self,
        request: ResponsesRequest,
        context: &TurnContext<'_>,
    ) -> Result<CompactionTurn, Error> {
        CompactionTurn::new(&self.0, request, context)
    }

    /// Returns the context of turns that have none of their own: one unnamed caller, and the client's options.
    pub fn context(&self) -> TurnContext<'_> {
        TurnContext { caller: None, options: &self.0.options, aliases: &self.0.aliases }
    }

    /// Returns the login's tokens. Clones of the manager share them with the client.
    pub fn tokens(&self) -> &TokenManager {
        &self.0.tokens
    }

    /// Returns the state of the login. Never contacts the auth server.
    pub async fn login_status(&self) -> LoginStatus {
        self.0.tokens.status().await
    }

    /// Returns the connections to the backend, for requests of your own.
    pub fn upstream(&self) -> &AnyUpstream {
        &self.0.upstream
    }

    /// Returns the program that the backend sees.
    pub fn identity(&self) -> &ClientIdentity {
        &self.0.identity
    }

    /// Returns the quota as the last replies report it, without a request.
    pub fn known_quota(&self) -> QuotaReport {
        self.0.known_quota.report()
    }

    /// Keeps an idle client ready: refreshes the login's tokens, fetches the models when they are out of date, and
    /// keeps connections to the backend alive. Never completes: run it for as long as the client is used.
    pub async fn keep_fresh(&self) {
        tokio::select! {
            () = self.0.tokens.keep_fresh() => {}
            () = self.keep_models_fresh() => {}
            () = self.0.sockets.keep_alive() => {}
        }
    }

    /// Waits for a token refresh in progress: it holds the only copy of a rotated token, so call this before the
    /// program exits.
    pub async fn wait_for_refresh(&self) {
        self.0.tokens.wait_for_refresh().await;
    }

    /// Fetches the models now, and again whenever a request has used a list that is out of date, so no request waits
    /// for one. Never completes; part of [`Client::keep_fresh`].
    pub async fn keep_models_fresh(&self) {
        let mut known = None;
        loop {
            let problem = self.models().await.problem;
            // A lasting problem is logged once.
            if let Some(problem) = problem.as_ref().filter(|_| problem != known) {
                tracing::warn!(problem, "cannot fetch the account's models; using the previous list");
            }
            known = problem;
            self.0.models.used_when_expired().await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("tokens", &self.0.tokens).finish_non_exhaustive()
    }
}
