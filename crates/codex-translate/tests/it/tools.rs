//! Tools and the choice among them: nothing is lost, in a namespace as outside of it.

use codex_translate::responses::ResponsesRequest;
use codex_translate::{Error, Options, Translated, chat, normalise, to_responses};
use serde_json::{Value, json};

use crate::backend;
use crate::chat_request::{notices, profile, sent};

fn from_chat(mut body: Value) -> Result<Translated, Error> {
    body["model"] = json!("m");
    body["messages"] = json!([{"role": "user", "content": "x"}]);
    to_responses(chat::ChatRequest::from_json(body.to_string().as_bytes())?, &profile(), &Options::default())
}

fn from_responses(mut body: Value) -> Result<Translated, Error> {
    body["model"] = json!("m");
    if body.get("input").is_none() {
        body["input"] = json!("x");
    }
    normalise(ResponsesRequest::from_json(body.to_string().as_bytes())?, &profile(), &Options::default())
}

fn closed() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false})
}

#[test]
fn strict_is_the_default_of_the_responses_api_where_the_schema_allows_it() {
    let optional =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"anyOf": [{"type": "null"}]}}});
    let free = json!({"type": "object", "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": true}}});
    let untyped = json!({"type": "object", "properties": {"a": {}}});
    let composed = json!({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}});
    let default = json!({"type": "object", "properties": {"a": {"type": "string", "default": "x"}}});
    for (schema, allows) in
        [(closed(), true), (optional, true), (free, false), (untyped, false), (composed, false), (default, false)]
    {
        for given in [None, Some(true), Some(false)] {
            let tool = json!({"type": "function", "name": "f", "parameters": schema, "strict": given});
            for tools in
                [json!([tool]), json!([{"type": "namespace", "name": "n", "description": "d", "tools": [tool]}])]
            {
                let translated = from_responses(json!({"tools": tools})).unwrap();
                let mut sent = sent(&translated);
                let tool = if tools[0]["type"] == "namespace" {
                    &mut sent["tools"][0]["tools"][0]
                } else {
                    &mut sent["tools"][0]
                };
                let expected = given.map_or(if allows { Value::Null } else { json!(false) }, Value::from);
                assert_eq!((&tool["strict"], &tool["parameters"]), (&expected, &schema));
                assert_eq!(
                    translated.notices.len(),
                    usize::from(given.is_none() && !allows),
                    "{:?}",
                    translated.notices
                );
            }
        }
        // In chat it is off.
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
        let translated = from_chat(json!({"tools": tools})).unwrap();
        assert_eq!((&sent(&translated)["tools"][0]["strict"], translated.notices.len()), (&json!(false), 0));
    }
}

