//! Frames that end a running turn, over a WebSocket.

use codex_auth::MemoryStore;
use codex_proxy::{Access, Limits};
use codex_sim::{Outcome, RecordedRequest, Sim};
use codex_upstream::TransportChoice;
use serde_json::{Value, json};

use crate::sockets::{Client, create, proxy};
use crate::support::{Harness, backend, tokens_of};

/// A reply whose third item does not end before it is interrupted.
const STALLED: &str = "[sim:reasoning][sim:text=first words][sim:text=second words][sim:stall=14] hi";

fn interrupt(id: &Value) -> Value {
    json!({"type": "response.interrupt", "response_id": id, "mode": "discard_partial_items"})
}

fn cancel(id: &Value) -> Value {
    json!({"type": "response.cancel", "response_id": id})
}

/// Returns the id of the response whose first event is read.
async fn created(client: &mut Client) -> Value {
    loop {
        let event = client.event().await;
        if event["type"] == "response.created" {
            return event["response"]["id"].clone();
        }
    }
}

/// Reads up to the text of the last item of [`STALLED`].
async fn last_item(client: &mut Client) {
    loop {
        let event = client.event().await;
        if event["type"] == "response.output_text.delta" && event["output_index"] == 2 {
            return;
        }
    }
}

/// Returns the turns that reached the backend.
async fn turns_until(proxy: &Harness, done: impl Fn(&RecordedRequest) -> bool + Copy) -> Vec<RecordedRequest> {
    let is_turn = |request: &&RecordedRequest| {
        let is_create = request.body.as_ref().is_some_and(|body| body.get("input").is_some());
        request.path.ends_with("/codex/responses") && request.method != "GET" && is_create
    };
    let requests = proxy.sim.requests_until(|requests| requests.iter().filter(is_turn).any(done)).await;
    requests.into_iter().filter(|request| is_turn(&request)).collect()
}

#[tokio::test]
async fn a_response_can_be_interrupted_and_continued() {
    for frame in [interrupt, cancel] {
        let proxy = Harness::start().await;
        let mut client = Client::connect(&proxy).await;
        let mut first = create(STALLED);
        first["include"] = json!(["reasoning.encrypted_content"]);
        client.send(&first).await;
        let id = created(&mut client).await;
        last_item(&mut client).await;
        client.send(&frame(&id)).await;
        let events = client.turn().await;
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        let response = &last["response"];
        assert_eq!((&response["id"], &response["status"]), (&id, &json!("incomplete")));
        assert_eq!(
            (&response["end_turn"], &response["incomplete_details"]),
            (&json!(false), &json!({"reason": "interrupted"}))
        );
        let kinds: Vec<_> = response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["reasoning", "message"], "without the unfinished message");

        // The backend has sent nothing after it.
        let turns = turns_until(&proxy, |turn| turn.outcome == Outcome::Disconnected).await;
        assert_eq!((turns.len(), turns[0].events_sent), (1, 14));

        let mut next = create("And now?");
        next["previous_response_id"] = id.clone();
        client.send(&next).await;
        let events = client.turn().await;
        assert_eq!(events.last().unwrap()["type"], "response.completed");
        let input = proxy.turns()[1]["input"].to_string();
        assert!(["first words", "And now?", "encrypted_content"].iter().all(|part| input.contains(part)), "{input}");
    }
}

#[tokio::test]
async fn a_turn_is_cancelled_before_its_response_begins() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:stall=headers] hi")).await;
    proxy.sim.requests_until(|requests| requests.iter().any(|request| request.waiting)).await;
    client.send(&json!({"type": "response.cancel"})).await;
    let events = client.turn().await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.incomplete"]);
    turns_until(&proxy, |turn| turn.outcome == Outcome::Disconnected).await;
    let mut next = create("And now?");
    next["previous_response_id"] = events[0]["response"]["id"].clone();
    client.send(&next).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn nothing_is_sent_of_a_turn_that_is_cancelled_before_it_has_a_slot() {
    let proxy = proxy(Access::default(), Limits { turns: 1, queue: 1, ..Limits::default() }).await;
    let mut busy = Client::connect(&proxy).await;
    busy.send(&create("[sim:stall=headers] hi")).await;
    proxy.sim.requests_until(|requests| requests.iter().any(|request| request.waiting)).await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("second")).await;
    client.send(&json!({"type": "response.cancel"})).await;
    assert_eq!(client.turn().await.last().unwrap()["response"]["incomplete_details"]["reason"], "interrupted");
    proxy.sim.control().release();
    assert_eq!(busy.turn().await.last().unwrap()["type"], "response.completed");
    client.send(&create("third")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    let turns = proxy.turns();
    assert!(turns.len() == 2 && !turns[1].to_string().contains("second"), "{turns:?}");
}

