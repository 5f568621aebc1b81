//! Input for a response that is still running, over a WebSocket.

use serde_json::{Value, json};

use crate::sockets::{Client, create};
use crate::support::Harness;

/// A reply that waits in the middle of the first of its two messages.
const STALLED: &str = "[sim:reasoning][sim:text=first words][sim:text=second words][sim:stall=7] hi";

fn steer(id: &Value, input: impl Into<Value>) -> Value {
    json!({"type": "response.steer", "previous_response_id": id, "input": input.into()})
}

/// Returns the id of the response that begins.
async fn created(client: &mut Client) -> Value {
    loop {
        let event = client.event().await;
        if event["type"] == "response.created" {
            return event["response"]["id"].clone();
        }
    }
}

/// Returns the first event of this type; the others before it are dropped.
async fn first(client: &mut Client, kind: &str) -> Value {
    loop {
        let event = client.event().await;
        if event["type"] == kind {
            return event;
        }
    }
}

fn weather() -> Value {
    json!([{"type": "function", "name": "get_weather", "parameters": {"type": "object",
        "properties": {"location": {"type": "string"}}, "required": ["location"]}}])
}

#[tokio::test]
async fn a_steered_response_ends_after_its_item_and_a_successor_continues_it() {
    for lane in [None, Some("a")] {
        let proxy = Harness::start().await;
        let mut client = Client::connect(&proxy).await;
        let in_lane = |mut frame: Value| {
            frame["stream_id"] = lane.into();
            frame["instructions"] = "Be brief.".into();
            frame
        };
        client.send(&in_lane(create(STALLED))).await;
        let id = created(&mut client).await;
        client.send(&in_lane(create("the next"))).await;
        client.until("response.output_text.delta").await;
        client.send(&steer(&id, "Rather in French.")).await;
        client.send(&steer(&id, json!([{"role": "user", "content": "And loud."}]))).await;
        let mut accepted = Vec::new();
        for _ in 0..2 {
            let event = first(&mut client, "response.steer.accepted").await;
            assert_eq!((&event["steer"]["previous_response_id"], event["stream_id"].as_str()), (&id, lane));
            assert!(event["sequence_number"].is_u64());
            accepted.push(event["steer"]["id"].clone());
        }
        assert_ne!(accepted[0], accepted[1]);
        proxy.sim.control().release();
        let events = client.turn().await;
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["incomplete_details"], json!({"reason": "steered"}));
        assert_eq!(response["output"].as_array().unwrap().len(), 2, "the reasoning and one message");

        let begun = first(&mut client, "response.created").await;
        assert_eq!(begun["response"]["previous_response_id"], id);
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed", "the request that waited");
        let turns = proxy.turns();
        let texts: Vec<_> = turns.iter().map(|turn| turn["input"].to_string()).collect();
        let parts = ["first words", "Rather in French.", "And loud."];
        let places: Vec<_> = parts.iter().map(|part| texts[1].rfind(part)).collect();
        assert!(places.is_sorted() && places[0].is_some() && !texts[1].contains("\"second words"), "{}", texts[1]);
        assert_eq!(turns[1]["instructions"], turns[0]["instructions"], "it has the same settings");
        assert!(turns.len() == 3 && texts[2].contains("the next"), "{texts:?}");
    }
}

#[tokio::test]
async fn input_waits_for_the_results_of_calls() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create("weather? [sim:reasoning][sim:tool][sim:stall=4]");
    frame["tools"] = weather();
    client.send(&frame).await;
    let id = created(&mut client).await;
    client.send(&steer(&id, "In Celsius.")).await;
    first(&mut client, "response.steer.accepted").await;
    proxy.sim.control().release();
    let completed = first(&mut client, "response.completed").await;
    let call = completed["response"]["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call");
    let call_id = call.unwrap()["call_id"].clone();
    let pending = client.event().await;
    assert_eq!(
        (&pending["type"], &pending["reason"]),
        (&json!("response.steer.pending"), &json!("waiting_for_required_input"))
    );
    let required = json!([{"type": "function_call_output", "call_id": call_id, "name": "get_weather"}]);
    assert_eq!(pending["required_input"], required);

    let mut output = required[0].clone();
    output["output"] = "18 degrees".into();
    output.as_object_mut().unwrap().remove("name");
    let mut next = create(json!([output]));
    next["previous_response_id"] = id;
    next["tools"] = weather();
    client.send(&next).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    let turns = proxy.turns();
    let input = turns[1]["input"].to_string();
    assert!(turns.len() == 2 && input.contains("In Celsius.") && input.contains("18 degrees"), "{input}");
}

