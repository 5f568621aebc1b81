//! Nothing in a request is lost silently: whatever is left out of it, or added, shows in what is sent, in the plan of
//! the reply, or in a notice.
//!
//! The documents have every member of the request types of openai-node 6.49, apart from what is rejected.

use std::collections::BTreeSet;

use codex_translate::{NoticeKind, Options, Profile, Storage, chat, normalise, responses, to_responses};
use serde_json::{Map, Value, json};

/// Members whose absence changes nothing, by the end of their path, and why.
const NEUTRAL: &[(&str, &str)] = &[
    // Leftovers of a reply, which clients send back with what it said.
    (".annotations", "a leftover of a reply"),
    (".logprobs", "a leftover of a reply"),
    ("[].id", "a leftover of a reply"),
    ("[].status", "a leftover of a reply"),
    // Types that the other members show.
    ("[].type", "a part or item with these members has no other type"),
    (".function.type", "a function has no other type"),
    (".tools[].type", "a tool with a function is a function"),
    (".tool_calls[].type", "a call with a function is a function"),
    (".source.type", "the members of the source show its type"),
    ("tool_choice.type", "a choice with a function is one of a function"),
    (".format.type", "a grammar is the only format with a definition"),
    ("messages[].name", "the call has the name of the tool"),
];

/// Objects of which unknown members are not reported yet.
const UNREAD: &[&str] = &["function_call", "tool_choice", "tools[]"];

/// What a request became: everything but the request itself.
#[derive(Debug, PartialEq)]
struct Outcome {
    sent: String,
    plan: String,
    notices: Vec<String>,
}

fn profile() -> Profile {
    Profile { lite: false, ..Profile::permissive("m") }
}

/// Translates a body; an error shows what was changed, too.
fn outcome(body: &Value) -> Result<(Outcome, BTreeSet<String>), String> {
    let bytes = body.to_string();
    let options = Options { storage: Storage::UpTo(usize::MAX), ..Options::default() };
    let translated = if body.get("messages").is_some() {
        chat::ChatRequest::from_json(bytes.as_bytes()).and_then(|request| to_responses(request, &profile(), &options))
    } else {
        responses::ResponsesRequest::from_json(bytes.as_bytes())
            .and_then(|request| normalise(request, &profile(), &options))
    };
    let translated = translated.map_err(|error| error.to_string())?;
    let dropped = translated.notices.iter().filter(|notice| notice.kind == NoticeKind::Dropped);
    let dropped = dropped.map(|notice| notice.parameter.clone()).collect();
    let outcome = Outcome {
        sent: String::from_utf8_lossy(&translated.request.to_json()).into_owned(),
        plan: format!("{:?}", translated.plan),
        notices: translated.notices.iter().map(|notice| format!("{notice:?}")).collect(),
    };
    Ok((outcome, dropped))
}

/// The steps from the root of a document to a value.
type Steps = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Collects the paths of all objects.
fn objects(value: &Value, at: &Steps, all: &mut Vec<Steps>) {
    let mut below = |step: Step, value: &Value| objects(value, &[&at[..], &[step]].concat(), all);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| below(Step::Key(key.clone()), value));
            all.push(at.clone());
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, value)| below(Step::Index(index), value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object<'a>(body: &'a mut Value, at: &Steps) -> &'a mut Map<String, Value> {
    let value = at.iter().fold(body, |value, step| match step {
        Step::Key(key) => &mut value[key],
        Step::Index(index) => &mut value[index],
    });
    value.as_object_mut().unwrap()
}

/// Writes a path as notices do.
fn written(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) if path.is_empty() => key.clone(),
        Step::Key(key) => format!("{path}.{key}"),
        Step::Index(_) => format!("{path}[]"),
    })
}

/// Returns whether the value at `at`, or one around it, was dropped as a whole.
fn is_dropped(at: &Steps, dropped: &BTreeSet<String>) -> bool {
    (1..=at.len()).any(|len| dropped.contains(&written(&at[..len])))
}

