//! Lanes of a WebSocket: requests of one are answered in order, those of several side by side.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::sockets::{Client, create};
use crate::support::Harness;

fn create_in(lane: &str, text: &str) -> Value {
    let mut frame = create(text);
    if !lane.is_empty() {
        frame["stream_id"] = lane.into();
    }
    frame
}

fn lane_of(event: &Value) -> String {
    event["stream_id"].as_str().unwrap_or_default().to_owned()
}

fn is_terminal(event: &Value) -> bool {
    matches!(event["type"].as_str(), Some("response.completed" | "response.failed" | "response.incomplete" | "error"))
}

/// Returns the events of a lane up to its terminal one; those of other lanes are dropped.
async fn turn_in(client: &mut Client, lane: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = client.event().await;
        if lane_of(&event) == lane {
            events.push(event);
            if is_terminal(events.last().unwrap()) {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn lanes_run_side_by_side_and_every_event_names_its_lane() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create_in("main", "[sim:text=slow words][sim:stall] slow")).await;
    client.send(&create_in("main", "the next")).await;
    client.send(&create_in("side", "quick")).await;
    client.send(&create_in("", "unnamed")).await;
    for lane in ["side", ""] {
        // Events of the other lanes may come in between.
        let events = turn_in(&mut client, lane).await;
        assert_eq!(events.last().unwrap()["type"], "response.completed", "{lane}");
        let has_name = |event: &Value| event.get("stream_id").is_some();
        assert!(events.iter().all(|event| has_name(event) != lane.is_empty()));
        if lane == "side" {
            break;
        }
    }
    proxy.sim.control().release();
    let first = turn_in(&mut client, "main").await;
    assert!(first.last().unwrap()["response"]["output"].to_string().contains("slow words"));
    assert_eq!(turn_in(&mut client, "main").await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_lane_can_continue_the_response_of_another() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create_in("main", "My name is Ada.")).await;
    let id = turn_in(&mut client, "main").await.pop().unwrap()["response"]["id"].clone();
    for lane in ["fork", "main"] {
        let mut next = create_in(lane, "Who am I?");
        next["previous_response_id"] = id.clone();
        client.send(&next).await;
        assert_eq!(turn_in(&mut client, lane).await.last().unwrap()["type"], "response.completed", "{lane}");
    }
    let turns = proxy.turns();
    assert!(turns[1..].iter().all(|turn| turn["input"].to_string().contains("Ada")), "{turns:?}");
}

#[tokio::test]
async fn errors_name_the_lane_and_the_lane_must_be_a_string() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    for (stream_id, echoed) in
        [(json!(7), Value::Null), (json!({}), Value::Null), (json!("x".repeat(300)), Value::Null)]
    {
        let mut frame = create("hi");
        frame["stream_id"] = stream_id;
        client.send(&frame).await;
        let error = client.event().await;
        assert_eq!((&error["error"]["param"], &error["stream_id"]), (&json!("stream_id"), &echoed));
    }
    for frame in [
        json!({"type": "response.create", "stream_id": "a", "model": "gpt-5.5"}),
        json!({"type": "session.update", "stream_id": "a"}),
        create_in("a", "[sim:429-usage] hi"),
        json!({"type": "response.cancel", "stream_id": "a"}),
    ] {
        client.send(&frame).await;
        let error = client.event().await;
        assert!(error["stream_id"] == "a" && error["error"].is_object(), "{error}");
    }
    client.send(&create("hi")).await;
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn too_many_requests_get_an_error_and_the_connection_stays() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:text=one][sim:stall] first")).await;
    for number in 0..17 {
        client.send(&create_in("", &format!("number {number}"))).await;
    }
    client.send(&create_in("side", "quick")).await;
    let mut error = client.event().await;
    while error["type"] != "error" {
        error = client.event().await;
    }
    assert_eq!((&error["status"], &error["error"]["code"]), (&json!(503), &json!("proxy_overloaded")));
    turn_in(&mut client, "side").await;
    proxy.sim.control().release();
    for _ in 0..17 {
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    }
    assert_eq!(proxy.turns().len(), 18);
}

#[tokio::test]
async fn a_cancel_ends_only_the_turn_of_its_lane() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    for lane in ["a", "b"] {
        client.send(&create_in(lane, "[sim:text=words][sim:stall] hi")).await;
        while lane_of(&client.event().await) != lane {}
    }
    client.send(&json!({"type": "response.cancel", "stream_id": "a"})).await;
    let last = turn_in(&mut client, "a").await.pop().unwrap();
    assert_eq!(last["response"]["incomplete_details"]["reason"], "interrupted");
    // A request that waits ends without being sent, and in its place.
    client.send(&create_in("b", "the next")).await;
    client.send(&json!({"type": "response.cancel", "stream_id": "b"})).await;
    client.send(&json!({"type": "response.cancel", "stream_id": "b"})).await;
    for _ in 0..2 {
        let last = turn_in(&mut client, "b").await.pop().unwrap();
        assert_eq!(last["response"]["incomplete_details"]["reason"], "interrupted");
    }
    assert_eq!(proxy.turns().len(), 2);
}

/// Returns the steps of one interleaving: a lane, and whether its running turn is cancelled or a request is added.
fn steps(seed: u64) -> Vec<(usize, bool)> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..24).map(|_| (next() as usize % 3, next() % 3 == 0)).collect()
}

#[tokio::test]
async fn any_interleaving_keeps_the_order_of_each_lane_and_ends_each_request_once() {
    let proxy = Harness::start().await;
    for seed in 0..8 {
        let mut client = Client::connect(&proxy).await;
        let mut asked: BTreeMap<&str, VecDeque<String>> = BTreeMap::new();
        let mut requests = 0;
        for (number, (lane, is_cancel)) in steps(seed).into_iter().enumerate() {
            let lane = ["", "a", "b"][lane];
            if is_cancel {
                client.send(&json!({"type": "response.cancel", "stream_id": lane})).await;
            } else if requests < 12 {
                let model = format!("gpt-5.5-{}", ["low", "medium", "high"][number % 3]);
                let mut frame = create_in(lane, &format!("[sim:text=word {number}] hi"));
                frame["model"] = model.clone().into();
                client.send(&frame).await;
                asked.entry(lane).or_default().push_back(model);
                requests += 1;
            }
        }
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        while asked.values().any(|queue| !queue.is_empty()) {
            let event = client.event().await;
            let (lane, kind) = (lane_of(&event), event["type"].as_str().unwrap());
            match kind {
                // Before its turn, and without a running one.
                "response.metadata" | "response.cancel.failed" => {}
                "response.created" => {
                    let id = event["response"]["id"].as_str().unwrap().to_owned();
                    assert_eq!(open.insert(lane.clone(), id), None, "one turn of a lane at a time");
                }
                "response.completed" | "response.incomplete" => {
                    let id = open.remove(&lane).expect("an open turn");
                    assert_eq!(event["response"]["id"], id.as_str());
                    let model = asked.get_mut(&*lane).unwrap().pop_front().unwrap();
                    assert_eq!(event["response"]["model"], model.as_str(), "in the order of the requests");
                }
                "error" => panic!("{event}"),
                _ => assert!(open.contains_key(&lane), "nothing comes outside of a turn: {event}"),
            }
        }
        assert!(open.is_empty());
        client.send(&json!({"type": "last"})).await;
        while client.event().await["error"]["param"] != "type" {}
    }
}
