//! What a response repeats of its request, and what it says about storing.

use codex_translate::responses::ResponsesRequest;
use codex_translate::{
    Chunk, EventBuffer, EventReader, Fold as _, Options, Pipe as _, Profile, ReplyId, ReplyPlan, ResponsesFold,
    ResponsesPipe, Storage, Translated, normalise,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What every response has, whatever the backend leaves out: what openai-python and openai-node require, and the rest
/// of what a request can set.
const DEFAULTS: &str = r#"{"background":false,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,
    "metadata":{},"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,
    "safety_identifier":null,"store":false,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},
    "tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","user":null}"#;

const REQUIRED: [&str; 6] = ["id", "object", "created_at", "status", "output", "model"];

fn translated(body: &Value, storage: Storage) -> Translated {
    let request = ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
    normalise(request, &Profile::permissive("m"), &Options { storage, ..Options::default() }).unwrap()
}

fn plan(more: &Value) -> ReplyPlan {
    let mut body = json!({"model": "work", "input": "x"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    translated(&body, Storage::Never).plan
}

/// The backend's events, whose responses repeat the request as the backend got it, and tell of the account.
fn upstream(end: &str) -> Vec<String> {
    let response = |status: &str| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-5.5",
            "instructions": "", "max_output_tokens": null, "metadata": {}, "output": [], "parallel_tool_calls": false,
            "prompt_cache_key": "derived", "safety_identifier": "user-account", "user": "account", "store": false,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "tool_choice": {"type": "function",
            "name": "wire"}, "tools": [{"type": "function", "name": "wire", "parameters": {}, "strict": false}]})
    };
    let reasoning = json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "secret"});
    let mut last = json!({"type": format!("response.{end}"), "sequence_number": 4, "response": response(end)});
    last["response"]["error"] = json!({"code": "server_error", "message": "no"});
    last["response"]["incomplete_details"] = json!({"reason": "max_output_tokens"});
    [
        json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}),
        json!({"type": "response.in_progress", "sequence_number": 1, "response": response("in_progress")}),
        json!({"type": "response.output_item.added", "sequence_number": 2, "output_index": 0, "item": reasoning}),
        json!({"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": reasoning}),
        last,
    ]
    .map(|event| event.to_string())
    .to_vec()
}

fn reply_id() -> ReplyId {
    ReplyId { id: "resp_0".to_owned(), created: 1 }
}

/// Returns the events that a client gets, and what is stored.
fn streamed(plan: &ReplyPlan, events: &[String]) -> (Vec<Value>, Option<Value>) {
    let (mut pipe, mut out) = (ResponsesPipe::new(plan, &reply_id()), EventBuffer::default());
    let mut reader = EventReader::new();
    for event in events {
        if let Err(error) = pipe.feed(&mut reader, &Chunk::Message(event), &mut out) {
            pipe.write_error(&error, &mut out);
            break;
        }
    }
    let events = out.iter().map(|event| serde_json::from_str(event.json()).unwrap()).collect();
    let stored = codex_translate::Pipe::<EventBuffer>::stored_form(&pipe);
    (events, stored.map(|json| serde_json::from_str(json).unwrap()))
}

fn whole(plan: &ReplyPlan, events: &[String]) -> (Value, Value) {
    let (mut fold, mut reader) = (ResponsesFold::new(plan, &reply_id()), EventReader::new());
    for event in events {
        let _flow = fold.feed(&mut reader, &Chunk::Message(event)).unwrap();
    }
    let response = fold.end().unwrap();
    let [json, stored] = [response.json(), response.stored_form()].map(|json| serde_json::from_str(json).unwrap());
    (json, stored)
}

/// Returns the responses in all replies that the plan allows.
fn responses(plan: &ReplyPlan) -> Vec<Value> {
    let bare: Vec<_> = ["created", "completed"]
        .map(|kind| json!({"type": format!("response.{kind}"), "response": {"id": "resp_1"}}).to_string())
        .to_vec();
    let mut all = vec![whole(plan, &upstream("completed")).0, whole(plan, &bare).0];
    for events in [upstream("completed"), upstream("incomplete"), upstream("failed"), bare] {
        let (events, _) = streamed(plan, &events);
        all.extend(events.into_iter().filter_map(|mut event| Some(event.get_mut("response")?.take())));
    }
    assert!(all.len() > 10);
    all
}

#[test]
fn a_response_repeats_the_defaults_of_a_request_that_sets_nothing() {
    for response in responses(&plan(&json!({}))) {
        for (key, value) in serde_json::from_str::<Value>(DEFAULTS).unwrap().as_object().unwrap() {
            assert_eq!(response.get(key), Some(value), "{key} of {response}");
        }
        for key in REQUIRED.into_iter().chain(["error", "incomplete_details", "usage"]) {
            assert!(response.get(key).is_some(), "{key} of {response}");
        }
    }
}

#[test]
fn a_response_repeats_the_callers_values_and_tells_nothing_of_the_account() {
    let long = "weather in a town ".repeat(5);
    let given = json!({
        "instructions": "Be brief.", "max_output_tokens": 500, "max_tool_calls": 3, "metadata": {"trace": "1"},
        "parallel_tool_calls": true, "prompt_cache_key": "mine", "safety_identifier": "me", "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "high"}, "tool_choice": {"type": "function", "name": long},
        "tools": [{"type": "function", "name": long, "description": "d", "strict": false,
                   "parameters": {"type": "object", "properties": {}}}],
        "top_logprobs": 2, "top_p": 0.25, "truncation": "auto", "user": "ada", "background": false,
    });
    for response in responses(&plan(&given)) {
        for (key, value) in given.as_object().unwrap() {
            assert_eq!(response.get(key), Some(value), "{key}");
        }
    }
}

