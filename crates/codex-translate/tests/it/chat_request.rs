//! Chat requests, as sent and as they reach the backend.

use codex_translate::{Effort, ErrorKind, Options, Profile, ReasoningStyle, Translated, chat, params, to_responses};
use serde_json::{Value, json};

use crate::backend;

/// The profile of a known model.
pub(crate) fn profile() -> Profile {
    Profile {
        slug: "gpt-5.5".into(),
        efforts: ["low", "medium", "high", "xhigh"].map(Effort::from_word).into(),
        verbosity: true,
        tiers: vec!["priority".into()],
        summaries: true,
        lite: false,
    }
}

#[track_caller]
pub(crate) fn translate(body: &Value) -> Translated {
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = to_responses(request, &profile(), &Options::default()).unwrap();
    backend::accepts(&sent(&translated));
    translated
}

pub(crate) fn sent(translated: &Translated) -> Value {
    serde_json::from_slice(&translated.request.to_json()).unwrap()
}

/// The parameter and the kind of each notice.
pub(crate) fn notices(translated: &Translated) -> Vec<String> {
    translated.notices.iter().map(|notice| format!("{} {}", notice.parameter, notice.kind)).collect()
}

/// Checks all notices, and the members of the sent body that `expected` names; `null` means absence.
#[track_caller]
fn check(mut body: Value, expected: Value, expected_notices: &[&str]) {
    let map = body.as_object_mut().unwrap();
    map.entry("model").or_insert(json!("caller-name"));
    map.entry("messages").or_insert(json!([{"role": "user", "content": "hi"}]));
    let translated = translate(&body);
    let sent = sent(&translated);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(sent.get(key).unwrap_or(&Value::Null), value, "`{key}` of {sent:#}");
    }
    assert_eq!(notices(&translated), expected_notices);
}

/// Checks the `input` that `messages` become.
#[track_caller]
fn check_input(messages: Value, instructions: &str, input: Value, expected_notices: &[&str]) {
    check(json!({"messages": messages}), json!({"instructions": instructions, "input": input}), expected_notices);
}

#[track_caller]
fn check_rejected(body: Value, param: &str, code: Option<&str>) {
    let result = chat::ChatRequest::from_json(body.to_string().as_bytes())
        .and_then(|request| to_responses(request, &profile(), &Options::default()));
    let error = result.expect_err("the request is rejected");
    assert_eq!((error.param(), error.status_hint(), error.code()), (Some(param), 400, code), "{error}");
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

fn developer(text: &str) -> Value {
    json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]})
}

fn assistant(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
}

fn output(id: &str, output: impl Into<Value>) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": output.into()})
}

fn tool_call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn the_smallest_request() {
    let translated = translate(&json!({"model": "caller-name", "messages": [{"role": "user", "content": "hi"}]}));
    let expected = r#"{"model":"gpt-5.5","stream":true,"instructions":"","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"summary":"auto"},"store":false,"include":["reasoning.encrypted_content"],"text":{"verbosity":"medium"}}"#;
    assert_eq!(String::from_utf8(translated.request.to_json()).unwrap(), expected);
    assert_eq!(translated.plan.model, "caller-name");
    assert!(!translated.plan.stream && !translated.plan.include_usage && translated.notices.is_empty());
}

