//! The tokens of one login.

use std::time::{Duration, SystemTime};

use crate::claims::Claims;
use crate::response::TokenResponse;
use crate::secret::Secret;

/// The tokens of one login, as they are stored.
///
/// [`Tokens::from_json`] and [`Tokens::to_json`] convert between them and the document in which stores hold them.
///
/// ```
/// use codex_auth::{Secret, Tokens};
///
/// let mut tokens = Tokens::new(Secret::new("access"));
/// tokens.refresh_token = Some(Secret::new("single use"));
/// let read = Tokens::from_json(&tokens.to_json())?;
/// assert!(read.access_token.matches(&tokens.access_token));
/// # Ok::<(), codex_auth::ParseTokensError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Authenticates requests to the backend.
    pub access_token: Secret,
    /// Exchanged once for the next pair of tokens. Without it the login ends when the access token expires.
    pub refresh_token: Option<Secret>,
    /// Describes the account (`docs/backend.md §1.9`).
    pub id_token: Option<Secret>,
    /// The account id that was stored with the tokens; [`Tokens::bearer`] falls back to the claims.
    pub account_id: Option<String>,
    /// When the access token expires, by the clock of this machine; [`Tokens::ends_at`] falls back to its claims.
    pub expires_at: Option<SystemTime>,
    /// When the tokens were last issued.
    pub last_refresh: Option<SystemTime>,
    /// The members of the stored document that this version does not know, as a JSON object. [`Tokens::to_json`] writes
    /// them unchanged; what is not a JSON object is left out.
    pub unknown_members: Option<Secret>,
}

impl Tokens {
    /// Creates tokens with only an access token.
    #[must_use]
    pub fn new(access_token: Secret) -> Self {
        Self {
            access_token,
            refresh_token: None,
            id_token: None,
            account_id: None,
            expires_at: None,
            last_refresh: None,
            unknown_members: None,
        }
    }

    /// Returns the tokens of a completed login, or `None` if the response contains no access token.
    #[must_use]
    pub fn issued(response: TokenResponse, now: SystemTime) -> Option<Self> {
        let first = Self::new(response.access_token.clone()?);
        Some(first.renewed(response, now))
    }

    /// Returns these tokens with the values of the response; members that it leaves out keep their value
    /// (`docs/backend.md §1.5`).
    #[must_use]
    pub fn renewed(&self, response: TokenResponse, now: SystemTime) -> Self {
        let mut tokens = self.clone();
        if let Some(access_token) = response.access_token {
            tokens.expires_at = lifetime_end(&access_token, response.expires_in, now);
            tokens.access_token = access_token;
            tokens.last_refresh = Some(now);
        }
        tokens.refresh_token = response.refresh_token.or(tokens.refresh_token);
        tokens.id_token = response.id_token.or(tokens.id_token);
        tokens.account_id = tokens.account_id().map(str::to_owned).or_else(|| tokens.claims().account_id);
        tokens
    }

    /// Returns the claims of the account: each from the id token, else from the access token. Times are the access
    /// token's, because it is the one that requests send.
    #[must_use]
    pub fn claims(&self) -> Claims {
        let access = Claims::from_jwt(&self.access_token).unwrap_or_default();
        let id = self.id_token.as_ref().and_then(Claims::from_jwt).unwrap_or_default();
        Claims {
            expires_at: access.expires_at,
            issued_at: access.issued_at,
            email: id.email.or(access.email),
            plan: id.plan.or(access.plan),
            account_id: id.account_id.or(access.account_id),
            user_id: id.user_id.or(access.user_id),
            fedramp: id.fedramp || access.fedramp,
            workspace_id: id.workspace_id.or(access.workspace_id),
            workspace_label: id.workspace_label.or(access.workspace_label),
            organizations: if id.organizations.is_empty() { access.organizations } else { id.organizations },
        }
    }

    /// Returns the account id that was stored with the tokens.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Returns when the access token expires: [`expires_at`](Self::expires_at) if known, else the time in the token.
    ///
    /// If a token claims to have expired before it was issued, its claim is ignored: the clock of this machine is
    /// wrong.
    #[must_use]
    pub fn ends_at(&self) -> Option<SystemTime> {
        let claimed = || Claims::from_jwt(&self.access_token)?.expires_at;
        let believable = |end: &SystemTime| self.last_refresh.is_none_or(|issued| *end > issued);
        self.expires_at.or_else(|| claimed().filter(believable))
    }

    /// Returns the part of the tokens that a request to the backend needs.
    #[must_use]
    pub fn bearer(&self) -> Bearer {
        let claims = self.claims();
        Bearer {
            token: self.access_token.clone(),
            account_id: self.account_id().map(str::to_owned).or(claims.account_id),
            fedramp: claims.fedramp,
        }
    }
}

/// The access token and account of one request to the backend (`docs/backend.md §2.2`).
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The value after `Bearer ` in the `authorization` header.
    pub token: Secret,
    /// The value of the `chatgpt-account-id` header.
    pub account_id: Option<String>,
    /// Whether the request needs the header `x-openai-fedramp: true`.
    pub fedramp: bool,
}

