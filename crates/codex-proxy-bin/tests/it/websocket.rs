//! Turns over a WebSocket to the backend: clients see no difference; only the requests to the backend differ.

use codex_auth::MemoryStore;
use codex_sim::{Outcome, RecordedRequest, Sim, SimConfig};
use codex_upstream::TransportChoice;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Harness, ask, ask_streaming, read_until, tokens_of};

async fn start(transport: TransportChoice, tls: bool) -> Harness {
    let sim = Sim::start(SimConfig { tls, ..SimConfig::default() }).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    Harness::start_by(transport, sim, store, None).await
}

async fn over_websocket() -> Harness {
    start(TransportChoice::WebSocket, true).await
}

/// Returns the requests for turns by transport: messages on a WebSocket, and requests over HTTP.
fn ways(proxy: &Harness) -> (usize, usize) {
    let count =
        |method| proxy.sim.requests().iter().filter(|request| request.method == method && is_turn(request)).count();
    (count("FRAME"), count("POST"))
}

fn is_turn(request: &RecordedRequest) -> bool {
    request.path.ends_with("/codex/responses")
}

/// Returns a request for a model that prefers WebSockets.
fn newest(text: &str) -> Value {
    let mut body = ask(text);
    body["model"] = "gpt-5.5".into();
    body
}

#[tokio::test]
async fn a_conversation_with_a_tool_is_sent_in_increments() {
    for streaming in [false, true] {
        let proxy = over_websocket().await;
        let mut body = newest("weather? [sim:commentary][sim:tool]");
        body["tools"] = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
            "properties": {"location": {"type": "string"}}, "required": ["location"]}}}]);
        let message = proxy.post("/v1/chat/completions", &body).await.json()["choices"][0]["message"].clone();
        let call = message["tool_calls"][0].clone();
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "18 degrees and rain"});
        body["messages"].as_array_mut().unwrap().extend([message, result]);
        body["messages"][0]["content"] = "weather? [sim:commentary][sim:tool]".into();
        body["stream"] = streaming.into();
        proxy.post("/v1/chat/completions", &body).await;
        let turns = proxy.turns();
        assert_eq!(ways(&proxy), (2, 0));
        assert!(turns[1]["previous_response_id"].as_str().is_some(), "{turns:?}");
        let input = turns[1]["input"].as_array().unwrap();
        assert_eq!((input.len(), &input[0]["call_id"]), (1, &call["id"]), "{input:?}");
    }
}

#[tokio::test]
async fn replies_and_failures_are_those_of_http() {
    for scenario in [
        "",
        "[sim:reasoning]",
        "[sim:429-usage]",
        "[sim:context-length]",
        "[sim:overloaded-once]",
        "[sim:503-once]",
        "[sim:failed=invalid_prompt]",
        "[sim:incomplete-max-tokens]",
        "[sim:402]",
    ] {
        for streaming in [false, true] {
            let mut told = Vec::new();
            for transport in [TransportChoice::Http, TransportChoice::WebSocket] {
                let proxy = start(transport, true).await;
                let mut body = newest(&format!("{scenario} hello"));
                body["stream"] = streaming.into();
                let reply = proxy.post("/v1/chat/completions", &body).await;
                let said = if streaming && reply.status == 200 {
                    reply.streamed_text()
                } else {
                    let json = reply.json();
                    let choice = &json["choices"][0];
                    format!("{} {} {}", choice["message"]["content"], choice["finish_reason"], json["error"]["code"])
                };
                let header = |name| reply.header(name).map(str::to_owned);
                told.push((reply.status, said, header("x-codex-primary-used-percent"), header("x-should-retry")));
            }
            assert_eq!(told[0], told[1], "{scenario} {streaming}");
        }
    }
}