#[test]
fn roles() {
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    check_input(
        json!([said("system", "a"), said("developer", "b"), said("user", "c")]),
        "a\n\nb",
        json!([user("c")]),
        &[],
    );
    check_input(
        json!([
            said("user", "a"),
            said("system", "b"),
            said("assistant", "c"),
            said("developer", "d"),
            said("user", "e")
        ]),
        "",
        json!([user("a"), developer("b"), assistant("c"), developer("d"), user("e")]),
        &[],
    );
    // Only instructions: the backend requires an input.
    check_input(json!([said("system", "a"), said("system", "b")]), "a", json!([developer("b")]), &[]);
    check_input(
        json!([{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, said("user", "c")]),
        "a\n\nb",
        json!([user("c")]),
        &[],
    );
    check_input(
        json!([{"role": "user", "content": "hi", "name": "alice"}, {"role": "assistant", "content": "ho", "name": "bob"}]),
        "",
        json!([
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Name of the speaker: alice"}, {"type": "input_text", "text": "hi"}]},
            assistant("ho"),
        ]),
        &["messages[].name emulated", "messages[].name dropped"],
    );
}

#[test]
fn content_parts() {
    check_input(
        json!([{"role": "user", "content": [
            {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
            {"type": "image_url", "image_url": "https://example.com/a.png"},
            {"type": "input_image", "image_url": "https://example.com/b.png", "detail": "low"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            {"type": "input_file", "file_id": "file_1"},
            {"type": "input_text", "text": "now", "cache_control": {"type": "ephemeral"}},
        ]}]),
        "",
        json!([{"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            {"type": "input_image", "image_url": "https://example.com/b.png", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "input_file", "file_id": "file_1"},
            {"type": "input_text", "text": "now"},
        ]}]),
        &["messages[].content[].cache_control dropped"],
    );
    check_input(
        json!([{"role": "user", "content": ""}, {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": null, "refusal": "never"}, {"role": "assistant", "content": ""}]),
        "",
        json!([user(""),
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]}]),
        &[],
    );
    check_input(
        json!([{"role": "user", "content": "draw"}, {"role": "assistant", "content": [{"type": "text", "text": "here"}, {"type": "image_url", "image_url": {"url": "data:,"}}]}]),
        "",
        json!([user("draw"), assistant("here"),
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]),
        &["messages[].content repaired"],
    );
    check_input(
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "hm", "annotations": []}]),
        "",
        json!([user("a"), assistant("b")]),
        &[],
    );
    // Only replies have it.
    check_input(
        json!([{"role": "user", "content": "a", "reasoning_content": "hm", "images": ["x"]}]),
        "",
        json!([user("a")]),
        &["messages[].reasoning_content dropped", "messages[].images dropped"],
    );
    check_input(
        json!([{"role": "user", "content": "draw"},
            {"role": "assistant", "content": "here", "reasoning_details": [{"type": "x"}], "thinking_blocks": [],
                "provider_specific_fields": {"refusal": null}, "audio": null, "function_call": null,
                "images": [{"type": "image_url", "index": 0, "image_url": {"url": "data:,"}}, "iVBOR"],
                "tool_calls": [{"id": "c", "type": "function", "index": 0, "provider_specific_fields": {},
                    "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}}}]},
            {"role": "tool", "tool_call_id": "c", "content": "x"}]),
        "",
        json!([user("draw"), assistant("here"),
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"}]),
        &["messages[].images[] dropped"],
    );
}

#[test]
fn tool_calls_and_outputs() {
    check_input(
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "", "tool_calls": [tool_call("call_a", "f", "{\"x\": 1}"), tool_call("call_b", "g", "")]},
            {"role": "tool", "tool_call_id": "call_b", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "tool", "tool_call_id": "call_a", "content": "sunny", "name": "f"},
        ]),
        "",
        json!([
            user("weather?"),
            call("call_a", "f", "{\"x\": 1}"),
            call("call_b", "g", "{}"),
            output(
                "call_b",
                json!([{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:,"}])
            ),
            output("call_a", "sunny"),
        ]),
        &[],
    );
    // The call of a custom tool, and its output, whose kind chat does not have.
    check_input(
        json!([
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ]),
        "",
        json!([{"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** x"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}]),
        &[],
    );
    check_input(
        json!([
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "2"},
        ]),
        "",
        json!([
            call("call_legacy_1", "f", "{}"),
            output("call_legacy_1", "1"),
            call("call_legacy_2", "f", "{}"),
            output("call_legacy_2", "2")
        ]),
        &[],
    );
    check_input(
        json!([
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_call_id": "c", "content": {"ok": true}},
        ]),
        "",
        json!([call("c", "f", "{\"a\":1}"), output("c", "{\"ok\":true}")]),
        &["messages[].tool_calls[].function.arguments repaired", "messages[].content repaired"],
    );
}

#[test]
fn ids_of_more_than_64_characters_are_shortened() {
    let fine = "x".repeat(64);
    let long = "y".repeat(65);
    let translated = translate(&json!({"model": "m", "messages": [
        {"role": "assistant", "tool_calls": [tool_call(&fine, "f", "{}"), tool_call(&long, "f", "{}"), tool_call("call_x|fc_y", "f", "{}")]},
        {"role": "tool", "tool_call_id": fine, "content": ""},
        {"role": "tool", "tool_call_id": long, "content": ""},
        {"role": "tool", "tool_call_id": "call_x|fc_y", "content": ""},
    ]}));
    let input = &sent(&translated)["input"];
    assert_eq!(input[0]["call_id"], fine);
    assert_eq!(input[1]["call_id"], input[4]["call_id"]);
    assert_eq!(input[1]["call_id"].as_str().unwrap().len(), 64);
    assert_eq!(input[2]["call_id"], "call_x|fc_y");
    assert_eq!(notices(&translated), ["messages[].tool_calls[].id repaired", "messages[].tool_call_id repaired"]);
}

#[test]
fn calls_without_outputs_and_outputs_without_calls_are_repaired() {
    let quote = |id: &str, text: &str| {
        json!({"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": format!("Output of the tool call {id}, which is not part of this conversation:")},
            {"type": "input_text", "text": text}]})
    };
    let missing = "No output was recorded for this tool call.";
    let orphan = "input repaired";
    let unanswered = "input repaired";
    let answer = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let calls = |ids: &[&str]| json!({"role": "assistant", "tool_calls": ids.iter().map(|id| tool_call(id, "f", "{}")).collect::<Vec<_>>()});

    check_input(json!([answer("a", "x")]), "", json!([quote("a", "x")]), &[orphan]);
    check_input(
        json!([calls(&["a", "b"]), answer("a", "x"), {"role": "user", "content": "go on"}]),
        "",
        json!([call("a", "f", "{}"), call("b", "f", "{}"), output("b", missing), output("a", "x"), user("go on")]),
        &[unanswered],
    );
    check_input(json!([calls(&["a"])]), "", json!([call("a", "f", "{}"), output("a", missing)]), &[unanswered]);
    // An output before its call is still its output: none is made up for a call that ran.
    check_input(
        json!([answer("a", "x"), calls(&["a"])]),
        "",
        json!([call("a", "f", "{}"), output("a", "x")]),
        &["input repaired"],
    );
    check_input(
        json!([calls(&["a"]), answer("a", "x"), answer("a", "x"), answer("a", "y")]),
        "",
        json!([call("a", "f", "{}"), output("a", "x"), quote("a", "y")]),
        &["input repaired", orphan],
    );
    // A client that reuses ids in each turn.
    check_input(
        json!([calls(&["a", "a"]), answer("a", "1"), answer("a", "2"), calls(&["a"]), answer("a", "3")]),
        "",
        json!([
            call("a", "f", "{}"),
            call("a_2", "f", "{}"),
            output("a", "1"),
            output("a_2", "2"),
            call("a_3", "f", "{}"),
            output("a_3", "3")
        ]),
        &["input repaired"],
    );
}

#[test]
fn tools() {
    let empty = json!({"type": "object", "properties": {}});
    check(
        json!({"tools": [
            {"type": "function", "function": {"name": "a", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}, "strict": true}},
            {"type": "function", "function": {"name": "b"}},
            {"type": "function", "name": "c", "parameters": {"type": "object"}, "strict": false},
            {"type": "custom", "custom": {"name": "d", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}},
            {"type": "custom", "name": "e", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "web_search_preview", "search_context_size": "low"},
            {"type": "image_generation", "size": "auto"},
            {"type": "file_search", "vector_store_ids": []},
        ], "tool_choice": {"type": "function", "function": {"name": "d"}}, "parallel_tool_calls": false}),
        json!({"tools": [
            {"type": "function", "name": "a", "description": "d", "strict": true, "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
            {"type": "function", "name": "b", "strict": false, "parameters": empty},
            {"type": "function", "name": "c", "strict": false, "parameters": empty},
            {"type": "custom", "name": "d", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "custom", "name": "e", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "web_search", "search_context_size": "low"},
            {"type": "image_generation", "size": "auto"},
        ], "tool_choice": {"type": "custom", "name": "d"}, "parallel_tool_calls": false}),
        &["tools[].parameters repaired", "tools[].type repaired", "tools[] dropped"],
    );
    check(
        json!({"functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}], "function_call": {"name": "f"}}),
        json!({"tools": [{"type": "function", "name": "f", "strict": false, "parameters": empty}],
            "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false}),
        &[],
    );
    let legacy = json!({"model": "m", "messages": [{"role": "user", "content": ""}], "functions": [{"name": "f"}]});
    assert!(translate(&legacy).plan.legacy_functions);
}

#[test]
fn tool_choices() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]);
    let sent_tools = json!([{"type": "function", "name": "f", "strict": false, "parameters": {"type": "object", "properties": {}}}, {"type": "web_search"}]);
    for (choice, expected, notices) in [
        (json!("auto"), json!("auto"), &[][..]),
        (json!("none"), json!("none"), &[]),
        (json!("required"), json!("required"), &[]),
        (json!("any"), json!("required"), &["tool_choice repaired"]),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "function", "name": "f"}), &[]),
        (json!({"type": "function", "name": "f"}), json!({"type": "function", "name": "f"}), &[]),
        (json!({"type": "web_search"}), json!("auto"), &["tool_choice clamped"]),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]}}),
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}),
            &[],
        ),
    ] {
        check(
            json!({"tools": tools, "tool_choice": choice}),
            json!({"tools": sent_tools, "tool_choice": expected}),
            notices,
        );
    }
    check(json!({"tool_choice": "auto", "tools": []}), json!({"tool_choice": "auto", "tools": null}), &[]);
}