/// Strips each member of a document, one at a time, and adds one to each object.
#[track_caller]
fn check(document: &Value) {
    let (whole, dropped) = outcome(document).unwrap();
    let mut all = Vec::new();
    objects(document, &Vec::new(), &mut all);
    let mut lost = Vec::new();
    for at in all.iter().filter(|at| !is_dropped(at, &dropped)) {
        let keys: Vec<_> = object(&mut document.clone(), at).keys().cloned().collect();
        for key in keys {
            let path = written(&[&at[..], &[Step::Key(key.clone())]].concat());
            let mut without = document.clone();
            object(&mut without, at).remove(&key);
            let is_neutral = NEUTRAL.iter().any(|(end, _)| path.ends_with(end));
            // The same member elsewhere leaves the same notice.
            let is_noticed = dropped.contains(&path);
            if !is_neutral && !is_noticed && outcome(&without).is_ok_and(|(outcome, _)| outcome == whole) {
                lost.push(path);
            }
        }
        let mut with = document.clone();
        object(&mut with, at).insert("odd_member".to_owned(), json!({"odd": [1]}));
        let is_unread = UNREAD.iter().any(|path| written(at).starts_with(path));
        if !is_unread && outcome(&with).is_ok_and(|(outcome, _)| outcome == whole) {
            lost.push(format!("{}.odd_member", written(at)));
        }
    }
    assert!(lost.is_empty(), "lost silently: {lost:#?}\nin {document:#}");
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false})
}

/// All members of Chat Completions that go together.
fn chat_document() -> Value {
    let breakpoint = json!({"mode": "explicit"});
    json!({
        "model": "m",
        "messages": [
            {"role": "developer", "name": "d", "content": [{"type": "text", "text": "Be brief.", "prompt_cache_breakpoint": breakpoint}]},
            {"role": "user", "name": "u", "content": [
                {"type": "text", "text": "look", "prompt_cache_breakpoint": breakpoint},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}, "prompt_cache_breakpoint": breakpoint},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}, "prompt_cache_breakpoint": breakpoint},
                {"type": "file", "file": {"file_id": "f"}},
            ]},
            {"role": "assistant", "name": "a", "content": "I call.", "refusal": "But no.", "audio": {"id": "audio_1"}, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "r", "prompt_cache_breakpoint": breakpoint}]},
            {"role": "tool", "tool_call_id": "call_2", "content": "s"},
            {"role": "assistant", "content": [{"type": "text", "text": "t"}, {"type": "refusal", "refusal": "n"}]},
            {"role": "user", "content": "json"},
        ],
        "audio": {"format": "wav", "voice": "ash"},
        "frequency_penalty": 0.5,
        "logit_bias": {"1": 2},
        "logprobs": true,
        "max_completion_tokens": 5,
        "metadata": {"a": "b"},
        "modalities": ["text", "image"],
        "moderation": {"model": "m", "policy": {"input": {"mode": "score"}, "output": {"mode": "block"}}},
        "n": 2,
        "parallel_tool_calls": false,
        "prediction": {"type": "content", "content": [{"type": "text", "text": "x"}]},
        "presence_penalty": 0.5,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "prompt_cache_retention": "24h",
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "description": "d", "schema": schema(), "strict": true}},
        "safety_identifier": "s",
        "seed": 1,
        "service_tier": "priority",
        "stop": ["x"],
        "store": true,
        "stream": true,
        "stream_options": {"include_obfuscation": false, "include_usage": true},
        "temperature": 0.5,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema(), "strict": true}},
            {"type": "custom", "custom": {"name": "g", "description": "d", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: \"x\""}}}},
        ],
        "top_logprobs": 2,
        "top_p": 0.5,
        "user": "u",
        "verbosity": "low",
        "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate",
            "approximate": {"city": "c", "country": "DE", "region": "r", "timezone": "t"}}},
    })
}

