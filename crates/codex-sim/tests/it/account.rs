//! The account: usage and reset credits; and the tools that the official client runs at the backend.

use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::peer::{Peer, read};

const USAGE: &str = "/backend-api/wham/usage";
const RESET_CREDITS: &str = "/backend-api/wham/rate-limit-reset-credits";
const SEARCH: &str = "/backend-api/codex/alpha/search";

async fn usage(peer: &Peer) -> Value {
    peer.fetch(USAGE).await.json()
}

#[tokio::test]
async fn usage_has_the_members_of_today() {
    let peer = Peer::start().await;
    let usage = usage(&peer).await;
    for member in [
        "user_id",
        "account_id",
        "email",
        "plan_type",
        "rate_limit",
        "code_review_rate_limit",
        "additional_rate_limits",
        "model_usage",
        "credits",
        "spend_control",
        "rate_limit_reached_type",
        "rate_limit_reset_credits",
        "rate_limit_upsell",
        "promo",
    ] {
        assert!(usage.get(member).is_some(), "{member}");
    }
    assert_eq!(usage["account_id"], peer.tokens.account_id.as_str());
    assert_eq!(usage["additional_rate_limits"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_reserve_is_shown_to_clients_that_can_use_it() {
    let peer = Peer::start().await;
    let request = peer.request(Method::GET, USAGE).header("x-openai-codex-luna-reserve", "1").body(Full::default());
    let usage = read(peer.send(request.expect("a request")).await).await.json();
    let reserve = &usage["additional_rate_limits"][1];
    assert_eq!(
        (&reserve["limit_name"], &reserve["metered_feature"]),
        (&json!("gpt-reserve"), &json!("base_model_inference"))
    );
    assert!(reserve["normal_model_slug"].is_string() && reserve["rate_limit"]["allowed"] == true);
}

#[tokio::test]
async fn usage_shows_a_quota_that_a_scenario_used_up_until_the_next_turn() {
    let peer = Peer::start().await;
    for word in ["429-usage", "error-first=usage_limit_reached", "failed=usage_limit_reached"] {
        peer.say(&format!("[sim:{word}] hi")).await;
        let limit = &usage(&peer).await["rate_limit"];
        assert_eq!(
            (&limit["allowed"], &limit["primary_window"]["used_percent"]),
            (&json!(false), &json!(100)),
            "{word}"
        );
        assert_eq!(peer.say("hi").await.status, 200);
        assert_eq!(usage(&peer).await["rate_limit"]["allowed"], true, "{word}");
    }
    peer.say("[sim:429-usage] hi").await;
    peer.sim.control().use_quota(10.0, 20.0);
    assert_eq!(usage(&peer).await["rate_limit"]["primary_window"]["used_percent"], 10);
}

#[tokio::test]
async fn reset_credits_can_be_listed_and_there_are_none() {
    let mut peer = Peer::start().await;
    assert_eq!(peer.fetch(RESET_CREDITS).await.json()["credits"], json!([]));
    let consume = format!("{RESET_CREDITS}/consume");
    assert_eq!(peer.post(&consume, &json!({"redeem_request_id": "r"})).await.json()["code"], "no_credit");
    for body in [json!({}), json!({"redeem_request_id": ""}), json!({"redeem_request_id": 5})] {
        assert_eq!(peer.post(&consume, &body).await.json()["error"]["param"], "redeem_request_id");
    }
    assert_eq!(peer.post(RESET_CREDITS, &json!({})).await.status, 405);
    peer.tokens.access_token.push('x');
    assert_eq!(peer.fetch(RESET_CREDITS).await.status, 401);
    assert_eq!(peer.post(&consume, &json!({})).await.status, 401);
}

#[tokio::test]
async fn a_search_finds_something() {
    let mut peer = Peer::start().await;
    let query = json!({"id": "thread", "model": "gpt-5.5", "commands": {"search_query": [{"q": "weather in Paris"}]}});
    let found = peer.post(SEARCH, &query).await;
    assert_eq!(found.status, 200, "{}", found.text());
    assert!(found.json()["output"].as_str().is_some_and(|output| output.contains("weather in Paris")));
    assert!(found.json()["encrypted_output"].is_string() && found.json()["results"][0]["url"].is_string());
    for (body, param) in [
        (json!({"model": "gpt-5.5"}), "id"),
        (json!({"id": "t"}), "model"),
        (json!({"id": "t", "model": "gpt-4o"}), "model"),
    ] {
        let refused = peer.post(SEARCH, &body).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!(param)));
    }
    let limited = json!({"id": "t", "model": "gpt-5.5", "input": "[sim:429-usage] hi"});
    assert_eq!(peer.post(SEARCH, &limited).await.status, 429);
    assert_eq!(peer.fetch(SEARCH).await.status, 405);
    peer.tokens.access_token.push('x');
    assert_eq!(peer.post(SEARCH, &query).await.status, 401);
}

#[tokio::test]
async fn history_and_notes_are_empty() {
    let peer = Peer::start().await;
    let context = json!({"session_id": "s", "current_agent_name": "/root"});
    let call =
        async |operation: &str, body: Value| peer.post(&format!("/backend-api/codex/alpha/{operation}"), &body).await;
    let listed = call("history/v2/list_items", json!({"context": context})).await;
    assert_eq!(listed.json(), json!({"results": [], "n_returned": 0}));
    assert_eq!(call("notes/v2/thread_hint", json!({"context": context})).await.json(), json!({"text": ""}));
    let written = json!({"path": "a.md", "text": "t", "context": context});
    assert_eq!(call("notes/v2/write_file", written).await.status, 200);
    assert_eq!(call("notes/v2/unknown", json!({"context": context})).await.status, 404);
    for (body, param) in [(json!({}), "context"), (json!({"context": {"session_id": "s"}}), "current_agent_name")] {
        assert_eq!(call("notes/v2/read_file", body).await.json()["error"]["param"], param);
    }
}