#[test]
fn long_names_are_replaced_everywhere_and_restored() {
    let long = "a".repeat(70);
    let translated = translate(&json!({"model": "m",
        "messages": [{"role": "assistant", "tool_calls": [tool_call("c", &long, "{}")]}, {"role": "tool", "tool_call_id": "c", "content": ""}],
        "tools": [{"type": "function", "function": {"name": long}}, {"type": "function", "function": {"name": "a.b"}}, {"type": "custom", "name": "c d"}],
        "tool_choice": {"type": "function", "function": {"name": long}}}));
    let sent = sent(&translated);
    let wire = sent["tools"][0]["name"].as_str().unwrap();
    assert_eq!(sent["input"][0]["name"], wire);
    assert_eq!(sent["tool_choice"]["name"], wire);
    assert_eq!(translated.plan.tools.to_client(wire), long);
    assert_eq!(translated.plan.tools.to_client(sent["tools"][1]["name"].as_str().unwrap()), "a.b");
    assert!(translated.plan.tools.is_custom(sent["tools"][2]["name"].as_str().unwrap()));
    assert!(!translated.plan.tools.is_custom(wire));
    assert_eq!(notices(&translated), ["tools[].name repaired"]);
}

#[test]
fn formats() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}),
        json!({"text": {"verbosity": "medium", "format": {"type": "json_schema", "name": "s", "strict": false, "schema": schema}}}),
        &[],
    );
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "description": "d", "schema": schema}}, "verbosity": "low"}),
        json!({"text": {"verbosity": "low", "format": {"type": "json_schema", "name": "s", "description": "d", "strict": true, "schema": schema}}}),
        &[],
    );
    check(json!({"response_format": {"type": "text"}}), json!({"text": {"verbosity": "medium"}}), &[]);
    check(
        json!({"response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "Answer in JSON"}, {"role": "user", "content": "hi"}]}),
        json!({"text": {"verbosity": "medium", "format": {"type": "json_object"}}, "instructions": "Answer in JSON", "input": [developer("Answer with a JSON object."), user("hi")]}),
        &["response_format repaired"],
    );
    check(
        json!({"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "some Json, please"}]}),
        json!({"text": {"verbosity": "medium", "format": {"type": "json_object"}}, "input": [user("some Json, please")]}),
        &[],
    );
}

#[test]
fn settings_of_the_model() {
    for (wanted, sent, notice) in [
        ("minimal", "low", Some("reasoning_effort clamped")),
        ("none", "low", Some("reasoning_effort clamped")),
        ("xhigh", "xhigh", None),
        ("ultra", "xhigh", Some("reasoning_effort clamped")),
        ("", "", None),
    ] {
        let sent = Some(sent).filter(|sent| !sent.is_empty());
        let mut expected = json!({"reasoning": {"summary": "auto"}});
        if let Some(sent) = sent {
            expected["reasoning"]["effort"] = json!(sent);
        }
        check(json!({"reasoning_effort": wanted}), expected, notice.as_slice());
    }
    check(
        json!({"reasoning_effort": "turbo"}),
        json!({"reasoning": {"summary": "auto"}}),
        &["reasoning_effort dropped"],
    );
    check(
        json!({"reasoning": {"effort": "high", "summary": "detailed", "max_tokens": 5}}),
        json!({"reasoning": {"effort": "high", "summary": "detailed"}}),
        &["reasoning.max_tokens dropped"],
    );
    check(
        json!({"reasoningEffort": "high", "reasoningSummary": "concise", "textVerbosity": "low"}),
        json!({"reasoning": {"effort": "high", "summary": "concise"}, "text": {"verbosity": "low"}}),
        &[],
    );
    for (wanted, sent, notice) in [
        ("fast", json!("priority"), None),
        ("priority", json!("priority"), None),
        ("auto", json!(null), None),
        ("default", json!(null), None),
        ("flex", json!(null), Some("service_tier dropped")),
    ] {
        check(json!({"service_tier": wanted}), json!({"service_tier": sent}), notice.as_slice());
    }
    check(json!({"prompt_cache_key": "k"}), json!({"prompt_cache_key": "k"}), &[]);
    check(
        json!({"web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"country": "DE"}}}}),
        json!({"tools": [{"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "country": "DE"}}]}),
        &[],
    );
    check(
        json!({"stream_options": {"include_usage": true, "include_obfuscation": false}}),
        json!({"stream_options": {"include_obfuscation": false}}),
        &[],
    );
}

#[test]
fn formats_in_the_shapes_of_other_servers() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let format = |name: &str, strict: bool| json!({"verbosity": "medium", "format": {"type": "json_schema", "name": name, "strict": strict, "schema": schema}});
    let named = "response_format.name repaired";
    let rows = [
        (
            json!({"type": "json_object", "schema": schema}),
            format("response", false),
            vec!["response_format.type repaired", named],
        ),
        (
            json!({"type": "json_object", "schema": schema, "strict": true, "name": "s"}),
            format("s", true),
            vec!["response_format.type repaired"],
        ),
        (json!({"type": "json_schema", "schema": schema, "name": "s", "strict": true}), format("s", true), vec![]),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}, "strict": true}),
            format("s", true),
            vec![],
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": false}, "strict": true, "name": ""}),
            format("s", false),
            vec!["response_format.strict dropped"],
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "type": "object"}, "schema": schema, "odd": 1}),
            format("s", false),
            vec!["response_format.json_schema.type dropped", "response_format.odd dropped"],
        ),
        (
            json!({"type": "text", "schema": schema}),
            json!({"verbosity": "medium"}),
            vec!["response_format.schema dropped"],
        ),
        (json!({"type": "text", "schema": {}, "strict": null}), json!({"verbosity": "medium"}), vec![]),
        (
            json!({"type": "json_object", "schema": {}, "json_schema": {"name": "s"}}),
            json!({"verbosity": "medium", "format": {"type": "json_object"}}),
            vec!["response_format.json_schema dropped"],
        ),
    ];
    for (wanted, text, notices) in rows {
        let messages = json!([{"role": "user", "content": "json, please"}]);
        check(json!({"response_format": wanted, "messages": messages}), json!({"text": text}), &notices);
    }
}

#[test]
fn empty_values_of_a_settings_form_count_as_absent() {
    let scalars = [
        "max_completion_tokens",
        "max_tokens",
        "n",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning_effort",
        "service_tier",
        "stream",
        "verbosity",
        "reasoningEffort",
        "reasoningSummary",
        "max_output_tokens",
    ];
    let names = chat_parameters().filter(|name| !["model", "messages"].contains(name));
    for name in names.chain(["reasoning", "text", "top_k", "reasoningEffort", "reasoningSummary", "max_output_tokens"])
    {
        for empty in [json!(""), json!([]), json!({}), json!(null)] {
            if scalars.contains(&name) && (empty.is_array() || empty.is_object()) {
                let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], name: empty});
                let error = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap_err();
                assert_eq!((error.param(), error.code()), (Some(name), Some("invalid_type")), "{empty}");
            } else if name != "web_search_options" || !empty.is_object() {
                check(
                    json!({name: empty}),
                    json!({"text": {"verbosity": "medium"}, "reasoning": {"summary": "auto"}}),
                    &[],
                );
            }
        }
    }
    check(
        json!({
            "max_tokens": -1, "max_completion_tokens": -1.0, "max_output_tokens": -1, "stop": ["", ""],
            "reasoning": {"effort": "", "summary": ""}, "text": {"verbosity": "", "format": {"type": ""}},
            "stream_options": {"reasoning_summary_delivery": ""},
        }),
        json!({"text": {"verbosity": "medium"}, "reasoning": {"summary": "auto"}, "stream_options": null}),
        &[],
    );
}