/// Returns when a token that arrived at `now` expires by the clock of this machine.
///
/// A lifetime (`expires_in`, else `exp - iat`) is preferred to a point in time, because the two clocks may differ by
/// days. An `exp` alone that lies in the past by this clock is ignored: the auth server does not issue expired tokens.
fn lifetime_end(access_token: &Secret, expires_in: Option<Duration>, now: SystemTime) -> Option<SystemTime> {
    let claims = Claims::from_jwt(access_token).unwrap_or_default();
    let issued_for = || claims.expires_at?.duration_since(claims.issued_at?).ok();
    expires_in
        .or_else(issued_for)
        .and_then(|lifetime| now.checked_add(lifetime))
        .or(claims.expires_at)
        .filter(|end| *end > now)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn jwt(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn members_that_the_response_leaves_out_keep_their_value() {
        let mut tokens = Tokens::new("a1".into());
        tokens.refresh_token = Some("r1".into());
        tokens.id_token = Some("i1".into());
        tokens.account_id = Some("acct".into());
        let reply = TokenResponse { access_token: Some("a2".into()), ..TokenResponse::default() };
        let renewed = tokens.renewed(reply, at(50));
        assert_eq!(renewed.access_token.expose(), "a2");
        assert_eq!(renewed.refresh_token.unwrap().expose(), "r1");
        assert_eq!(renewed.id_token.unwrap().expose(), "i1");
        assert_eq!(renewed.account_id.as_deref(), Some("acct"));
        assert_eq!(renewed.last_refresh, Some(at(50)));
    }

    #[test]
    fn the_id_token_takes_precedence_and_the_access_token_fills_gaps() {
        let mut tokens = Tokens::new(jwt(r#"{"exp":2000,"email":"ada@example.com",
            "https://api.openai.com/auth":{"chatgpt_account_id":"from-access"}}"#));
        tokens.id_token = Some(jwt(r#"{"exp":5,"https://api.openai.com/auth":{"chatgpt_account_id":"from-id"}}"#));
        let claims = tokens.claims();
        assert_eq!(claims.account_id.as_deref(), Some("from-id"));
        assert_eq!(claims.email.as_deref(), Some("ada@example.com"));
        assert_eq!(claims.expires_at, Some(at(2000)));
    }

    #[test]
    fn a_response_without_an_access_token_still_replaces_the_refresh_token() {
        let mut tokens = Tokens::new("a1".into());
        tokens.expires_at = Some(at(10));
        let reply = TokenResponse { refresh_token: Some("r2".into()), ..TokenResponse::default() };
        let renewed = tokens.renewed(reply, at(50));
        assert_eq!(renewed.refresh_token.unwrap().expose(), "r2");
        assert_eq!(renewed.access_token.expose(), "a1");
        assert_eq!(renewed.expires_at, Some(at(10)));
        assert_eq!(renewed.last_refresh, None);
    }

    #[test]
    fn the_end_follows_the_local_clock() {
        let token = jwt(r#"{"iat":1000000,"exp":1864000}"#);
        let behind = at(1_000_000) - DAY;
        let ahead = at(1_000_000) + 20 * DAY;
        for now in [behind, at(1_000_000), ahead] {
            assert_eq!(lifetime_end(&token, None, now), Some(now + 10 * DAY));
            assert_eq!(lifetime_end(&token, Some(DAY), now), Some(now + DAY));
        }
    }

    #[test]
    fn an_end_in_the_past_on_arrival_is_ignored() {
        let token = jwt(r#"{"exp":1000}"#);
        assert_eq!(lifetime_end(&token, None, at(2000)), None);
        assert_eq!(lifetime_end(&token, None, at(500)), Some(at(1000)));
        assert_eq!(lifetime_end(&"opaque".into(), None, at(500)), None);
    }

    #[test]
    fn an_end_before_the_issue_is_ignored_later_too() {
        let mut tokens = Tokens::new(jwt(r#"{"exp":1000}"#));
        assert_eq!(tokens.ends_at(), Some(at(1000)));
        tokens.last_refresh = Some(at(2000));
        assert_eq!(tokens.ends_at(), None);
        tokens.expires_at = Some(at(3000));
        assert_eq!(tokens.ends_at(), Some(at(3000)));
    }

    #[test]
    fn the_bearer_falls_back_to_the_claims() {
        let payload = r#"{"https://api.openai.com/auth":{"chatgpt_account_id":"c","chatgpt_account_is_fedramp":true}}"#;
        let mut tokens = Tokens::new(jwt(payload));
        assert_eq!(tokens.bearer().account_id.as_deref(), Some("c"));
        assert!(tokens.bearer().fedramp);
        tokens.account_id = Some("stored".into());
        assert_eq!(tokens.bearer().account_id.as_deref(), Some("stored"));
    }
}
