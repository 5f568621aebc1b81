//! Errors of the backend name what the caller wrote.

use codex_translate::{
    BodyOrigin, Effort, Error, ItemOrigin, Options, Profile, Translated, chat, normalise, responses, to_responses,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat_request::{profile, sent};
use crate::mapped::{self, at};
use crate::request_properties::{body, chat_message, item};

fn chat(body: &Value) -> Result<Translated, Error> {
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes())?;
    to_responses(request, &profile(), &Options::default())
}

fn of_responses(body: &Value) -> Result<Translated, Error> {
    let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes())?;
    normalise(request, &profile(), &Options::default())
}

#[test]
fn each_path_of_a_chat_request_is_mapped_back() {
    let body = json!({
        "model": "m", "reasoning_effort": "low", "verbosity": "low", "tool_choice": "auto", "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}},
        "tools": [
            {"type": "web_search_preview"}, {"type": "mcp", "server_label": "x"}, {"type": "web_search_preview"},
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
            {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}},
        ],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": ""},
            {"role": "user", "name": "ada", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "assistant", "content": "b", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "x"}]},
            {"role": "tool", "tool_call_id": "c9", "content": "y"},
        ],
    });
    let translated = chat(&body).unwrap();
    let kinds: Vec<_> =
        sent(&translated)["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    let expected = ["message", "message", "message", "function_call", "function_call"];
    assert_eq!(kinds[..5], expected);
    for (path, written) in [
        ("instructions", Some("messages[0].content")),
        ("input", Some("messages")),
        ("input[1].content[2].image_url", Some("messages[2].content[1].image_url.url")),
        ("input[1].content[1]", Some("messages[2].content[0]")),
        ("input[1].content[0].text", Some("messages[2].content")),
        ("input[1].role", Some("messages[2].role")),
        ("input[2].content[0]", Some("messages[3].content")),
        ("input[3].name", Some("messages[3].tool_calls[0].function.name")),
        ("input[4].call_id", Some("messages[3].tool_calls[1].id")),
        ("input[4].arguments", Some("messages[3].tool_calls[1].function.arguments")),
        // The output that was added.
        ("input[5].output", None),
        ("input[6].output[0].text", Some("messages[4].content[0]")),
        ("input[6].call_id", Some("messages[4].tool_call_id")),
        ("reasoning", Some("reasoning_effort")),
        ("input[7].content[1]", Some("messages[5]")),
        ("input[99]", None),
        ("tools[0]", Some("tools[0]")),
        ("tools[1].parameters", Some("tools[3].function.parameters")),
        ("tools[2].name", Some("tools[4].name")),
        ("text.format.type", Some("response_format.type")),
        ("text.format.schema", Some("response_format.json_schema.schema")),
        ("text.verbosity", Some("verbosity")),
        ("reasoning.effort", Some("reasoning_effort")),
        ("tool_choice.name", Some("tool_choice")),
        ("model", Some("model")),
        ("prompt_cache_key", None),
        ("store", None),
    ] {
        assert_eq!(translated.plan.paths.path_of(path).as_deref(), written, "{path}");
        if let Some(written) = written {
            assert!(at(&body, written).is_some(), "{written}");
        }
    }
    let error = translated.plan.paths.in_callers_words(Error::invalid("input.1.content", "input.1.content: bad"));
    assert_eq!((error.param(), error.message()), (Some("messages[2]"), "messages[2]: bad"));
    let error = translated.plan.paths.in_callers_words(Error::invalid("input[5].output", "Invalid 'input[5].output'."));
    assert_eq!((error.param(), error.message()), (None, "Invalid 'input[5].output'."));
    for (param, sent, written) in [
        // Prose stays.
        ("input", "Your input exceeds the context window.", "Your input exceeds the context window."),
        ("input", "Unsupported content type input_file in input.", "Unsupported content type input_file in input."),
        ("instructions", "Unknown instructions format.", "Unknown instructions format."),
        ("tools", "The maximum number of tools is 128.", "The maximum number of tools is 128."),
        ("", "('body','input',0) e.g. example.com/x.", "('body','input',0) e.g. example.com/x."),
        // Paths do not, wherever they stand.
        ("input", "Invalid type for 'input': expected a list.", "Invalid type for 'messages': expected a list."),
        ("", "Error in input[1].role: bad", "Error in messages[2].role: bad"),
        (
            "",
            "`tools[1].parameters` is bad, see tools[2].name.",
            "`tools[3].function.parameters` is bad, see tools[4].name.",
        ),
        (
            "text.format",
            "text.format.schema is bad; see text.format",
            "response_format.json_schema.schema is bad; see response_format",
        ),
    ] {
        let error = translated.plan.paths.in_callers_words(Error::invalid(param, sent));
        assert_eq!(error.message(), written);
    }
}

