//! What the model says is in a chat reply once, and in order (docs/features.md R2, R4).

use codex_translate::ReasoningStyle::{self, None as Hidden, Reasoning, ReasoningContent, Think};
use codex_translate::{NoticeKind, Options, Profile};
use codex_translate::{ReplyPlan, chat, to_responses};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::Way;
use crate::turns::{Item, to_bytes, turn};
use crate::{invariants, oracle};

const STYLES: [ReasoningStyle; 4] = [ReasoningContent, Reasoning, Think, Hidden];

fn plan(reasoning: ReasoningStyle) -> ReplyPlan {
    ReplyPlan { stream: true, include_usage: true, reasoning, ..ReplyPlan::new("m") }
}

/// Returns the events of a turn of items written as `kind text`.
fn events(items: &[&str]) -> Vec<Value> {
    let of_item = |(index, item): (usize, &&str)| {
        let (kind, text) = item.split_once(' ').unwrap_or((item, ""));
        let message = |phase: Option<&str>, part: Value| json!({"type": "message", "role": "assistant", "phase": phase, "content": [part]});
        let text_part = json!({"type": "output_text", "text": text, "annotations": []});
        let item = match kind {
            "C" => message(Some("commentary"), text_part),
            "A" => message(Some("final_answer"), text_part),
            "no" => message(None, json!({"type": "refusal", "refusal": text})),
            "R" => json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
            "call" => {
                json!({"type": "function_call", "call_id": format!("call_{index}"), "name": "f", "arguments": "{}"})
            }
            "image" => json!({"type": "image_generation_call", "output_format": "png", "result": "iVBOR"}),
            other => panic!("no kind {other}"),
        };
        json!({"type": "response.output_item.done", "output_index": index, "item": item})
    };
    let completed = json!({"type": "response.completed", "response": {"status": "completed"}});
    items.iter().enumerate().map(of_item).chain([completed]).collect()
}

#[test]
fn reasoning_that_nobody_sees_is_no_output() {
    let bytes = |items: &[&str], details: Value| {
        let mut events = events(items);
        events.pop();
        let response = json!({"status": "incomplete", "incomplete_details": details});
        to_bytes(&[events, vec![json!({"type": "response.incomplete", "response": response})]].concat())
    };
    for details in [Value::Null, json!({})] {
        let hidden = bytes(&["R hm"], details.clone());
        for style in STYLES {
            for way in [Way::ChatBody, Way::ChatStream] {
                let outcome = way.outcome(&plan(style), [&hidden[..]]);
                assert_eq!(outcome.success.is_none(), style == Hidden, "{style:?}, {way:?}");
                assert_eq!(outcome.error.is_some(), style == Hidden, "{style:?}, {way:?}");
            }
        }
        // What is shown is not an error, whatever its reason.
        for shown in ["A x", "C x", "no x", "call"] {
            let bytes = bytes(&["R hm", shown], details.clone());
            assert_eq!(Way::ChatBody.outcome(&plan(Hidden), [&bytes[..]]).error, None, "{shown}");
        }
    }
    let limited = bytes(&["R hm"], json!({"reason": "max_output_tokens"}));
    assert_eq!(Way::ChatBody.outcome(&plan(Hidden), [&limited[..]]).error, None);
    // Responses show every summary, and nothing of reasoning without one.
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let end = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": null}});
    let encrypted = to_bytes(&[done, end]);
    for way in [Way::ResponsesBody, Way::ResponsesStream, Way::ResponsesMessages] {
        assert!(way.outcome(&plan(Hidden), [&encrypted[..]]).error.is_some(), "{way:?}");
    }
}

/// Returns the message of a reply, which is the same streamed and whole, and the chunks.
fn reply(plan: &ReplyPlan, events: &[Value]) -> (Value, Vec<Value>) {
    let bytes = to_bytes(events);
    let body = Way::ChatBody.outcome(plan, [&bytes[..]]).success.expect("a body");
    let body: Value = serde_json::from_str(&body).unwrap();
    let stream = Way::ChatStream.outcome(plan, [&bytes[..]]).success.expect("a stream");
    let chunks = invariants::chunks(&stream, true, true);
    assert_eq!(oracle::completion_of(&chunks), body);
    (body["choices"][0]["message"].clone(), chunks)
}

/// Checks the content and the reasoning of a reply in the styles `reasoning_content`, `think` and `none`.
#[track_caller]
fn check(items: &[&str], [content, reasoning]: [&str; 2], think: [&str; 2], hidden: &str) {
    for (style, [content, reasoning]) in [
        (ReasoningContent, [content, reasoning]),
        (Reasoning, [content, reasoning]),
        (Think, think),
        (Hidden, [hidden, ""]),
    ] {
        for legacy_functions in [false, true] {
            let plan = ReplyPlan { legacy_functions, n: 2, ..plan(style) };
            let (message, _) = reply(&plan, &events(items));
            let key = if style == Reasoning { "reasoning" } else { "reasoning_content" };
            let text = |key: &str| message[key].as_str().unwrap_or_default();
            assert_eq!((text("content"), text(key)), (content, reasoning), "{items:?}, {style:?}");
            assert_eq!(message.get(key).is_some(), !reasoning.is_empty(), "{message}");
        }
    }
}

