//! The state of the login, as far as it can be found out.

use std::time::Duration;

use codex_auth::{AnyStore, LoginState, LoginStatus, MemoryStore, Plan, TokenStore, Tokens};
use codex_translate::{Error, ErrorKind};
use codex_upstream::{AnyTimer, HttpUpstream, HttpUpstreamConfig, ModelCacheConfig, Quota, Workspace};
use futures_util::future::join;

use crate::commands::CommandError;
use crate::config::Config;
use crate::credentials::LOGIN_COMMAND;

/// How long to wait for the backend: users and scripts wait for this command.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The state of a login.
pub(super) struct LoginReport {
    pub(super) status: LoginStatus,
    pub(super) login_command: String,
    account: AccountReport,
}

/// The account as the backend reports it.
enum AccountReport {
    NotAsked {
        why: &'static str,
    },
    Told {
        quota: Quota,
        /// `None` if it could not be queried.
        workspace: Option<Box<Workspace>>,
    },
    /// The backend rejected the access token.
    Refused,
    Failed(String),
}

impl LoginReport {
    pub(super) async fn of<S: TokenStore>(
        config: &Config,
        store: &S,
        offline: bool,
        clock: &AnyTimer,
    ) -> Result<Self, CommandError> {
        let tokens = store.load().await.map_err(CommandError::other)?;
        let status = LoginStatus::of(tokens.as_ref(), store.location(), clock.now());
        let account = match (&status.state, tokens) {
            _ if offline => AccountReport::NotAsked { why: "--offline" },
            (LoginState::Valid, Some(tokens)) => ask(config, tokens).await?,
            (LoginState::Renewable, _) => {
                AccountReport::NotAsked { why: "the access token has expired; the next request refreshes it" }
            }
            _ => AccountReport::NotAsked { why: "there is no usable login" },
        };
        Ok(Self { status, login_command: store.login_command(), account })
    }

    /// Returns whether requests can be authenticated. A rejected token may have been revoked early; then it is
    /// refreshed.
    pub(super) fn is_usable(&self) -> bool {
        let is_refused = matches!(self.account, AccountReport::Refused);
        self.status.is_usable() && (self.status.renewable || !is_refused)
    }

    /// Returns the plan as the backend reports it, else the one in the tokens.
    pub(super) fn plan(&self) -> Option<Plan> {
        self.reported().and_then(|(quota, _)| quota.plan.clone()).map(Plan::new).or_else(|| self.status.plan.clone())
    }

    /// Returns the workspace's name, from the same sources.
    pub(super) fn workspace(&self) -> Option<&str> {
        let reported = self.reported().and_then(|(_, workspace)| workspace?.name.as_deref());
        reported.or(self.status.workspace.as_deref())
    }

    /// Returns why the quota is unknown, and the next step.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.account {
            AccountReport::Told { .. } => None,
            AccountReport::NotAsked { why } => Some(format!("not queried: {why}")),
            AccountReport::Failed(why) => Some(format!("unknown: {why}")),
            AccountReport::Refused if self.status.renewable => {
                Some("unknown: the backend rejected the access token; the next request refreshes it".to_owned())
            }
            AccountReport::Refused => {
                Some(format!("unknown: the backend rejected the access token; run `{}`", self.login_command))
            }
        }
    }

    pub(super) fn reported(&self) -> Option<(&Quota, Option<&Workspace>)> {
        match &self.account {
            AccountReport::Told { quota, workspace } => Some((quota, workspace.as_deref())),
            AccountReport::NotAsked { .. } | AccountReport::Refused | AccountReport::Failed(_) => None,
        }
    }
}

/// Queries the backend with the tokens as they are: in a store that holds only these, there is nothing to refresh or to
/// lose.
async fn ask(config: &Config, tokens: Tokens) -> Result<AccountReport, CommandError> {
    let upstream = HttpUpstreamConfig { connect_timeout: MAX_WAIT, read_timeout: MAX_WAIT, ..config.http() };
    let upstream = HttpUpstream::new(upstream).map_err(CommandError::other)?;
    let bearer = tokens.bearer();
    let store = AnyStore::new(MemoryStore::with_tokens(tokens).with_login_command(LOGIN_COMMAND));
    let client = config.client_builder(store).upstream(upstream).models(ModelCacheConfig::default());
    let client = client.build().map_err(CommandError::other)?;
    let asked = join(client.refresh_quota(&bearer), client.workspaces(&bearer));
    let Ok((quota, workspaces)) = tokio::time::timeout(MAX_WAIT, asked).await else {
        return Ok(AccountReport::Failed(format!("the backend did not answer within {} s", MAX_WAIT.as_secs())));
    };
    let workspace = |id: &str| workspaces.ok()?.find(id).cloned().map(Box::new);
    Ok(match quota {
        Ok(quota) => AccountReport::Told { quota, workspace: bearer.account_id.as_deref().and_then(workspace) },
        Err(error) => AccountReport::of_error(&error),
    })
}

impl AccountReport {
    fn of_error(error: &Error) -> Self {
        if error.kind() == ErrorKind::Authentication { Self::Refused } else { Self::Failed(error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use codex_auth::Secret;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_never_answers_is_abandoned() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/backend-api", silent.local_addr().unwrap());
        let config = Config::builder().upstream_url(url).build().unwrap();
        let AccountReport::Failed(why) = ask(&config, Tokens::new(Secret::new("t"))).await.unwrap() else {
            panic!("the backend answered");
        };
        assert!(!why.is_empty());
    }
}
