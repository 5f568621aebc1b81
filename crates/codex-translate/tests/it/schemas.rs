//! Schemas that the backend refuses are repaired or refused here, by name (docs/backend.md §2.7).

use codex_translate::responses::ResponsesRequest;
use codex_translate::{Error, NoticeKind, Options, Translated, chat, normalise, to_responses};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::chat_request::{profile, sent};
use crate::schema_oracle::{accepts, alternatives, refusal};

fn translated(parameters: &Value, strict: Option<bool>) -> Result<Translated, Error> {
    let mut function = json!({"name": "the_tool", "parameters": parameters});
    if let Some(strict) = strict {
        function["strict"] = json!(strict);
    }
    let fine = json!({"type": "function", "function": {"name": "fine"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [fine, {"type": "function", "function": function}]});
    to_responses(chat::ChatRequest::from_json(body.to_string().as_bytes())?, &profile(), &Options::default())
}

/// Returns the schema that is sent, which the backend accepts, and needs no further repair.
#[track_caller]
fn settled(parameters: &Value) -> Value {
    let translated = translated(parameters, None).unwrap_or_else(|error| panic!("{error}: {parameters}"));
    let schema = sent(&translated)["tools"][1]["parameters"].take();
    assert_eq!(refusal(&schema), None, "{schema}");
    let changed = schema != *parameters;
    let repaired = translated
        .notices
        .iter()
        .all(|notice| notice.kind == NoticeKind::Repaired && notice.parameter == "tools[].function.parameters");
    assert!(repaired && translated.notices.is_empty() != changed, "{:?}", translated.notices);
    let again = self::translated(&schema, None).unwrap();
    assert_eq!(sent(&again)["tools"][1]["parameters"], schema);
    assert!(again.notices.is_empty());
    schema
}

#[track_caller]
fn check(parameters: Value, expected: Value) {
    assert_eq!(settled(&parameters), expected);
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

#[test]
fn alternatives_at_the_top_become_one_object() {
    let either = json!([
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]},
        {"type": "null"},
    ]);
    let b = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": b}, "required": ["a"]});
    check(json!({"anyOf": either}), one.clone());
    check(json!({"oneOf": either}), one.clone());
    check(json!({"type": "object", "anyOf": either}), one.clone());
    check(json!({"anyOf": [{"oneOf": either}]}), one.clone());
    check(
        json!({"description": "d", "properties": {"c": {}}, "required": ["c"], "anyOf": either}),
        json!({"type": "object", "description": "d", "properties": {"c": {}, "a": {"type": "string"}, "b": b},
            "required": ["c", "a"]}),
    );
    check(
        json!({"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        object(json!({"a": {}, "b": {}})),
    );
    check(
        json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"a": {"minLength": 1}, "b": {}}, "required": ["b"]},
        ]}),
        json!({"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}, "b": {}},
            "required": ["a", "b"]}),
    );
    check(
        json!({"anyOf": [{"type": "object", "properties": {"a": {}}, "additionalProperties": false}, {"type": "null"}]}),
        json!({"type": "object", "additionalProperties": false, "properties": {"a": {}}}),
    );
    check(
        json!({"enum": [{"a": 1, "b": 2}, {"a": 2}, "x"]}),
        json!({"type": "object", "properties": {"a": {"anyOf": [{"enum": [1]}, {"enum": [2]}]}, "b": {"enum": [2]}},
            "required": ["a"]}),
    );
    check(json!({"const": {"a": 1}}), json!({"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}));
    check(json!({"type": "object", "properties": {}, "not": {"required": ["x"]}}), object(json!({})));
    check(json!({"type": ["object", "null"], "properties": {"a": {}}}), object(json!({"a": {}})));
}

#[test]
fn a_reference_at_the_top_is_replaced() {
    let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/a~1b%20c"}}, "required": ["next"]});
    let flat = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/a~1b%20c"}}, "required": ["next"],
        "$defs": {"a/b c": node}});
    check(json!({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": node}}), flat);
    check(
        json!({"$ref": "#/definitions/A", "description": "mine", "definitions": {
            "A": {"$ref": "#/definitions/B", "description": "theirs"}, "B": object(json!({"x": {}}))}}),
        json!({"type": "object", "description": "mine", "properties": {"x": {}}, "definitions": {
            "A": {"$ref": "#/definitions/B", "description": "theirs"}, "B": object(json!({"x": {}}))}}),
    );
    let (a, b) = (object(json!({"a": {}})), object(json!({"b": {}})));
    check(
        json!({"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": {"A": a, "B": b}}),
        json!({"type": "object", "properties": {"a": {}, "b": {}}, "$defs": {"A": a, "B": b}}),
    );
}

#[test]
fn references_to_what_was_merged_keep_their_meaning() {
    let tree = json!({"anyOf": [
        {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#/anyOf/0/properties/left"}}},
        {"type": "null"},
    ]});
    let schema = settled(&tree);
    let root = json!({"anyOf": [
        {"type": "object", "properties": {
            "left": {"$ref": "#/$defs/root"}, "right": {"$ref": "#/$defs/root/anyOf/0/properties/left"}}},
        {"type": "null"},
    ]});
    assert_eq!(schema["$defs"]["root"], root);
    assert_eq!(schema["properties"], root["anyOf"][0]["properties"]);
    for (value, accepted) in [(json!({"left": null}), true), (json!({"left": {"right": {"left": 1}}}), false)] {
        assert_eq!(accepts(&tree, &tree, &value), accepted);
        assert_eq!(accepts(&schema, &schema, &value), accepted, "{value}");
    }
    // A value that only looks like a reference is none.
    let data = json!({"anyOf": [{"type": "object", "properties": {"a": {"const": {"$ref": "#"}}}}]});
    assert_eq!(settled(&data)["properties"], data["anyOf"][0]["properties"]);
}

#[test]
fn keywords_are_repaired_on_every_level() {
    check(json!({"type": "object", "properties": null, "required": null}), object(json!({})));
    check(
        object(json!({"a": {"type": "array", "items": null, "enum": null, "description": null, "minItems": null,
            "default": null, "const": null}, "b": null, "c": {"anyOf": [{"type": "string"}, null]}})),
        object(json!({"a": {"type": "array", "default": null, "const": null, "items": {}}, "b": {},
            "c": {"anyOf": [{"type": "string"}, {"type": "null"}]}})),
    );
    check(
        json!({"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}},
            "b": {"type": ["STRING", "Null", "null"]}, "g": {"type": ["string", null, ""]}, "h": {"type": ""},
            "i": {"type": [null]}, "j": {"type": [""]}, "c": {"type": "any"}, "d": {"type": "dict"}, "e": {"type": "int"},
            "f": "string"}}),
        object(json!({"a": {"type": "array", "items": {"type": "string"}}, "b": {"type": ["string", "null"]},
            "g": {"type": ["string", "null"]}, "h": {}, "i": {"type": ["null"]}, "j": {}, "c": {},
            "d": {"type": "object", "properties": {}}, "e": {"type": "integer"}, "f": {"type": "string"}})),
    );
    check(
        object(
            json!({"a": {"type": "string", "required": true}, "b": {"required": false}, "required": {"required": true}}),
        ),
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}, "required": {}},
            "required": ["a", "required"]}),
    );
    check(
        json!({"type": "object", "properties": {"a": {}}, "required": ["a", "a"]}),
        json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}),
    );
    check(
        object(json!({"a": [], "b": {"properties": []}, "c": {"enum": []}, "d": {"type": "array", "items": []}})),
        object(json!({"a": {}, "b": {"properties": {}}, "c": {}, "d": {"type": "array", "items": {}}})),
    );
    check(
        object(json!({"a": {"type": "array", "items": [{"type": "STRING"}], "additionalItems": false}})),
        object(json!({"a": {"type": "array", "prefixItems": [{"type": "string"}], "items": false}})),
    );
    check(
        object(json!({"a": {"minimum": 1, "exclusiveMinimum": true, "maximum": 2, "exclusiveMaximum": false}})),
        object(json!({"a": {"maximum": 2, "exclusiveMinimum": 1}})),
    );
    check(
        object(json!({"a": {"type": "string", "nullable": true, "enum": ["x"]}})),
        object(json!({"a": {"type": ["string", "null"], "enum": ["x", null]}})),
    );
    check(
        object(json!({"a": {"$ref": "#", "nullable": true}})),
        object(json!({"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}})),
    );
    check(json!(true), object(json!({})));
    check(json!({}), object(json!({})));
    check(json!([]), object(json!({})));
    check(json!({"type": "object"}), object(json!({})));
}

#[test]
fn a_schema_that_needs_no_repair_is_sent_as_it_was_written() {
    let schema = r##"{ "properties" : {"a":{"enum":[null,{"type":null}],"default":{"required":true}},"b":{"anyOf":[{"type":"string"}]}},
        "type":"object", "$defs":{"x":{"$ref":"#"}}, "if":{"required":["a"]} }"##;
    let body = format!(
        r#"{{"model":"m","input":"x","tools":[{{"type":"function","name":"f","strict":false,"parameters":{schema}}}]}}"#
    );
    let request = ResponsesRequest::from_json(body.as_bytes()).unwrap();
    let translated = normalise(request, &profile(), &Options::default()).unwrap();
    assert!(String::from_utf8(translated.request.to_json()).unwrap().contains(schema));
    assert!(translated.notices.is_empty());
}

#[test]
fn a_schema_without_an_equal_is_an_error_that_names_the_tool() {
    let deep = (0..200).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
    // Each definition doubles the next.
    let doubled = |index: u32| json!({"allOf": [{"$ref": format!("#/$defs/{}", index + 1)}, {"anyOf": [{"$ref": format!("#/$defs/{}", index + 1)}]}]});
    let mut hostile: Map<String, Value> = (0..30).map(|index| (index.to_string(), doubled(index))).collect();
    hostile.insert("30".to_owned(), object(json!({"a": {}})));
    for (schema, place) in [
        (json!({"type": "string"}), ""),
        (json!({"type": "array", "items": {}}), ""),
        (json!({"type": ["string", "null"]}), ""),
        (json!(false), ""),
        (json!([{"type": "object"}]), ""),
        (json!("object"), ""),
        (json!(7), ""),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), ""),
        (json!({"anyOf": [false]}), ""),
        (json!({"enum": ["a"]}), ""),
        (json!({"const": 1}), ""),
        (json!({"allOf": [{"type": "object"}, {"type": "string"}]}), ""),
        (json!({"$ref": "#/$defs/missing"}), "/$ref"),
        (json!({"$ref": "https://example.com/schema"}), "/$ref"),
        (json!({"$ref": "#"}), "/$ref"),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}), "/$ref"),
        (json!({"$ref": "#/$defs/0", "$defs": hostile}), ""),
        (object(json!({"a": {"type": "thing"}})), "/properties/a/type"),
        (object(json!({"a/b": {"type": 7}})), "/properties/a~1b/type"),
        (object(json!({"a": "the first"})), "/properties/a"),
        (object(json!([{"name": "a"}])), "/properties"),
        (deep, ""),
    ] {
        let error = translated(&schema, None).err().unwrap_or_else(|| panic!("accepted: {schema}"));
        assert_eq!((error.status_hint(), error.param()), (400, Some("tools[1].function.parameters")), "{error}");
        assert!(error.message().contains("`the_tool`") && error.message().contains(place), "{error}");
    }
}

