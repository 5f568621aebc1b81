//! Backend failures as clients see them, before the first byte and after it.

use codex_sim::{Outcome, RecordedRequest, SimConfig};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Harness, ask, ask_streaming, read_until};

/// A stream and a unary reply alike: no byte is out yet, so both get the status.
async fn check(scenario: &str, status: u16, kind: &str, code: Value) -> Vec<crate::support::Reply> {
    let mut replies = Vec::new();
    for body in [ask(&format!("[sim:{scenario}]")), ask_streaming(&format!("[sim:{scenario}]"))] {
        let proxy = Harness::start().await;
        let reply = proxy.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.status, status, "{scenario}: {}", reply.text);
        let error = &reply.json()["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code), "{scenario}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty() && !message.contains('<')));
        replies.push(reply);
    }
    replies
}

#[tokio::test]
async fn a_usage_limit_is_a_429_that_forbids_retries() {
    for reply in check("429-usage", 429, "rate_limit_error", json!("usage_limit_reached")).await {
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
}

#[tokio::test]
async fn the_official_client_gets_a_usage_limit_as_the_backend_words_it() {
    let proxy = Harness::start().await;
    let body = json!({"model": "gpt-5.1", "input": "[sim:429-usage]"}).to_string();
    let reply = proxy.send(Method::POST, "/v1/responses", &[("originator", "codex_exec")], body).await;
    let error = &reply.json()["error"];
    assert!(reply.status == 429 && error["type"] == "usage_limit_reached", "{error}");
}

#[tokio::test]
async fn a_usage_limit_is_not_retried() {
    let proxy = Harness::start().await;
    proxy.post("/v1/chat/completions", &ask("[sim:429-usage]")).await;
    assert_eq!(proxy.turns().len(), 1);
}

#[tokio::test]
async fn an_exhausted_retry_forbids_sdk_retries() {
    for scenario in ["503", "cloudflare"] {
        let proxy = Harness::start().await;
        let reply = proxy.post("/v1/chat/completions", &ask(&format!("[sim:{scenario}]"))).await;
        assert_eq!(reply.header("x-should-retry"), Some("false"), "{scenario}");
        assert!(proxy.turns().len() > 1, "{scenario}");
    }
    // Once a reply has begun, the program does not retry, but an SDK may.
    for reply in check("cut=1", 502, "server_error", json!("stream_truncated")).await {
        assert_eq!(reply.header("x-should-retry"), None);
    }
}

#[tokio::test]
async fn a_full_context_has_the_words_that_clients_match() {
    for scenario in ["failed=context_length_exceeded", "context-length"] {
        for reply in check(scenario, 400, "invalid_request_error", json!("context_length_exceeded")).await {
            assert!(reply.text.contains("This model's maximum context length is"), "{}", reply.text);
        }
    }
}

#[tokio::test]
async fn failures_inside_a_200_become_statuses() {
    check("failed=insufficient_quota", 429, "insufficient_quota", json!("insufficient_quota")).await;
    check("overloaded", 503, "server_error", json!("server_is_overloaded")).await;
    check("failed=cyber_policy", 400, "invalid_request_error", json!("cyber_policy")).await;
    for reply in check("failed=rate_limit_exceeded", 429, "rate_limit_error", json!("rate_limit_exceeded")).await {
        assert!(reply.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn statuses_are_mapped() {
    check("cloudflare", 502, "server_error", json!("cloudflare_challenge")).await;
    check("403-json", 403, "permission_error", json!("invalid_workspace_selected")).await;
    check("402", 403, "permission_error", json!("deactivated_workspace")).await;
}

#[tokio::test]
async fn an_unknown_model_is_a_404() {
    let proxy = Harness::start().await;
    let mut body = ask("hi");
    body["model"] = json!("gpt-nonexistent");
    let reply = proxy.post("/v1/chat/completions", &body).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status.as_u16(), &error["code"]), (404, &json!("model_not_found")), "{error}");
    assert_eq!(error["param"], "model");
}

#[tokio::test]
async fn a_broken_stream_ends_with_an_error_and_without_a_finish() {
    for scenario in ["cut", "no-terminal"] {
        let proxy = Harness::start().await;
        let reply = proxy.post("/v1/chat/completions", &ask_streaming(&format!("[sim:{scenario}]"))).await;
        let events = reply.events();
        assert!(events.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()), "{scenario}");
        let error = &events[events.len() - 2]["error"];
        assert_eq!(error["code"], "stream_truncated", "{scenario}: {error}");
        assert_eq!(events.last(), Some(&json!("[DONE]")), "{scenario}");

        let whole = proxy.post("/v1/chat/completions", &ask(&format!("[sim:{scenario}]"))).await;
        assert_eq!(whole.status, 502, "{scenario}: {}", whole.text);
    }
}

#[tokio::test]
async fn a_truncated_tool_call_never_finishes() {
    let proxy = Harness::start().await;
    let mut body = ask_streaming("[sim:tool][sim:cut]");
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "properties": {"a": {"type": "string"}}, "required": ["a"]}}}]);
    let events = proxy.post("/v1/chat/completions", &body).await.events();
    assert!(events.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    assert!(events[events.len() - 2]["error"].is_object());
}