fn chat_parameters() -> impl Iterator<Item = &'static str> {
    params::CHAT.iter().map(|parameter| parameter.name)
}

#[test]
fn an_image_in_the_reply_is_the_work_of_a_hosted_tool() {
    let tool = json!({"type": "image_generation", "output_format": "png"});
    for modalities in [json!(["text", "image"]), json!(["image"]), json!(["image", "image"])] {
        check(json!({"modalities": modalities}), json!({"tools": [tool]}), &[]);
    }
    let own = json!({"type": "image_generation", "size": "1024x1024"});
    check(json!({"modalities": ["image"], "tools": [own]}), json!({"tools": [own]}), &[]);
    check(json!({"modalities": ["text"], "audio": {"voice": "x"}}), json!({"tools": null}), &["audio dropped"]);
}

#[test]
fn a_setting_under_two_names_is_not_lost() {
    check(
        json!({"reasoning_effort": "low", "reasoning": {"effort": "high", "summary": "auto", "generate_summary": "concise"},
            "verbosity": "low", "text": {"verbosity": "high"}, "reasoningSummary": "auto"}),
        json!({"reasoning": {"effort": "high", "summary": "auto"}, "text": {"verbosity": "high"}}),
        &["reasoning.generate_summary dropped", "reasoning_effort dropped", "verbosity dropped"],
    );
    check(json!({"reasoning": {"summary": "none"}}), json!({"reasoning": null}), &[]);
    check(
        json!({"instructions": [{"type": "text", "text": "a", "cache_control": {}}, {"type": "thinking", "thinking": "b"}]}),
        json!({"instructions": "a"}),
        &["instructions[].cache_control dropped", "instructions[] dropped"],
    );
}