#[test]
fn tools_in_a_namespace_are_settled_as_outside_of_it() {
    let long = "l".repeat(70);
    let inner = json!([
        {"type": "function", "name": long, "parameters": {"type": "object"}, "strict": false, "cache_control": {}},
        {"type": "function", "function": {"name": "g", "parameters": {"$ref": "#/$defs/A", "$defs": {"A": closed()}}}},
        {"type": "custom", "name": "c d"},
    ]);
    let space = json!({"type": "namespace", "name": "my.space", "description": "d", "tools": inner});
    let body = json!({"tools": [space], "tool_choice": {"type": "function", "name": long}, "input": [
        {"type": "function_call", "call_id": "1", "name": long, "namespace": "my.space", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"type": "message", "role": "user", "content": "x"}]});
    let translated = from_responses(body).unwrap();
    let sent = sent(&translated);
    backend::accepts(&sent);
    let space = &sent["tools"][0];
    let (names, tools) = (&translated.plan.tools, space["tools"].as_array().unwrap());
    let wire = tools[0]["name"].as_str().unwrap();
    assert_eq!(names.to_client(wire), long);
    assert_eq!(names.to_client(space["name"].as_str().unwrap()), "my.space");
    assert_eq!((&sent["tool_choice"]["name"], &sent["input"][0]["name"]), (&json!(wire), &json!(wire)));
    assert_eq!(sent["input"][0]["namespace"], space["name"]);
    assert_eq!((&tools[0]["strict"], &tools[0]["parameters"]["properties"]), (&json!(false), &json!({})));
    assert_eq!(tools[1]["parameters"]["properties"], closed()["properties"]);
    assert!(names.is_custom(tools[2]["name"].as_str().unwrap()));
    assert_eq!(
        notices(&translated),
        [
            "tools[].tools[].cache_control dropped",
            "tools[].tools[].parameters repaired",
            "tools[].tools[].function.parameters repaired",
            "tools[].name repaired"
        ]
    );
    let bad = json!({"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "bad", "parameters": {"type": "string"}}]});
    let error = from_responses(json!({"tools": [bad]})).unwrap_err();
    assert_eq!(error.param(), Some("tools[0].tools[0].parameters"));
    assert!(error.message().contains("`bad`"));
}

#[test]
fn tools_that_items_list_are_settled_too() {
    let long = "l".repeat(70);
    let tools = json!([{"type": "function", "name": long, "defer_loading": true, "parameters": {"type": "OBJECT"}}]);
    let call = json!({"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {}});
    let found = json!({"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": tools});
    let search = json!({"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object", "properties": null}});
    let user = json!({"type": "message", "role": "user", "content": "x"});
    let translated = from_responses(json!({"input": [call, found, user], "tools": [search]})).unwrap();
    let sent = sent(&translated);
    let tool = &sent["input"][1]["tools"][0];
    assert_eq!(tool["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!(translated.plan.tools.to_client(tool["name"].as_str().unwrap()), long);
    assert_eq!(sent["tools"][0]["parameters"], json!({"type": "object", "properties": {}}));
    let bad = json!({"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f", "parameters": {"type": "x"}}]});
    assert_eq!(from_responses(json!({"input": [bad]})).unwrap_err().param(), Some("input[0].tools[0].parameters"));
}

#[test]
fn every_way_to_name_a_tool_is_read() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "inner"}]}]);
    for name in ["f", "inner"] {
        for choice in [
            json!({"type": "tool", "name": name}),
            json!({"type": "function", "name": name}),
            json!({"type": "function", "function": {"name": name}}),
            json!({"function": {"name": name}}),
            json!({"name": name}),
            json!(name),
        ] {
            let translated = from_chat(json!({"tools": tools, "tool_choice": choice})).unwrap();
            assert_eq!(sent(&translated)["tool_choice"], json!({"type": "function", "name": name}), "{choice}");
            let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [choice]});
            if choice.is_object() {
                let translated = from_responses(json!({"tools": tools, "tool_choice": allowed})).unwrap();
                assert_eq!(sent(&translated)["tool_choice"]["tools"], json!([{"type": "function", "name": name}]));
            }
        }
    }
    for choice in [
        json!({"type": "tool", "name": "c"}),
        json!({"custom": {"name": "c"}}),
        json!({"type": "custom", "name": "c"}),
        json!("c"),
    ] {
        let translated = from_chat(json!({"tools": tools, "tool_choice": choice})).unwrap();
        assert_eq!(sent(&translated)["tool_choice"], json!({"type": "custom", "name": "c"}), "{choice}");
    }
    for (choice, expected) in [("AUTO", "auto"), ("ANY", "required"), ("any", "required"), ("None", "none")] {
        for choice in [json!(choice), json!({"type": choice.to_lowercase()})] {
            let translated = from_chat(json!({"tools": tools, "tool_choice": choice})).unwrap();
            assert_eq!(sent(&translated)["tool_choice"], expected);
        }
    }
    for choice in
        [json!("other"), json!({"type": "tool", "name": "other"}), json!({"type": "tool"}), json!({"name": 1})]
    {
        assert!(
            from_chat(json!({"tools": tools, "tool_choice": choice}))
                .unwrap_err()
                .param()
                .unwrap()
                .starts_with("tool_choice")
        );
    }
}