#[test]
fn a_schema_in_a_string_is_read_and_an_empty_string_is_none() {
    let schema = object(json!({"a": {"type": "STRING"}}));
    let expected = object(json!({"a": {"type": "string"}}));
    for text in [schema.to_string(), format!(" {schema:#}\n")] {
        let translated = translated(&json!(text), None).unwrap();
        assert_eq!(sent(&translated)["tools"][1]["parameters"], expected);
        assert!(translated.notices.iter().any(|notice| notice.detail.contains("JSON text")));
        for format in [
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": text}}),
            json!({"type": "json_schema", "schema": text, "json_schema": {"name": "n"}}),
            json!({"type": "json_object", "schema": text}),
        ] {
            assert_eq!(format_of(&format).0, expected, "{format}");
        }
    }
    let translated = translated(&json!(""), None).unwrap();
    assert_eq!(sent(&translated)["tools"][1]["parameters"], object(json!({})));
    assert!(translated.notices.is_empty());
    let body = |format: Value| {
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": format}).to_string()
    };
    for (schema, place) in
        [(json!(""), ".json_schema.schema"), (json!("x"), ".json_schema.schema"), (json!(7), ".json_schema.schema")]
    {
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        let error = chat::ChatRequest::from_json(body(format).as_bytes()).unwrap_err();
        assert_eq!(error.param(), Some(&*format!("response_format{place}")));
    }
    // Errors name the place where the schema stands.
    let format = json!({"type": "json_schema", "schema": 7, "json_schema": {"name": "n"}});
    let error = chat::ChatRequest::from_json(body(format).as_bytes()).unwrap_err();
    assert_eq!(error.param(), Some("response_format.schema"));
}

