//! The WebSocket transport: the handshake, turns on one connection, and how it ends.

use std::time::Duration;

use bytes::Bytes;
use codex_sim::{Outcome, RecordedRequest};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{Peer, read, weather_tool};
use crate::socket::{BETA, Ended, Socket, create, frames, id, upgrade};

#[tokio::test]
async fn metadata_events_come_before_the_response() {
    let peer = Peer::start().await;
    let events = Socket::open(&peer).await.ask(&create("hi", json!({}))).await;
    let kinds: Vec<_> = events.iter().take(4).map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["codex.response.metadata", "codex.rate_limits", "response.metadata", "response.created"]);
    assert_eq!(events[2]["headers"]["OpenAI-Model"], "gpt-5.5");
    let recorded = &frames(&peer)[0];
    assert_eq!((recorded.status, recorded.outcome), (Some(200), Outcome::Completed));
    assert_eq!(recorded.header("openai-beta"), Some(BETA.1));
    assert_eq!(recorded.body.as_ref().expect("a body")["type"], "response.create");
}

#[tokio::test]
async fn a_request_continues_only_the_last_response_of_its_connection() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let warm = socket.ask(&create("nothing yet", json!({"generate": false}))).await;
    assert!(warm.iter().all(|event| event["type"] != "response.output_item.added"));
    // An empty input, as in the Lite shape; a turn needs an input.
    let warm = {
        let nothing = |generate| create("", json!({"generate": generate, "input": []}));
        assert_eq!(socket.ask(&nothing(true)).await[0]["error"]["param"], "input");
        assert_eq!(warm.last().expect("an event")["type"], "response.completed");
        socket.ask(&nothing(false)).await
    };
    let ask = json!({"previous_response_id": id(&warm), "tools": [weather_tool()]});
    let called = socket.ask(&create("[sim:tool-once] weather?", ask)).await;
    let done = called.iter().find(|event| event["item"]["arguments"].is_string()).expect("a call");
    let output = json!([{"type": "function_call_output", "call_id": done["item"]["call_id"], "output": "sunny"}]);
    // The call is known from the response.
    let next = create("", json!({"input": output, "previous_response_id": id(&called), "tools": [weather_tool()]}));
    let answered = socket.ask(&next).await;
    assert_eq!(answered.last().expect("an event")["type"], "response.completed", "{answered:?}");

    // An earlier response, one of another connection, and a forgotten one.
    let mut other = Socket::open(&peer).await;
    for (socket, previous) in [(&mut socket, id(&warm)), (&mut other, id(&answered))] {
        let refused = socket.ask(&create("hi", json!({"previous_response_id": previous}))).await;
        assert_eq!(
            (&refused[0]["error"]["code"], &refused[0]["status"]),
            (&json!("previous_response_not_found"), &json!(400))
        );
    }
    let last = socket.ask(&create("hi", json!({}))).await;
    peer.sim.control().forget_responses();
    let refused = socket.ask(&create("hi", json!({"previous_response_id": id(&last)}))).await;
    assert_eq!(
        refused[0]["error"]["message"],
        format!("Previous response with id '{}' not found.", id(&last).as_str().expect("an id"))
    );
}

#[tokio::test]
async fn a_warm_up_has_the_members_of_a_response_and_is_remembered() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    // As the official client warms up in the Lite shape.
    let lite = json!({
        "model": "gpt-6.1-sol", "input": [], "generate": false, "parallel_tool_calls": false,
        "client_metadata": {"ws_request_header_x_openai_internal_codex_responses_lite": "true"},
    });
    let mut warm_up = create("", lite);
    warm_up.as_object_mut().expect("an object").remove("instructions");
    let warm = socket.ask(&warm_up).await;
    let response = warm.last().expect("an event")["response"].as_object().expect("a response");
    for (member, value) in [
        ("object", json!("response")),
        ("status", json!("completed")),
        ("model", json!("gpt-6.1-sol")),
        ("output", json!([])),
        ("error", json!(null)),
        ("incomplete_details", json!(null)),
        ("instructions", json!(null)),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(false)),
        ("tools", json!([])),
        ("tool_choice", json!("auto")),
        ("temperature", json!(1.0)),
        ("top_p", json!(1.0)),
    ] {
        assert_eq!(response.get(member), Some(&value), "{member}");
    }
    assert!(response["created_at"].is_u64());
    assert_eq!(response["usage"]["output_tokens"], 0);
    let next = json!({"model": "gpt-6.1-sol", "previous_response_id": response["id"]});
    assert_eq!(socket.ask(&create("hi", next)).await.last().expect("an event")["type"], "response.completed");
}

#[tokio::test]
async fn a_message_is_checked_like_a_request() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let rows = [
        (create("hi", json!({"store": true})), "Store must be set to false"),
        (create("hi", json!({"stream": false})), "Stream must be set to true"),
        (create("hi", json!({"temperature": 1})), "Unsupported parameter: temperature"),
        (create("hi", json!({"background": true})), "Unsupported parameter: background"),
        (create("hi", json!({"service_tier": "flex"})), "Unsupported service_tier: flex"),
        (create("hi", json!({"input": "hi"})), "Input must be a list"),
        (create("hi", json!({"type": "response.cancel"})), "Expected a message of type response.create."),
        (json!([]), "Request body must be a JSON object"),
    ];
    for (message, expected) in rows {
        let refused = socket.ask(&message).await;
        assert_eq!(
            (&refused[0]["error"]["message"], &refused[0]["error"]["type"]),
            (&json!(expected), &json!("invalid_request_error"))
        );
    }
    // Keys that HTTP requires may be left out.
    let mut short = create("hi", json!({"background": false}));
    short.as_object_mut().expect("an object").retain(|key, _| key != "store" && key != "stream");
    assert_eq!(socket.ask(&short).await.last().expect("an event")["type"], "response.completed");
    let lite = json!({"model": "gpt-6.1-sol", "client_metadata": {"ws_request_header_x_openai_internal_codex_responses_lite": "true"}});
    let refused = socket.ask(&create("hi", lite)).await;
    assert!(
        refused[0]["error"]["message"]
            .as_str()
            .expect("a message")
            .contains("requires `parallel_tool_calls` to be false")
    );
}