#[test]
fn anthropic_words_are_read() {
    let tools = json!([{"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"type": "custom", "name": "g", "input_schema": {"type": "object"}}]);
    for (disabled, parallel) in [(true, false), (false, true)] {
        let choice = json!({"type": "auto", "disable_parallel_tool_use": disabled});
        let sent = sent(&from_chat(json!({"tools": tools, "tool_choice": choice})).unwrap());
        assert_eq!((&sent["tool_choice"], &sent["parallel_tool_calls"]), (&json!("auto"), &json!(parallel)));
        assert_eq!((&sent["tools"][0]["type"], &sent["tools"][1]["type"]), (&json!("function"), &json!("function")));
    }
    let explicit = json!({"tools": tools, "tool_choice": {"type": "any", "disable_parallel_tool_use": true}, "parallel_tool_calls": true});
    assert_eq!(sent(&from_chat(explicit).unwrap())["parallel_tool_calls"], true);
}

#[test]
fn a_choice_among_tools_that_do_not_exist_here_is_answered() {
    let tools = json!([{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]);
    let mcp = json!([{"type": "mcp", "server_label": "s"}]);
    let both = json!([{"type": "mcp", "server_label": "s"}, {"type": "function", "name": "f"}]);
    let allowed = |mode: &str, allowed: &Value| {
        from_responses(
            json!({"tools": tools, "tool_choice": {"type": "allowed_tools", "mode": mode, "tools": allowed}}),
        )
    };
    assert_eq!(sent(&allowed("auto", &mcp).unwrap())["tool_choice"], "none");
    assert_eq!(
        sent(&allowed("required", &both).unwrap())["tool_choice"]["tools"],
        json!([{"type": "function", "name": "f"}])
    );
    assert_eq!(allowed("required", &mcp).unwrap_err().param(), Some("tool_choice"));
    let named = json!({"tools": tools, "tool_choice": {"type": "mcp", "server_label": "s", "name": "t"}});
    let translated = from_responses(named).unwrap();
    assert_eq!(sent(&translated)["tool_choice"], "auto");
    let of_choice: Vec<_> =
        notices(&translated).into_iter().filter(|notice| notice.starts_with("tool_choice")).collect();
    assert_eq!(of_choice, ["tool_choice.server_label dropped", "tool_choice.name dropped", "tool_choice clamped"]);
}

/// Calls `visit` with a copy of `value` for each member at any depth, with that member changed by `change`.
fn each_change(
    value: &Value,
    change: &dyn Fn(&mut serde_json::Map<String, Value>, &str),
    visit: &mut dyn FnMut(Value, String),
) {
    fn walk(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    found.push((at.to_owned(), key.clone()));
                    // The inside of a schema is not read as a tool.
                    if !["parameters", "output_schema"].contains(&key.as_str()) {
                        walk(inner, &format!("{at}/{key}"), found);
                    }
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(index, inner)| walk(inner, &format!("{at}/{index}"), found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    for (at, key) in found {
        let mut changed = value.clone();
        change(changed.pointer_mut(&at).unwrap().as_object_mut().unwrap(), &key);
        visit(changed, format!("{at}/{key}"));
    }
}

/// The tools and choices of the public API's types (openai-node 7.59), with every member.
#[test]
fn no_member_of_a_tool_or_a_choice_is_lost() {
    let function = json!({"type": "function", "name": "f", "description": "d", "strict": true, "parameters": closed(),
        "defer_loading": true, "allowed_callers": ["direct"], "output_schema": {"type": "object"}});
    let custom = json!({"type": "custom", "name": "c", "description": "d", "defer_loading": true,
        "allowed_callers": ["direct"], "format": {"type": "grammar", "syntax": "lark", "definition": "x"}});
    let chat_function = json!({"type": "function", "function": {"name": "f", "description": "d", "strict": true, "parameters": closed()}});
    let chat_custom = json!({"type": "custom", "custom": {"name": "c", "description": "d",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}});
    let namespace = json!({"type": "namespace", "name": "n", "description": "d", "tools": [custom]});
    let functions = json!({"type": "namespace", "name": "n", "description": "d", "tools": [function]});
    let search = json!({"type": "web_search", "filters": {"allowed_domains": ["a"]}, "search_context_size": "low",
        "user_location": {"type": "approximate", "city": "c", "country": "DE", "region": "r", "timezone": "t"},
        "search_content_types": ["text"]});
    let image = json!({"type": "image_generation", "background": "auto", "model": "m", "quality": "low", "size": "auto",
        "input_image_mask": {"image_url": "u"}, "partial_images": 1});
    let tool_search = json!({"type": "tool_search", "execution": "client", "description": "d", "parameters": closed()});
    let mcp = json!({"type": "mcp", "server_label": "s", "server_url": "u", "allowed_tools": ["x"]});
    let named =
        |choice: Value| json!({"tools": [chat_function, chat_custom, search, namespace], "tool_choice": choice});
    let documents = [
        json!({"tools": [function]}),
        json!({"tools": [custom]}),
        json!({"tools": [chat_function]}),
        json!({"tools": [chat_custom]}),
        json!({"tools": [namespace]}),
        json!({"tools": [functions]}),
        json!({"tools": [search]}),
        json!({"tools": [image]}),
        json!({"tools": [tool_search]}),
        json!({"tools": [mcp]}),
        named(json!({"type": "function", "name": "f"})),
        named(json!({"type": "function", "function": {"name": "f"}})),
        named(json!({"type": "custom", "name": "c"})),
        named(json!({"type": "custom", "custom": {"name": "c"}})),
        named(json!({"type": "mcp", "server_label": "s", "name": "t"})),
        named(json!({"type": "web_search_preview"})),
        named(json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true})),
        named(json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"},
            {"type": "custom", "name": "c"}, {"type": "web_search"}, {"type": "mcp", "server_label": "s"}]})),
        named(json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]}})),
    ];
    // Everything that a client or the backend can see of a request.
    let seen = |body: &Value, read: fn(Value) -> Result<Translated, Error>| match read(body.clone()) {
        Ok(translated) => (sent(&translated).to_string(), format!("{:?}", translated.notices)),
        Err(error) => (String::new(), error.message().to_owned()),
    };
    for body in &documents {
        for read in [from_chat, from_responses] {
            let before = seen(body, read);
            each_change(body, &|map, key| drop(map.remove(key)), &mut |changed, at| {
                let other = at.split('/').nth(1) == Some("tools") && body.get("tool_choice").is_some();
                // The type follows from the other members; an unavailable tool is dropped as a whole.
                let follows =
                    at.ends_with("/type") || body["tools"][0]["type"] == "mcp" || at.ends_with("server_label");
                assert!(other || follows || seen(&changed, read) != before, "{at} of {body} is lost");
            });
            let inside = |at: &str| at.contains("/parameters/") || at.contains("/output_schema/");
            each_change(body, &|map, _| drop(map.insert("zz".to_owned(), json!(1))), &mut |changed, at| {
                let unavailable = body["tools"][0]["type"] == "mcp" || at.contains("tool_choice/tools/3");
                assert!(
                    inside(&at) || unavailable || seen(&changed, read) != before,
                    "an addition beside {at} of {body} is lost"
                );
            });
        }
    }
}