/// Returns the schema of a format as it is sent, and how many notices there are.
fn format_of(format: &Value) -> (Value, usize) {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": format});
    let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = to_responses(request, &profile(), &Options::default()).unwrap();
    (sent(&translated)["text"]["format"]["schema"].take(), translated.notices.len())
}

#[test]
fn what_has_no_equal_in_the_schema_of_a_format_stays_and_the_rest_is_repaired() {
    let (bad, good) = (
        json!({"b": {"type": "date"}, "c": {"required": 7}, "d": {"properties": "x"}, "e": "the first"}),
        json!({"a": {"type": "STRING"}, "f": {"type": "array"}}),
    );
    let mut mixed = bad.as_object().unwrap().clone();
    mixed.extend(good.as_object().unwrap().clone());
    let mut expected = bad;
    expected["a"] = json!({"type": "string"});
    expected["f"] = json!({"type": "array", "items": {}});
    let format = |schema: Value| {
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        format_of(&format)
    };
    assert_eq!(format(object(json!(mixed))).0, object(expected.clone()));
    assert_eq!(format(json!({"anyOf": [object(json!(mixed))]})).0["properties"], expected);
    // The answer need not be an object.
    for root in ["array", "date"] {
        let schema = json!({"type": root, "items": {"type": "STRING", "description": null}});
        assert_eq!(format(schema), (json!({"type": root, "items": {"type": "string"}}), 2));
    }
    // Without a repair, the text is forwarded as it was written.
    assert_eq!(format(json!({"type": "date"})), (json!({"type": "date"}), 0));
}

