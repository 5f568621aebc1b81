//! `/v1/responses` over a WebSocket.

use std::time::Duration;

use codex_auth::MemoryStore;
use codex_proxy::{Access, Limits, Timeouts};
use codex_sim::Sim;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::process::PATIENCE;
use crate::raw;
use crate::support::{Harness, backend, tokens_of};

pub(crate) struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Connects to a path of the server at `base`, an `http://` URL.
    pub(crate) async fn open(base: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, SocketError> {
        let url = format!("{}{path}", base.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        client_async(request, raw::connect(base).await).await.map(|(socket, _)| Self(socket))
    }

    pub(crate) async fn try_connect(proxy: &Harness, headers: &[(&'static str, &str)]) -> Result<Self, SocketError> {
        Self::open(&proxy.base, "/v1/responses", headers).await
    }

    pub(crate) async fn connect(proxy: &Harness) -> Self {
        Self::try_connect(proxy, &[]).await.unwrap()
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap()
    }

    /// Returns the next event; pings are skipped.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            match self.receive().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => panic!("no event: {other:?}"),
            }
        }
    }

    /// Returns the events of a turn.
    pub(crate) async fn turn(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            let kind = events.last().unwrap()["type"].as_str().unwrap();
            if matches!(kind, "response.completed" | "response.failed" | "response.incomplete" | "error") {
                return events;
            }
        }
    }

    pub(crate) async fn until(&mut self, kind: &str) {
        while self.event().await["type"] != kind {}
    }

    pub(crate) async fn closed(&mut self) -> Option<CloseCode> {
        loop {
            match self.receive().await {
                Message::Close(frame) => return frame.map(|frame| frame.code),
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Frame(_)) => panic!("not closed: {other:?}"),
            }
        }
    }
}

pub(crate) async fn proxy(access: Access, limits: Limits) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    Harness::start_under(sim, store, access, limits).await
}

/// Returns a request as the official client sends it: nothing is stored beyond the connection.
pub(crate) fn create(input: impl Into<Value>) -> Value {
    json!({"type": "response.create", "model": "gpt-5.5", "input": input.into(), "store": false})
}

fn in_the_background() -> Value {
    let mut frame = create("hi");
    frame["background"] = true.into();
    frame
}

fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"].as_str()).collect()
}

fn roles(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["role"].as_str()).collect()
}

#[tokio::test]
async fn turns_follow_each_other_and_the_last_response_is_remembered() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("My name is Ada.")).await;
    let events = client.turn().await;
    assert_eq!(events[0]["type"], "response.created");
    let completed = &events.last().unwrap()["response"];
    assert!(events.last().unwrap()["type"] == "response.completed" && !text(&events).is_empty());
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().enumerate().all(|(at, number)| at as u64 == *number), "{numbers:?}");

    let mut next = create(json!([{"role": "user", "content": "What is it?"}]));
    next["previous_response_id"] = completed["id"].clone();
    client.send(&next).await;
    let last = client.turn().await.pop().unwrap();
    assert_eq!(last["type"], "response.completed");
    let turns = proxy.turns();
    let inputs: Vec<_> = turns.iter().map(|turn| turn["input"].as_array().unwrap()).collect();
    assert_eq!(&inputs[1][..inputs[0].len()], &inputs[0][..], "the conversation continues");
    assert_eq!(roles(inputs[1]), ["user", "assistant", "user"]);
    assert_eq!(turns[0]["prompt_cache_key"], turns[1]["prompt_cache_key"]);

    // The first response is no longer the last one.
    client.send(&next).await;
    let events = client.turn().await;
    assert_eq!((&events[0]["type"], &events[0]["status"]), (&json!("error"), &json!(400)));
    assert_eq!(events[0]["error"]["code"], "previous_response_not_found");
    let recent = proxy.get("/status.json").await.json()["recent"][0].clone();
    assert_eq!((&recent["endpoint"], &recent["finish"]), (&json!("responses"), &json!("error")), "{recent}");
    // A request that fails forgets nothing, whether here or at the backend.
    client.send(&create("[sim:failed=invalid_prompt] x")).await;
    assert_ne!(client.turn().await.last().unwrap()["type"], "response.completed");
    next["previous_response_id"] = last["response"]["id"].clone();
    client.send(&next).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    assert_eq!(roles(proxy.turns().last().unwrap()["input"].as_array().unwrap()).len(), 5);
    client.send(&create("Still there?")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_stored_response_can_be_continued_on_any_connection() {
    let proxy = Harness::start().await;
    let over_http = json!({"model": "gpt-5.5", "input": "My name is Ada."});
    let mut last = proxy.post("/v1/responses", &over_http).await.json();
    for question in ["Who am I?", "Sure?"] {
        let mut client = Client::connect(&proxy).await;
        client.send(&json!({"type": "response.create", "model": "gpt-5.5", "previous_response_id": last["id"], "input": question})).await;
        let completed = client.turn().await.pop().unwrap()["response"].clone();
        assert_eq!(completed["previous_response_id"], last["id"], "{completed}");
        last = completed;
    }
    let path = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(proxy.get(&path).await.json(), last);

    let said = last["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    let mut client = Client::connect(&proxy).await;
    client
        .send(&create(json!([{"type": "item_reference", "id": said["id"]}, {"role": "user", "content": "Why?"}])))
        .await;
    assert_eq!(client.turn().await.pop().unwrap()["type"], "response.completed");
    let turns = proxy.turns();
    let roles: Vec<_> = turns[2..].iter().map(|turn| roles(turn["input"].as_array().unwrap())).collect();
    assert_eq!(roles, [&["user", "assistant", "user", "assistant", "user"][..], &["assistant", "user"]]);
}

#[tokio::test]
async fn a_request_without_a_reply_is_remembered_and_not_sent() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut warm = create("Remember this.");
    warm["generate"] = false.into();
    client.send(&warm).await;
    let events = client.turn().await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds, proxy.turns().len()), (vec!["response.created", "response.completed"], 0));
    let mut next = create(json!([]));
    next["previous_response_id"] = events[1]["response"]["id"].clone();
    client.send(&next).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    assert!(proxy.turns()[0]["input"].to_string().contains("Remember this."));
}