#[test]
fn an_effort_that_the_backend_calls_otherwise_leaves_a_notice() {
    let profile = Profile { efforts: ["none", "low", "max", "ultra"].map(Effort::from_word).into(), ..profile() };
    for (wanted, sent, clamped) in [("ultra", "max", true), ("max", "max", false), ("none", "none", false)] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "reasoning_effort": wanted});
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
        let translated = to_responses(request, &profile, &Options::default()).unwrap();
        assert_eq!(translated.request.reasoning.effort.as_ref().map(Effort::wire), Some(sent));
        assert_eq!(notices(&translated), vec!["reasoning_effort clamped"; usize::from(clamped)]);
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let body = b"\xef\xbb\xbf{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}";
    let request = chat::ChatRequest::from_json(body).unwrap();
    assert!(to_responses(request, &profile(), &Options::default()).unwrap().notices.is_empty());
    let error = chat::ChatRequest::from_json(b"\xef\xbb\xbf{\"model\": @").unwrap_err();
    assert!(error.message().contains("line 1 column 11"), "{error}");
}

#[test]
fn unsupported_settings_of_a_model_are_dropped() {
    let profile = Profile { verbosity: false, tiers: vec![], summaries: false, ..profile() };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "verbosity": "low", "service_tier": "fast", "reasoning": {"summary": "auto"}});
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = to_responses(request, &profile, &Options::default()).unwrap();
    let sent = sent(&translated);
    // The verbosity that every model accepts.
    assert_eq!(sent["text"], json!({"verbosity": "medium"}));
    assert_eq!((&sent["service_tier"], &sent["reasoning"]), (&Value::Null, &Value::Null));
    assert_eq!(translated.notices.len(), 3, "{:?}", translated.notices);
}

