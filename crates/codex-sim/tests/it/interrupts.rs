//! Control frames on a WebSocket: interrupts, and frames that change nothing.

use codex_sim::Outcome;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::socket::{Ended, Socket, create, frames, id};

/// A model that stops on an interrupt.
const STOPS: &str = "gpt-6-sol";

fn interrupt(id: &Value) -> Value {
    json!({"type": "response.interrupt", "response_id": id, "mode": "discard_partial_items"})
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

/// Reads `count` events.
async fn next(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(socket.next().await.expect("an event"));
    }
    events
}

/// Sends a turn that stalls after `events` events, and reads those.
async fn stalled(socket: &mut Socket, words: &str, events: usize, changes: Value) -> Vec<Value> {
    socket.send(&create(&format!("[sim:stall={events}]{words} hi"), changes)).await;
    next(socket, events).await
}

#[tokio::test]
async fn an_interrupt_ends_the_turn_at_once_and_the_next_turn_continues_it() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    // Three events before the response, its two, an empty reasoning item, and the beginning of a message.
    let sent = stalled(&mut socket, "[sim:big=40]", 10, json!({"model": STOPS})).await;
    assert_eq!(kinds(&sent)[3..6], ["response.created", "response.in_progress", "response.output_item.added"]);
    assert_eq!(kinds(&sent)[9], "response.output_text.delta");
    let interrupted = socket.ask(&interrupt(&sent[3]["response"]["id"])).await;
    assert_eq!(
        kinds(&interrupted),
        ["response.interrupt.accepted", "response.output_item.interrupted", "response.incomplete"]
    );
    let begun = &sent[7];
    assert_eq!(interrupted[1]["item_id"], begun["item"]["id"]);
    assert_eq!(interrupted[1]["output_index"], begun["output_index"]);
    let number = sent[9]["sequence_number"].as_u64().expect("a number");
    for (event, expected) in interrupted.iter().zip(number + 1..) {
        assert_eq!(event["sequence_number"], expected);
    }
    let response = &interrupted[2]["response"];
    assert_eq!((&response["status"], &response["end_turn"]), (&json!("incomplete"), &json!(false)));
    assert_eq!(response["incomplete_details"], json!({"reason": "interrupted"}));
    assert_eq!((&response["output"], &response["error"]), (&json!([]), &json!(null)));
    assert!(response["usage"]["output_tokens"].as_u64() < Some(5), "{response}");

    let recorded = frames(&peer);
    assert_eq!((recorded[0].outcome, recorded[0].events_sent), (Outcome::Interrupted, 10));
    assert_eq!((recorded[1].outcome, recorded[1].status), (Outcome::Completed, Some(200)));
    // Nothing more arrives, although the reply is released.
    peer.sim.control().release();
    let next = socket.ask(&create("go on", json!({"model": STOPS, "previous_response_id": id(&interrupted)}))).await;
    assert_eq!(kinds(&next)[0], "codex.response.metadata");
    assert_eq!(next.last().expect("an event")["type"], "response.completed", "{next:?}");
    assert_eq!(frames(&peer)[0].events_sent, 10);
}

#[tokio::test]
async fn finished_items_are_part_of_the_context_and_others_are_not() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let tools = json!([
        {"type": "function", "name": "first", "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "name": "second", "parameters": {"type": "object", "properties": {}}},
    ]);
    let settings = json!({"model": STOPS, "tools": tools});
    // The first call is finished, the second has begun.
    let sent = stalled(&mut socket, "[sim:parallel-tools]", 12, settings.clone()).await;
    let done: Vec<&Value> = sent.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    let call = &done.last().expect("a call")["item"];
    assert_eq!(call["name"], "first");
    let interrupted = socket.ask(&interrupt(&sent[3]["response"]["id"])).await;
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "x"});
    let mut settings = settings;
    settings["previous_response_id"] = id(&interrupted).clone();
    settings["input"] = json!([output, {"role": "user", "content": "go on"}]);
    let next = socket.ask(&create("", settings)).await;
    assert_eq!(next.last().expect("an event")["type"], "response.completed", "{next:?}");
}

#[tokio::test]
async fn an_interrupt_right_after_the_beginning_discards_no_item() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let sent = stalled(&mut socket, "", 4, json!({"model": STOPS})).await;
    let interrupted = socket.ask(&interrupt(&sent[3]["response"]["id"])).await;
    assert_eq!(kinds(&interrupted), ["response.interrupt.accepted", "response.incomplete"]);
    assert_eq!(interrupted[1]["response"]["usage"]["output_tokens"], 0);
}

