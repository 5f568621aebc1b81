//! The store: what is promised can be continued, and the memory is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{Error, ErrorKind, ItemOrigin};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NewResponse, Stored, StoredResponse};

const LIMIT: usize = 1 << 20;

/// Stores a response as the endpoints do; returns whether it was promised.
fn store(stored: &Stored, caller: &str, previous: Option<&str>, id: &str, input: &Value, output: &Value) -> bool {
    let previous = previous.map(|id| stored.get(caller, id).unwrap());
    let request = json!({"model": "m", "input": input}).to_string();
    let response = json!({"id": id, "output": output}).to_string();
    let Ok(room) = stored.room_for(request.len(), previous.as_deref()) else { return false };
    let promised = response.len() <= room;
    let request = request.as_bytes();
    let new = NewResponse { id, request, response, previous, encrypted_reasoning: false, is_reasoning_refused: false };
    assert_eq!(stored.insert(caller, new), promised, "what is promised is done");
    promised
}

fn expand(stored: &Stored, body: &Value) -> Result<Value, Error> {
    let expanded = stored.expand("", &Bytes::from(body.to_string()), LIMIT);
    expanded.map(|expanded| serde_json::from_slice::<Value>(&expanded.body).unwrap()["input"].take())
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

fn message(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "message", "role": "assistant", "content": text})
}

fn continuing(previous: &str, input: Value) -> Value {
    json!({"model": "m", "previous_response_id": previous, "input": input})
}

fn is_not_found(error: &Error, named: &str) -> bool {
    error.code() == Some("previous_response_not_found")
        && error.param() == Some("previous_response_id")
        && error.message().contains(named)
}

#[test]
fn a_response_belongs_to_its_caller() {
    let stored = Stored::new(LIMIT);
    assert!(store(&stored, "ada", None, "resp_1", &json!("hi"), &json!([message("msg_1", "x")])));
    assert!(stored.get("bob", "resp_1").is_none() && stored.item("bob", "msg_1").is_none());
    assert!(!stored.delete("bob", "resp_1"));
    assert!(stored.item("ada", "msg_1").is_some() && stored.item("ada", "msg_1_0").is_some());
    assert!(stored.item("bob", "msg_1_0").is_none() && stored.item("ada", "msg_1_1").is_none());
    assert!(stored.delete("ada", "resp_1") && !stored.delete("ada", "resp_1"));
    assert!(stored.get("ada", "resp_1").is_none() && stored.item("ada", "msg_1").is_none());
    assert!(stored.is_empty());
}

#[test]
fn a_child_does_not_die_with_its_parent() {
    let stored = Stored::new(LIMIT);
    store(&stored, "", None, "resp_a", &json!("one"), &json!([message("msg_a", "two")]));
    store(&stored, "", Some("resp_a"), "resp_b", &json!("three"), &json!([message("msg_b", "four")]));
    let before = expand(&stored, &continuing("resp_b", json!("five"))).unwrap();
    let input: Vec<_> = ids(&stored.get("", "resp_b").unwrap());
    assert_eq!(input, ["msg_a_0", "msg_a", "msg_b_0"]);
    assert!(stored.delete("", "resp_a"));
    assert_eq!(expand(&stored, &continuing("resp_b", json!("five"))).unwrap(), before);
    assert_eq!(
        before,
        json!([user("one"), message("msg_a", "two"), user("three"), message("msg_b", "four"), user("five")])
    );
    assert_eq!(ids(&stored.get("", "resp_b").unwrap()), input);
    assert!(is_not_found(&expand(&stored, &continuing("resp_a", json!("x"))).unwrap_err(), "resp_a"));
    assert!(stored.delete("", "resp_b"));
    assert!(stored.is_empty());
}

fn ids(response: &StoredResponse) -> Vec<String> {
    response.whole_input().into_iter().map(|(id, _)| id).collect()
}

