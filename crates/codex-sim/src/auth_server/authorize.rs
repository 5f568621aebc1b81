//! The authorize page: `GET /oauth/authorize` shows it, the form's POST approves or denies (`docs/backend.md` §1.2).

use http::{Response, StatusCode};
use url::Url;

use crate::auth_server::page::{escape, page};
use crate::config::RedirectPorts;
use crate::exchange::inbound::{Fields, Inbound};
use crate::exchange::reply::{self, Body};
use crate::state::SimState;
use crate::state::logins::{CodeBinding, PendingAuthorize};
use crate::tokens::jwt::CLIENT_ID;

/// The scopes a login must request; newer clients request more.
const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Length of an S256 challenge: 32 bytes in unpadded base64url (RFC 7636 §4.2).
const CHALLENGE_LENGTH: usize = 43;

/// Validates the request and shows the page with an Approve and a Deny button.
///
/// A request that fails validation is answered 400 and never redirected, since its `redirect_uri` cannot be trusted.
pub(crate) fn show(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let fields = Fields(inbound.query_pairs());
    let pending = match validate(&fields, &state.config.redirect_ports) {
        Ok(pending) => pending,
        Err(problem) => return error_page(&problem),
    };
    let transaction = state.rng().token(24);
    let body = consent(&fields, &transaction, &state.config.email);
    state.logins().pending.insert(transaction, pending);
    reply::html(StatusCode::OK, page("Sign in to Codex with ChatGPT", &body))
}

/// Applies the form's decision and redirects the browser with a code or with `access_denied` (RFC 6749 §4.1.2).
pub(crate) fn decide(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let Some(fields) = inbound.body.fields() else {
        return error_page("the form is empty");
    };
    let transaction = fields.text("transaction").unwrap_or_default().to_owned();
    let (now, mut rng) = (state.clock.now(), state.rng());
    let mut logins = state.logins();
    let Some(pending) = logins.pending.find(&transaction).cloned() else {
        return error_page("this sign-in is unknown or already completed; start again");
    };
    let Ok(mut target) = Url::parse(&pending.binding.redirect_uri) else {
        return error_page("redirect_uri is not a URL");
    };
    match fields.text("decision") {
        Some("approve") => {
            let code = logins.issue_code(pending.binding, now, &mut rng);
            target.query_pairs_mut().append_pair("code", &code);
        }
        Some("deny") => {
            let denied = [("error", "access_denied"), ("error_description", "The user denied the request")];
            target.query_pairs_mut().extend_pairs(denied);
        }
        Some(_) | None => return error_page("decision must be approve or deny"),
    }
    target.query_pairs_mut().append_pair("state", &pending.state);
    // Sending the form again, e.g. after the browser's back button, gives no second code.
    logins.pending.remove(&transaction);
    reply::redirect(target.as_str())
}

/// Checks every parameter of `docs/backend.md` §1.2; the error names the first invalid one.
fn validate(fields: &Fields, ports: &RedirectPorts) -> Result<PendingAuthorize, String> {
    if let Some((name, _)) = fields.0.iter().find(|(name, _)| fields.count(name) > 1) {
        return Err(format!("{name} is given more than once"));
    }
    exactly(fields, "response_type", "code")?;
    exactly(fields, "client_id", CLIENT_ID)?;
    let redirect_uri = redirect_uri(fields, ports)?;
    scope(fields)?;
    let challenge = challenge(fields)?;
    exactly(fields, "code_challenge_method", "S256")?;
    exactly(fields, "id_token_add_organizations", "true")?;
    exactly(fields, "codex_cli_simplified_flow", "true")?;
    required(fields, "originator")?;
    let state = required(fields, "state")?.to_owned();
    Ok(PendingAuthorize { binding: CodeBinding { redirect_uri, challenge }, state })
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, String> {
    fields.text(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is missing"))
}

fn exactly(fields: &Fields, name: &str, wanted: &str) -> Result<(), String> {
    let given = required(fields, name)?;
    if given == wanted { Ok(()) } else { Err(format!("{name} must be {wanted}, not {given}")) }
}

/// §1.3: compared as text with the registered URLs (RFC 6749 §3.1.2.3): another spelling of the same URL does not
/// match.
fn redirect_uri(fields: &Fields, ports: &RedirectPorts) -> Result<String, String> {
    let given = required(fields, "redirect_uri")?;
    let port = Url::parse(given).ok().and_then(|url| url.port()).filter(|port| ports.allow(*port));
    let registered = |host: &&str| port.is_some_and(|port| given == format!("http://{host}:{port}/auth/callback"));
    if ["localhost", "127.0.0.1"].iter().any(registered) {
        Ok(given.to_owned())
    } else {
        Err(format!("redirect_uri is not registered for this client: {given}"))
    }
}

fn scope(fields: &Fields) -> Result<(), String> {
    let given = required(fields, "scope")?;
    let asked: Vec<&str> = given.split(' ').collect();
    let missing = SCOPES.iter().find(|scope| !asked.contains(scope));
    missing.map_or(Ok(()), |scope| Err(format!("scope does not contain {scope}")))
}

fn challenge(fields: &Fields) -> Result<String, String> {
    let given = required(fields, "code_challenge")?;
    let base64url = given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if given.len() == CHALLENGE_LENGTH && base64url {
        Ok(given.to_owned())
    } else {
        Err("code_challenge is not the unpadded base64url of a SHA-256".to_owned())
    }
}

fn consent(fields: &Fields, transaction: &str, email: &str) -> String {
    let shown = |name| escape(fields.text(name).unwrap_or_default());
    format!(
        "<p>This is a simulated sign-in page: no real account is involved.</p>\n<dl>\n\
         <dt>Account</dt><dd>{email}</dd>\n<dt>Application</dt><dd>{originator}</dd>\n\
         <dt>Permissions</dt><dd>{scope}</dd>\n<dt>Returns to</dt><dd>{redirect}</dd>\n</dl>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n\
         <input type=\"hidden\" name=\"transaction\" value=\"{transaction}\">\n\
         <button type=\"submit\" name=\"decision\" value=\"approve\" id=\"approve\">Approve</button>\n\
         <button type=\"submit\" name=\"decision\" value=\"deny\" id=\"deny\">Deny</button>\n</form>",
        email = escape(email),
        originator = shown("originator"),
        scope = shown("scope"),
        redirect = shown("redirect_uri"),
        transaction = escape(transaction),
    )
}

fn error_page(problem: &str) -> Response<Body> {
    let body = format!("<p id=\"error\">{}</p>", escape(problem));
    reply::html(StatusCode::BAD_REQUEST, page("Authentication error", &body))
}