#[test]
fn commentary_is_reasoning_if_something_else_is_the_reply() {
    check(&["C Look.", "A 42."], ["42.", "Look."], ["<think>Look.</think>\n\n42.", ""], "42.");
    check(&["C Look.", "call"], ["", "Look."], ["<think>Look.</think>\n\n", ""], "");
    check(&["C Look.", "no Never."], ["", "Look."], ["<think>Look.</think>\n\n", ""], "");
    check(&["R Hm.", "C Look.", "call"], ["", "Hm.\n\nLook."], ["<think>Hm.\n\nLook.</think>\n\n", ""], "");
    check(&["C Look.", "R Hm.", "A 42."], ["42.", "Look.\n\nHm."], ["<think>Look.\n\nHm.</think>\n\n42.", ""], "42.");
    check(&["C Look.", "image", "A 42."], ["42.", "Look."], ["<think>Look.</think>\n\n42.", ""], "42.");
    check(&["R Hm.", "image", "R So."], ["", "Hm.\n\nSo."], ["<think>Hm.\n\nSo.</think>\n\n", ""], "");
}

#[test]
fn commentary_is_the_answer_if_nothing_else_is() {
    check(&["C Look."], ["Look.", ""], ["Look.", ""], "Look.");
    check(&["C Look.", "C More."], ["Look.\n\nMore.", ""], ["Look.\n\nMore.", ""], "Look.\n\nMore.");
    check(&["R Hm.", "C Look."], ["Look.", "Hm."], ["<think>Hm.</think>\n\nLook.", ""], "Look.");
    check(
        &["C Look.", "R Hm.", "C More."],
        ["Look.\n\nMore.", "Hm."],
        ["<think>Hm.</think>\n\nLook.\n\nMore.", ""],
        "Look.\n\nMore.",
    );
    check(&["C Look.", "image"], ["Look.", ""], ["Look.", ""], "Look.");
}

#[test]
fn after_a_call_only_an_answer_is_content() {
    check(&["call", "C Look."], ["", "Look."], ["", "Look."], "");
    check(&["R Hm.", "call", "R So.", "call"], ["", "Hm.\n\nSo."], ["<think>Hm.</think>\n\n", "So."], "");
    check(&["call", "R Hm.", "A 42."], ["42.", "Hm."], ["42.", "Hm."], "42.");
    check(&["A One.", "call", "A Two."], ["One.\n\nTwo.", ""], ["One.\n\nTwo.", ""], "One.\n\nTwo.");
}

/// No answer that has a format is broken by what is inserted, and one that is whole is not continued.
#[test]
fn a_json_answer_stays_json() {
    for (items, content, reasoning) in [
        (&["A {\"a\":1}", "A {\"a\":1}"][..], "{\"a\":1}", "{\"a\":1}"),
        (&["A {\"a\":\"x", "A y\"}", "C Done."], "{\"a\":\"xy\"}", "Done."),
        (&["C Look.", "C {\"a\":1}"], "{\"a\":1}", "Look."),
        (&["C Look.", "R Hm.", "C {\"a\":1}"], "{\"a\":1}", "Look.\n\nHm."),
        (&["R Hm.", "C Look.", "A {\"a\":1}"], "{\"a\":1}", "Hm.\n\nLook."),
        (&["A {\"a\":1}", "call", "A {\"a\":2}"], "{\"a\":1}", "{\"a\":2}"),
    ] {
        let plan = ReplyPlan { formatted: true, ..plan(ReasoningContent) };
        let (message, _) = reply(&plan, &events(items));
        assert_eq!((&message["content"], &message["reasoning_content"]), (&json!(content), &json!(reasoning)));
    }
}

#[test]
fn tags_give_way_to_a_format() {
    let body = |format: Value| {
        json!({"model": "m", "messages": [{"role": "user", "content": "json"}],
        "response_format": format})
    };
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    for (format, style, expected) in [
        (json!({"type": "json_object"}), Think, ReasoningContent),
        (schema.clone(), Think, ReasoningContent),
        (schema, Reasoning, Reasoning),
        (json!({"type": "json_object"}), Hidden, Hidden),
        (json!({"type": "text"}), Think, Think),
    ] {
        let options = Options { reasoning: style, strict: true, ..Options::default() };
        let request = chat::ChatRequest::from_json(body(format.clone()).to_string().as_bytes()).unwrap();
        let translated = to_responses(request, &Profile::permissive("m"), &options).unwrap();
        assert_eq!(translated.plan.reasoning, expected, "{format}");
        assert_eq!(translated.plan.formatted, format["type"] != "text");
        let told = translated.notices.iter().any(|notice| notice.kind == NoticeKind::Clamped);
        assert_eq!(told, style != expected, "{:?}", translated.notices);
    }
}

