//! Replies to generated turns, against a second implementation and against the invariants.

use std::collections::BTreeSet;

use codex_translate::{ReasoningStyle, ReplyPlan};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::fixtures::{Outcome, Way, cases};
use crate::turns::{Item, Turn, any_events, to_bytes, turn};
use crate::{invariants, oracle};

fn plan(include_usage: bool) -> ReplyPlan {
    ReplyPlan { stream: true, include_usage, ..ReplyPlan::new("caller/model") }
}

fn outcome(way: Way, plan: &ReplyPlan, events: &[Value]) -> Outcome {
    way.outcome(plan, [&to_bytes(events)[..]])
}

/// Returns the texts of a stream's deltas by position, and the texts of their end events.
fn texts(events: &[Value], delta: &str, done: &str) -> [Vec<(Value, String)>; 2] {
    let mut said: Vec<(Value, String)> = Vec::new();
    let mut whole = Vec::new();
    for event in events {
        let place = json!([event["output_index"], event["content_index"], event["summary_index"]]);
        let key = ["delta", "text", "refusal", "arguments", "input"].iter().find_map(|key| event.get(key)?.as_str());
        match (event["type"].as_str().unwrap(), key) {
            (kind, Some(text)) if kind == delta => match said.iter_mut().find(|(known, _)| *known == place) {
                Some((_, said)) => said.push_str(text),
                None => said.push((place, text.to_owned())),
            },
            (kind, Some(text)) if kind == done => whole.push((place, text.to_owned())),
            _ => {}
        }
    }
    said.retain(|(_, text)| !text.is_empty());
    whole.retain(|(_, text)| !text.is_empty());
    whole.sort_by_key(|(place, _)| place.to_string());
    said.sort_by_key(|(place, _)| place.to_string());
    [said, whole]
}

/// Returns the items of a turn as a Responses client gets them.
fn check_items(turn: &Turn, output: &[Value]) {
    assert_eq!(output.len(), turn.items.len());
    for (index, (item, output)) in turn.items.iter().zip(output).enumerate() {
        let whole = item.whole(index);
        match item {
            // A text without any event is not a part.
            Item::Message { pieces, .. } if pieces.is_empty() => {}
            Item::Reasoning(_) => {}
            Item::Message { .. } => assert_eq!(output["content"], whole["content"]),
            Item::Call { is_custom, pieces } => {
                let key = if *is_custom { "input" } else { "arguments" };
                assert_eq!(output[key], json!(Item::arguments(*is_custom, pieces)));
            }
            Item::Search | Item::Image => assert_eq!(output["type"], whole["type"]),
        }
    }
}