#[test]
fn a_long_chain_is_continued_and_dropped() {
    let stored = Stored::new(64 << 20);
    let name = |at: usize| format!("resp_{at}");
    for at in 0..10_000_usize {
        let previous = at.checked_sub(1).map(name);
        assert!(store(&stored, "", previous.as_deref(), &name(at), &json!("x"), &json!([])));
        // Only the last one is held by the store.
        previous.inspect(|previous| assert!(stored.delete("", previous)));
    }
    let last = stored.get("", &name(9_999)).unwrap();
    assert_eq!(last.whole_input().len(), 10_000);
    stored.delete("", &name(9_999));
    assert!(stored.bytes() > 0);
    drop(last);
    assert!(stored.is_empty());
}

#[test]
fn a_conversation_counts_as_a_whole() {
    let stored = Stored::new(10_000);
    let text = json!("x".repeat(3_100));
    assert!(store(&stored, "", None, "a", &text, &json!([])));
    assert!(store(&stored, "", Some("a"), "b", &text, &json!([])));
    assert!(!store(&stored, "", Some("b"), "c", &text, &json!([])), "larger than the limit");
    assert!(stored.get("", "b").is_some(), "and it evicts nothing");
    // Nearly all of the limit is enough for one, and evicts the others.
    assert!(store(&stored, "", None, "d", &json!("x".repeat(9_000)), &json!([])));
    assert!(stored.get("", "b").is_none() && stored.get("", "d").is_some());
    assert!(stored.bytes() <= 10_000);
    let none = Stored::new(0);
    assert!(!none.is_in_use() && none.room_for(0, None).is_err());
}

#[test]
fn running_turns_bound_what_is_stored() {
    let stored = Stored::new(10_000);
    let mut held: Vec<Arc<StoredResponse>> = Vec::new();
    for at in 0..5 {
        if !store(&stored, "", None, &at.to_string(), &json!("x".repeat(9_000)), &json!([])) {
            break;
        }
        held.extend(stored.get("", &at.to_string()));
    }
    assert_eq!(held.len(), 3, "what was evicted and is still held counts");
    drop(held);
    assert!(store(&stored, "", None, "x", &json!("x"), &json!([])));
}

#[test]
fn items_are_found_by_their_ids() {
    let stored = Stored::new(LIMIT);
    let image = json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBOR"});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"});
    let input = json!([{"id": "msg_given", "role": "user", "content": "draw"}, user("please")]);
    store(&stored, "", None, "resp_1", &input, &json!([reasoning, image]));
    for (item, found) in [
        (json!({"type": "item_reference", "id": "ig_1"}), image.clone()),
        (json!({"type": "image_generation_call", "id": "ig_1"}), image.clone()),
        (json!({"type": "image_generation_call", "id": "ig_1", "result": null, "revised_prompt": ""}), image.clone()),
        (json!({"type": "image_generation_call", "id": "ig_1", "status": "completed"}), image.clone()),
        (json!({"id": "ig_1"}), image.clone()),
        (json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null}), reasoning),
        (json!({"type": "item_reference", "id": "msg_given"}), input[0].clone()),
        (json!({"type": "item_reference", "id": "msg_1_1"}), input[1].clone()),
    ] {
        let body = json!({"model": "m", "input": [item, user("go on")]});
        assert_eq!(expand(&stored, &body).unwrap(), json!([found, user("go on")]), "{body}");
    }
    // What is not stored stays as it is; the endpoint refuses or repairs it.
    for item in [
        json!({"type": "item_reference", "id": "ig_2"}),
        json!({"type": "item_reference", "id": "msg_1_7"}),
        json!({"type": "item_reference", "id": "msg_1_0"}),
        json!({"type": "image_generation_call", "id": "ig_2"}),
        json!({"type": "reasoning", "id": "rs_2", "summary": []}),
        json!({"type": "image_generation_call", "id": "ig_1", "result": "mine"}),
    ] {
        let body = json!({"model": "m", "input": [item]});
        assert_eq!(expand(&stored, &body).unwrap(), json!([item]));
    }
}

