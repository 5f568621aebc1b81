//! The account as the backend reports it outside of any turn: its quota and its workspaces.

use std::time::Duration;

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{
    Backend, Quota, Upstream, UpstreamError, WorkspaceRoute, Workspaces, error_for_status, read_to_end, requests,
};
use http::Request;

use crate::client::Client;
use crate::error;
use crate::quota::QuotaReport;
use crate::send::with_bearer;

/// The maximum size of a reply.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// How long the backend may take to report the quota.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Builds one of [`requests`].
type BuildRequest = fn(&Backend<'_>) -> Result<Request<Bytes>, UpstreamError>;

impl Client {
    /// Returns the remaining quota. Queries the backend unless it has answered within the last minute; if it does not
    /// answer, returns the last known quota with its age and the reason.
    ///
    /// # Errors
    /// No quota is known, and the backend does not answer.
    pub async fn quota(&self) -> Result<QuotaReport, Error> {
        let mut query = self.state().known_quota.last_query.lock().await;
        if query.is_due(self.state().timer.now()) {
            let answered = tokio::time::timeout(MAX_WAIT, self.ask_for_quota()).await;
            let late = || {
                Error::new(
                    ErrorKind::Timeout,
                    format!("the backend did not report the quota within {} s", MAX_WAIT.as_secs()),
                )
            };
            query.failure = answered.unwrap_or_else(|_| Err(late())).err();
            query.at = Some(self.state().timer.now());
        }
        let report = self.state().known_quota.report();
        match &query.failure {
            Some(failure) if report.at.is_none() => Err(failure.clone()),
            failure => Ok(QuotaReport { problem: failure.as_ref().map(ToString::to_string), ..report }),
        }
    }

    async fn ask_for_quota(&self) -> Result<(), Error> {
        let quota = with_bearer(self.state(), |bearer| async move { self.refresh_quota(&bearer).await }).await?;
        self.state().known_quota.replace(quota, self.state().timer.now());
        Ok(())
    }

    /// Queries the backend for the remaining quota.
    ///
    /// # Errors
    /// The backend does not answer, or refuses the request.
    pub async fn refresh_quota(&self, bearer: &Bearer) -> Result<Quota, Error> {
        let route = self.state().route(bearer).await?;
        let reply = self.ask(requests::usage, bearer, &route).await?;
        let quota = Quota::from_usage(&reply, self.state().timer.now())?;
        self.state().observe_quota(quota.clone());
        Ok(quota)
    }

    /// Lists the workspaces that the login can choose among.
    ///
    /// # Errors
    /// The backend does not answer, or refuses the request.
    pub async fn workspaces(&self, bearer: &Bearer) -> Result<Workspaces, Error> {
        let reply = self.ask(requests::accounts_check, bearer, self.state().router.home()).await?;
        Ok(Workspaces::parse(&reply)?)
    }

    /// Sends one request without retries: a user waits for it, and can try again.
    async fn ask(&self, build: BuildRequest, bearer: &Bearer, route: &WorkspaceRoute) -> Result<Bytes, Error> {
        let request = build(&self.state().backend(bearer, route))?;
        let answered = self.state().upstream.send(request).await?;
        let answered = error_for_status(answered, &self.state().timer).await;
        let answered =
            answered.map_err(|error| error::from_fault(error.into(), &self.state().tokens.login_command()))?;
        Ok(read_to_end(answered.into_body(), MAX_REPLY_BYTES).await?)
    }
}
