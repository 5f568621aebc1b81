//! The account's data in a token.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::lenient_json;
use crate::secret::Secret;

/// The claims of a JWT that matter here, read without checking its signature (`docs/backend.md §1.9`).
///
/// They are for display, for request headers and for deciding when to refresh; they authorize nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// When the token expires (`exp`).
    pub expires_at: Option<SystemTime>,
    /// When the token was issued (`iat`).
    pub issued_at: Option<SystemTime>,
    /// The account's e-mail address.
    pub email: Option<String>,
    /// The subscription plan.
    pub plan: Option<Plan>,
    /// The value of the `chatgpt-account-id` header: the workspace that the token is for.
    pub account_id: Option<String>,
    /// The user within the account.
    pub user_id: Option<String>,
    /// Whether requests need the header `x-openai-fedramp: true`.
    pub fedramp: bool,
    /// The workspace, if the token names one.
    pub workspace_id: Option<String>,
    /// The workspace's display name.
    pub workspace_label: Option<String>,
    /// The organizations of the account.
    pub organizations: Vec<Organization>,
}

impl Claims {
    /// Parses the payload of a three-part JWT. A member of an unexpected type counts as absent.
    ///
    /// Returns `None` for any other token: an opaque token has no claims.
    #[must_use]
    pub fn from_jwt(token: &Secret) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        lenient_json::object::<JwtPayload>(&payload).ok().map(Self::from)
    }
}

/// A subscription plan as the auth server spells it; unknown plans are preserved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Plan(String);

impl Plan {
    /// Wraps the auth server's spelling.
    pub fn new(raw: impl Into<String>) -> Self {
        Self(raw.into())
    }

    /// Returns the auth server's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes the plan's display name; an unknown plan appears as the auth server spells it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.as_str() {
            "free" | "free_workspace" => "Free",
            "go" => "Go",
            "plus" => "Plus",
            "pro" => "Pro",
            "prolite" => "Pro Lite",
            "team" => "Team",
            "business" | "self_serve_business_usage_based" => "Business",
            "self_serve_business_prolite" => "Business Pro Lite",
            "enterprise" | "hc" | "ent26" | "enterprise_cbp_automation" | "enterprise_cbp_usage_based" => "Enterprise",
            "edu" | "education" => "Edu",
            other => other,
        })
    }
}

/// An organization that the account belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Organization {
    /// The organization's id.
    #[serde(default, deserialize_with = "lenient_json::member")]
    pub id: Option<String>,
    /// The display name.
    #[serde(default, deserialize_with = "lenient_json::member")]
    pub title: Option<String>,
    /// The account's role in it.
    #[serde(default, deserialize_with = "lenient_json::member")]
    pub role: Option<String>,
    /// Whether it is the default organization.
    #[serde(default, deserialize_with = "lenient_json::member")]
    pub is_default: Option<bool>,
}

#[derive(Deserialize)]
struct JwtPayload {
    #[serde(default, deserialize_with = "lenient_json::time")]
    exp: Option<SystemTime>,
    #[serde(default, deserialize_with = "lenient_json::time")]
    iat: Option<SystemTime>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    email: Option<String>,
    #[serde(default, rename = "https://api.openai.com/profile", deserialize_with = "lenient_json::member")]
    profile: Option<ProfileClaim>,
    #[serde(default, rename = "https://api.openai.com/auth", deserialize_with = "lenient_json::member")]
    auth: Option<AuthClaim>,
}

#[derive(Deserialize)]
struct ProfileClaim {
    #[serde(default, deserialize_with = "lenient_json::member")]
    email: Option<String>,
}

#[derive(Default, Deserialize)]
struct AuthClaim {
    #[serde(default, deserialize_with = "lenient_json::member")]
    chatgpt_account_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    chatgpt_plan_type: Option<Plan>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    chatgpt_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    chatgpt_account_is_fedramp: Option<bool>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    workspace_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    workspace_label: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    organizations: Option<Vec<Organization>>,
}

impl From<JwtPayload> for Claims {
    fn from(payload: JwtPayload) -> Self {
        let auth = payload.auth.unwrap_or_default();
        Self {
            expires_at: payload.exp,
            issued_at: payload.iat,
            email: payload.email.or_else(|| payload.profile.and_then(|profile| profile.email)),
            plan: auth.chatgpt_plan_type,
            account_id: auth.chatgpt_account_id.filter(|id| !id.is_empty()),
            user_id: auth.chatgpt_user_id.or(auth.user_id),
            fedramp: auth.chatgpt_account_is_fedramp.unwrap_or(false),
            workspace_id: auth.workspace_id,
            workspace_label: auth.workspace_label,
            organizations: auth.organizations.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn jwt(payload: &serde_json::Value) -> Secret {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        Secret::new(format!("e30.{payload}.c2ln"))
    }

    fn full() -> serde_json::Value {
        json!({
            "exp": 2000, "iat": 1000, "email": "ada@example.com",
            "https://api.openai.com/profile": {"email": "other@example.com"},
            "https://api.openai.com/auth": {
                "chatgpt_account_id": "acct", "chatgpt_plan_type": "plan_of_2031", "chatgpt_user_id": "user",
                "user_id": "older", "chatgpt_account_is_fedramp": true, "workspace_id": "ws",
                "organizations": [{"id": "org", "title": "Org", "role": "owner", "is_default": true, "new": 1}],
            },
        })
    }

    #[test]
    fn every_claim_is_read() {
        let claims = Claims::from_jwt(&jwt(&full())).unwrap();
        assert_eq!(claims.expires_at, Some(UNIX_EPOCH + Duration::from_secs(2000)));
        assert_eq!(claims.issued_at, Some(UNIX_EPOCH + Duration::from_secs(1000)));
        assert_eq!(claims.email.as_deref(), Some("ada@example.com"));
        assert_eq!(claims.plan.as_ref().map(Plan::as_str), Some("plan_of_2031"));
        assert_eq!(claims.plan.unwrap().to_string(), "plan_of_2031");
        assert_eq!(claims.account_id.as_deref(), Some("acct"));
        assert_eq!(claims.user_id.as_deref(), Some("user"));
        assert!(claims.fedramp);
        assert_eq!(claims.workspace_id.as_deref(), Some("ws"));
        assert_eq!(claims.organizations[0].title.as_deref(), Some("Org"));
    }

    #[test]
    fn a_member_of_the_wrong_type_costs_only_itself() {
        let mut payload = full();
        payload["email"] = json!(7);
        payload["exp"] = json!({});
        payload["https://api.openai.com/auth"]["chatgpt_plan_type"] = json!(["plus"]);
        let claims = Claims::from_jwt(&jwt(&payload)).unwrap();
        assert_eq!(claims.email.as_deref(), Some("other@example.com"));
        assert_eq!(claims.expires_at, None);
        assert_eq!(claims.plan, None);
        assert_eq!(claims.account_id.as_deref(), Some("acct"));
    }

    #[test]
    fn an_opaque_token_has_no_claims() {
        for token in ["", "opaque", "a.b", "a.b.c.d", "a.!!!.c", "a.W10.c"] {
            assert_eq!(Claims::from_jwt(&Secret::new(token)), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_token_panics(token in "[a-zA-Z0-9_.=-]{0,200}") {
            let _ = Claims::from_jwt(&Secret::new(token));
        }
    }
}
