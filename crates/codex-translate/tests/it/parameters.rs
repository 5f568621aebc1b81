//! The parameter tables against the readers.

use std::collections::BTreeSet;

use codex_translate::params::{CHAT, EXTRA, Parameter, RESPONSES, Treatment};
use codex_translate::{Error, Notice, NoticeKind, Options, Profile, Storage, chat, normalise, responses, to_responses};
use serde_json::{Value, json};

/// Returns a value of the parameter that differs from its default.
fn sample(name: &str) -> Value {
    match name {
        "messages" => json!([{"role": "user", "content": "x"}]),
        "input" | "instructions" | "model" | "user" | "prompt_cache_key" | "previous_response_id" | "conversation" => {
            json!("x")
        }
        "safety_identifier" | "reasoningSummary" => json!("x"),
        "functions" => json!([{"name": "f"}]),
        "tools" => json!([{"type": "function", "function": {"name": "f"}}]),
        "function_call" | "tool_choice" => json!("auto"),
        "modalities" => json!(["text", "image"]),
        "n"
        | "max_tokens"
        | "max_completion_tokens"
        | "max_output_tokens"
        | "max_tool_calls"
        | "top_logprobs"
        | "seed" => json!(5),
        "temperature" | "top_p" | "frequency_penalty" | "presence_penalty" => json!(0.5),
        "parallel_tool_calls" | "stream" | "store" | "logprobs" | "background" => json!(true),
        "reasoning_effort" | "verbosity" | "reasoningEffort" | "textVerbosity" => json!("high"),
        "response_format" => json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
        "service_tier" => json!("priority"),
        "stop" => json!("x"),
        "stream_options" => json!({"include_obfuscation": false}),
        "include" => json!(["reasoning.encrypted_content"]),
        "reasoning" => json!({"effort": "high"}),
        "text" => json!({"verbosity": "low"}),
        "truncation" => json!("auto"),
        "prompt_cache_retention" => json!("24h"),
        "web_search_options" => json!({}),
        _ => json!({"a": "b"}),
    }
}

fn outcome(chat: bool, name: &str, value: Value) -> Result<Vec<Notice>, Error> {
    let mut body = if chat {
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    } else {
        json!({"model": "m", "input": "x"})
    };
    body[name] = value;
    let body = body.to_string();
    let (profile, options) =
        (Profile::permissive("m"), Options { storage: Storage::UpTo(usize::MAX), ..Options::default() });
    let translated = if chat {
        to_responses(chat::ChatRequest::from_json(body.as_bytes())?, &profile, &options)?
    } else {
        normalise(responses::ResponsesRequest::from_json(body.as_bytes())?, &profile, &options)?
    };
    Ok(translated.notices)
}

fn check(chat: bool, parameter: &Parameter) {
    let name = parameter.name;
    let result = outcome(chat, name, sample(name));
    let dropped =
        |notices: &[Notice]| notices.iter().any(|notice| notice.parameter == name && notice.detail == parameter.note);
    match parameter.treatment {
        Treatment::Forwarded | Treatment::Emulated | Treatment::Clamped => {
            let notices = result.unwrap();
            let lost = notices.iter().find(|notice| notice.parameter == name && notice.kind != NoticeKind::Emulated);
            assert!(lost.is_none(), "{name} is read, but: {lost:?}");
            // A parameter that is read is also validated.
            let error = outcome(chat, name, json!([[[]]])).expect_err(name);
            assert!(error.param().is_some_and(|param| param.starts_with(name)), "{name}: {error}");
        }
        Treatment::Dropped => assert!(dropped(&result.unwrap()), "{name}"),
        Treatment::Rejected => assert_eq!(result.expect_err(name).param(), Some(name)),
        _ => unreachable!("a treatment without a test"),
    }
    for neutral in parameter.neutral {
        let notices = outcome(chat, name, serde_json::from_str(neutral).unwrap()).unwrap();
        assert!(notices.is_empty(), "{name}: {neutral} is the default, but: {notices:?}");
    }
    assert!(
        outcome(chat, name, Value::Null).is_ok_and(|notices| notices.is_empty()) || is_required(name),
        "{name}: null is absence"
    );
}

fn is_required(name: &str) -> bool {
    ["model", "messages", "input"].contains(&name)
}

#[test]
fn every_parameter_is_treated_as_its_table_says() {
    for parameter in CHAT {
        check(true, parameter);
    }
    for parameter in RESPONSES {
        check(false, parameter);
    }
    for parameter in EXTRA {
        check(true, parameter);
        check(false, parameter);
    }
}

#[test]
fn a_notice_says_whether_a_token_limit_is_exact() {
    for (chat, name) in [(true, "max_tokens"), (true, "max_completion_tokens"), (false, "max_output_tokens")] {
        let notices = outcome(chat, name, json!(5)).unwrap();
        assert_eq!(notices[0].kind, NoticeKind::Emulated);
        assert_eq!(notices[0].detail.contains("estimate"), cfg!(not(feature = "tokens")), "{name}");
    }
}

#[test]
fn every_parameter_is_listed_once() {
    for table in [CHAT, RESPONSES, EXTRA] {
        let names: BTreeSet<_> = table.iter().map(|parameter| parameter.name).collect();
        assert_eq!(names.len(), table.len());
    }
}