/// Returns the content up to the first stop string. A call ends what stop strings are searched in.
fn cut(chunks: &[Value], stop: &[String]) -> String {
    let mut runs = vec![String::new()];
    for delta in chunks.iter().filter_map(|chunk| chunk["choices"].get(0)).map(|choice| &choice["delta"]) {
        if delta.get("tool_calls").is_some() {
            runs.push(String::new());
        }
        runs.last_mut().unwrap().push_str(delta["content"].as_str().unwrap_or_default());
    }
    let mut content = String::new();
    for run in runs {
        // The string that ends first, and the longest of those.
        let ends = |stop: &String| Some((run.find(&**stop)? + stop.len(), std::cmp::Reverse(stop.len())));
        if let Some((end, len)) = stop.iter().filter_map(ends).min() {
            return content + &run[..end - len.0];
        }
        content += &run;
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Each message has a text of its own, so that it can be found.
    #[test]
    fn every_message_is_said_once(mut turn in turn(), style in 0..4_usize) {
        for (index, item) in turn.items.iter_mut().enumerate() {
            match item {
                Item::Message { pieces, .. } => *pieces = vec![format!("message {index}"), ".".to_owned()],
                Item::Reasoning(parts) => *parts = vec![vec![format!("thought {index}.")]],
                Item::Call { .. } | Item::Search | Item::Image => {}
            }
        }
        let (message, chunks) = reply(&plan(STYLES[style]), &turn.events());
        let text = |key: &str| message[key].as_str().unwrap_or_default();
        let said = [text("content"), text("reasoning_content"), text("reasoning"), text("refusal")].join("\n");
        let is_answered = turn.items.iter().any(|item| match item {
            Item::Message { phase, is_refusal, .. } => *phase != Some("commentary") || *is_refusal,
            Item::Call { .. } => true,
            Item::Reasoning(_) | Item::Search | Item::Image => false,
        });
        for (index, item) in turn.items.iter().enumerate() {
            let (text, is_hidden) = match item {
                Item::Message { phase, is_refusal, .. } => {
                    (format!("message {index}."), *phase == Some("commentary") && !is_refusal && is_answered)
                }
                Item::Reasoning(_) => (format!("thought {index}."), true),
                Item::Call { .. } | Item::Search | Item::Image => continue,
            };
            let is_hidden = is_hidden && STYLES[style] == Hidden;
            prop_assert_eq!(said.matches(&text).count(), usize::from(!is_hidden), "{} in {}", text, said);
        }
        let first_call = chunks.iter().position(|chunk| chunk["choices"][0]["delta"].get("tool_calls").is_some());
        for chunk in &chunks[first_call.unwrap_or(chunks.len())..] {
            let content = chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            prop_assert!(!content.contains("think"), "{}", content);
            for (index, item) in turn.items.iter().enumerate() {
                let is_later = turn.items[..index].iter().any(|item| matches!(item, Item::Call { .. }));
                let is_answer = matches!(item, Item::Message { phase, .. } if *phase != Some("commentary"));
                prop_assert!(is_later && is_answer || !content.contains(&format!("message {index}")), "{}", content);
            }
        }
    }

    #[test]
    fn a_stop_string_cuts_the_content_where_it_is_found(
        turn in turn(),
        stop in prop::collection::vec("[a-c\n ]{1,3}", 1..4),
        style in 0..3_usize,
    ) {
        let whole = plan([ReasoningContent, Reasoning, Hidden][style]);
        let (_, chunks) = reply(&whole, &turn.events());
        let expected = cut(&chunks, &stop);
        let (message, chunks) = reply(&ReplyPlan { stop, ..whole }, &turn.events());
        prop_assert_eq!(message["content"].as_str().unwrap_or_default(), expected, "{:?}", chunks);
    }

    #[test]
    fn a_token_limit_cuts_the_content_where_it_is_reached(turn in turn(), max_tokens in 0_u32..8) {
        let (whole, _) = reply(&plan(Hidden), &turn.events());
        let limited = ReplyPlan { max_tokens: Some(max_tokens), ..plan(Hidden) };
        let bytes = to_bytes(&turn.events());
        // They can differ: what a body has in the order of its items, a stream has in the order of its events.
        let body: Value = serde_json::from_str(&Way::ChatBody.outcome(&limited, [&bytes[..]]).success.unwrap()).unwrap();
        let stream = Way::ChatStream.outcome(&limited, [&bytes[..]]).success.unwrap();
        let streamed = oracle::completion_of(&invariants::chunks(&stream, true, true));
        let content = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
        let [streamed, cut] = [streamed, body].map(|reply| content(&reply["choices"][0]["message"]));
        prop_assert!(content(&whole).starts_with(&cut), "{:?} of {:?}", cut, whole);
        prop_assert!(content(&whole).starts_with(&streamed), "{:?} of {:?}", streamed, whole);
    }
}