#[tokio::test]
async fn a_request_that_fails_returns_the_input_that_waited_for_it() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create("weather? [sim:reasoning][sim:tool][sim:stall=4]");
    frame["tools"] = weather();
    client.send(&frame).await;
    let id = created(&mut client).await;
    client.send(&steer(&id, "In Celsius.")).await;
    first(&mut client, "response.steer.accepted").await;
    proxy.sim.control().release();
    first(&mut client, "response.steer.pending").await;
    let mut wrong = create(json!([7]));
    wrong["previous_response_id"] = id;
    client.send(&wrong).await;
    let failed = client.event().await;
    assert_eq!((&failed["type"], &failed["steer"]["input"]), (&json!("response.steer.failed"), &json!("In Celsius.")));
    assert_eq!(client.event().await["type"], "error");
}

#[tokio::test]
async fn input_that_cannot_be_used_is_returned() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("hi")).await;
    let ended = client.turn().await.pop().unwrap()["response"]["id"].clone();
    client.send(&create(STALLED)).await;
    let id = created(&mut client).await;
    client.until("response.output_text.delta").await;
    let messages = |kind: &str| json!([{"role": kind, "content": "x"}]);
    for (frame, code) in [
        (steer(&ended, "x"), "response_already_completed"),
        (steer(&json!("resp_x"), "x"), "response_not_found"),
        (steer(&id, json!([])), "invalid_input"),
        (steer(&id, messages("system")), "invalid_input"),
        (steer(&json!(7), "x"), "invalid_input"),
    ] {
        client.send(&frame).await;
        let failed = first(&mut client, "response.steer.failed").await;
        assert_eq!((&failed["error"]["code"], &failed["steer"]["input"]), (&json!(code), &frame["input"]), "{frame}");
        assert!(failed["steer"].get("id").is_none() && failed["error"]["type"] == "invalid_request_error");
    }
    for _ in 0..16 {
        client.send(&steer(&id, messages("user"))).await;
    }
    client.send(&steer(&id, "too much")).await;
    let failed = first(&mut client, "response.steer.failed").await;
    assert_eq!(failed["error"]["code"], "too_many_pending_steers");

    // An interrupted response has no successor.
    client.send(&json!({"type": "response.interrupt", "response_id": id})).await;
    first(&mut client, "response.incomplete").await;
    for _ in 0..16 {
        let failed = client.event().await;
        assert_eq!(
            (&failed["type"], &failed["error"]["code"]),
            (&json!("response.steer.failed"), &json!("response_not_active"))
        );
        assert!(failed["steer"]["id"].as_str().unwrap().starts_with("steer_"));
    }
    client.send(&create("hi")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn input_is_returned_if_its_response_fails_or_its_successor_does() {
    let proxy = Harness::start().await;
    for scenario in ["[sim:reasoning][sim:text=some words][sim:stall=7][sim:cut=8] hi", STALLED] {
        let mut client = Client::connect(&proxy).await;
        client.send(&create(scenario)).await;
        let id = created(&mut client).await;
        client.until("response.output_text.delta").await;
        client.send(&steer(&id, "[sim:429-usage] more")).await;
        first(&mut client, "response.steer.accepted").await;
        proxy.sim.control().release();
        let failed = first(&mut client, "response.steer.failed").await;
        assert_eq!(failed["error"]["code"], "successor_creation_failed", "{scenario}");
        assert_eq!(failed["steer"]["input"], "[sim:429-usage] more");
    }
}