#[test]
fn it_is_known_where_each_item_comes_from() {
    use ItemOrigin::{Referred, Sent, Stored as Kept, Text};
    let stored = Stored::new(LIMIT);
    store(&stored, "", None, "resp_1", &json!("x"), &json!([message("msg_1", "y")]));
    let reference = json!({"type": "item_reference", "id": "msg_1"});
    for (body, origins) in [
        (json!({"input": [user("a"), user("b")]}), None),
        (json!({"input": [user("a"), reference, user("b")]}), Some(vec![Sent(0), Referred(1), Sent(2)])),
        (json!({"input": [reference, reference, user("b")]}), Some(vec![Referred(0), Sent(2)])),
        (continuing("resp_1", json!("z")), Some(vec![Kept, Kept, Text])),
        (continuing("resp_1", json!([reference, user("z")])), Some(vec![Kept, Kept, Sent(1)])),
    ] {
        let expanded = stored.expand("", &Bytes::from(body.to_string()), LIMIT).unwrap();
        assert_eq!(expanded.origins, origins, "{body}");
    }
}

/// What `input_items` gives is the item that was sent, although it is written in another way.
#[test]
fn listed_items_are_known_again_and_a_notice_tells_what_was_left_out() {
    let stored = Stored::new(LIMIT);
    let reply = message("msg_r", "ok");
    store(&stored, "", None, "resp_1", &json!([user("yes")]), &json!([reply]));
    let listed = json!({"id": "msg_1_0", "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": "yes"}]});
    let other = json!({"id": "msg_1_0", "role": "user", "content": "no"});
    let part = json!([{"type": "output_text", "text": "ok", "annotations": []}]);
    let said = |text: &str| json!({"id": "msg_r", "type": "message", "role": "assistant", "content": text});
    let same = json!({"id": "msg_r", "type": "message", "role": "assistant", "content": part});
    for (item, is_left_out, is_told) in [
        (listed, true, true),
        (other, false, false),
        (same, true, false),
        (said("another"), false, false),
        (json!({"type": "item_reference", "id": "msg_r"}), true, false),
    ] {
        let body = continuing("resp_1", json!([item, user("go on")])).to_string();
        let expanded = stored.expand("", &Bytes::from(body), LIMIT).unwrap();
        let input = serde_json::from_slice::<Value>(&expanded.body).unwrap()["input"].take();
        assert_eq!(input.as_array().unwrap().len(), if is_left_out { 3 } else { 4 }, "{item}");
        assert_eq!(expanded.has_repeats, is_told, "{item}");
    }
}

#[test]
fn listed_ids_are_all_different() {
    let stored = Stored::new(LIMIT);
    let given = json!({"id": "u1", "role": "user", "content": "x"});
    store(&stored, "", None, "resp_1", &json!([given, given]), &json!([message("msg_1", "y")]));
    store(&stored, "", Some("resp_1"), "resp_2", &json!([given]), &json!([message("msg_1", "z")]));
    let items = stored.get("", "resp_2").unwrap();
    let ids: Vec<_> = items.whole_input().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["u1", "u1_1", "msg_1", "u1_3"]);
}

#[test]
fn only_the_item_that_was_given_in_part_completes_it() {
    let stored = Stored::new(LIMIT);
    let thought = |id: &str, text: &str| json!({"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": text}]});
    let mut whole = thought("rs_1", "Hm.");
    whole["encrypted_content"] = json!("secret");
    store(&stored, "", None, "resp_1", &json!("x"), &json!([whole, message("msg_1", "y")]));
    for (item, is_known) in [
        (thought("rs_1", "Hm."), true),
        (thought("rs_1", "Ah."), false),
        (thought("msg_1", "Hm."), false),
        (json!({"type": "message", "role": "assistant", "id": "msg_1", "content": []}), true),
        (json!({"type": "image_generation_call", "id": "msg_1", "status": "failed", "result": null}), false),
    ] {
        let expanded = expand(&stored, &json!({"model": "m", "input": [item, user("go on")]})).unwrap();
        assert_eq!(expanded[0] != item, is_known, "{item}");
    }
}

