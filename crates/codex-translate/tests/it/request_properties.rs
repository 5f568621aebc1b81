//! Properties of all requests, however odd.

use codex_translate::{Options, Profile, chat, normalise, responses, to_responses};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::backend;
use crate::chat_request::{profile, sent};

/// Generates any JSON, with many of the keys and words that the readers know.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::vec((word(), any_json()), 0..8)
        .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into())
}

fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "type",
        "role",
        "content",
        "text",
        "user",
        "assistant",
        "system",
        "developer",
        "tool",
        "function",
        "name",
        "arguments",
        "tool_calls",
        "tool_call_id",
        "call_id",
        "id",
        "output",
        "input",
        "messages",
        "model",
        "tools",
        "parameters",
        "object",
        "properties",
        "items",
        "array",
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "reasoning",
        "encrypted_content",
        "summary",
        "item_reference",
        "image_url",
        "url",
        "input_text",
        "output_text",
        "refusal",
        "custom",
        "additional_tools",
        "web_search_call",
        "action",
        "json_schema",
        "schema",
        "json_object",
        "response_format",
        "strict",
        "tool_choice",
        "client_metadata",
        "reasoning_effort",
        "text",
        "format",
        "allowed_tools",
        "mode",
        "auto",
        "required",
        "stop",
        "n",
        "stream",
        "local_shell_call",
        "",
    ];
    prop_oneof![9 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// Generates a text that is empty, short, or long enough to be shortened.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", Just("json".to_owned()), "[a-z]{60,80}"]
}

/// Generates one of a few ids, so that calls and outputs match, are missing, or are repeated.
fn call_id() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["a", "b", "c", "a_2", "a_3"][..]).prop_map(str::to_owned),
        prop::sample::select(vec!["l".repeat(65), "l".repeat(66), format!("{}_2", "m".repeat(62)), "m".repeat(64)]),
    ]
}

/// Generates one of a few ids of items, none of which is OpenAI's, or an empty one.
fn item_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["i", "j", "k", ""][..])
}

fn tool_name() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&["f", "g", "a.b", "a b", ""][..]).prop_map(str::to_owned), "[a-zA-Zé.]{1,80}"]
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        text().prop_map(|text| json!({"type": "input_text", "text": text, "cache_control": {}})),
        text().prop_map(|text| json!({"type": "output_text", "text": text, "annotations": []})),
        text().prop_map(|text| json!({"type": "refusal", "refusal": text})),
        Just(json!({"type": "image_url", "image_url": {"url": "data:,"}})),
        Just(json!({"type": "input_image", "image_url": "data:,"})),
        Just(json!({"type": "file", "file": {"file_id": "f"}})),
        Just(json!({"type": "thinking", "thinking": "x"})),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![text().prop_map(Value::from), prop::collection::vec(part(), 0..4).prop_map(Value::from)]
}

pub(crate) fn chat_message() -> impl Strategy<Value = Value> {
    let said = (prop::sample::select(&["system", "developer", "user"][..]), content(), prop::option::of(text()))
        .prop_map(|(role, content, name)| json!({"role": role, "content": content, "name": name}));
    let call = prop_oneof![
        (call_id(), tool_name(), text()).prop_map(
            |(id, name, text)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": text}})
        ),
        (call_id(), tool_name(), text())
            .prop_map(|(id, name, text)| json!({"id": id, "type": "custom", "custom": {"name": name, "input": text}})),
    ];
    let assistant = (prop::option::of(content()), prop::collection::vec(call, 0..4))
        .prop_map(|(content, calls)| json!({"role": "assistant", "content": content, "tool_calls": calls, "reasoning_content": "x"}));
    let tool = (call_id(), prop::option::of(content()))
        .prop_map(|(id, content)| json!({"role": "tool", "tool_call_id": id, "content": content}));
    let legacy = (tool_name(), text())
        .prop_map(|(name, text)| json!({"role": "assistant", "function_call": {"name": name, "arguments": text}}));
    let answer = (prop::sample::select(&["f", "g"][..]), content())
        .prop_map(|(name, content)| json!({"role": "function", "name": name, "content": content}));
    prop_oneof![3 => said, 3 => assistant, 3 => tool, 1 => legacy, 1 => answer]
}

pub(crate) fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => chat_message(),
        2 => (call_id(), tool_name(), text(), any::<bool>()).prop_map(|(id, name, text, custom)| if custom {
            json!({"type": "custom_tool_call", "id": format!("call {id}"), "call_id": id, "name": name, "input": text})
        } else {
            json!({"type": "function_call", "id": format!("call {id}"), "status": "completed", "call_id": id, "name": name, "arguments": text})
        }),
        2 => (call_id(), content(), any::<bool>()).prop_map(|(id, content, custom)| {
            json!({"type": if custom { "custom_tool_call_output" } else { "function_call_output" }, "call_id": id, "output": content})
        }),
        1 => (item_id(), prop::option::of(text())).prop_map(|(id, text)| json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": text})),
        1 => (item_id(), text()).prop_map(|(id, text)| json!({"type": "message", "role": "assistant", "id": id, "content": text})),
        1 => (prop::sample::select(&["search", "other"][..])).prop_map(|kind| json!({"type": "web_search_call", "id": "ws", "action": {"type": kind}})),
        1 => call_id().prop_map(|id| json!({"type": "local_shell_call", "id": "lsh", "call_id": id, "action": {}})),
        1 => any_json().prop_map(|value| json!({"type": "image_generation_call", "size": "auto", "result": value})),
    ]
}