#[test]
fn legacy_functions_and_other_forms_of_settings_are_named() {
    let body = json!({"model": "m", "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}], "function_call": "auto",
        "reasoning": {"effort": "low"}, "messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
            {"role": "user", "content": "json"}, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "x"}], "response_format": {"type": "json_object"}});
    let paths = chat(&body).unwrap().plan.paths;
    for (path, written) in [
        ("tools[0].parameters", "functions[0].parameters"),
        ("tool_choice", "function_call"),
        ("reasoning.effort", "reasoning.effort"),
        ("instructions", "messages"),
        ("input[1].name", "messages[3].function_call"),
        ("input[2].output", "messages[4].content"),
        ("text.format.type", "response_format.type"),
    ] {
        assert_eq!(paths.path_of(path).as_deref(), Some(written), "{path}");
        assert!(at(&body, written).is_some(), "{written}");
    }
}

#[test]
fn notices_and_errors_name_the_parameter_that_asks() {
    let message = json!([{"role": "user", "content": "json"}]);
    let schema = json!({"type": "object", "properties": {}});
    for (name, value, sent, written) in [
        ("web_search_options", json!({}), "tools[0].search_context_size", "web_search_options"),
        ("modalities", json!(["text", "image"]), "tools[0]", "modalities"),
        ("reasoning", json!({"enabled": false}), "reasoning.effort", "reasoning.enabled"),
        ("reasoning", json!({"generate_summary": "auto"}), "reasoning.summary", "reasoning.generate_summary"),
        ("reasoning", json!({"summary": "auto"}), "reasoning.summary", "reasoning.summary"),
        ("reasoningSummary", json!("auto"), "reasoning.summary", "reasoningSummary"),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}),
            "text.format.name",
            "response_format.json_schema.name",
        ),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"schema": schema}}),
            "text.format.name",
            "response_format.json_schema",
        ),
        (
            "text",
            json!({"format": {"type": "json_schema", "name": "n", "schema": schema}}),
            "text.format.name",
            "text.format.name",
        ),
    ] {
        let body = json!({"model": "m", "messages": message, name: value});
        let translated = chat(&body).unwrap();
        assert_eq!(translated.plan.paths.path_of(sent).as_deref(), Some(written), "{body}");
        assert!(at(&body, written).is_some(), "{written}");
    }
    let profile = Profile { efforts: vec![Effort::High], summaries: false, verbosity: false, ..profile() };
    for (body, expected) in [
        (json!({"reasoning": {"enabled": false}}), "reasoning.enabled"),
        (json!({"reasoning": {"effort": "none"}}), "reasoning.effort"),
        (json!({"reasoning_effort": "none"}), "reasoning_effort"),
        (json!({"reasoningEffort": "none"}), "reasoningEffort"),
        (json!({"reasoning": {"generate_summary": "auto"}}), "reasoning.generate_summary"),
        (json!({"reasoningSummary": "auto"}), "reasoningSummary"),
        (json!({"textVerbosity": "low"}), "textVerbosity"),
        (json!({"text": {"verbosity": "low"}}), "text.verbosity"),
        (json!({"text": {"format": {"type": "json_object"}}}), "text.format"),
    ] {
        let mut body = body;
        (body["model"], body["messages"]) = (json!("m"), json!([{"role": "user", "content": "x"}]));
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
        let notices = to_responses(request, &profile, &Options::default()).unwrap().notices;
        assert_eq!(notices.iter().map(|notice| &*notice.parameter).collect::<Vec<_>>(), [expected]);
    }
    for (choice, name) in [("tool_choice", "g"), ("function_call", "g")] {
        let body = json!({"model": "m", "messages": message, choice: {"name": name}});
        let error = chat(&body).unwrap_err();
        assert_eq!(error.param(), Some(choice));
        assert!(error.message().contains(choice));
    }
}