#[test]
fn a_call_with_the_id_of_another_item_is_new_and_a_request_is_never_empty() {
    let stored = Stored::new(LIMIT);
    let given = json!({"id": "msg_u", "role": "user", "content": "continue"});
    store(&stored, "", None, "resp_1", &json!([given]), &json!([message("msg_1", "y")]));
    let call = json!({"type": "function_call", "id": "msg_1", "call_id": "c", "name": "f", "arguments": "{}"});
    let expanded = expand(&stored, &continuing("resp_1", json!([call, user("go on")]))).unwrap();
    assert_eq!(expanded[2], call);
    let thought = json!({"type": "reasoning", "id": "msg_1", "summary": [{"type": "summary_text", "text": "Hm."}]});
    let expanded = expand(&stored, &continuing("resp_1", json!([thought, user("go on")]))).unwrap();
    assert_eq!(expanded[2], thought);
    assert_eq!(expand(&stored, &continuing("resp_1", json!([given]))).unwrap()[2], given);
}

#[test]
fn an_item_of_the_conversation_is_there_once() {
    let stored = Stored::new(LIMIT);
    let given = json!({"id": "msg_u", "role": "user", "content": "one"});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"});
    store(&stored, "", None, "resp_1", &json!([given, user("two")]), &json!([call]));
    let whole = json!([given, user("two"), call, user("three")]);
    for again in [
        json!({"type": "item_reference", "id": "fc_1"}),
        json!({"type": "item_reference", "id": "msg_u"}),
        json!({"type": "item_reference", "id": "msg_1_1"}),
        json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{ }"}),
        given.clone(),
    ] {
        let body = continuing("resp_1", json!([again, user("three")]));
        assert_eq!(expand(&stored, &body).unwrap(), whole, "{again}");
    }
    // Clients can give different messages the same id.
    let other = json!({"id": "msg_u", "role": "user", "content": "three"});
    assert_eq!(expand(&stored, &continuing("resp_1", json!([other]))).unwrap()[3], other);
    // Within one request, a reference adds nothing to an item that is there.
    for items in [
        json!([{"type": "item_reference", "id": "fc_1"}, {"type": "item_reference", "id": "fc_1"}]),
        json!([call, {"type": "item_reference", "id": "fc_1"}]),
    ] {
        assert_eq!(expand(&stored, &json!({"model": "m", "input": items})).unwrap(), json!([call]));
    }
    let unknown = continuing("resp_1", json!([{"type": "item_reference", "id": "fc_9"}]));
    assert!(is_not_found(&expand(&stored, &unknown).unwrap_err(), "fc_9"));
    let reasoning = json!({"type": "reasoning", "id": "rs_9", "summary": []});
    assert_eq!(expand(&stored, &continuing("resp_1", json!([reasoning]))).unwrap()[3], reasoning);
}

#[test]
fn what_was_expanded_is_stored_expanded() {
    let stored = Stored::new(LIMIT);
    store(&stored, "", None, "resp_1", &json!("x"), &json!([message("msg_1", "y")]));
    let body = json!({"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]});
    let expanded = stored.expand("", &Bytes::from(body.to_string()), LIMIT).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&expanded.own).unwrap()["input"], json!([message("msg_1", "y")]));
    let body = continuing("resp_1", json!([user("z"), {"type": "item_reference", "id": "msg_1"}]));
    let expanded = stored.expand("", &Bytes::from(body.to_string()), LIMIT).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&expanded.own).unwrap()["input"], json!([user("z")]));
    assert_eq!(expanded.previous.unwrap().id(), "resp_1");
}

