//! The account as the backend reports it outside of any turn: its quota and its workspaces.

use std::time::Duration;

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{
    Backend, Quota, Upstream, UpstreamError, WorkspaceRoute, Workspaces, error_for_status, read_to_end, requests,
};
use http::Request;
use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::client::Client;
use crate::error;
use crate::quota::{QuotaQuery, QuotaReport};
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
        let query = self.queried().await;
        let report = self.state().known_quota.report();
        match &query.failure {
            Some(failure) if report.at.is_none() => Err(failure.clone()),
            failure => Ok(QuotaReport { problem: failure.as_ref().map(ToString::to_string), ..report }),
        }
    }

    /// Returns the backend's own reply about the quota, as the official client reads it (`docs/backend.md §6`), without
    /// the members that identify the user. The backend is queried as by [`Client::quota`].
    ///
    /// # Errors
    /// The backend has not answered yet.
    pub async fn usage_reply(&self) -> Result<Value, Error> {
        let query = self.queried().await;
        match (&query.reply, &query.failure) {
            (Some(reply), _) => Ok(reply.clone()),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => Err(Error::new(ErrorKind::Internal, "the backend's reply about the quota is missing")),
        }
    }

    /// Returns the last query about the quota, after a new one if that is too old.
    async fn queried(&self) -> MutexGuard<'_, QuotaQuery> {
        let mut query = self.state().known_quota.last_query.lock().await;
        if query.is_due(self.state().timer.now()) {
            let answered = tokio::time::timeout(MAX_WAIT, self.ask_for_quota()).await;
            let late = || {
                Error::new(
                    ErrorKind::Timeout,
                    format!("the backend did not report the quota within {} s", MAX_WAIT.as_secs()),
                )
            };
            match answered.unwrap_or_else(|_| Err(late())) {
                Ok(reply) => (query.reply, query.failure) = (Some(reply), None),
                Err(failure) => query.failure = Some(failure),
            }
            query.at = Some(self.state().timer.now());
        }
        query
    }

    async fn ask_for_quota(&self) -> Result<Value, Error> {
        let (quota, reply) = with_bearer(self.state(), |bearer| async move { self.ask_usage(&bearer).await }).await?;
        self.state().known_quota.replace(quota, self.state().timer.now());
        Ok(reply)
    }

    /// Queries the backend for the remaining quota.
    ///
    /// # Errors
    /// The backend does not answer, or refuses the request.
    pub async fn refresh_quota(&self, bearer: &Bearer) -> Result<Quota, Error> {
        let (quota, _) = self.ask_usage(bearer).await?;
        self.state().observe_quota(quota.clone());
        Ok(quota)
    }

    async fn ask_usage(&self, bearer: &Bearer) -> Result<(Quota, Value), Error> {
        let route = self.state().route(bearer).await?;
        let reply = self.ask(requests::usage, bearer, &route).await?;
        let quota = Quota::from_usage(&reply, self.state().timer.now())?;
        Ok((quota, anonymous(&reply)?))
    }

    /// Returns the backend's own reply about the credits that reset a rate-limit window (`docs/backend.md §6`), without
    /// the members that identify the user.
    ///
    /// # Errors
    /// There is no usable login, or the backend does not answer.
    pub async fn reset_credits(&self) -> Result<Value, Error> {
        with_bearer(self.state(), |bearer| async move {
            let route = self.state().route(&bearer).await?;
            anonymous(&self.ask(requests::reset_credits, &bearer, &route).await?)
        })
        .await
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

/// Parses a reply without the members that identify the user: every caller may read it.
fn anonymous(reply: &[u8]) -> Result<Value, Error> {
    let mut reply = serde_json::from_slice(reply)
        .map_err(|_| Error::new(ErrorKind::Server, "the backend's reply is not JSON; try again"))?;
    remove_identity(&mut reply);
    Ok(reply)
}

fn remove_identity(value: &mut Value) {
    let identifies = |key: &str| ["email", "user_id", "account_id"].iter().any(|end| key.ends_with(end));
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !identifies(key));
            members.values_mut().for_each(remove_identity);
        }
        Value::Array(entries) => entries.iter_mut().for_each(remove_identity),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_user_is_not_identified_at_any_depth() {
        let reply = json!({"email": "a@example.com", "user_id": "u", "plan_type": "plus", "account_id": "a",
            "credits": [{"id": "c", "chatgpt_user_id": "u", "profile": {"email": "a@example.com"}}]});
        let expected = json!({"plan_type": "plus", "credits": [{"id": "c", "profile": {}}]});
        assert_eq!(anonymous(reply.to_string().as_bytes()).unwrap(), expected);
        assert_eq!(anonymous(b"<html>").unwrap_err().kind(), ErrorKind::Server);
    }
}
