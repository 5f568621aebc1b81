//! Statuses and error codes (`docs/backend.md` §3.6).

use serde_json::{Value, json};

use crate::peer::Peer;

/// The codes of the public API's `ResponseError`, and this backend's own.
const CODES: [&str; 28] = [
    "server_error",
    "rate_limit_exceeded",
    "invalid_prompt",
    "data_residency_mismatch",
    "bio_policy",
    "misalignment_policy_violation",
    "vector_store_timeout",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "invalid_image_mode",
    "image_file_too_large",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
    "cyber_policy",
    "content_policy_violation",
    "inference_hook_denied",
    "invalid_access_program",
    "unsupported_access_program",
    "access_program_not_enabled",
    "model_not_found",
];

#[tokio::test]
async fn statuses_have_the_documented_bodies() {
    let peer = Peer::start().await;
    let cases = [
        ("401", 401, "token_invalidated"),
        ("401=token_expired", 401, "token_expired"),
        ("401=token_revoked", 401, "token_revoked"),
        ("401=detail", 401, "{\"detail\":\"Unauthorized\"}"),
        ("401=scope", 401, "Missing scopes: api.responses.write"),
        ("402", 402, "deactivated_workspace"),
        ("403-json", 403, "invalid_workspace_selected"),
        ("cloudflare", 403, "Just a moment..."),
        ("cloudflare=blocked", 403, "Sorry, you have been blocked"),
        ("cloudflare=unable", 403, ".container{align-items:center;display:flex"),
        ("404", 404, "Model not found"),
        ("404=empty", 404, ""),
        ("422", 422, "{\"detail\":[{\"loc\":"),
        ("429-usage", 429, "usage_limit_reached"),
        ("429-not-included", 429, "usage_not_included"),
        ("429-rate", 429, "rate_limit_exceeded"),
        ("500", 500, "server_error"),
        ("429-quota", 429, "insufficient_quota"),
        ("502", 502, "502: Bad Gateway"),
        ("503", 503, "server_is_overloaded"),
        ("503=slow_down", 503, "slow_down"),
        ("504", 504, "504: Gateway Timeout"),
        ("520", 520, "chatgpt.com | 520"),
        ("524", 524, "chatgpt.com | 524"),
        ("cyber-policy", 400, "cyber_policy"),
        ("capacity", 400, "Selected model is at capacity. Please try a different model."),
        ("context-length", 400, "context_length_exceeded"),
    ];
    for (word, status, wanted) in cases {
        let reply = peer.say(&format!("[sim:{word}] hi")).await;
        assert_eq!(reply.status, status, "{word}");
        assert!(reply.text().contains(wanted), "{word}: {}", reply.text());
    }
    let limited = peer.say("[sim:429-usage] hi").await;
    assert_eq!(limited.header("x-codex-primary-used-percent"), Some("100"));
    assert!(limited.json()["error"]["resets_in_seconds"].as_u64() > Some(0));
    let keys: Vec<String> = limited.json()["error"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["type", "message", "plan_type", "resets_at", "eligible_promo", "resets_in_seconds"]);
    for other in ["429-rate", "429-not-included", "429-quota"] {
        let reply = peer.say(&format!("[sim:{other}] hi")).await;
        assert_eq!(reply.header("x-codex-primary-used-percent"), Some("9"), "{other}");
    }
    let gateway = peer.say("[sim:502] hi").await;
    assert_eq!(
        (gateway.header("server"), gateway.header("content-type")),
        (Some("cloudflare"), Some("text/html; charset=utf-8"))
    );
    assert_eq!(peer.say("[sim:cloudflare] hi").await.header("cf-mitigated"), Some("challenge"));
}

#[tokio::test]
async fn once_applies_only_the_first_time() {
    let peer = Peer::start().await;
    for (word, status) in [("401-once", 401), ("500-once", 500)] {
        let text = format!("[sim:{word}] hi");
        assert_eq!(peer.say(&text).await.status, status);
        assert_eq!(peer.say(&text).await.status, 200);
    }
    assert!(peer.say("[sim:cut-once] hi").await.broken);
    assert!(!peer.say("[sim:cut-once] hi").await.broken);
}

#[tokio::test]
async fn an_unknown_word_is_reported() {
    let peer = Peer::start().await;
    let reply = peer.say("[sim:teapot] hi").await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("teapot"));
}

#[tokio::test]
async fn every_code_is_an_event() {
    let peer = Peer::start().await;
    for code in CODES {
        for word in ["failed", "failed-first"] {
            let failed = peer.say(&format!("[sim:{word}={code}] hi")).await.last();
            assert_eq!(failed["type"], "response.failed", "{code}");
            assert_eq!(failed["response"]["error"]["code"], code);
            assert_has_details(&failed["response"]["error"]);
        }
        for word in ["error", "error-first"] {
            let error = peer.say(&format!("[sim:{word}={code}] hi")).await.last();
            assert_eq!((&error["type"], &error["error"]["code"]), (&json!("error"), &json!(code)));
            assert!((400..600).contains(&error["status"].as_u64().expect("a status")), "{code}");
            assert_has_details(&error["error"]);
        }
    }
}

#[tokio::test]
async fn a_misalignment_is_a_403_or_a_400() {
    let peer = Peer::start().await;
    for (word, status) in [("misalignment", 403), ("misalignment=403", 403), ("misalignment=400", 400)] {
        let reply = peer.say(&format!("[sim:{word}] hi")).await;
        assert_eq!(reply.status, status, "{word}");
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("invalid_request_error"), &json!("misalignment_policy_violation"))
        );
        assert_has_details(error);
    }
    assert_eq!(peer.say("[sim:misalignment=500] hi").await.status, 400);
}

/// Asserts that only a misalignment has details.
fn assert_has_details(error: &Value) {
    let detailed = error["code"] == "misalignment_policy_violation";
    assert_eq!(error["misalignment"]["review_target"].is_string(), detailed, "{error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
}