#[test]
fn a_request_grows_to_the_limit_of_one_that_is_sent_whole() {
    let stored = Stored::new(LIMIT);
    let items: Vec<_> = (0..10).map(|at| message(&format!("msg_{at}"), &"x".repeat(1000))).collect();
    store(&stored, "", None, "resp_1", &json!("x"), &json!(items));
    let references: Vec<_> = (0..10).map(|at| json!({"type": "item_reference", "id": format!("msg_{at}")})).collect();
    let repeated = vec![references[0].clone(); 10_000];
    for body in [json!({"model": "m", "input": references}), continuing("resp_1", json!("x"))] {
        let body = Bytes::from(body.to_string());
        assert_eq!(stored.expand("", &body, 1500).unwrap_err().kind(), ErrorKind::TooLarge);
        assert!(stored.expand("", &body, 20_000).unwrap().body.len() > 2000);
    }
    let body = Bytes::from(json!({"model": "m", "input": repeated}).to_string());
    assert!(stored.expand("", &body, 20_000).unwrap().body.len() < 2000);
}

/// One step of a client.
#[derive(Clone, Debug)]
enum Step {
    /// Stores a response with a text of this size that continues the response that was stored so many before.
    Store {
        bytes: usize,
        previous: Option<usize>,
    },
    Delete(usize),
    /// Asks for something that is not there.
    Miss,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let store = (0..3_000_usize, proptest::option::of(0..4_usize))
        .prop_map(|(bytes, previous)| Step::Store { bytes, previous });
    proptest::collection::vec(
        prop_oneof![6 => store, 2 => (0..8_usize).prop_map(Step::Delete), 1 => Just(Step::Miss)],
        0..60,
    )
}

proptest! {
    #[test]
    fn what_is_promised_can_be_continued_and_the_memory_is_bounded(steps in steps()) {
        const LIMIT: usize = 10_000;
        let stored = Stored::new(LIMIT);
        // The conversations of all responses that were stored, by number.
        let mut all: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        let name = |number: usize| format!("resp_{number}");
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Store { bytes, previous } => {
                    let previous = previous.and_then(|back| number.checked_sub(back + 1));
                    let previous = previous.filter(|number| stored.has("", &name(*number)));
                    let text = "x".repeat(bytes);
                    let (input, output) = (user(&text), message(&format!("msg_of_{number}"), "y"));
                    let before = stored.bytes();
                    let id = previous.map(name);
                    if store(&stored, "", id.as_deref(), &name(number), &json!([input]), &json!([output])) {
                        let mut conversation = previous.map(|number| all[&number].clone()).unwrap_or_default();
                        conversation.extend([input, output]);
                        all.insert(number, conversation);
                        prop_assert!(stored.has("", &name(number)), "what was promised is there");
                    } else {
                        prop_assert_eq!(stored.bytes(), before, "what is not stored changes nothing");
                    }
                }
                Step::Delete(back) => {
                    if let Some(number) = number.checked_sub(back) {
                        stored.delete("", &name(number));
                    }
                }
                Step::Miss => {
                    let before = stored.bytes();
                    prop_assert!(expand(&stored, &continuing("resp_none", json!("x"))).is_err());
                    prop_assert!(stored.item("", "none").is_none() && stored.get("other", "resp_0").is_none());
                    prop_assert_eq!(stored.bytes(), before);
                }
            }
            // One entry can take a little more than what counts towards the limit.
            prop_assert!(stored.bytes() <= LIMIT + 2_000);
            for (number, conversation) in all.iter().filter(|(number, _)| stored.has("", &name(**number))) {
                let mut expected = conversation.clone();
                expected.push(user("next"));
                prop_assert_eq!(expand(&stored, &continuing(&name(*number), json!("next"))).unwrap(), json!(expected));
                let item = stored.item("", &format!("msg_of_{number}")).unwrap();
                prop_assert_eq!(Some(&serde_json::from_str::<Value>(item.get()).unwrap()), conversation.last());
            }
        }
        for number in all.keys() {
            stored.delete("", &name(*number));
        }
        prop_assert!(stored.is_empty());
    }
}