#[test]
fn emulated_parameters_are_in_the_plan() {
    let plan = translate(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true,
        "stop": ["a", ""], "max_tokens": 5, "max_completion_tokens": 7, "n": 3, "stream_options": {"include_usage": true}})).plan;
    assert_eq!(
        (plan.stop, plan.max_tokens, plan.n, plan.stream, plan.include_usage),
        (vec!["a".to_owned()], Some(7), 3, true, true)
    );
    let plan = translate(
        &json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stop": "END", "max_tokens": 5}),
    )
    .plan;
    assert_eq!((plan.stop, plan.max_tokens, plan.n), (vec!["END".to_owned()], Some(5), 1));
}

#[test]
fn options_are_defaults_for_the_request() {
    let options = Options {
        reasoning: ReasoningStyle::None,
        effort: Some(Effort::High),
        service_tier: Some("fast".into()),
        web_search: true,
        ..Options::default()
    };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = to_responses(request, &profile(), &options).unwrap();
    let sent = sent(&translated);
    assert_eq!(sent["reasoning"], json!({"effort": "high"}));
    assert_eq!(sent["service_tier"], "priority");
    assert_eq!(sent["tools"], json!([{"type": "web_search"}]));
}

#[test]
fn unsupported_parameters_are_dropped_with_notices() {
    check(
        json!({"temperature": 0.2, "top_p": 0.5, "seed": 1, "user": "u", "metadata": {"a": "b"}, "logprobs": true, "store": true, "made_up": 1, "presence_penalty": 1}),
        json!({"temperature": null, "made_up": null}),
        &[
            "temperature dropped",
            "top_p dropped",
            "seed dropped",
            "user dropped",
            "metadata dropped",
            "logprobs dropped",
            "store dropped",
            "made_up dropped",
            "presence_penalty dropped",
        ],
    );
    // Values that ask for the default leave no notice.
    check(
        json!({"temperature": 1, "top_p": 1.0, "n": 1, "store": false, "logprobs": false, "modalities": [ "text" ], "metadata": { }, "seed": null, "audio": null, "stop": null}),
        json!({}),
        &[],
    );
}

