//! What the backend tells of the account outside of any turn: its quota and its workspaces.

use std::time::SystemTime;

use bytes::Bytes;
use codex_auth::{Bearer, TokenStore};
use codex_translate::{Error, ErrorKind};
use codex_upstream::{
    Backend, Quota, TokioTimer, Upstream, UpstreamError, WorkspaceRoute, Workspaces, error_for_status, read_to_end,
    requests,
};
use http::Request;

use crate::app::App;
use crate::turn::error;

/// The most that is read of a reply.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Builds one of [`requests`].
type Build = fn(&Backend<'_>) -> Result<Request<Bytes>, UpstreamError>;

impl<U: Upstream, S: TokenStore> App<U, S> {
    /// Asks what is left of the plan.
    pub(crate) async fn quota(&self, bearer: &Bearer) -> Result<Quota, Error> {
        let route = self.route(bearer).await.map_err(|error| error::of_route(&error))?;
        let reply = self.ask(requests::usage, bearer, &route).await?;
        let quota = Quota::from_usage(&reply, SystemTime::now())
            .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))?;
        self.observe_quota(quota.clone());
        Ok(quota)
    }

    /// Asks which workspaces the login may choose among.
    pub(crate) async fn workspaces(&self, bearer: &Bearer) -> Result<Workspaces, Error> {
        let reply = self.ask(requests::accounts_check, bearer, self.router.home()).await?;
        Workspaces::parse(&reply).map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))
    }

    /// Asks once: these are questions of somebody who waits, and can ask again.
    async fn ask(&self, build: Build, bearer: &Bearer, route: &WorkspaceRoute) -> Result<Bytes, Error> {
        let request = build(&self.backend(bearer, route)).map_err(|error| error::of_transport(&error))?;
        let answered = self.upstream.send(request).await.map_err(|error| error::of_transport(&error))?;
        let answered = error_for_status(answered, &TokioTimer).await.map_err(|error| error::of_send(&error))?;
        read_to_end(answered.into_body(), MAX_REPLY_BYTES).await.map_err(|error| error::of_transport(&error))
    }
}