/// Returns the tools that a chat request becomes, and its notices.
fn searched(body: &Value) -> (Value, Vec<String>) {
    let translated = from_chat(body.clone()).unwrap();
    (sent(&translated)["tools"].take(), notices(&translated))
}

#[test]
fn several_requests_for_the_web_search_are_one_tool() {
    let options = json!({"search_context_size": "high",
        "user_location": {"type": "approximate", "approximate": {"city": "Rome"}}});
    let location = json!({"type": "approximate", "city": "Rome"});
    // The tool has what it says itself; the rest is added.
    let tool = json!({"type": "web_search", "search_context_size": "low"});
    let merged = json!([{"type": "web_search", "search_context_size": "low", "user_location": location}]);
    let dropped = "web_search_options.search_context_size dropped";
    for tools in [json!([tool]), json!([tool, {"type": "web_search_preview", "user_location": location}])] {
        let body = json!({"web_search_options": options, "tools": tools});
        let (sent, mut notices) = searched(&body);
        notices.retain(|notice| !notice.starts_with("tools[].type"));
        assert_eq!((sent, notices), (merged.clone(), vec![dropped.to_owned()]));
        let mut body = body;
        (body["model"], body["messages"]) = (json!("m"), json!([{"role": "user", "content": "x"}]));
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
        let strict = Options { strict: true, ..Options::default() };
        let error = to_responses(request, &profile(), &strict).unwrap_err();
        assert_eq!(error.param(), Some("web_search_options.search_context_size"));
    }
    for (body, notices) in [
        (json!({"tools": [{"type": "web_search"}], "web_search_options": {}}), vec![]),
        (json!({"web_search_options": {"search_context_size": "low"}, "tools": [tool]}), vec![]),
        (
            json!({"tools": [tool, {"type": "web_search", "search_context_size": "high", "filters": {"a": []}}]}),
            vec!["tools[].search_context_size dropped"],
        ),
    ] {
        let (sent, found) = searched(&body);
        assert_eq!((sent.as_array().unwrap().len(), found), (1, notices.into_iter().map(str::to_owned).collect()));
        assert!(sent[0]["filters"].is_null() || sent[0]["filters"] == json!({"a": []}));
    }
    for blank in [json!(""), json!([])] {
        assert_eq!(searched(&json!({"web_search_options": blank})), (Value::Null, vec![]));
    }
    assert_eq!(searched(&json!({"web_search_options": {}})), (json!([{"type": "web_search"}]), vec![]));
}