#[test]
fn large_unions_are_merged() {
    let kinds = (0..5000).map(|kind| object(json!({"kind": {"const": kind}, "base": {"type": "string"}})));
    let schema = settled(&json!({"oneOf": kinds.collect::<Vec<_>>()}));
    assert_eq!(schema["properties"]["base"], json!({"type": "string"}));
    assert_eq!(schema["properties"]["kind"]["anyOf"].as_array().unwrap().len(), 5000);
}

#[test]
fn a_repaired_schema_is_strict_only_if_it_can_be() {
    let strict = |schema: &Value| {
        let translated = translated(schema, Some(true)).unwrap();
        let clamped = translated.notices.iter().any(|notice| notice.kind == NoticeKind::Clamped);
        assert_eq!(sent(&translated)["tools"][1]["strict"] == false, clamped);
        !clamped
    };
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false});
    assert!(strict(&closed));
    assert!(strict(&json!({"$ref": "#/$defs/A", "$defs": {"A": closed}})));
    assert!(!strict(&json!({"anyOf": [closed, object(json!({"b": {}}))]})));
    // What the client wrote itself is for the backend to refuse.
    assert!(strict(&object(json!({"a": {"type": "string"}}))));
    let none = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function",
        "function": {"name": "f", "strict": true}}]});
    let request = chat::ChatRequest::from_json(none.to_string().as_bytes()).unwrap();
    let sent = sent(&to_responses(request, &profile(), &Options::default()).unwrap());
    let empty = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    assert_eq!((&sent["tools"][0]["strict"], &sent["tools"][0]["parameters"]), (&json!(true), &empty));
}

#[test]
fn a_format_is_repaired_like_parameters() {
    let format = |schema: Value, strict: bool| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format":
            {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": strict}}});
        let request = chat::ChatRequest::from_json(body.to_string().as_bytes()).unwrap();
        let translated = to_responses(request, &profile(), &Options::default()).unwrap();
        let format = sent(&translated)["text"]["format"].take();
        (format["schema"].clone(), format["strict"] == true, translated.notices.len())
    };
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false});
    assert_eq!(format(closed.clone(), true), (closed.clone(), true, 0));
    let upper = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING", "description": null}}, "required": ["a"],
        "additionalProperties": false});
    assert_eq!(format(upper, true), (closed.clone(), true, 2));
    assert_eq!(format(json!({"anyOf": [{"type": "object"}]}), true), (object(json!({})), false, 3));
    // The answer may be something else than an object, if the backend lets it.
    let list = json!({"type": "array", "items": {}});
    assert_eq!(format(list.clone(), false), (list, false, 0));
}