#[tokio::test]
async fn a_warm_up_may_have_no_input() {
    let proxy = Harness::start().await;
    for input in [json!([]), Value::Null] {
        let mut client = Client::connect(&proxy).await;
        let mut warm = create(input);
        warm["generate"] = false.into();
        client.send(&warm).await;
        let events = client.turn().await;
        let response = &events.last().unwrap()["response"];
        for member in [
            "id",
            "object",
            "created_at",
            "status",
            "model",
            "output",
            "error",
            "incomplete_details",
            "instructions",
            "metadata",
            "parallel_tool_calls",
            "temperature",
            "tool_choice",
            "tools",
            "top_p",
            "usage",
        ] {
            assert!(response.get(member).is_some(), "{member} in {response}");
        }
        assert_eq!((&response["model"], &response["status"]), (&json!("gpt-5.5"), &json!("completed")));
        let mut next = create(json!([{"role": "user", "content": "hi"}]));
        next["previous_response_id"] = response["id"].clone();
        client.send(&next).await;
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
        assert_eq!(proxy.turns().pop().unwrap()["input"].as_array().unwrap().len(), 1);
        // What else is wrong is reported.
        warm["model"] = 7.into();
        client.send(&warm).await;
        assert_eq!(client.event().await["error"]["param"], "model");
    }
}

#[tokio::test]
async fn errors_are_frames_and_the_connection_stays() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    for (frame, status, code) in [
        (json!({"type": "session.update"}), 400, json!("invalid_value")),
        (json!({}), 400, json!("missing_required_parameter")),
        (json!([]), 400, json!("invalid_type")),
        (json!({"type": "response.create", "model": "gpt-5.5"}), 400, json!("missing_required_parameter")),
        (in_the_background(), 400, json!("unsupported_parameter")),
        (create("[sim:429-usage] hi"), 429, json!("usage_limit_reached")),
        (create("[sim:failed-first=context_length_exceeded] hi"), 400, json!("context_length_exceeded")),
    ] {
        client.send(&frame).await;
        let error = client.event().await;
        assert_eq!((&error["type"], &error["status"]), (&json!("error"), &json!(status)), "{error}");
        assert_eq!(error["error"]["code"], code);
        assert!(error["error"]["message"].is_string() && error["headers"].is_object());
    }
    // A failure after the first output is an event.
    for scenario in ["[sim:cut] hi", "[sim:text=some words][sim:failed=server_error] hi"] {
        client.send(&create(scenario)).await;
        let events = client.turn().await;
        assert_eq!(events.last().unwrap()["type"], "response.failed", "{scenario}");
    }
    client.send(&create("hi")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    let marked = Message::text(format!("\u{feff}{}", create("hi")));
    client.0.send(marked).await.unwrap();
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_second_request_waits_for_the_first_to_end() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:text=one][sim:stall] first")).await;
    client.send(&create("[sim:text=two] second")).await;
    client.until("response.created").await;
    client.0.send(Message::Ping(b"still there?"[..].into())).await.unwrap();
    while !matches!(client.receive().await, Message::Pong(_)) {}
    assert_eq!(proxy.turns().len(), 1);
    proxy.sim.control().release();
    for word in ["one", "two"] {
        let output = client.turn().await.pop().unwrap()["response"]["output"].to_string();
        assert!(output.contains(word), "{word} in {output}");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_ends_its_turn_at_the_backend() {
    let proxy = proxy(Access::default(), Limits { turns: 1, queue: 1, ..Limits::default() }).await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:text=one][sim:stall] first")).await;
    client.until("response.created").await;
    drop(client);
    proxy.disconnected().await;
    // The slot is free again.
    let mut next = Client::connect(&proxy).await;
    next.send(&create("hi")).await;
    assert_eq!(next.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_response_is_created_before_its_first_output() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:stall=2][sim:failed-first=server_error] hi")).await;
    client.send(&create("[sim:stall=2] hi")).await;
    let mut event = client.event().await;
    while event["type"] == "error" || event["type"] == "response.failed" {
        event = client.event().await;
    }
    assert_eq!(event["type"], "response.created");
    proxy.sim.control().release();
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn notices_are_sent_as_metadata() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create("hi");
    frame["temperature"] = 0.5.into();
    client.send(&frame).await;
    let metadata = client.event().await;
    assert_eq!(metadata["type"], "response.metadata");
    assert!(metadata["headers"]["x-codex-proxy-dropped"].as_str().unwrap().contains("temperature"));
}

