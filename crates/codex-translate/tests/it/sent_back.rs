//! Whatever a reply says can be sent back in the next request, in strict mode, without a notice.

use codex_translate::responses::ResponsesRequest;
use codex_translate::{Notice, Options, Profile, chat, normalise, to_responses};
use serde_json::{Value, json};

use crate::fixtures::{Way, cases};
use crate::invariants;

/// Adds deltas as openai-python does (`accumulate_delta`): entries of lists are found by their index, and keep it.
///
/// # Panics
/// It would raise an exception.
fn accumulate(whole: &mut Value, delta: &Value) {
    for (key, value) in delta.as_object().expect("an object") {
        let known = &mut whole[key];
        match (known, value) {
            (known @ Value::Null, Value::Array(_)) => {
                *known = json!([]);
                add_entries(known.as_array_mut().unwrap(), value);
            }
            (known @ Value::Null, _) => *known = value.clone(),
            (known, _) if key == "index" || key == "type" => *known = value.clone(),
            (Value::String(known), Value::String(more)) => known.push_str(more),
            (Value::Array(known), Value::Array(_)) => add_entries(known, value),
            (known @ Value::Object(_), Value::Object(_)) => accumulate(known, value),
            (known, value) => panic!("{key}: {known} and {value}"),
        }
    }
}

fn add_entries(known: &mut Vec<Value>, more: &Value) {
    for entry in more.as_array().unwrap() {
        let index = entry["index"].as_u64().expect("an index in every entry of a list");
        match known.get_mut(usize::try_from(index).unwrap()) {
            Some(known) => accumulate(known, entry),
            None => known.push(entry.clone()),
        }
    }
}

/// Returns the input of a request that continues with `message`.
fn input_after(message: &Value, name: &str) -> Vec<Value> {
    let mut messages = vec![json!({"role": "user", "content": "Say hey."}), message.clone()];
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "x"}));
    }
    if let Some(called) = message.get("function_call").filter(|called| !called.is_null()) {
        messages.push(json!({"role": "function", "name": called["name"], "content": "x"}));
    }
    messages.push(json!({"role": "user", "content": "Once more."}));
    let body = json!({"model": "m", "messages": messages}).to_string();
    let options = Options { strict: true, ..Options::default() };
    let translated = chat::ChatRequest::from_json(body.as_bytes())
        .and_then(|request| to_responses(request, &Profile::permissive("m"), &options))
        .unwrap_or_else(|error| panic!("{name}: {error} in {body}"));
    let is_about_messages = |notice: &&Notice| notice.parameter.starts_with("messages");
    assert_eq!(translated.notices.iter().find(is_about_messages), None, "{name}: {body}");
    let request: Value = serde_json::from_slice(&translated.request.to_json()).unwrap();
    request["input"].as_array().unwrap().clone()
}

/// The cases in which a body has another text than the stream, because the backend has ended it otherwise.
const REVISED: [&str; 5] =
    ["call_respaced", "reasoning_revised", "text_ends_disagree", "text_revised", "text_with_a_lost_delta"];

#[test]
fn every_reply_can_be_sent_back() {
    let (mut replies, mut images) = (0, 0);
    for case in cases() {
        let Some(plan) = case.chat_plan() else { continue };
        let [stream, body] = [Way::ChatStream, Way::ChatBody].map(|way| way.outcome(&plan, [&case.events[..]]));
        let (Some(stream), Some(body), None) = (stream.success, body.success, stream.error) else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        let message = &body["choices"][0]["message"];
        let chunks = invariants::chunks(&stream, plan.include_usage, true);
        let mut accumulated = json!({});
        for choice in chunks.iter().filter_map(|chunk| chunk["choices"].get(0)) {
            accumulate(&mut accumulated, &choice["delta"]);
        }
        // What the parsers of OpenAI's SDKs add.
        accumulated["parsed"] = Value::Null;
        accumulated["audio"] = Value::Null;

        let input = input_after(message, &case.name);
        let after_stream = input_after(&accumulated, &case.name);
        if !REVISED.contains(&&*case.name) {
            assert_eq!(after_stream, input, "{}", case.name);
        }
        let text = Value::Array(input).to_string();
        for image in message["images"].as_array().into_iter().flatten() {
            images += 1;
            assert!(text.contains(image["image_url"]["url"].as_str().unwrap()), "{}: {text}", case.name);
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            assert!(text.contains(call["id"].as_str().unwrap()), "{}: {text}", case.name);
        }
        replies += 1;
    }
    assert!(replies > 50 && images > 0, "{replies} replies, {images} images");
}

/// Returns what a request that continues with the items of `output` sends of them; those of another request's tools
/// get an output.
fn items_after(output: &[Value], name: &str) -> Vec<Value> {
    let mut input = vec![json!({"role": "user", "content": "Say hey."})];
    input.extend_from_slice(output);
    for item in output.iter().filter(|item| item["type"] != "tool_search_call") {
        let kind = item["type"].as_str().expect("a type");
        if item.get("call_id").is_some() {
            input.push(json!({"type": format!("{kind}_output"), "call_id": item["call_id"], "output": "x"}));
        }
    }
    let body = json!({"model": "m", "input": input}).to_string();
    let options = Options { strict: true, ..Options::default() };
    let translated = ResponsesRequest::from_json(body.as_bytes())
        .and_then(|request| normalise(request, &Profile::permissive("m"), &options))
        .unwrap_or_else(|error| panic!("{name}: {error} in {body}"));
    // The name of a tool may be too long for the backend, reasoning is encrypted only if the client asked for it, and
    // an item may have a member that no request knows.
    let is_expected = |notice: &Notice| {
        notice.parameter == "tools[].name"
            || notice.detail.contains("`reasoning` without")
            || notice.parameter.ends_with(".x_item")
    };
    assert_eq!(translated.notices.iter().find(|notice| !is_expected(notice)), None, "{name}: {body}");
    let request: Value = serde_json::from_slice(&translated.request.to_json()).unwrap();
    request["input"].as_array().unwrap()[1..].to_vec()
}

#[test]
fn every_response_can_be_sent_back() {
    let mut items = 0;
    for case in cases() {
        let Some(plan) = case.responses_plan() else { continue };
        let Some(body) = Way::ResponsesBody.outcome(&plan, [&case.events[..]]).success else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        let output = body["output"].as_array().unwrap();
        let sent = Value::Array(items_after(output, &case.name)).to_string();
        for item in output {
            items += 1;
            for key in ["call_id", "arguments", "input", "encrypted_content", "result"] {
                assert!(item[key].is_null() || sent.contains(&item[key].to_string()), "{}: {key} in {sent}", case.name);
            }
            for part in item["content"].as_array().into_iter().flatten().filter(|_| item["type"] == "message") {
                for text in ["text", "refusal"].iter().filter_map(|key| part.get(key)) {
                    assert!(sent.contains(&text.to_string()), "{}: {text} in {sent}", case.name);
                }
            }
        }
    }
    assert!(items > 100, "{items} items");
}