fn is_another_call(error: &Option<Value>) -> bool {
    let message = error.as_ref().and_then(|error| error["error"]["message"].as_str());
    message.is_some_and(|message| message.contains("other arguments"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_turn_in_order_is_the_completion_that_its_items_come_to(turn in turn()) {
        let (message, finish) = oracle::choice_of(&turn);
        let body = outcome(Way::ChatBody, &plan(false), &turn.events());
        prop_assert_eq!(&body.error, &None);
        let body: Value = serde_json::from_str(&body.success.unwrap()).unwrap();
        prop_assert_eq!(&body["choices"][0]["message"], &message);
        prop_assert_eq!(&body["choices"][0]["finish_reason"], finish);
    }

    #[test]
    fn the_chunks_of_a_turn_in_order_come_to_the_completion(mut turn in turn(), style in 0..4_usize) {
        let reasoning = [
            ReasoningStyle::ReasoningContent, ReasoningStyle::Reasoning, ReasoningStyle::Think, ReasoningStyle::None,
        ][style];
        let plan = ReplyPlan { reasoning, ..plan(true) };
        if reasoning == ReasoningStyle::Think {
            // Only the last event may have an image. A body has it at its place, where it ends the tags before it.
            turn.items.retain(|item| !matches!(item, Item::Image));
        }
        let events = turn.events();
        let (stream, body) = (outcome(Way::ChatStream, &plan, &events), outcome(Way::ChatBody, &plan, &events));
        let chunks = invariants::chunks(&stream.success.unwrap(), true, true);
        let body: Value = serde_json::from_str(&body.success.unwrap()).unwrap();
        prop_assert_eq!(oracle::completion_of(&chunks), body);
    }

    #[test]
    fn a_body_ends_as_its_stream_does(events in any_events()) {
        for [stream, body] in [[Way::ChatStream, Way::ChatBody], [Way::ResponsesStream, Way::ResponsesBody]] {
            let is_chat = matches!(stream, Way::ChatStream);
            let stream = outcome(stream, &plan(true), &events);
            let body = outcome(body, &plan(true), &events);
            // A stream cannot take back what it has sent of a call, and the rest of it is not read.
            if !is_another_call(&stream.error) {
                prop_assert_eq!(&stream.error, &body.error, "both fail, and for the same reason, or none does");
            }
            if let (None, Some(stream), Some(body), true) = (&stream.error, &stream.success, &body.success, is_chat) {
                let body: Value = serde_json::from_str(body).unwrap();
                invariants::same_calls(&invariants::chunks(stream, true, true), &body["choices"][0]["message"]);
            }
        }
    }

    #[test]
    fn a_chat_stream_holds_the_clients_rules(events in any_events(), include_usage in any::<bool>()) {
        let Outcome { success, error } = outcome(Way::ChatStream, &plan(include_usage), &events);
        if let (Some(stream), Some(error)) = (&success, &error) {
            // The last two events are about the error, and no earlier one looks like an end.
            let told = format!("data: {}\n\ndata: [DONE]\n\n", json!({"error": error["error"]}));
            let before = stream.strip_suffix(&told).expect("the error and the end");
            invariants::chunks(before, include_usage, false);
        } else {
            invariants::chunks(&success.unwrap_or_default(), include_usage, error.is_none());
        }
    }

    #[test]
    fn a_responses_stream_can_be_read_by_sdks(events in any_events()) {
        let Outcome { success, error } = outcome(Way::ResponsesStream, &plan(true), &events);
        if let Some(stream) = success {
            let events = invariants::response_events(&stream);
            let last = events.last().unwrap();
            prop_assert_eq!(last["type"] == "response.failed", error.is_some());
            prop_assert_eq!(&last["response"]["model"], "caller/model");
            let output = last["response"]["output"].as_array().unwrap();
            let is_call = |item: &&Value| ["function_call", "custom_tool_call"].map(Value::from).contains(&item["type"]);
            let calls: Vec<_> = output.iter().filter(is_call).map(|item| item["call_id"].as_str()).collect();
            prop_assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), calls.len(), "each call once: {:?}", output);
        } else {
            prop_assert!(error.is_some());
        }
    }

    #[test]
    fn a_turn_in_order_says_every_text_once_and_whole(turn in turn()) {
        let Outcome { success, error } = outcome(Way::ResponsesStream, &plan(true), &turn.events());
        prop_assert_eq!(error, None);
        let events = invariants::response_events(&success.unwrap());
        for kind in ["output_text", "refusal", "reasoning_summary_text", "function_call_arguments",
            "custom_tool_call_input"]
        {
            let [said, whole] = texts(&events, &format!("response.{kind}.delta"), &format!("response.{kind}.done"));
            prop_assert_eq!(said, whole, "{}", kind);
        }
        let response = outcome(Way::ResponsesBody, &plan(true), &turn.events()).success.unwrap();
        let response: Value = serde_json::from_str(&response).unwrap();
        prop_assert_eq!(&response, &events.last().unwrap()["response"], "the body is the last event's response");
        check_items(&turn, response["output"].as_array().unwrap());
    }

    #[test]
    fn output_does_not_depend_on_how_the_input_was_split(
        events in prop_oneof![any_events(), turn().prop_map(|turn| turn.events())],
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        max_tokens in prop::option::of(0_u32..8),
    ) {
        let bytes = to_bytes(&events);
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        ends.sort_unstable();
        let plan = ReplyPlan { max_tokens, stop: vec!["ab".to_owned()], ..plan(true) };
        for way in Way::ALL {
            let whole = way.outcome(&plan, [&bytes[..]]);
            let pieces = ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            prop_assert_eq!(&way.outcome(&plan, pieces), &whole, "{:?}", way);
            prop_assert_eq!(&way.outcome(&plan, bytes.chunks(1)), &whole, "{:?}, byte by byte", way);
        }
    }
}

/// Cuts off every successful case at every byte before its terminal event: no reply looks finished.
#[test]
fn a_stream_that_did_not_end_with_a_terminal_event_never_looks_finished() {
    let mut streams = 0;
    for case in cases().iter().filter(|case| case.events.len() < 6000) {
        for way in Way::ALL {
            let Some(plan) = way.plan(case) else { continue };
            if plan.is_cut() || way.outcome(&plan, [&case.events[..]]).error.is_some() {
                continue;
            }
            streams += 1;
            let terminal = ["response.completed", "response.incomplete", "response.done"];
            let text = std::str::from_utf8(&case.events).expect("a case that ends well is text");
            let data = text.rfind("data:").unwrap();
            let start = terminal.iter().filter_map(|kind| text[..=data].rfind(&format!("event: {kind}"))).max();
            let end = start.unwrap_or(data);
            for at in (0..end).step_by(37).chain([end]) {
                let Outcome { success, error } = way.outcome(&plan, [&case.events[..at]]);
                let error = error.unwrap_or_else(|| panic!("{}, {way:?}, cut at {at}, ended well", case.name));
                assert_eq!(error["error"]["code"], "stream_truncated", "{}, {way:?}, cut at {at}", case.name);
                let success = success.unwrap_or_default();
                assert!(!success.contains("\"finish_reason\":\""), "{}, {way:?}, cut at {at}: {success}", case.name);
                assert!(!success.contains("event: response.completed"), "{}, {way:?}, cut at {at}", case.name);
                assert!(!success.contains("event: response.incomplete"), "{}, {way:?}, cut at {at}", case.name);
            }
        }
    }
    assert!(streams > 100, "{streams} streams");
}