#[tokio::test]
async fn the_key_is_checked_for_every_turn() {
    let keys = |keys: &str| Access { keys: keys.parse().unwrap(), ..Access::default() };
    let proxy = proxy(keys("secret"), Limits::default()).await;
    for headers in [&[][..], &[("authorization", "Bearer wrong")]] {
        let refused = Client::try_connect(&proxy, headers).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, SocketError::Http(response) if response.status() == 401));
    }
    let mut client = Client::try_connect(&proxy, &[("authorization", "Bearer secret")]).await.unwrap();
    client.send(&create("hi")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    let mut runtime = (*proxy.app.runtime.current()).clone();
    runtime.access = keys("another");
    proxy.app.runtime.replace(runtime);
    client.send(&create("hi")).await;
    assert_eq!(client.event().await["error"]["code"], "invalid_api_key");
    assert_eq!(client.closed().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn binary_frames_large_frames_and_idle_connections_are_closed() {
    let timeouts = Timeouts { socket_idle: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = proxy(Access::default(), Limits { body_bytes: 1024, timeouts, ..Limits::default() }).await;
    let mut client = Client::connect(&proxy).await;
    client.0.send(Message::Binary(b"{}"[..].into())).await.unwrap();
    assert_eq!(client.closed().await, Some(CloseCode::Unsupported));
    let mut client = Client::connect(&proxy).await;
    client.send(&create("x".repeat(2048))).await;
    assert_eq!(client.closed().await, Some(CloseCode::Size));
    assert_eq!(Client::connect(&proxy).await.closed().await, Some(CloseCode::Normal));
}

#[tokio::test]
async fn a_stopping_server_finishes_the_turn_first() {
    let mut proxy = Harness::start().await;
    let mut quiet = Client::connect(&proxy).await;
    let mut busy = Client::connect(&proxy).await;
    busy.send(&create("[sim:text=one][sim:stall] first")).await;
    busy.until("response.created").await;
    proxy.stop.take().unwrap().send(()).unwrap();
    assert_eq!(quiet.closed().await, Some(CloseCode::Away));
    drop(quiet);
    for lane in [None, Some("another")] {
        let mut late = create("late");
        late["stream_id"] = lane.into();
        busy.send(&late).await;
        busy.until("error").await;
    }
    proxy.sim.control().release();
    assert_eq!(busy.turn().await.last().unwrap()["type"], "response.completed");
    assert_eq!(proxy.turns().len(), 1);
    assert_eq!(busy.closed().await, Some(CloseCode::Away));
    drop(busy);
    (&mut proxy.server).await.unwrap();
}

#[tokio::test]
async fn only_a_valid_handshake_opens_a_websocket() {
    let proxy = Harness::start().await;
    let lines = ["host: localhost", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
    let plain = raw::send(&proxy.base, &raw::request("GET /v1/responses", &lines[..1], "")).await;
    assert_eq!((plain.status, plain.header("upgrade")), (426, Some("websocket")));
    let request = |version: &str, key: &str| {
        format!(
            "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n{version}{key}\r\n"
        )
    };
    let old = raw::send(&proxy.base, &request("sec-websocket-version: 8\r\n", "sec-websocket-key: x\r\n")).await;
    assert_eq!((old.status, old.header("sec-websocket-version")), (426, Some("13")));
    assert_eq!(raw::send(&proxy.base, &request("sec-websocket-version: 13\r\n", "")).await.status, 400);
}