#[tokio::test]
async fn an_interrupted_response_is_stored_as_incomplete() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create(STALLED);
    frame["store"] = true.into();
    client.send(&frame).await;
    let id = created(&mut client).await;
    last_item(&mut client).await;
    client.send(&interrupt(&id)).await;
    let response = client.turn().await.pop().unwrap()["response"].clone();
    let stored = proxy.get(&format!("/v1/responses/{}", id.as_str().unwrap())).await.json();
    assert_eq!((&stored, &stored["store"]), (&response, &json!(true)));
}

#[tokio::test]
async fn a_control_frame_without_a_running_response_is_answered_at_once() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("hi")).await;
    let ended = client.turn().await.pop().unwrap()["response"]["id"].clone();
    client.send(&create("[sim:text=some words][sim:stall] hi")).await;
    let running = created(&mut client).await;
    // One that waits has no id yet.
    client.send(&create("the next")).await;
    for (id, code) in [(&ended, "response_already_completed"), (&json!("resp_x"), "response_not_found")] {
        for frame in [interrupt(id), cancel(id)] {
            client.send(&frame).await;
            let failed = loop {
                let event = client.event().await;
                if event.get("error").is_some_and(Value::is_object) {
                    break event;
                }
            };
            assert_eq!(failed["type"], format!("{}.failed", frame["type"].as_str().unwrap()));
            assert_eq!((&failed["error"]["code"], &failed["response_id"]), (&json!(code), id));
        }
    }
    client.send(&json!({"type": "session.update"})).await;
    assert_eq!(client.event().await["error"]["param"], "type");
    client.send(&interrupt(&running)).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.incomplete");
    let next = client.turn().await;
    assert_eq!(next.last().unwrap()["type"], "response.completed", "the waiting request is not lost");

    // Without an id it is about the response of the same lane, and of no other.
    let mut frame = create("[sim:text=one][sim:stall] hi");
    frame["stream_id"] = "side".into();
    client.send(&frame).await;
    client.until("response.created").await;
    client.send(&json!({"type": "response.cancel", "stream_id": "side"})).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.incomplete");
    client.send(&frame).await;
    client.until("response.created").await;
    client.send(&json!({"type": "response.cancel"})).await;
    let failed = loop {
        let event = client.event().await;
        if event["stream_id"].is_null() {
            break event;
        }
    };
    assert_eq!(
        (&failed["type"], &failed["error"]["code"]),
        (&json!("response.cancel.failed"), &json!("response_not_found"))
    );
}

#[tokio::test]
async fn over_a_websocket_the_backend_is_asked_and_the_connection_goes_on() {
    // The newer model can be interrupted, the older cannot.
    for (model, outcome, connections) in
        [("gpt-6.1-sol", Outcome::Interrupted, 1), ("gpt-5.5", Outcome::Disconnected, 2)]
    {
        let sim = Sim::start(backend()).await.unwrap();
        let store = MemoryStore::with_tokens(tokens_of(&sim));
        let proxy = Harness::start_by(TransportChoice::WebSocket, sim, store, None).await;
        let mut client = Client::connect(&proxy).await;
        // There are three messages more than over HTTP.
        let mut frame = create(STALLED.replace("stall=14", "stall=17"));
        frame["model"] = model.into();
        client.send(&frame).await;
        let id = created(&mut client).await;
        last_item(&mut client).await;
        client.send(&interrupt(&id)).await;
        let events = client.turn().await;
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["incomplete_details"], json!({"reason": "interrupted"}), "{model}");
        let kinds: Vec<_> = response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["reasoning", "message"]);
        assert_eq!(response["usage"].is_object(), connections == 1, "as the backend reports it: {response}");
        turns_until(&proxy, |turn| turn.outcome == outcome).await;

        let mut next = create("And now?");
        next["model"] = model.into();
        next["previous_response_id"] = id;
        client.send(&next).await;
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
        let turns = turns_until(&proxy, |turn| turn.outcome == Outcome::Completed).await;
        let increment = &turns[1].body.as_ref().unwrap()["previous_response_id"];
        assert_eq!(
            (turns[0].connection == turns[1].connection, increment.is_string()),
            (connections == 1, connections == 1)
        );
    }
}
