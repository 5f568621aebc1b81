//! The event layer, as an embedder uses it: parsed events, web searches, tool calls.

use codex_translate::chat::ToolCall;
use codex_translate::responses::{Event, EventParser, TextDelta, WebSearchAction, WebSearchStatus};
use codex_translate::{ChatFold, ChatStream, Chunk, Error, EventReader, Flow, RawEvent};
use serde_json::{Value, json};

use crate::feeding::feed_fold;
use crate::fixtures::{Case, cases, reply_id};

/// Passes each event of a case to `take`, read byte by byte.
fn each(case: &Case, mut take: impl FnMut(RawEvent<'_>)) {
    let mut reader = EventReader::new();
    for byte in case.events.chunks(1) {
        let read = reader.read(&Chunk::Bytes(byte), |event| {
            take(event);
            Ok::<_, Error>(Flow::Continue)
        });
        if read.is_err() {
            break;
        }
    }
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

#[test]
fn a_web_search_is_shown_from_its_start_to_its_query() {
    let mut seen = Vec::new();
    each(&case("web_search"), |event| {
        if let Some(search) = event.parse().unwrap().web_search() {
            assert!(search.item_id.starts_with("ws_") && search.output_index == 0);
            seen.push((search.status.as_str().to_owned(), search.query().map(|query| query.to_string())));
        }
    });
    let query = Some("weather oslo".to_owned());
    let expected =
        [("in_progress", None), ("in_progress", None), ("searching", None), ("completed", None), ("completed", query)];
    assert_eq!(seen, expected.map(|(status, query)| (status.to_owned(), query)));
}

/// Returns what a search's last event says about its status and its action.
fn done(item: &Value) -> (String, String) {
    let mut item = item.clone();
    item["type"] = json!("web_search_call");
    let json = json!({"type": "response.output_item.done", "output_index": 3, "item": item}).to_string();
    let search = Event::parse(&json).unwrap().web_search().unwrap();
    assert_eq!(search.output_index, 3);
    let action = match search.action {
        Some(WebSearchAction::Search { query, queries }) => format!("search {query} {}", queries.len()),
        Some(WebSearchAction::OpenPage { url }) => format!("open {url}"),
        Some(WebSearchAction::FindInPage { url, pattern }) => format!("find {pattern} in {url}"),
        Some(WebSearchAction::Other(raw)) => format!("other {raw}"),
        Some(_) => unreachable!("an action without a test"),
        None => "none".to_owned(),
    };
    (search.status.as_str().to_owned(), action)
}

#[test]
fn every_action_of_a_web_search_is_read_and_unknown_ones_survive() {
    for (action, expected) in [
        (json!({"type": "search", "query": "a \"b\"", "queries": ["a", "b"]}), "search a \"b\" 2"),
        (json!({"type": "search", "query": "a\u{2028}"}), "search a\u{2028} 0"),
        (json!({"type": "search", "queries": ["a", "b"]}), "search a 2"),
        (json!({"type": "open_page", "url": "https://x.y"}), "open https://x.y"),
        (json!({"type": "find_in_page", "url": "https://x.y", "pattern": "z"}), "find z in https://x.y"),
        (json!({"type": "search"}), r#"other {"type":"search"}"#),
        (json!({"type": "search", "query": 7}), r#"other {"type":"search","query":7}"#),
        (json!({"type": "open_page", "url": null}), r#"other {"type":"open_page","url":null}"#),
        (json!({"type": "dream", "query": "x"}), r#"other {"type":"dream","query":"x"}"#),
        (json!("generate"), r#"other "generate""#),
        (Value::Null, "none"),
    ] {
        let seen = done(&json!({"status": "completed", "action": action}));
        assert_eq!(seen, ("completed".to_owned(), expected.to_owned()));
    }
    assert_eq!(done(&json!({"status": "paused"})), ("paused".to_owned(), "none".to_owned()));
    assert_eq!(done(&json!({"status": 7})), (String::new(), "none".to_owned()));
}

#[test]
fn the_progress_of_a_web_search_of_an_unknown_form_is_left_as_it_is() {
    for (json, status) in [
        (r#"{"type":"response.web_search_call.searching"}"#, Some(WebSearchStatus::Searching)),
        (r#"{"type":"response.web_search_call.failed","output_index":2}"#, Some(WebSearchStatus::Failed)),
        (r#"{"type":"response.web_search_call.paused"}"#, Some(WebSearchStatus::Other("paused".into()))),
        (r#"{"type":"response.web_search_call.se\u0061rching"}"#, Some(WebSearchStatus::Searching)),
        (r#"{"type":"response.web_search_call.searching","output_index":"x"}"#, None),
        (r#"{"type":"response.web_search.searching"}"#, None),
    ] {
        let event = Event::parse(json).unwrap();
        assert_eq!(event.web_search().map(|search| search.status), status, "{json}");
        assert_eq!(matches!(event, Event::Other(event) if event.json() == json), status.is_none(), "{json}");
    }
}

#[test]
fn nothing_of_an_event_is_out_of_reach() {
    for json in [r#"{"type":"response.mystery","data":[1]}"#, r#"{"x":1}"#, "[DONE]", ""] {
        assert!(matches!(Event::parse(json).unwrap(), Event::Other(event) if event.json() == json), "{json}");
    }
    // Without what it is about, an event of a known type is left as it is.
    let json = r#"{"type":"response.output_item.done","output_index":0}"#;
    assert!(matches!(Event::parse(json).unwrap(), Event::Other(event) if event.kind() == "response.output_item.done"));
}

#[test]
fn the_parser_of_a_reply_agrees_with_that_of_one_event() {
    for case in cases() {
        let mut parser = EventParser::default();
        each(&case, |event| match (parser.parse(event), event.parse()) {
            (Ok(Event::Delta(quick)), Ok(Event::Delta(general))) => {
                let place =
                    |delta: TextDelta<'_>| (delta.text_kind, delta.output_index, delta.part, delta.text.to_string());
                assert_eq!(place(quick), place(general), "{}", case.name);
            }
            (
                Ok(Event::CallDelta { output_index, arguments }),
                Ok(Event::CallDelta { output_index: index, arguments: general }),
            ) => assert_eq!((output_index, arguments.to_string()), (index, general.to_string()), "{}", case.name),
            (quick, general) => assert_eq!(format!("{quick:?}"), format!("{general:?}"), "{}", case.name),
        });
    }
}

/// The calls of a reply are the same whether they are gathered from raw events, from parsed ones, or in a whole reply,
/// which may spell their arguments in another way.
#[test]
fn tool_calls_are_gathered_alike() {
    let mut calls_seen = 0;
    for case in cases() {
        let Some(plan) = case.chat_plan().filter(|plan| !plan.legacy_functions) else { continue };
        let (mut raw, mut parsed) = (ChatStream::new(&plan), ChatStream::new(&plan));
        let (mut of_raw, mut of_parsed): (Vec<ToolCall>, Vec<ToolCall>) = Default::default();
        each(&case, |event| {
            let pushed = raw.push(event, &mut of_raw);
            let pushed_parsed = match event.parse() {
                Ok(event) => parsed.push_parsed(&event, &mut of_parsed),
                Err(error) => {
                    parsed.fail(error.clone());
                    Err(error)
                }
            };
            assert_eq!(pushed, pushed_parsed, "{}", case.name);
        });
        assert_eq!(of_raw, of_parsed, "{}", case.name);
        let whole = feed_fold(ChatFold::new(&plan, &reply_id()), [Chunk::Bytes(&case.events[..])]);
        if let (Ok(whole), Ok(_)) = (whole, raw.finish()) {
            let values = |calls: &[ToolCall]| {
                let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                let call = |call: &ToolCall| (call.id.clone(), call.name.clone(), value(&call.arguments));
                calls.iter().map(call).collect::<Vec<_>>()
            };
            assert_eq!(values(&of_raw), values(whole.tool_calls()), "{}", case.name);
            calls_seen += of_raw.len();
        }
    }
    assert!(calls_seen > 5, "{calls_seen} calls");
}
