//! What the Codex CLI asks about the account, for its `/status`: `GET /api/codex/…`, or `/backend-api/wham/…` if its
//! `chatgpt_base_url` ends in `/backend-api` (docs/backend.md §2.1).

use codex_translate::{Error, ErrorKind};
use codex_upstream::headers::CHATGPT_ACCOUNT_ID;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::route::CliQuery;

/// Where the CLI would send the requests of a workspace. It requires an https origin, and keeps to its own settings.
const ORIGIN: &str = "https://chatgpt.com";

/// Answers a query of the Codex CLI.
///
/// # Errors
/// The backend does not answer, or the request names no account.
pub(crate) async fn cli_query(app: &App, asked: CliQuery, headers: &HeaderMap) -> Result<Response<ReplyBody>, Error> {
    let body = match asked {
        CliQuery::Workspaces => workspaces(headers)?,
        CliQuery::Usage => app.client.usage_reply().await?,
        CliQuery::ResetCredits => app.client.reset_credits().await?,
    };
    let mut response = reply::json(StatusCode::OK, &body);
    reply::never_cached(response.headers_mut());
    Ok(response)
}

/// Describes the account that the CLI is logged in to, which need not be this program's: without an entry of its own
/// account, the CLI does not start (docs/backend.md §9). Requests go to the workspace of this program's login anyway.
fn workspaces(headers: &HeaderMap) -> Result<Value, Error> {
    let account = headers.get(CHATGPT_ACCOUNT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let account = account.ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "the header `chatgpt-account-id` is missing; log in with the Codex CLI")
    })?;
    Ok(json!({
        "accounts": [{
            "id": account,
            "structure": "personal",
            "is_deactivated": false,
            "can_access_with_session": true,
            "is_fedramp_compliant_workspace": false,
            "workspace_backend_origin": ORIGIN,
            "account_routing_override": "NO_CONSTRAINT",
        }],
        "default_account_id": account,
        "account_ordering": [account],
    }))
}
