//! Tokens in JWT form with the claims of `docs/backend.md` §1.9. The signature is random: clients do not check it,
//! and the simulator looks tokens up by value.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::clock::unix_secs;
use crate::ids::Rng;
use crate::tokens::grant::Grant;

/// The only registered client (`docs/backend.md` §1.1).
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Returns an access token of `grant`, valid for its lifetime from `now`.
pub(crate) fn access_token(grant: &Grant, issuer: &str, now: SystemTime, rng: &mut Rng) -> String {
    let claims = json!({
        "aud": ["https://api.openai.com/v1"],
        "client_id": CLIENT_ID,
        "exp": unix_secs(now + grant.lifetime),
        "https://api.openai.com/auth": auth_claims(grant),
        "https://api.openai.com/profile": {"email": grant.email, "email_verified": true},
        "iat": unix_secs(now),
        "iss": issuer,
        "jti": rng.uuid(),
        "nbf": unix_secs(now),
        "scp": ["openid", "profile", "email", "offline_access"],
        "session_id": format!("authsess_{}", grant.id),
        "sub": grant.user_id(),
    });
    encode(&claims, rng)
}

/// Returns an id token of `grant`, valid for one hour: clients read it once.
pub(crate) fn id_token(grant: &Grant, issuer: &str, now: SystemTime, rng: &mut Rng) -> String {
    let claims = json!({
        "at_hash": rng.token(16),
        "aud": [CLIENT_ID],
        "auth_provider": "password",
        "auth_time": unix_secs(now),
        "email": grant.email,
        "email_verified": true,
        "exp": unix_secs(now + Duration::from_secs(3600)),
        "https://api.openai.com/auth": auth_claims(grant),
        "iat": unix_secs(now),
        "iss": issuer,
        "jti": rng.uuid(),
        "rat": unix_secs(now),
        "sid": rng.uuid(),
        "sub": grant.user_id(),
    });
    encode(&claims, rng)
}

fn auth_claims(grant: &Grant) -> Value {
    json!({
        "chatgpt_account_id": grant.account_id,
        "chatgpt_account_is_fedramp": grant.fedramp,
        "chatgpt_account_user_id": format!("{}__{}", grant.user_id(), grant.account_id),
        "chatgpt_plan_type": grant.plan_type,
        "chatgpt_user_id": grant.user_id(),
        "groups": [],
        "organizations": [{"id": "org-simulated", "is_default": true, "role": "owner", "title": "Personal"}],
        "user_id": grant.user_id(),
    })
}

fn encode(claims: &Value, rng: &mut Rng) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "RS256", "kid": "codex-sim", "typ": "JWT"});
    format!("{}.{}.{}", part(&header), part(claims), rng.token(32))
}
