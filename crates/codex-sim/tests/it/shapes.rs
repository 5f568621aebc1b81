//! Every event and every item, key by key and in the order of the keys (`docs/backend.md` §3.2-§3.4).

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::peer::{Peer, Reply, turn_with, weather_tool};

/// The keys after `type` and `sequence_number`; deltas have `obfuscation` last.
const EVENTS: [(&str, &str); 30] = [
    ("response.created", "response"),
    ("response.in_progress", "response"),
    ("response.output_item.added", "output_index item"),
    ("response.output_item.done", "output_index item"),
    ("response.content_part.added", "item_id output_index content_index part"),
    ("response.content_part.done", "item_id output_index content_index part"),
    ("response.output_text.delta", "item_id output_index content_index delta logprobs obfuscation"),
    ("response.output_text.done", "item_id output_index content_index text logprobs"),
    ("response.output_text.annotation.added", "item_id output_index content_index annotation_index annotation"),
    ("response.refusal.delta", "item_id output_index content_index delta obfuscation"),
    ("response.refusal.done", "item_id output_index content_index refusal"),
    ("response.reasoning_summary_part.added", "item_id output_index summary_index part"),
    ("response.reasoning_summary_part.done", "item_id output_index summary_index part"),
    ("response.reasoning_summary_text.delta", "item_id output_index summary_index delta obfuscation"),
    ("response.reasoning_summary_text.done", "item_id output_index summary_index text"),
    ("response.reasoning_text.delta", "item_id output_index content_index delta obfuscation"),
    ("response.reasoning_text.done", "item_id output_index content_index text"),
    ("response.function_call_arguments.delta", "item_id output_index delta obfuscation"),
    ("response.function_call_arguments.done", "item_id output_index arguments"),
    ("response.custom_tool_call_input.delta", "item_id output_index delta obfuscation"),
    ("response.custom_tool_call_input.done", "item_id output_index input"),
    ("response.web_search_call.in_progress", "item_id output_index"),
    ("response.web_search_call.searching", "item_id output_index"),
    ("response.web_search_call.completed", "item_id output_index"),
    ("response.image_generation_call.in_progress", "item_id output_index"),
    ("response.image_generation_call.generating", "item_id output_index"),
    (
        "response.image_generation_call.partial_image",
        "item_id output_index partial_image_index partial_image_b64 output_format size quality background",
    ),
    ("response.image_generation_call.completed", "item_id output_index"),
    ("response.completed", "response"),
    ("keepalive", ""),
];

