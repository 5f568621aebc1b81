//! Items that are said again: in the last event under other ids, or at another index. A call is its `call_id`
//! (docs/backend.md §3.3).

use codex_translate::ReplyPlan;
use serde_json::{Value, json};

use crate::fixtures::{Outcome, Way};
use crate::invariants;
use crate::turns::to_bytes;

const BODIES: [Way; 2] = [Way::ChatBody, Way::ResponsesBody];
const STREAMS: [Way; 2] = [Way::ChatStream, Way::ResponsesStream];

fn call(id: &str, call_id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments})
}

fn custom_call(id: &str, input: &str) -> Value {
    json!({"id": id, "type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": input})
}

fn message(id: &str, text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": []});
    json!({"id": id, "type": "message", "role": "assistant", "status": "completed", "content": [part]})
}

fn reasoning(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]})
}

fn search(id: &str) -> Value {
    json!({"id": id, "type": "web_search_call", "status": "completed"})
}

fn added(index: u64, item: &Value) -> Value {
    let mut item = item.clone();
    for (key, empty) in [("arguments", json!("")), ("input", json!("")), ("content", json!([])), ("summary", json!([]))]
    {
        if item.get(key).is_some() {
            item[key] = empty;
        }
    }
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn event(kind: &str, index: u64, key: &str, value: &str) -> Value {
    json!({"type": kind, "output_index": index, "item_id": "it", "content_index": 0, key: value})
}

fn delta(index: u64, text: &str) -> Value {
    event("response.function_call_arguments.delta", index, "delta", text)
}

fn arguments_done(index: u64, text: &str) -> Value {
    event("response.function_call_arguments.done", index, "arguments", text)
}

/// The events of an item: its beginning, its arguments, and its end.
fn whole(index: u64, item: &Value) -> Vec<Value> {
    let arguments = item["arguments"].as_str().filter(|text| !text.is_empty());
    let middle = arguments.map(|text| [delta(index, text), arguments_done(index, text)]);
    [added(index, item)].into_iter().chain(middle.into_iter().flatten()).chain([done(index, item)]).collect()
}

fn outcome(way: Way, events: &[Value], output: &[Value]) -> Outcome {
    let mut all = vec![json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})];
    all.extend_from_slice(events);
    let response = json!({"id": "resp_1", "status": "completed", "output": output});
    all.push(json!({"type": "response.completed", "response": response}));
    way.outcome(&ReplyPlan { stream: true, ..ReplyPlan::new("m") }, [&to_bytes(&all)[..]])
}

/// Returns the message that the chunks of a stream make up.
fn gathered(chunks: &[Value]) -> Value {
    let mut message = json!({"reasoning_content": "", "content": "", "tool_calls": []});
    let add = |said: &mut Value, more: &Value| {
        *said = json!(said.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap_or_default());
    };
    for delta in chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]) {
        for key in ["reasoning_content", "content"] {
            add(&mut message[key], &delta[key]);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let calls = message["tool_calls"].as_array_mut().unwrap();
            match calls.get_mut(call["index"].as_u64().unwrap() as usize) {
                Some(known) => add(&mut known["function"]["arguments"], &call["function"]["arguments"]),
                None => calls.push(call.clone()),
            }
        }
    }
    message
}

/// What a client has at the end: of each item the id by which it is answered, and the text.
fn said(way: Way, text: &str) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_message = |message: &Value| {
        let mut said = Vec::new();
        for key in ["reasoning_content", "content"] {
            said.extend(Some((String::new(), word(&message[key]))).filter(|(_, text)| !text.is_empty()));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            said.push((word(&call["id"]), word(&call["function"]["arguments"])));
        }
        said
    };
    let of_output = |output: &Value| {
        let item = |item: &Value| {
            let texts = [&item["arguments"], &item["input"], &item["content"][0]["text"], &item["summary"][0]["text"]];
            (word(&item["call_id"]), texts.into_iter().map(word).collect())
        };
        output.as_array().unwrap().iter().map(item).collect()
    };
    match way {
        Way::ChatBody => of_message(&serde_json::from_str::<Value>(text).unwrap()["choices"][0]["message"]),
        Way::ResponsesBody => of_output(&serde_json::from_str::<Value>(text).unwrap()["output"]),
        Way::ChatStream => of_message(&gathered(&invariants::chunks(text, true, true))),
        Way::ResponsesStream | Way::ResponsesMessages => {
            let events = invariants::response_events(text);
            let output = events.last().unwrap()["response"]["output"].clone();
            let begun: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.added").collect();
            assert_eq!(begun.len(), output.as_array().unwrap().len(), "{text}");
            for (begun, ended) in begun.iter().zip(output.as_array().unwrap()) {
                assert_eq!(begun["item"]["id"], ended["id"], "{text}");
            }
            of_output(&output)
        }
    }
}