#[test]
fn strict_mode_rejects_unsupported_parameters() {
    let options = Options { strict: true, ..Options::default() };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stop": "x", "seed": 5});
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let error = to_responses(request, &profile(), &options).unwrap_err();
    assert_eq!((error.param(), error.code(), error.status_hint()), (Some("seed"), Some("unsupported_parameter"), 400));
}

#[test]
fn a_responses_body_on_the_chat_path() {
    // As Cursor sends it.
    let translated = translate(&json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
        "input": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "c", "name": "ApplyPatch", "arguments": "*** x"}, {"type": "function_call_output", "call_id": "c", "output": "ok"}],
        "tools": [{"type": "custom", "name": "ApplyPatch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}]}));
    let sent = sent(&translated);
    assert_eq!(sent["input"][0], developer("be"));
    assert_eq!(sent["tools"][0]["type"], "custom");
    // The client got the custom tool's call as a function call; the model gets its own call back.
    let again = json!([{"type": "custom_tool_call", "call_id": "c", "name": "ApplyPatch", "input": "*** x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}]);
    assert_eq!(json!(sent["input"].as_array().unwrap()[2..]), again);
    assert!(translated.plan.stream && translated.plan.include_usage && translated.plan.tools.is_custom("ApplyPatch"));
}

#[test]
fn bad_input_is_rejected_by_path_and_code() {
    let with = |messages: Value| json!({"model": "m", "messages": messages});
    let and =
        |key: &str, value: Value| json!({"model": "m", "messages": [{"role": "user", "content": "x"}], key: value});
    check_rejected(json!({"model": "m", "messages": [{"role": "assistant", "content": ""}]}), "messages", None);
    check_rejected(
        json!({"messages": [{"role": "user", "content": "x"}]}),
        "model",
        Some("missing_required_parameter"),
    );
    check_rejected(json!({"model": "", "messages": [{"role": "user", "content": "x"}]}), "model", None);
    check_rejected(json!({"model": 5, "messages": [{"role": "user", "content": "x"}]}), "model", Some("invalid_type"));
    check_rejected(json!({"model": "m"}), "messages", Some("missing_required_parameter"));
    check_rejected(with(json!([])), "messages", None);
    check_rejected(with(json!("hi")), "messages", Some("invalid_type"));
    check_rejected(
        with(json!([{"role": "user", "content": "x"}, {"content": "x"}])),
        "messages[1].role",
        Some("missing_required_parameter"),
    );
    check_rejected(with(json!([{"role": "robot", "content": "x"}])), "messages[0].role", None);
    check_rejected(with(json!([{"role": "user"}])), "messages[0].content", Some("missing_required_parameter"));
    check_rejected(with(json!([{"role": "user", "content": 5}])), "messages[0].content", Some("invalid_type"));
    check_rejected(
        with(json!([{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}])),
        "messages[0].content[1].image_url",
        Some("missing_required_parameter"),
    );
    check_rejected(
        with(json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}])),
        "messages[0].content[0].image_url.url",
        Some("invalid_type"),
    );
    check_rejected(
        with(json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])),
        "messages[0].content[0]",
        Some("unsupported_content"),
    );
    check_rejected(
        with(json!([{"role": "user", "content": [{"type": "video_url"}]}])),
        "messages[0].content[0]",
        Some("unsupported_content"),
    );
    check_rejected(
        with(json!([{"role": "tool", "content": "x"}])),
        "messages[0].tool_call_id",
        Some("missing_required_parameter"),
    );
    check_rejected(
        with(json!([{"role": "assistant", "tool_calls": [{"id": "", "function": {"name": "f"}}]}])),
        "messages[0].tool_calls[0].id",
        None,
    );
    check_rejected(and("n", json!(9)), "n", None);
    check_rejected(and("n", json!(0)), "n", None);
    check_rejected(and("max_tokens", json!(1.5)), "max_tokens", Some("invalid_type"));
    check_rejected(and("stop", json!(["a", "b", "c", "d", "e"])), "stop", None);
    check_rejected(and("stop", json!([1])), "stop[0]", Some("invalid_type"));
    check_rejected(and("stream", json!("yes")), "stream", Some("invalid_type"));
    check_rejected(and("modalities", json!(["text", "audio"])), "modalities", Some("unsupported_parameter"));
    check_rejected(and("modalities", json!(["audio"])), "modalities", Some("unsupported_parameter"));
    check_rejected(and("modalities", json!(["smell"])), "modalities[0]", None);
    check_rejected(and("modalities", json!("image")), "modalities", Some("invalid_type"));
    check_rejected(and("tool_choice", json!("sometimes")), "tool_choice", None);
    check_rejected(and("tool_choice", json!("required")), "tool_choice", None);
    check_rejected(and("tool_choice", json!({"type": "function", "function": {"name": "x"}})), "tool_choice", None);
    check_rejected(
        and("tools", json!([{"type": "function", "function": {}}])),
        "tools[0].function.name",
        Some("missing_required_parameter"),
    );
    check_rejected(
        and("tools", json!([{"type": "function", "function": {"name": "f", "parameters": "x"}}])),
        "tools[0].function.parameters",
        Some("invalid_type"),
    );
    check_rejected(
        and("response_format", json!({"type": "json_schema", "json_schema": {"name": "x"}})),
        "response_format.json_schema.schema",
        Some("missing_required_parameter"),
    );
    let error = chat::ChatRequest::from_json(b"{\"model\": \"m\",\n \"messages\": [}").unwrap_err();
    assert!(error.message().contains("line 2 column 15"), "{error}");
    assert_eq!(chat::ChatRequest::from_json(b"[1]").unwrap_err().code(), Some("invalid_type"));
}