#[tokio::test]
async fn a_reply_that_is_cut_off_is_reported_as_truncated() {
    for scenario in ["cut", "no-terminal"] {
        let proxy = over_websocket().await;
        let events = proxy.post("/v1/chat/completions", &ask_streaming(&format!("[sim:{scenario}]"))).await.events();
        assert!(events.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()), "{scenario}");
        assert_eq!(events[events.len() - 2]["error"]["code"], "stream_truncated", "{scenario}: {events:?}");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_closes_the_connection() {
    for tls in [false, true] {
        let proxy = start(TransportChoice::WebSocket, tls).await;
        let body = ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
        let (_, mut stream) = proxy.open(Method::POST, "/v1/chat/completions", &[], body).await;
        read_until(&mut stream, "assistant").await;
        drop(stream);
        let left = |requests: &[RecordedRequest]| {
            requests.iter().filter(|request| is_turn(request)).all(|turn| turn.outcome == Outcome::Disconnected)
        };
        assert_eq!(proxy.sim.requests_until(left).await.iter().filter(|request| is_turn(request)).count(), 2);
    }
}

#[tokio::test]
async fn a_rejected_token_is_replaced_on_a_new_connection() {
    let proxy = over_websocket().await;
    assert_eq!(proxy.post("/v1/chat/completions", &newest("one")).await.status, 200);
    // On the open connection, and at the upgrade.
    for refreshes in [1, 2] {
        proxy.sim.control().invalidate_access_tokens();
        let text = format!("one more {refreshes}");
        let reply = proxy.post("/v1/chat/completions", &newest(&text)).await;
        assert_eq!((reply.status.as_u16(), proxy.sim.control().refreshes()), (200, refreshes), "{}", reply.text);
    }
}

#[tokio::test]
async fn several_choices_run_at_once() {
    let proxy = over_websocket().await;
    let mut body = newest("hi");
    body["n"] = 3.into();
    let reply = proxy.post("/v1/chat/completions", &body).await.json();
    assert_eq!(reply["choices"].as_array().unwrap().len(), 3, "{reply}");
    assert_eq!(ways(&proxy), (3, 0));
}

#[tokio::test]
async fn auto_uses_http_if_websockets_are_unavailable() {
    for (status, upgrades) in [(426, 1), (404, 1), (403, 1), (503, 1)] {
        let proxy = start(TransportChoice::Auto, true).await;
        proxy.sim.control().refuse_upgrades(Some(status));
        for text in ["one", "two"] {
            let reply = proxy.post("/v1/chat/completions", &newest(text)).await;
            assert_eq!(reply.status, 200, "{status}: {}", reply.text);
        }
        let asked = proxy.sim.requests().iter().filter(|request| request.method == "GET" && is_turn(request)).count();
        // A temporary failure is retried, but not with the next turn.
        let tries = if matches!(status, 403 | 503) { 5 } else { upgrades };
        assert_eq!((ways(&proxy), asked), ((0, 2), tries), "{status}");
    }
}

#[tokio::test]
async fn auto_follows_the_catalogue_and_falls_back_to_http() {
    let proxy = start(TransportChoice::Auto, true).await;
    // The older model does not prefer WebSockets.
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
    assert_eq!(ways(&proxy), (0, 1));
    assert_eq!(proxy.post("/v1/chat/completions", &newest("hi")).await.status, 200);
    assert_eq!(ways(&proxy), (1, 1));
    // The backend closes the WebSocket without a reason; over HTTP it gives the reason.
    assert_eq!(proxy.post("/v1/chat/completions", &newest("[sim:close=1000] hi")).await.status, 200);
    assert_eq!(ways(&proxy), (2, 2));
}

#[tokio::test]
async fn the_websocket_transport_reports_why_it_is_unavailable() {
    let proxy = over_websocket().await;
    proxy.sim.control().refuse_upgrades(Some(426));
    let reply = proxy.post("/v1/chat/completions", &newest("hi")).await;
    let error = &reply.json()["error"];
    let message = error["message"].as_str().unwrap();
    assert_eq!(reply.status, 502, "{error}");
    assert!(message.contains("426") && message.contains("`auto`"), "{message}");
    assert_eq!(ways(&proxy), (0, 0));
}

#[tokio::test]
async fn the_websocket_transport_reports_that_it_was_closed_before_an_answer() {
    let proxy = over_websocket().await;
    for code in [1000, 1008, 1001, 1011] {
        let reply = proxy.post("/v1/chat/completions", &newest(&format!("[sim:close={code}] hi"))).await;
        let error = &reply.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert_eq!(reply.status, 502, "{error}");
        assert!(message.contains(&code.to_string()) && !message.contains("does not accept"), "{message}");
    }
}