#[test]
fn tools_and_formats_are_repeated_as_they_were_written() {
    let long = "weather in a town ".repeat(5);
    // Each has something that is sent in another form, or not at all.
    let parameters = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": null});
    let function = json!({"type": "function", "name": long, "parameters": parameters, "description": null});
    let custom = json!({"type": "custom", "name": "c", "cache_control": {"type": "ephemeral"}});
    let tools = json!([function, custom, {"type": "file_search", "vector_store_ids": ["v"]}, {"type": "web_search_preview"},
        {"type": "namespace", "name": "n.s", "description": "d", "tools": [function, custom]}]);
    let schema = json!({"type": "json_schema", "name": "n", "schema": parameters});
    let given = json!({"tools": tools, "text": {"format": schema}});
    for response in responses(&plan(&given)) {
        assert_eq!((&response["tools"], &response["text"]["format"]), (&given["tools"], &given["text"]["format"]));
    }
    // Chat nests what Responses has beside the type.
    let of_chat = json!({"tools": [{"type": "function", "function": {"name": long, "parameters": parameters}}, custom],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": parameters}}});
    for response in responses(&plan(&of_chat)) {
        let expected = json!([{"type": "function", "name": long, "parameters": parameters}, custom]);
        assert_eq!((&response["tools"], &response["text"]["format"]), (&expected, &schema));
    }
}

#[test]
fn names_are_restored_in_what_the_backend_repeats() {
    let long = "weather in a town ".repeat(5);
    let function = json!({"type": "function", "name": long, "parameters": {"type": "object", "properties": {}}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "namespace", "name": "n.s", "description": "d", "tools": [function]}],
        "tool_choice": {"type": "function", "name": long}});
    // A request to the path of chat has no echo of its own.
    let request = codex_translate::chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let Translated { request, plan, .. } =
        codex_translate::to_responses(request, &Profile::permissive("m"), &Options::default()).unwrap();
    let sent: Value = serde_json::from_slice(&request.to_json()).unwrap();
    let mut response = json!({"id": "r", "status": "completed", "output": []});
    response["tools"] = sent["tools"].clone();
    response["tool_choice"] = sent["tool_choice"].clone();
    assert!(!response.to_string().contains(&long));
    let event = json!({"type": "response.completed", "response": response}).to_string();
    let (whole, _) = whole(&plan, &[event]);
    assert_eq!(whole["tools"][0]["name"], "n.s");
    assert_eq!((&whole["tools"][0]["tools"][0]["name"], &whole["tool_choice"]["name"]), (&json!(long), &json!(long)));
}

#[test]
fn metadata_is_strings() {
    for (metadata, param) in [(json!("x"), "metadata"), (json!({"a": 1}), "metadata.a")] {
        let body = json!({"model": "m", "input": "x", "metadata": metadata}).to_string();
        assert_eq!(ResponsesRequest::from_json(body.as_bytes()).unwrap_err().param(), Some(param));
    }
}

#[test]
fn only_a_caller_that_asks_gets_encrypted_reasoning_and_the_stored_form_has_it() {
    let include = json!({"include": ["reasoning.encrypted_content"]});
    let cli = json!({"input": [{"type": "message", "role": "user", "content": [],
        "internal_chat_message_metadata_passthrough": {}}, {"role": "user", "content": "x"}]});
    for (more, shows) in [(json!({}), false), (include, true), (cli, true)] {
        let (events, stored) = streamed(&plan(&more), &upstream("completed"));
        let (whole, stored_whole) = whole(&plan(&more), &upstream("completed"));
        for (what, has) in [(json!(events), shows), (whole, shows), (stored.unwrap(), true), (stored_whole, true)] {
            assert_eq!(what.to_string().contains("encrypted_content"), has, "{what}");
        }
    }
}

#[test]
fn a_reply_says_that_it_is_stored_only_if_it_can_be() {
    let body = json!({"model": "m", "input": "x"});
    let stored = |storage| translated(&body, storage).plan;
    let size = whole(&stored(Storage::UpTo(usize::MAX)), &upstream("completed")).1.to_string().len();
    // The size of the JSON as it is written.
    for (bytes, store) in [(size + 8, true), (size - 8, false), (0, false)] {
        let plan = stored(Storage::UpTo(bytes));
        let (events, _) = streamed(&plan, &upstream("completed"));
        assert_eq!(events.first().unwrap()["response"]["store"], true, "not known yet");
        assert_eq!(events.last().unwrap()["response"]["store"], store, "{bytes} of {size}");
        assert_eq!(whole(&plan, &upstream("completed")).0["store"], store);
    }
    // A failed response is never stored.
    let (events, stored_form) = streamed(&stored(Storage::UpTo(usize::MAX)), &upstream("failed"));
    assert_eq!((&events.last().unwrap()["response"]["store"], stored_form), (&json!(false), None));
    let refused = stored(Storage::Refused("too large".to_owned()));
    assert!(responses(&refused).iter().all(|response| response["store"] == false));
}

proptest! {
    #[test]
    fn the_echo_does_not_depend_on_the_backend(temperature in 0..8_u8, user in "[a-z]{1,9}", given in any::<[bool; 3]>()) {
        let mut more = json!({});
        let values = [("temperature", json!(f64::from(temperature) / 4.0)), ("user", json!(user)), ("metadata", json!({"k": user}))];
        for ((key, value), _) in values.iter().zip(given).filter(|(_, given)| *given) {
            more[*key] = value.clone();
        }
        let plan = plan(&more);
        let defaults: Value = serde_json::from_str(DEFAULTS).unwrap();
        for response in responses(&plan) {
            for (key, _) in &values {
                prop_assert_eq!(&response[*key], more.get(*key).unwrap_or_else(|| &defaults[*key]));
            }
        }
    }
}