fn tool() -> impl Strategy<Value = Value> {
    prop_oneof![
        (tool_name(), any_json()).prop_filter_map("an object", |(name, mut schema)| {
            // Parameters that are not an object are an error of the client, which the backend reports.
            schema.as_object_mut()?.remove("type");
            Some(json!({"type": "function", "function": {"name": format!("x{name}"), "parameters": schema}}))
        }),
        tool_name().prop_map(|name| json!({"type": "function", "name": format!("y{name}"), "strict": true})),
        tool_name().prop_map(|name| json!({"type": "custom", "name": format!("z{name}")})),
        Just(json!({"type": "web_search_preview"})),
        Just(json!({"type": "mcp", "server_label": "x"})),
    ]
}

fn settings() -> impl Strategy<Value = Value> {
    (
        prop::collection::vec(tool(), 0..4),
        prop::option::of(prop::sample::select(&["auto", "none"][..])),
        prop::option::of(prop::sample::select(&["none", "minimal", "low", "ultra", "x"][..])),
        prop::option::of(prop::sample::select(&["auto", "fast", "flex", "priority"][..])),
        prop::option::of(prop::sample::select(&["text", "json_object"][..])),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(tools, choice, effort, tier, format, stream)| {
            let format = format.map(|format| json!({"type": format}));
            json!({"model": "m", "tools": tools, "tool_choice": choice, "reasoning_effort": effort, "service_tier": tier,
                "response_format": format, "stream": stream, "temperature": 0.3})
        })
}

pub(crate) fn body(key: &'static str, element: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (settings(), prop::collection::vec(element, 1..8)).prop_map(move |(mut body, list)| {
        body[key] = Value::from(list);
        body
    })
}

/// Runs both readers and both translations on both kinds of model, none of which may panic.
fn try_all(body: &[u8]) {
    for profile in [profile(), Profile { lite: true, ..Profile::permissive("m") }] {
        for options in [Options::default(), Options { strict: true, web_search: true, ..Options::default() }] {
            if let Ok(request) = chat::ChatRequest::from_json(body) {
                let _ = to_responses(request, &profile, &options);
            }
            if let Ok(request) = responses::ResponsesRequest::from_json(body) {
                let _ = normalise(request, &profile, &options);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        try_all(&body);
    }

    #[test]
    fn no_json_causes_a_panic(mut body in prop_oneof![1 => any_json(), 4 => any_object()], input in any_json()) {
        try_all(body.to_string().as_bytes());
        if body.is_object() {
            body["model"] = json!("m");
            body["input"] = json!([input, {"role": "user", "content": "x"}]);
            try_all(body.to_string().as_bytes());
            body["messages"] = json!([{"role": "assistant", "content": input, "tool_calls": [input]}]);
            try_all(body.to_string().as_bytes());
        }
    }

    #[test]
    fn the_backend_accepts_every_translated_chat_request(body in body("messages", chat_message())) {
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes());
        let Ok(translated) = request.and_then(|request| to_responses(request, &profile(), &Options::default())) else {
            // The conversation was empty, or a schema meant nothing.
            return Ok(());
        };
        backend::accepts(&sent(&translated));
        for notice in &translated.notices {
            prop_assert!(notice.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b','));
        }
    }

    #[test]
    fn the_backend_accepts_every_normalised_request_and_normalising_is_idempotent(body in body("input", item())) {
        let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes());
        let Ok(once) = request.and_then(|request| normalise(request, &profile(), &Options::default())) else {
            return Ok(());
        };
        backend::accepts(&sent(&once));
        let bytes = once.request.to_json();
        let twice = normalise(once.request, &profile(), &Options::default()).unwrap();
        prop_assert_eq!(&String::from_utf8(twice.request.to_json()).unwrap(), &String::from_utf8(bytes.clone()).unwrap());
        let read = normalise(responses::ResponsesRequest::from_json(&bytes).unwrap(), &profile(), &Options::default()).unwrap();
        prop_assert_eq!(String::from_utf8(read.request.to_json()).unwrap(), String::from_utf8(bytes).unwrap());
        prop_assert!(read.notices.is_empty(), "what is settled needs no notice: {:?}", read.notices);
    }

    #[test]
    fn normalising_anything_is_idempotent(mut body in any_object(), input in prop::collection::vec(prop_oneof![any_json(), item()], 1..4), lite in any::<bool>()) {
        body["model"] = json!("m");
        body["input"] = Value::from(input);
        let profile = Profile { lite, ..profile() };
        let settle = |bytes: &[u8]| responses::ResponsesRequest::from_json(bytes).and_then(|request| normalise(request, &profile, &Options::default()));
        if let Ok(once) = settle(body.to_string().as_bytes()) {
            let bytes = once.request.to_json();
            let twice = settle(&bytes).unwrap();
            prop_assert_eq!(String::from_utf8(twice.request.to_json()).unwrap(), String::from_utf8(bytes).unwrap());
        }
    }
}