#[track_caller]
fn check(events: &[Value], output: &[Value], expected: &[(&str, &str)]) {
    for way in BODIES.into_iter().chain(STREAMS) {
        check_way(way, events, output, expected);
    }
}

#[track_caller]
fn check_way(way: Way, events: &[Value], output: &[Value], expected: &[(&str, &str)]) {
    let Outcome { success, error } = outcome(way, events, output);
    let text = success.unwrap_or_else(|| panic!("{way:?}: {error:?}"));
    let said = said(way, &text);
    let said: Vec<_> = said.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    assert_eq!(said, expected, "{way:?}: {text}");
}

/// Checks that the streams end in an error, and that the bodies have `expected`.
#[track_caller]
fn check_revised(events: &[Value], output: &[Value], expected: &[(&str, &str)]) {
    for way in BODIES {
        check_way(way, events, output, expected);
    }
    for way in STREAMS {
        let error = outcome(way, events, output).error.unwrap_or_else(|| panic!("{way:?}"));
        assert_eq!(error["error"]["code"], "upstream_protocol_error", "{way:?}");
    }
}

#[test]
fn a_call_under_another_id_in_the_last_event_is_the_same_call() {
    let first = call("fc_1", "call_1", r#"{"a":1}"#);
    let expected = [("call_1", r#"{"a":1}"#)];
    for again in ["fc_x", "fc_1", ""] {
        check(&whole(0, &first), &[call(again, "call_1", r#"{"a":1}"#)], &expected);
        check(&whole(0, &first), &[call(again, "call_1", r#"{"a": 1}"#)][..0], &expected);
    }
    let revised = [call("fc_x", "call_1", r#"{"a":2}"#)];
    check_revised(&whole(0, &first), &revised, &[("call_1", r#"{"a":2}"#)]);
    check(&[added(0, &first)], &[call("fc_x", "call_1", r#"{"a":1}"#)], &expected);
    check(&whole(0, &custom_call("ctc_1", "x")), &[custom_call("ctc_x", "x")], &[("call_1", "x")]);
    let swapped = [call("fc_2", "call_1", "{}"), call("fc_1", "call_2", r#"{"b":1}"#)];
    let events = [whole(0, &call("fc_1", "call_1", "{}")), whole(1, &call("fc_2", "call_2", r#"{"b":1}"#))].concat();
    check(&events, &swapped, &[("call_1", "{}"), ("call_2", r#"{"b":1}"#)]);
}

#[test]
fn a_call_at_another_index_is_the_same_call() {
    let first = call("fc_1", "call_1", r#"{"a":1}"#);
    let again = call("fc_x", "call_1", r#"{"a":1}"#);
    let expected = [("call_1", r#"{"a":1}"#)];
    check(&[whole(0, &first), whole(1, &again)].concat(), &[], &expected);
    check(&[whole(0, &first), whole(1, &first)].concat(), &[first.clone(), again.clone()], &expected);
    check(&[whole(0, &first), vec![done(1, &again)]].concat(), &[], &expected);
    // The end is at another index than the beginning.
    check(&[added(0, &first), delta(0, "{"), done(1, &again)], &[], &expected);
    check(&[added(0, &first), delta(0, r#"{"a""#), added(1, &again), delta(1, ":1}"), done(1, &again)], &[], &expected);
    check(&[added(0, &first), added(1, &again), delta(1, r#"{"a":1}"#), done(1, &again)], &[], &expected);
    check(&[added(0, &first), added(1, &again), arguments_done(1, r#"{"a":1}"#)], &[], &expected);
    // Its deltas come first.
    check(&[whole(5, &first), vec![delta(1, "{"), done(1, &again)]].concat(), &[], &expected);
    check(&[whole(5, &first), whole(0, &again)].concat(), &[], &expected);
    let revised = call("fc_x", "call_1", r#"{"a":2}"#);
    check_revised(&[whole(0, &first), whole(1, &revised)].concat(), &[], &[("call_1", r#"{"a":2}"#)]);
}

#[test]
fn different_calls_stay_different() {
    let (one, two) = (call("fc_1", "call_1", "{}"), call("fc_x", "call_2", "{}"));
    check(&whole(0, &one), std::slice::from_ref(&two), &[("call_1", "{}"), ("call_2", "{}")]);
    check(&[whole(0, &one), whole(1, &two)].concat(), &[two, one], &[("call_1", "{}"), ("call_2", "{}")]);
    // Another tool with the same `call_id` never gets the arguments of the first.
    let (one, mut other) = (call("fc_1", "call_1", r#"{"a":1}"#), call("fc_2", "call_1", r#"{"b":2}"#));
    other["name"] = json!("g");
    let both = [("call_1", r#"{"a":1}"#), ("call_1", r#"{"b":2}"#)];
    check(&[whole(0, &one), whole(1, &other)].concat(), &[], &both);
    check(&whole(0, &one), &[one.clone(), other], &both);
}

#[test]
fn other_items_under_other_ids_are_known_by_what_they_say() {
    let events = [whole(0, &reasoning("rs_1", "Hm.")), whole(1, &search("ws_1")), whole(2, &message("msg_1", "Hey"))];
    let output = [reasoning("rs_x", "Hm."), search("ws_x"), message("msg_x", "Hey")];
    for way in [Way::ResponsesBody, Way::ResponsesStream] {
        check_way(way, &events.concat(), &output, &[("", "Hm."), ("", ""), ("", "Hey")]);
        check_way(way, &events.concat(), &output[2..], &[("", "Hm."), ("", ""), ("", "Hey")]);
    }
    for way in [Way::ChatBody, Way::ChatStream] {
        check_way(way, &events.concat(), &output, &[("", "Hm."), ("", "Hey")]);
    }
    // No event has mentioned these.
    for output in [&[message("msg_2", "B")][..], &[message("msg_1", "A"), message("msg_2", "B")]] {
        let events = whole(0, &message("msg_1", "A"));
        for way in [Way::ResponsesBody, Way::ResponsesStream] {
            check_way(way, &events, output, &[("", "A"), ("", "B")]);
        }
        for way in [Way::ChatBody, Way::ChatStream] {
            check_way(way, &events, output, &[("", "A\n\nB")]);
        }
    }
    // The last event has more of it, and the text had another end.
    for (text, end, last) in [("A", "A", "A longer"), ("A", "B", "B")] {
        let text = event("response.output_text.delta", 0, "delta", text);
        let events = [added(0, &message("msg_1", "")), text, done(0, &message("msg_1", end))];
        for way in BODIES {
            check_way(way, &events, &[message("msg_x", last)], &[("", last)]);
        }
        let text = outcome(Way::ChatStream, &events, &[message("msg_x", last)]).success.unwrap();
        assert!(!text.contains("\\n\\n"), "said once: {text}");
    }
    let image = |id: &str| json!({"id": id, "type": "image_generation_call", "status": "completed", "result": "iVBO"});
    for way in STREAMS.into_iter().chain(BODIES) {
        let text = outcome(way, &[done(0, &image("ig_1"))], &[image("ig_x")]).success.unwrap();
        let of_stream = way == Way::ResponsesStream;
        assert_eq!(text.matches("iVBO").count(), if of_stream { 2 } else { 1 }, "{way:?}: {text}");
    }
    // It was only announced.
    check(&[added(0, &message("msg_1", "A"))], &[message("msg_x", "A")], &[("", "A")]);
    // Both have one id.
    let events = [whole(0, &message("msg_1", "A")), whole(1, &message("msg_1", "B"))].concat();
    let output = [message("msg_1", "A"), message("msg_1", "B")];
    check_way(Way::ResponsesBody, &events, &output, &[("", "A"), ("", "B")]);
    check_way(Way::ChatStream, &events, &output, &[("", "A\n\nB")]);
}

#[test]
fn an_end_after_the_end_of_its_item_counts() {
    let first = call("fc_1", "call_1", r#"{"a":1}"#);
    let with = |last: Value| [whole(0, &first), vec![last]].concat();
    check(&with(arguments_done(0, r#"{"a":1}"#)), &[], &[("call_1", r#"{"a":1}"#)]);
    check_revised(&with(arguments_done(0, r#"{"a":2}"#)), &[], &[("call_1", r#"{"a":2}"#)]);
    let text = |text: &str| event("response.output_text.done", 0, "text", text);
    let with = |last: Value| [whole(0, &message("msg_1", "A")), vec![last]].concat();
    check(&with(text("A")), &[], &[("", "A")]);
    for way in BODIES {
        check_way(way, &with(text("B")), &[], &[("", "B")]);
    }
    for way in STREAMS {
        check_way(way, &with(text("B")), &[], &[("", "A")]);
    }
}

#[test]
fn a_citation_that_was_only_an_event_is_in_the_finished_item() {
    let annotation = json!({"type": "url_citation", "url": "https://example.org", "title": "", "start_index": 0,
        "end_index": 1});
    let cited = json!({"type": "response.output_text.annotation.added", "output_index": 0, "item_id": "msg_1",
        "content_index": 0, "annotation_index": 0, "annotation": annotation});
    let item = message("msg_1", "A");
    let text = event("response.output_text.delta", 0, "delta", "A");
    let events = [added(0, &item), text, cited, done(0, &item)];
    for way in [Way::ResponsesBody, Way::ResponsesStream] {
        let text = outcome(way, &events, std::slice::from_ref(&item)).success.unwrap();
        let response = if way == Way::ResponsesBody {
            serde_json::from_str(&text).unwrap()
        } else {
            invariants::response_events(&text).pop().unwrap()["response"].clone()
        };
        assert_eq!(response["output"][0]["content"][0]["annotations"], json!([annotation]), "{text}");
    }
    let body = outcome(Way::ChatBody, &events, &[item]).success.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["annotations"][0]["url_citation"]["url"], "https://example.org");
}

/// A gateway may end every response with one event.
#[test]
fn the_status_of_the_response_tells_how_it_ended() {
    let end = |response: Value| to_bytes(&[json!({"type": "response.completed", "response": response})]);
    let failed = json!({"status": "failed", "error": {"code": "server_error", "message": "m"}, "output": []});
    let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
        "output": [message("msg_1", "A")]});
    for way in BODIES.into_iter().chain(STREAMS) {
        let plan = ReplyPlan { stream: true, ..ReplyPlan::new("m") };
        assert!(way.outcome(&plan, [&end(failed.clone())[..]]).error.is_some(), "{way:?}");
        let text = way.outcome(&plan, [&end(cut.clone())[..]]).success.unwrap();
        let word = if matches!(way, Way::ChatBody | Way::ChatStream) { "\"length\"" } else { "\"incomplete\"" };
        assert!(text.contains(word), "{way:?}: {text}");
    }
}

/// The end of an item may come before all of it is known.
#[test]
fn the_last_event_completes_an_item() {
    let early = json!({"id": "ig_1", "type": "image_generation_call", "status": "generating", "result": null});
    let late = json!({"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBO"});
    let thought = json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
    let events = [done(0, &early), done(1, &reasoning("rs_1", "Hm."))];
    let text = outcome(Way::ResponsesBody, &events, &[late.clone(), thought]).success.unwrap();
    let response: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(response["output"][0], late);
    assert_eq!(response["output"][1]["summary"][0]["text"], "Hm.");
    assert_eq!(outcome(Way::ResponsesStream, &events, &[late]).error, None);
}

/// Clients page through stored items and refer to them by their ids, and match deltas with them.
#[test]
fn an_item_without_an_id_gets_one_that_only_this_response_has() {
    let without_id = |mut item: Value, id: Value| {
        item["id"] = id;
        item
    };
    let items = [
        without_id(reasoning("", "Hm."), Value::Null),
        without_id(message("", "Hey"), json!("")),
        without_id(call("", "call_1", "{}"), Value::Null),
        without_id(search(""), Value::Null),
        json!({"type": "fancy_call", "status": "completed"}),
    ];
    let expected = ["rs_abc_out0", "msg_abc_out1", "fc_abc_out2", "ws_abc_out3", "item_abc_out4"];
    let opened = json!({"type": "response.created", "response": {"id": "resp_abc", "status": "in_progress"}});
    let in_order = || (0..).zip(&items).flat_map(|(index, item)| [added(index, item), done(index, item)]);
    let last = |output: &[Value]| json!({"type": "response.completed", "response": {"id": "resp_abc", "status": "completed", "output": output}});
    for events in
        [[vec![opened.clone()], in_order().collect(), vec![last(&items)]].concat(), vec![opened.clone(), last(&items)]]
    {
        let plan = ReplyPlan::new("m");
        let [stream, body] = [Way::ResponsesStream, Way::ResponsesBody]
            .map(|way| way.outcome(&plan, [&to_bytes(&events)[..]]).success.unwrap());
        let events = invariants::response_events(&stream);
        let body: Value = serde_json::from_str(&body).unwrap();
        for response in [&events[events.len() - 1]["response"], &body] {
            let ids: Vec<_> = response["output"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
            assert_eq!(ids, expected);
        }
    }
}