/// A reply with everything a reply can contain.
async fn everything(peer: &Peer) -> Reply {
    let words = "[sim:reasoning][sim:reasoning-text][sim:commentary-only][sim:tool][sim:custom-tool][sim:web-search]\
                 [sim:image][sim:refusal][sim:text=the end][sim:keepalive] go";
    let body = json!({
        "tools": [weather_tool(), {"type": "custom", "name": "shell"}],
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    });
    let reply = peer.turn(&turn_with(words, body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn every_event_has_the_documented_keys_in_order() {
    let peer = Peer::start().await;
    let reply = everything(&peer).await;
    let known: HashMap<&str, &str> = EVENTS.into_iter().collect();
    let mut seen: Vec<String> = Vec::new();
    for (number, event) in reply.events().iter().enumerate() {
        let kind = event["type"].as_str().expect("a type");
        let wanted = known.get(kind).unwrap_or_else(|| panic!("{kind} is not documented"));
        let wanted: Vec<&str> = ["type", "sequence_number"].into_iter().chain(wanted.split_whitespace()).collect();
        assert_eq!(keys(event), wanted, "{kind}");
        assert_eq!(event["sequence_number"].as_u64(), Some(number as u64), "{kind}: a keepalive counts too");
        if !seen.contains(&kind.to_owned()) {
            seen.push(kind.to_owned());
        }
    }
    assert_eq!(seen.len(), EVENTS.len(), "not all were made: {seen:?}");
    // The event line repeats the type.
    let lines: Vec<&str> = reply.text().lines().collect();
    for pair in lines.chunks(3) {
        let kind = pair[0].strip_prefix("event: ").expect("an event line");
        assert!(
            pair[1].starts_with(&format!("data: {{\"type\":\"{kind}\"")) && pair.get(2).is_none_or(|l| l.is_empty())
        );
    }
}

/// Returns an item as it appears and as it is done, without ids and long texts.
fn outline(item: &Value) -> Value {
    let mut outline = item.clone();
    for key in ["id", "call_id", "encrypted_content", "result"] {
        if let Some(text) = item[key].as_str() {
            outline[key] = json!(&text[..text.find('_').map_or(4, |at| at + 1)]);
        }
    }
    outline
}

fn message(text: &str, phase: &str, annotations: &Value) -> (Value, Value) {
    let content = json!([{"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}]);
    let item = |status: &str, content: Value| {
        json!({"id": "msg_", "type": "message", "status": status, "content": content, "phase": phase,
               "role": "assistant"})
    };
    (item("in_progress", json!([])), item("completed", content))
}

#[tokio::test]
async fn every_item_has_an_added_and_a_done_form() {
    let peer = Peer::start().await;
    let reply = everything(&peer).await;
    let events = reply.events();
    let items = |kind: &str| -> Vec<Value> {
        let named = events.iter().filter(|event| event["type"] == format!("response.output_item.{kind}"));
        named.map(|event| outline(&event["item"])).collect()
    };
    let (added, done) = (items("added"), items("done"));
    let bare = json!({"id": "rs_", "type": "reasoning", "summary": []});
    let call = |status: &str, arguments: &str| {
        json!({"id": "fc_", "type": "function_call", "status": status, "arguments": arguments, "call_id": "call_",
               "name": "get_weather"})
    };
    let custom = |status: &str, input: &str| {
        json!({"id": "ctc_", "type": "custom_tool_call", "status": status, "call_id": "call_", "name": "shell",
               "input": input})
    };
    let cited = json!([{"type": "url_citation", "start_index": 19, "end_index": 34,
                        "url": "https://example.com/weather?utm_source=openai", "title": "Example Weather"}]);
    let searched = "It was sunny — see Example Weather, which is updated daily ✓.";
    let (commentary, weather) =
        (message(COMMENTARY, "commentary", &json!([])), message(searched, "final_answer", &cited));
    let image = json!({"id": "ig_", "type": "image_generation_call", "status": "completed", "action": "generate",
                       "background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024",
                       "revised_prompt": "go", "result": "iVBO"});
    let (drawn, end) =
        (message("Here is the image.", "final_answer", &json!([])), message("the end", "final_answer", &json!([])));
    let refusal = json!({"id": "msg_", "type": "message", "status": "completed",
                         "content": [{"type": "refusal", "refusal": "I'm sorry, but I can't help with that request."}],
                         "phase": "final_answer", "role": "assistant"});
    let search = json!({"id": "ws_", "type": "web_search_call", "status": "completed",
                        "action": {"type": "search", "query": "go", "queries": ["go"]}});
    let pairs: Vec<(Value, Value)> = vec![
        commentary,
        (call("in_progress", ""), call("completed", "{\"location\": \"sample location\", \"unit\": \"c\"}")),
        (custom("in_progress", ""), custom("completed", "simulated input — for shell ✓")),
        (json!({"id": "ws_", "type": "web_search_call", "status": "in_progress"}), search),
        weather,
        (json!({"id": "ig_", "type": "image_generation_call", "status": "in_progress", "result": null}), image),
        drawn,
        (message("", "final_answer", &json!([])).0, refusal),
        end,
    ];
    let (wanted_added, wanted_done): (Vec<Value>, Vec<Value>) = pairs.into_iter().unzip();
    assert_eq!(added[..2], [bare.clone(), bare]);
    assert_eq!(added[2..], wanted_added);
    assert_eq!(keys(&done[0]), ["id", "type", "summary", "content", "encrypted_content"]);
    assert_eq!((&done[0]["content"], &done[0]["encrypted_content"]), (&json!([]), &json!("gAAA")));
    assert_eq!(done[1]["content"][0]["type"], "reasoning_text");
    assert_eq!(done[2..], wanted_done);
}

const COMMENTARY: &str = "Let me look at the question first.";

#[tokio::test]
async fn deltas_parts_and_items_have_the_same_text() {
    let peer = Peer::start().await;
    let reply = everything(&peer).await;
    let mut said: HashMap<String, String> = HashMap::new();
    for event in reply.events() {
        let kind = event["type"].as_str().expect("a type");
        let place = || format!("{}/{}{}", event["output_index"], event["summary_index"], event["content_index"]);
        if let Some(delta) = event["delta"].as_str() {
            said.entry(place()).or_default().push_str(delta);
        } else if let Some(text) =
            ["text", "refusal", "arguments", "input"].iter().find_map(|key| event.get(*key)?.as_str())
        {
            assert_eq!(said.get(&place()).map(String::as_str), Some(text), "{kind}");
        } else if kind.ends_with("part.done") {
            let text = event["part"].get("text").or_else(|| event["part"].get("refusal")).and_then(Value::as_str);
            assert_eq!(said.get(&place()).map(String::as_str), text, "{kind}");
        }
    }
    assert_eq!(said.len(), 10);
}

#[tokio::test]
async fn ids_have_the_documented_shapes_and_padding_differs() {
    let peer = Peer::start().await;
    let reply = everything(&peer).await;
    let id = reply.last()["response"]["id"].as_str().expect("an id").to_owned();
    let shared = id["resp_".len()..][..26].to_owned();
    let mut seen = Vec::new();
    for item in reply.items() {
        let id = item["id"].as_str().expect("an id").to_owned();
        let (_, digits) = id.split_once('_').expect("a prefix");
        assert!(digits.len() == 50 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert!(digits.starts_with(&shared), "{id} does not share {shared}");
        if let Some(call) = item["call_id"].as_str() {
            let (prefix, rest) = call.split_once('_').expect("a prefix");
            assert!(prefix == "call" && rest.len() == 24 && rest.bytes().all(|b| b.is_ascii_alphanumeric()), "{call}");
        }
        assert!(!seen.contains(&id));
        seen.push(id);
    }
    let padding = |index: u64| -> Vec<String> {
        let of_part = |event: &&Value| event["summary_index"] == index && event["obfuscation"].is_string();
        reply.events().iter().filter(of_part).map(|event| event["obfuscation"].to_string()).collect()
    };
    assert_ne!(padding(0)[..5], padding(1)[..5]);
}

#[tokio::test]
async fn the_terminal_response_has_the_newer_keys_and_consistent_usage() {
    let peer = Peer::start().await;
    let reply = everything(&peer).await;
    let first = reply.events()[0]["response"].clone();
    let last = reply.last()["response"].clone();
    assert_eq!((&first["service_tier"], &last["service_tier"]), (&json!("auto"), &json!("default")));
    assert_eq!((&first["usage"], &last["output"]), (&Value::Null, &json!([])));
    let newer = ["completed_at", "end_turn", "frequency_penalty", "presence_penalty", "tool_usage"];
    assert_eq!(keys(&last).split_off(keys(&first).len()), newer);
    assert_eq!(last["end_turn"], false, "a call waits for its output");
    assert_eq!(keys(&last["tool_usage"]["image_gen"]).len(), 5);
    let usage = &last["usage"];
    assert_eq!(
        keys(usage),
        [
            "input_tokens",
            "input_tokens_details",
            "output_tokens",
            "output_tokens_details",
            "total_tokens",
            "codex_rollout_budget_units"
        ]
    );
    assert_eq!(keys(&usage["input_tokens_details"]), ["cached_tokens", "cache_write_tokens"]);
    let number = |value: &Value| value.as_u64().expect("a count");
    assert_eq!(number(&usage["total_tokens"]), number(&usage["input_tokens"]) + number(&usage["output_tokens"]));
    let reasoned = number(&usage["output_tokens_details"]["reasoning_tokens"]);
    assert!(reasoned > 0 && reasoned < number(&usage["output_tokens"]));
    let plain = peer.say("hi").await.last()["response"].clone();
    assert_eq!((&plain["end_turn"], plain.get("tool_usage")), (&json!(true), None));
}

/// §2.4, §2.7, §2.8: the echo of the request.
#[tokio::test]
async fn the_echo_shows_how_the_request_was_understood() {
    let peer = Peer::start().await;
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    let open = json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": true}}});
    let tools = json!([
        {"type": "function", "name": "implicit", "parameters": schema},
        {"type": "function", "name": "plain", "strict": false, "parameters": schema},
        {"type": "function", "name": "open", "parameters": open},
        {"type": "image_generation", "output_format": "webp"},
    ]);
    let format = json!({"type": "json_schema", "name": "r", "schema": schema});
    let body = json!({"tools": tools, "text": {"format": format}, "reasoning": {"summary": "auto"},
                      "tool_choice": "none", "parallel_tool_calls": false, "service_tier": "priority"});
    let reply = peer.turn(&turn_with("hi", body)).await;
    let echo = reply.events()[1]["response"].clone();
    let strict = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                        "required": ["a", "b"], "additionalProperties": false});
    assert_eq!(echo["tools"][0]["parameters"], strict);
    assert_eq!(echo["tools"][0]["strict"], true);
    assert_eq!((&echo["tools"][1]["parameters"], &echo["tools"][1]["strict"]), (&schema, &json!(false)));
    assert_eq!((&echo["tools"][2]["parameters"], &echo["tools"][2]["strict"]), (&open, &json!(false)));
    assert_eq!(
        echo["tools"][3],
        json!({"type": "image_generation", "background": "auto", "model": "gpt-image-2-codex", "moderation": "auto", "n": 1,
               "output_compression": 100, "output_format": "webp", "quality": "auto", "size": "auto"})
    );
    let format = json!({"type": "json_schema", "name": "r", "schema": strict, "strict": true, "description": null});
    assert_eq!(echo["text"], json!({"format": format, "verbosity": "medium"}));
    assert_eq!(echo["reasoning"], json!({"effort": "medium", "summary": "detailed"}));
    assert_eq!((&echo["tool_choice"], &echo["parallel_tool_calls"]), (&json!("none"), &json!(false)));
    assert_eq!(echo["service_tier"], "auto", "the echo tells nothing of the tier");
    assert_eq!(echo["instructions"], "Be brief.");
}