#[test]
fn a_large_history_of_one_id_takes_linear_time() {
    let mut messages = vec![json!({"role": "user", "content": "x"})];
    for _ in 0..20_000 {
        messages.push(json!({"role": "assistant", "tool_calls": [tool_call("call", "f", "{}")]}));
        messages.push(json!({"role": "tool", "tool_call_id": "call", "content": "y"}));
        messages.push(json!({"role": "tool", "tool_call_id": "call", "content": "z"}));
    }
    let translated = translate(&json!({"model": "m", "messages": messages}));
    assert_eq!(translated.request.input.len(), 60_001);
}

#[test]
fn a_lone_surrogate_becomes_a_replacement_character() {
    let body = br#"{"model": "m", "messages": [{"role": "user", "content": "a\ud83d"}, {"role": "user", "content": "\ud83d\udc4b"}]}"#;
    let translated =
        to_responses(chat::ChatRequest::from_json(body).unwrap(), &profile(), &Options::default()).unwrap();
    assert_eq!(sent(&translated)["input"], json!([user("a\u{fffd}"), user("👋")]));
    assert_eq!(notices(&translated), ["* repaired"]);
}

#[test]
fn a_body_without_a_conversation_is_rejected_by_path() {
    let read = |body: &str| chat::ChatRequest::from_json(body.as_bytes()).map(|_| ()).unwrap_err();
    for (messages, param, code) in [
        ("null", "messages", Some("missing_required_parameter")),
        ("[]", "messages", None),
        ("\"hi\"", "messages", Some("invalid_type")),
        ("{}", "messages", Some("invalid_type")),
        ("7", "messages", Some("invalid_type")),
        ("[{\"role\": \"user\", \"content\": \"x\"}, \"hi\"]", "messages[1]", Some("invalid_type")),
        ("[[]]", "messages[0]", Some("invalid_type")),
        ("[true]", "messages[0]", Some("invalid_type")),
        ("[null]", "messages[0]", Some("invalid_type")),
        ("[-1]", "messages[0]", Some("invalid_type")),
        ("[1.5]", "messages[0]", Some("invalid_type")),
    ] {
        let error = read(&format!("{{\"model\": \"m\", \"messages\": {messages}}}"));
        assert_eq!((error.param(), error.code()), (Some(param), code), "{messages}");
    }
    let deep = format!("{{\"model\": \"m\", \"messages\": {}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(read(&deep).kind(), ErrorKind::InvalidRequest);
}

#[test]
fn reasoning_that_is_switched_off_and_on_is_told() {
    for (reasoning, effort, is_told) in [
        (json!({"enabled": false}), Effort::None, false),
        (json!({"enabled": false, "effort": "none"}), Effort::None, false),
        (json!({"enabled": true, "effort": "high"}), Effort::High, false),
        (json!({"enabled": false, "effort": "high"}), Effort::High, true),
        (json!({"effort": "high", "enabled": false}), Effort::High, true),
    ] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "reasoning": reasoning});
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
        let translated = to_responses(request, &Profile::permissive("m"), &Options::default()).unwrap();
        assert_eq!(translated.request.reasoning.effort, Some(effort), "{body}");
        let told = translated.notices.iter().any(|notice| notice.parameter == "reasoning.enabled");
        assert_eq!(told, is_told, "{body}");
    }
}