#[tokio::test]
async fn an_exhausted_quota_has_its_headers_and_an_invalid_token_is_a_401() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let limit = &socket.ask(&create("[sim:429-usage] hi", json!({}))).await[0];
    assert_eq!((&limit["status_code"], &limit["error"]["type"]), (&json!(429), &json!("usage_limit_reached")));
    assert_eq!(limit["headers"]["X-Codex-Primary-Used-Percent"], "100");
    assert_eq!(frames(&peer)[0].status, Some(429));
    peer.sim.control().invalidate_access_tokens();
    let refused = &socket.ask(&create("hi", json!({}))).await[0];
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!(401), &json!("token_invalidated")));
}

#[tokio::test]
async fn connections_end_with_the_documented_codes() {
    let peer = Peer::start().await;
    let rows = [
        ("[sim:cut] hi", Ended::Broken, Outcome::Cut),
        ("[sim:no-terminal] hi", Ended::Closed(1000), Outcome::Completed),
        ("[sim:no-events] hi", Ended::Closed(1000), Outcome::Completed),
        ("[sim:close=1011] hi", Ended::Closed(1011), Outcome::Completed),
        ("[sim:502] hi", Ended::Closed(1011), Outcome::Completed),
        ("[sim:error-first=websocket_connection_limit_reached] hi", Ended::Closed(1000), Outcome::Completed),
    ];
    for (text, ended, outcome) in rows {
        assert_eq!(Socket::open(&peer).await.end(&create(text, json!({}))).await, ended, "{text}");
        let last = frames(&peer).len() - 1;
        assert_eq!(frames(&peer)[last].outcome, outcome, "{text}");
    }
    let mut socket = Socket::open(&peer).await;
    socket.0.send(Message::binary(Bytes::from_static(b"{}"))).await.expect("sent");
    assert_eq!(socket.next().await, Err(Ended::Closed(1003)));
    // One request at a time.
    let mut socket = Socket::open(&peer).await;
    socket.send(&create("[sim:stall] hi", json!({}))).await;
    assert_eq!(socket.end(&create("hi", json!({}))).await, Ended::Closed(1008));
}

#[tokio::test]
async fn a_connection_lives_for_an_hour() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    peer.sim.control().advance(Duration::from_secs(3_599));
    assert_eq!(socket.ask(&create("hi", json!({}))).await.last().expect("an event")["type"], "response.completed");
    peer.sim.control().advance(Duration::from_secs(1));
    let refused = &socket.ask(&create("hi", json!({}))).await[0];
    assert_eq!(refused["error"]["code"], "websocket_connection_limit_reached");
    assert_eq!(socket.next().await, Err(Ended::Closed(1000)));
}

#[tokio::test]
async fn a_disconnect_is_noticed_during_a_turn_and_between_turns() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    socket.send(&create("[sim:stall=headers] hi", json!({}))).await;
    peer.sim.requests_until(|requests| requests.iter().any(|request| request.waiting)).await;
    drop(socket);
    let left = |requests: &[RecordedRequest]| requests.iter().all(|request| request.outcome == Outcome::Disconnected);
    assert_eq!(peer.sim.requests_until(left).await.len(), 2);
    let mut idle = Socket::open(&peer).await;
    idle.ask(&create("hi", json!({}))).await;
    let upgrades = |requests: &[RecordedRequest], outcome| {
        requests.iter().filter(|r| r.method == "GET" && r.outcome == outcome).count()
    };
    assert_eq!(upgrades(&peer.sim.requests(), Outcome::InFlight), 1);
    drop(idle);
    peer.sim.requests_until(|requests| upgrades(requests, Outcome::Disconnected) == 2).await;
}

#[tokio::test]
async fn pings_are_answered_during_a_turn() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    socket.send(&create("[sim:stall=headers] hi", json!({}))).await;
    socket.0.send(Message::Ping(Bytes::from_static(b"?"))).await.expect("sent");
    let answer = socket.0.next().await.expect("a message").expect("an answer");
    assert_eq!(answer, Message::Pong(Bytes::from_static(b"?")));
}

#[tokio::test]
async fn an_upgrade_is_refused_like_a_request() {
    let peer = Peer::start().await;
    for without in ["openai-beta", "sec-websocket-key", "sec-websocket-version", "connection"] {
        assert_eq!(read(peer.send(upgrade(&peer, without)).await).await.status, 400, "{without}");
    }
    for status in [426, 403, 429, 404, 503] {
        peer.sim.control().refuse_upgrades(Some(status));
        let reply = read(peer.send(upgrade(&peer, "")).await).await;
        assert_eq!(reply.status, status);
    }
    peer.sim.control().refuse_upgrades(None);
    peer.sim.control().invalidate_access_tokens();
    assert_eq!(read(peer.send(upgrade(&peer, "")).await).await.status, 401);
}