#[tokio::test]
async fn incomplete_replies_say_why() {
    for (scenario, finish) in [("incomplete-max-tokens", "length"), ("incomplete-content-filter", "content_filter")] {
        let proxy = Harness::start().await;
        let reply = proxy.post("/v1/chat/completions", &ask(&format!("[sim:{scenario}]"))).await.json();
        assert_eq!(reply["choices"][0]["finish_reason"], finish, "{scenario}: {reply}");
    }
}

#[tokio::test]
async fn a_temporary_500_is_retried() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/chat/completions", &ask("[sim:500-once]")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(proxy.turns().len(), 2);
}

#[tokio::test]
async fn an_overload_inside_a_200_is_retried_once_before_the_first_output() {
    for (scenario, status, turns) in [
        ("[sim:overloaded-once]", 200, 2),
        ("[sim:error-first=server_error]", 502, 2),
        ("[sim:overloaded]", 503, 2),
        ("[sim:failed-first=usage_limit_reached]", 429, 1),
        ("[sim:failed=invalid_prompt]", 400, 1),
    ] {
        for body in [ask(scenario), ask_streaming(scenario)] {
            let proxy = Harness::start().await;
            let reply = proxy.post("/v1/chat/completions", &body).await;
            assert_eq!((reply.status.as_u16(), proxy.turns().len()), (status, turns), "{scenario}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn nothing_is_retried_after_the_first_output() {
    let proxy = Harness::start().await;
    let body = ask_streaming("[sim:text=Hello][sim:failed=server_is_overloaded]");
    let events = proxy.post("/v1/chat/completions", &body).await.events();
    assert_eq!(events[events.len() - 2]["error"]["code"], "server_is_overloaded", "{events:?}");
    assert_eq!(proxy.turns().len(), 1);
}

#[tokio::test]
async fn replies_and_errors_report_the_quota() {
    let proxy = Harness::start().await;
    proxy.sim.control().use_quota(27.5, 40.0);
    for (body, status) in [(ask("hi"), 200), (ask_streaming("hi"), 200), (ask("[sim:429-usage]"), 429)] {
        let reply = proxy.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.status, status);
        for name in ["x-codex-primary-used-percent", "x-codex-primary-reset-at", "x-ratelimit-remaining-requests"] {
            assert!(reply.header(name).is_some(), "{status}: {name} in {:?}", reply.headers);
        }
        if status == 200 {
            let told = ["x-codex-primary-used-percent", "x-codex-plan-type", "x-ratelimit-remaining-requests"];
            assert_eq!(told.map(|name| reply.header(name).unwrap()), ["27.5", "plus", "60"]);
        }
    }
}

/// Waits until the simulator has seen the client of its only turn disconnect; the test fails if it never does.
async fn until_left(proxy: &Harness, version: &str) {
    let left = |requests: &[RecordedRequest]| requests.iter().any(|request| request.outcome == Outcome::Disconnected);
    let requests = proxy.sim.requests_until(left).await;
    let turn = requests.iter().find(|request| request.path.ends_with("/codex/responses")).unwrap();
    assert_eq!((turn.version.as_str(), turn.outcome), (version, Outcome::Disconnected));
}

/// Over plain HTTP/1.1 the connection closes, over TLS one stream of HTTP/2.
const WIRES: [(bool, &str); 2] = [(false, "HTTP/1.1"), (true, "HTTP/2.0")];

#[tokio::test]
async fn a_client_that_disconnects_ends_the_turn_at_the_backend() {
    for (tls, version) in WIRES {
        let proxy = Harness::start_with(SimConfig { tls, ..SimConfig::default() }, None).await;
        let body = ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
        let (_, mut stream) = proxy.open(Method::POST, "/v1/chat/completions", &[], body).await;
        read_until(&mut stream, "assistant").await;
        drop(stream);
        until_left(&proxy, version).await;
    }
}

#[tokio::test]
async fn a_client_that_disconnects_before_any_output_ends_the_turn_too() {
    for (tls, version) in WIRES {
        for (scenario, stream) in [("[sim:stall=headers]", true), ("[sim:stall=1]", true), ("[sim:stall]", false)] {
            let proxy = Harness::start_with(SimConfig { tls, ..SimConfig::default() }, None).await;
            let body = if stream { ask_streaming(scenario) } else { ask(scenario) }.to_string();
            let opened = proxy.open(Method::POST, "/v1/chat/completions", &[], body);
            let waits = |requests: &[RecordedRequest]| requests.iter().any(|request| request.waiting);
            let waiting = proxy.sim.requests_until(waits);
            // The client gives up the reply while the backend is silent, before the reply has begun.
            tokio::select! {
                _ = opened => panic!("the reply began before the client disconnected"),
                _ = waiting => {}
            }
            until_left(&proxy, version).await;
        }
    }
}

/// The backend reports the quota in headers, and again in an event that may follow the output (docs/backend.md §3.5).
#[tokio::test]
async fn a_quota_reported_after_the_output_is_in_the_next_reply() {
    for body in [ask("[sim:late-limits=77] hi"), ask_streaming("[sim:late-limits=77] hi")] {
        let proxy = Harness::start().await;
        let reply = proxy.post("/v1/chat/completions", &body).await;
        assert_eq!((reply.status.as_u16(), reply.text.contains("late-limits")), (200, false), "{}", reply.text);
        // A reply without headers of the backend: the quota comes from the earlier reply.
        let refused = proxy.post("/v1/chat/completions", &ask("[sim:502]")).await;
        assert_eq!(refused.header("x-codex-primary-used-percent"), Some("77"), "{:?}", refused.headers);
    }
}