fn value_schema() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "string"}),
        json!({"type": "INTEGER"}),
        json!({"type": ["string", "null"]}),
        json!({"enum": [1, "x", null]}),
        json!({"const": null}),
        json!({"type": "array", "items": {"$ref": "#"}}),
        json!({"type": "array"}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/A"}),
        json!({"type": "object", "additionalProperties": null}),
        json!({"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/B"}], "title": null}),
        json!({"type": "string", "nullable": false}),
        Value::Null,
        json!({}),
        json!(true),
    ])
}

fn plain_object() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(&["a", "b", "c"][..]);
    let closed = prop::sample::select(vec![None, Some(json!(false)), Some(Value::Null)]);
    (
        prop::collection::btree_map(name(), value_schema(), 0..3),
        prop::option::of(prop::collection::btree_set(name(), 0..2)),
        closed,
        any::<bool>(),
    )
        .prop_map(|(properties, required, closed, typed)| {
            let mut object = json!({"properties": properties, "required": required});
            if typed {
                object["type"] = json!("object");
            }
            if let Some(closed) = closed {
                object["additionalProperties"] = closed;
            }
            object
        })
}

fn composed() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => plain_object(),
        1 => prop::sample::select(vec![json!({"type": "null"}), json!({"$ref": "#/$defs/A"}), json!({"$ref": "#/$defs/B"})]),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        (
            prop::sample::select(&["anyOf", "oneOf", "allOf"][..]),
            prop::collection::vec(inner, 1..4),
            plain_object(),
            any::<bool>(),
        )
            .prop_map(|(key, list, mut object, alone)| {
                if alone {
                    object = json!({});
                }
                object[key] = list.into();
                object
            })
    })
}

fn root() -> impl Strategy<Value = Value> {
    (composed(), plain_object(), plain_object()).prop_map(|(mut root, a, b)| {
        // Without a type a plain schema becomes one of an object, for those that refer to it, too.
        if !["$ref", "anyOf", "oneOf", "allOf"].iter().any(|key| root.get(key).is_some()) {
            root["type"] = json!("object");
        }
        root["$defs"] = json!({"A": a, "B": b});
        root
    })
}

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![json!("x"), json!(1), Value::Null, json!([]), json!({})]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(prop::sample::select(&["a", "b", "c"][..]), inner.clone(), 0..4)
                .prop_map(|map| json!(map)),
            1 => prop::collection::vec(inner, 0..2).prop_map(Value::from),
        ]
    })
}

/// Returns the schema without nulls, as its author means it, so that the oracle can read it.
fn meant(schema: &Value) -> Value {
    let settled = settled(&json!({"type": "object", "properties": {"x": schema}}));
    settled["properties"]["x"].clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_repaired_schema_accepts_what_an_alternative_accepts(root in root(), instances in prop::collection::vec(instance(), 8)) {
        let original = meant(&root);
        let Ok(translated) = translated(&root, None) else {
            prop_assert!(!instances.iter().any(|value| value.is_object() && accepts(&original, &original, value)));
            return Ok(());
        };
        drop(translated);
        let schema = settled(&root);
        for value in instances.iter().filter(|value| value.is_object()) {
            let names = |schema: &&Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let accepted = alternatives(&original, &original).into_iter().any(|all| {
                let named: Map<_, _> = all.iter().flat_map(names).collect();
                value.as_object().unwrap().keys().all(|name| named.contains_key(name))
                    && all.iter().all(|schema| holds(&original, schema, value))
            });
            prop_assert!(!accepted || accepts(&schema, &schema, value), "{value}\n{original}\n{schema}");
        }
    }
}

/// Returns whether a schema accepts a value, apart from the schemas that it is composed of.
fn holds(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(map) = schema.as_object() else { return accepts(root, schema, value) };
    let own = map.iter().filter(|(key, _)| !["$ref", "anyOf", "oneOf", "allOf"].contains(&&***key));
    accepts(root, &Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect()), value)
}