/// All members of the Responses API that go together.
fn responses_document() -> Value {
    let breakpoint = json!({"mode": "explicit"});
    json!({
        "model": "m",
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "look", "prompt_cache_breakpoint": breakpoint},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low", "prompt_cache_breakpoint": breakpoint},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf", "detail": "low", "prompt_cache_breakpoint": breakpoint},
                {"type": "input_file", "file_url": "https://a/b"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "gAAA", "status": "completed"},
            {"type": "message", "id": "msg_1", "role": "assistant", "phase": "final_answer", "status": "completed",
                "content": [{"type": "output_text", "text": "t", "annotations": [], "logprobs": []}, {"type": "refusal", "refusal": "n"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{\"a\":1}", "namespace": "n", "status": "completed"},
            {"type": "function_call_output", "id": "fco_1", "call_id": "c", "status": "completed", "output": [
                {"type": "input_text", "text": "r"}, {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"}]},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "d", "name": "g", "input": "x"},
            {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "d", "output": "y"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"role": "user", "content": "json"},
        ],
        "background_options": {"completion_window": "2h"},
        "context_management": [{"type": "compaction", "compact_threshold": 5}],
        "image": {"context_compression": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "instructions": "Be brief.",
        "max_output_tokens": 5,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "moderation": {"model": "m", "policy": {"input": {"mode": "score"}}},
        "parallel_tool_calls": false,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "prompt_cache_retention": "24h",
        "reasoning": {"context": "all_turns", "effort": "high", "generate_summary": "concise", "mode": "pro", "summary": "detailed"},
        "safety_identifier": "s",
        "service_tier": "priority",
        "store": false,
        "stream": true,
        "stream_options": {"include_obfuscation": false},
        "temperature": 0.5,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "s", "description": "d", "schema": schema(), "strict": true}},
        "tool_choice": {"type": "custom", "name": "g"},
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": schema(), "strict": true, "defer_loading": true},
            {"type": "custom", "name": "g", "description": "d", "defer_loading": true, "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}},
            {"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["a"]}, "user_location": {"type": "approximate", "country": "DE"}},
            {"type": "image_generation", "size": "auto", "quality": "low"},
        ],
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    })
}

#[test]
fn nothing_of_a_chat_request_is_lost_silently() {
    check(&chat_document());
}

#[test]
fn nothing_of_a_responses_request_is_lost_silently() {
    check(&responses_document());
}

#[test]
fn nothing_of_other_forms_is_lost_silently() {
    let with =
        |key: &str, value: Value| json!({"model": "m", "messages": [{"role": "user", "content": "json"}], key: value});
    let parts = json!([
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "data": "AAAA", "mimeType": "image/webp", "_meta": {"a": 1}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"}},
        {"type": "document", "title": "T", "context": "C", "citations": {"enabled": true}, "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
        {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "text/csv", "blob": "AAAA"}},
        {"type": "file-data", "data": "AAAA", "mediaType": "application/pdf", "filename": "a.pdf"},
        {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}},
    ]);
    let mut wrapped = parts.clone();
    wrapped.as_array_mut().unwrap().extend([
        json!({"type": "resource_link", "uri": "file:///a", "name": "n"}),
        json!({"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": [{"type": "text", "text": "x"}]}),
        json!({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}),
    ]);
    let answered = |content: Value| {
        json!({"model": "m", "messages": [
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": content}]})
    };
    let legacy = json!({"model": "m", "functions": [{"name": "f", "description": "d", "parameters": schema()}], "function_call": {"name": "f"},
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "f", "content": "r"}]});
    let mut allowed = chat_document();
    allowed["tool_choice"] = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}});
    for document in [
        with("response_format", json!({"type": "json_object", "schema": schema(), "strict": true, "name": "n"})),
        with(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema()}, "strict": true}),
        ),
        with("response_format", json!({"type": "text", "schema": schema()})),
        with("reasoning", json!({"effort": "low", "max_tokens": 5, "exclude": true})),
        with("reasoning", json!({"enabled": false})),
        with("instructions", json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}])),
        json!({"model": "m", "messages": [{"role": "user", "content": parts}]}),
        answered(wrapped.clone()),
        answered(json!({"content": wrapped, "isError": true, "structuredContent": {"a": 1}})),
        legacy,
        allowed,
    ] {
        check(&document);
    }
}