#[tokio::test]
async fn an_interrupt_ends_a_silence_with_keepalives() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let words = "[sim:stall=output][sim:keepalive=1] hi";
    socket.send(&create(words, json!({"model": STOPS}))).await;
    let sent = next(&mut socket, 8).await;
    assert_eq!(kinds(&sent)[5..], ["keepalive", "keepalive", "keepalive"]);
    socket.send(&interrupt(&sent[3]["response"]["id"])).await;
    let mut number = sent[7]["sequence_number"].as_u64().expect("a number");
    // The keepalives that were on their way, then the end.
    let end = loop {
        let event = socket.next().await.expect("an event");
        number += 1;
        assert_eq!(event["sequence_number"], number);
        if event["type"] == "response.incomplete" {
            break event;
        }
        assert!(["keepalive", "response.interrupt.accepted"].contains(&event["type"].as_str().expect("a type")));
    };
    assert_eq!(end["response"]["usage"]["output_tokens"], 0);
    assert!(!frames(&peer)[0].waiting);
}

#[tokio::test]
async fn a_backend_that_ignores_an_interrupt_finishes_the_turn() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let sent = stalled(&mut socket, "[sim:ignore-interrupts]", 5, json!({"model": STOPS})).await;
    socket.send(&interrupt(&sent[3]["response"]["id"])).await;
    peer.sim.control().release();
    let rest = socket.ask(&json!({"type": "response.processed"})).await;
    assert_eq!(rest[0]["type"], "response.output_item.added");
    assert_eq!(rest.last().expect("an event")["type"], "response.completed");
}

#[tokio::test]
async fn older_models_refuse_an_interrupt_and_finish_the_turn() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let sent = stalled(&mut socket, "", 5, json!({"model": "gpt-5.6-sol"})).await;
    let response = &sent[3]["response"]["id"];
    socket.send(&interrupt(response)).await;
    let refused = socket.next().await.expect("an answer");
    assert_eq!((&refused["type"], &refused["response_id"]), (&json!("response.interrupt.failed"), response));
    assert_eq!(refused["error"]["code"], "interrupt_not_supported");
    peer.sim.control().release();
    let rest = socket.ask(&json!({"type": "response.processed"})).await;
    assert_eq!(rest.last().expect("an event")["type"], "response.completed");
    assert_eq!(frames(&peer)[0].outcome, Outcome::Completed);
}

#[tokio::test]
async fn an_interrupt_of_a_response_that_is_not_running_fails() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    let ended = socket.ask(&create("hi", json!({"model": STOPS}))).await;
    for response in [id(&ended), &json!("resp_unknown")] {
        socket.send(&interrupt(response)).await;
        let failed = socket.next().await.expect("an answer");
        assert_eq!((&failed["type"], &failed["response_id"]), (&json!("response.interrupt.failed"), response));
        assert_eq!(failed["error"]["code"], "response_not_found");
    }
    // During a turn, too, and the turn goes on; the ended response is still the one to continue.
    let continued = json!({"model": STOPS, "previous_response_id": id(&ended)});
    stalled(&mut socket, "", 5, continued).await;
    socket.send(&interrupt(id(&ended))).await;
    assert_eq!(socket.next().await.expect("an answer")["error"]["code"], "response_not_found");
    peer.sim.control().release();
    let rest = socket.ask(&json!({"type": "response.processed"})).await;
    assert_eq!(rest.last().expect("an event")["type"], "response.completed");
}

#[tokio::test]
async fn frames_that_are_unknown_or_malformed_get_an_error_and_the_socket_goes_on() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    stalled(&mut socket, "", 5, json!({"model": STOPS})).await;
    let rows = [
        (json!({"type": "response.cancel"}), json!("type")),
        (json!({"type": "session.update"}), json!("type")),
        (json!({"type": 5}), json!("type")),
        (json!([]), json!(null)),
        (json!({"type": "response.interrupt"}), json!("response_id")),
        (json!({"type": "response.interrupt", "response_id": "r", "mode": "keep"}), json!("mode")),
        (
            json!({"type": "response.interrupt", "response_id": 5, "mode": "discard_partial_items"}),
            json!("response_id"),
        ),
    ];
    for (frame, param) in rows {
        let refused = &socket.ask(&frame).await[0];
        assert_eq!((&refused["status"], &refused["error"]["param"]), (&json!(400), &param), "{frame}");
    }
    let steer = json!({"type": "response.steer", "previous_response_id": "r", "input": "stop"});
    socket.send(&steer).await;
    let failed = socket.next().await.expect("an answer");
    assert_eq!(
        (&failed["type"], &failed["error"]["code"]),
        (&json!("response.steer.failed"), &json!("steering_not_supported"))
    );
    assert_eq!(failed["steer"], json!({"previous_response_id": "r", "input": "stop"}));
    peer.sim.control().release();
    let rest = socket.ask(&json!({"type": "response.processed"})).await;
    assert_eq!(rest.last().expect("an event")["type"], "response.completed");
}

#[tokio::test]
async fn a_second_turn_during_a_turn_closes_the_connection_and_is_recorded() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    stalled(&mut socket, "", 5, json!({})).await;
    assert_eq!(socket.end(&create("hi", json!({}))).await, Ended::Closed(1008));
    assert_eq!(frames(&peer).len(), 2);
}