#[test]
fn a_schema_is_read_from_the_member_of_any_api() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let other = json!({"type": "object", "properties": {"b": {"type": "string"}}});
    for (first, second, expected, is_told) in [
        (("parameters", &schema), ("inputSchema", &json!({})), &schema, false),
        (("inputSchema", &schema), ("parameters", &json!({})), &schema, false),
        (("parameters", &json!({})), ("input_schema", &schema), &schema, false),
        (("parameters", &schema), ("input_schema", &schema), &schema, false),
        (("parameters", &schema), ("input_schema", &other), &schema, true),
        (("inputSchema", &other), ("parameters", &schema), &schema, true),
    ] {
        let tool = json!({"type": "function", "function": {"name": "f", (first.0): first.1, (second.0): second.1}});
        let translated = from_chat(json!({"tools": [tool]})).unwrap();
        let sent: Value = serde_json::from_slice(&translated.request.to_json()).unwrap();
        assert_eq!(sent["tools"][0]["parameters"]["properties"], expected["properties"], "{tool}");
        let is_dropped = |notice: &codex_translate::Notice| notice.kind == codex_translate::NoticeKind::Dropped;
        assert_eq!(translated.notices.iter().any(is_dropped), is_told, "{tool}");
    }
    for name in ["parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema"] {
        for (tool, place) in [
            (json!({"name": "f", "description": "d", name: closed()}), ""),
            (json!({"type": "function", "name": "f", "description": "d", name: closed()}), ""),
            (json!({"type": "function", "function": {"name": "f", "description": "d", name: closed()}}), "function."),
        ] {
            let expected = json!([{"type": "function", "name": "f", "description": "d", "strict": false,
                "parameters": closed()}]);
            let translated = from_chat(json!({"tools": [tool]})).unwrap();
            assert_eq!((sent(&translated)["tools"].take(), translated.notices.len()), (expected, 0), "{tool}");
            let path = translated.plan.paths.path_of("tools[0].parameters");
            assert_eq!(path, Some(format!("tools[0].{place}{name}")));
            // Only OpenAI's own form is strict by default.
            let strict = sent(&from_responses(json!({"tools": [tool]})).unwrap())["tools"][0]["strict"].take();
            let is_own = name == "parameters" && place.is_empty();
            assert_eq!(strict, if is_own { Value::Null } else { json!(false) }, "{tool}");
        }
    }
}