#[test]
fn the_items_of_a_responses_request_are_counted_as_the_caller_sent_them() {
    let body = json!({"model": "m", "text": {"format": {"type": "json_object"}}, "input": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:,"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "y"}]});
    let paths = of_responses(&body).unwrap().plan.paths;
    // JSON is mentioned first.
    assert_eq!(paths.path_of("input[0].content"), None);
    assert_eq!(paths.path_of("input[1].content[1].image_url").as_deref(), Some("input[1].content[1].image_url"));
    assert_eq!(paths.path_of("input[2].name").as_deref(), Some("input[2].name"));
    assert_eq!(paths.path_of("input[3].output").as_deref(), Some("input[3].output"));
    assert_eq!(paths.path_of("text.format.type").as_deref(), Some("text.format.type"));
    let text = of_responses(&json!({"model": "m", "input": "x"})).unwrap().plan.paths;
    assert_eq!(text.path_of("input[0].content[0]").as_deref(), Some("input"));
}

#[test]
fn the_images_of_an_assistant_are_named_where_the_caller_wrote_them() {
    let (nested, flat) = (
        json!({"type": "image_url", "image_url": {"url": "data:,"}}),
        json!({"type": "input_image", "image_url": "data:,"}),
    );
    for (assistant, sent, written) in [
        (json!({"content": "Here", "images": [nested]}), "input[2].content[0].image_url", "images[0].image_url.url"),
        (json!({"content": "Here", "images": [flat, flat]}), "input[2].content[1].image_url", "images[1].image_url"),
        (
            json!({"content": [{"type": "text", "text": "Here"}, nested], "images": [nested]}),
            "input[2].content[1].image_url",
            "images[0].image_url.url",
        ),
        (
            json!({"content": [{"type": "text", "text": "Here"}, nested], "images": [nested]}),
            "input[2].content[0].image_url",
            "content",
        ),
        (json!({"content": [{"type": "text", "text": "Here"}, nested]}), "input[2].content[0].image_url", "content"),
        (json!({"content": "Here", "images": ["x", nested]}), "input[2].content[0].image_url", "images"),
        (json!({"content": "Here", "images": [flat, nested]}), "input[2].content[1].image_url", "images[1]"),
        (json!({"images": [nested]}), "input[1].content[0].image_url", "images[0].image_url.url"),
        (json!({"images": [nested]}), "input[1].content", "images"),
    ] {
        let mut message = assistant.clone();
        message["role"] = "assistant".into();
        let messages = json!([{"role": "user", "content": "a"}, message, {"role": "user", "content": "red"}]);
        let chat_paths = chat(&json!({"model": "m", "messages": messages})).unwrap().plan.paths;
        assert_eq!(chat_paths.path_of(sent), Some(format!("messages[1].{written}")), "{assistant}");
        let paths = of_responses(&json!({"model": "m", "input": messages})).unwrap().plan.paths;
        assert_eq!(paths.path_of(sent), Some(format!("input[1].{written}")), "{assistant}");
    }
}

#[test]
fn what_is_not_rewritten_keeps_its_whole_path() {
    let function = json!({"type": "function", "name": "f", "description": "d", "strict": false, "parameters": {"type": "object", "properties": {}}});
    let body = json!({"model": "m",
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object", "properties": {}}}},
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "tools": [function, {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}},
            {"type": "namespace", "name": "n", "description": "d", "tools": [
                {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}}]}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:,", "detail": "high"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "high"}}]},
            {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "e"},
            {"type": "function_call", "id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "data:,"}]}]});
    let paths = of_responses(&body).unwrap().plan.paths;
    for (path, written) in [
        ("input[0].content[1].detail", "input[0].content[1].detail"),
        ("input[0].content[0].text", "input[0].content[0].text"),
        ("input[0].role", "input[0].role"),
        ("input[0].type", "input[0]"),
        ("input[1].content[0].detail", "input[1].content[0]"),
        ("input[2].action.query", "input[2].action.query"),
        ("input[3].summary[0].text", "input[3].summary[0].text"),
        ("input[3].encrypted_content", "input[3].encrypted_content"),
        ("input[4].call_id", "input[4]"),
        ("input[5].call_id", "input[5].call_id"),
        ("input[5].output[0].image_url", "input[5].output[0]"),
        ("tools[0].parameters.properties", "tools[0].parameters"),
        ("tools[0].strict", "tools[0].strict"),
        ("tools[1].filters.allowed_domains[0]", "tools[1].filters.allowed_domains[0]"),
        ("tools[2].tools[0].parameters", "tools[2].tools[0].parameters"),
        ("tools[2].tools[0].strict", "tools[2].tools[0]"),
        ("text.format.name", "text.format.name"),
        ("text.format.strict", "text.format"),
        ("tool_choice.tools[0].name", "tool_choice.tools[0].name"),
        ("tool_choice.mode", "tool_choice.mode"),
    ] {
        assert_eq!(paths.path_of(path).as_deref(), Some(written), "{path}");
        assert!(at(&body, written).is_some(), "{written}");
    }
    let rest = paths.without_reasoning();
    assert_eq!(rest.path_of("input[3].name").as_deref(), Some("input[4].name"));
    assert_eq!(rest.path_of("input[2].status").as_deref(), Some("input[2].status"));
}

#[test]
fn items_are_counted_as_the_caller_sent_them_beside_stored_ones() {
    use ItemOrigin::{Referred, Sent, Stored, Text};
    let paths = |input: Value, origins: &[ItemOrigin]| {
        let origin = BodyOrigin { items: Some(origins), ..BodyOrigin::default() };
        let body = json!({"model": "m", "input": input}).to_string();
        let request = responses::ResponsesRequest::from_json_of(origin, body.as_bytes())?;
        normalise(request, &profile(), &Options::default()).map(|translated| translated.plan.paths)
    };
    let message = |text: &str| json!({"role": "user", "content": [{"type": "input_text", "text": text}]});
    let image = json!({"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": null});
    let input = json!([message("a"), image, message("b"), message("c"), message("d")]);
    let of_list = paths(input, &[Stored, Stored, Stored, Referred(1), Sent(4)]).unwrap();
    for (path, written) in [
        ("input[0].content[0].text", None),
        ("input[1]", None),
        ("input[2].content[0].text", Some("input[1]")),
        ("input[3].content[0].text", Some("input[4].content[0].text")),
        ("input.3.content", Some("input[4]")),
    ] {
        assert_eq!(of_list.path_of(path).as_deref(), written, "{path}");
    }
    let of_text = paths(json!([message("a"), message("b")]), &[Stored, Text]).unwrap();
    assert_eq!(of_text.path_of("input[0].content"), None);
    assert_eq!(of_text.path_of("input[1].content[0].text").as_deref(), Some("input"));
    // An error that is found here, too.
    let error = paths(json!([message("a"), {"role": "user", "content": 7}]), &[Stored, Sent(2)]).unwrap_err();
    assert_eq!(error.param(), Some("input[2].content"));
}

#[test]
fn an_element_of_an_output_that_became_two_parts_shifts_the_others() {
    let resource = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "b"}});
    let text = json!({"type": "text", "text": "c"});
    for (output, sent, written) in [
        (json!([text, text]), "output[1]", "output[1]"),
        (json!([resource, text]), "output[2]", "output"),
        (json!([null, text]), "output[0]", "output"),
    ] {
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        let answer = json!({"type": "function_call_output", "call_id": "c", "output": output});
        let paths = of_responses(&json!({"model": "m", "input": [call, answer]})).unwrap().plan.paths;
        assert_eq!(paths.path_of(&format!("input[1].{sent}")), Some(format!("input[1].{written}")), "{answer}");
    }
}

fn check(body: &Value, translated: &Translated) -> Result<(), TestCaseError> {
    prop_assert_eq!(mapped::astray(body, &sent(translated), &translated.plan.paths), None);
    Ok(())
}

proptest! {
    #[test]
    fn each_path_of_a_chat_request_that_is_mapped_exists(body in body("messages", chat_message())) {
        if let Ok(translated) = chat(&body) {
            check(&body, &translated)?;
        }
    }

    #[test]
    fn each_path_of_a_responses_request_that_is_mapped_exists(body in body("input", item())) {
        if let Ok(translated) = of_responses(&body) {
            check(&body, &translated)?;
        }
    }
}

#[test]
fn a_plan_without_a_request_changes_no_error() {
    let error = Error::invalid("input[0]", "Invalid 'input[0]'.");
    let paths = codex_translate::ReplyPlan::new("m").paths;
    assert_eq!(paths.in_callers_words(error.clone()), error);
}
