//! Final values that do not continue what was sent: a whole reply has the last of them, a stream keeps what the client
//! has read or ends in an error (docs/features.md R6, R7).

use codex_translate::ReplyPlan;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{Outcome, Way};
use crate::invariants;
use crate::turns::to_bytes;

/// A kind of text: its item, the events about it, and the member of a chat message that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Summary,
    Reasoning,
    Function,
    Custom,
}

use Kind::{Custom, Function, Reasoning, Refusal, Summary, Text};

/// Everything that the backend says of one text, in this order; an absent end is not sent.
#[derive(Clone, Debug)]
struct Said {
    kind: Kind,
    deltas: Vec<String>,
    text_done: Option<String>,
    part_done: Option<String>,
    item_done: Option<String>,
    output: Option<String>,
}

impl Kind {
    const ALL: [Self; 6] = [Text, Refusal, Summary, Reasoning, Function, Custom];

    fn is_call(self) -> bool {
        matches!(self, Function | Custom)
    }

    /// Returns the prefix of its events, and the member that has the text.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Text => ("response.output_text", "text"),
            Refusal => ("response.refusal", "refusal"),
            Summary => ("response.reasoning_summary_text", "text"),
            Reasoning => ("response.reasoning_text", "text"),
            Function => ("response.function_call_arguments", "arguments"),
            Custom => ("response.custom_tool_call_input", "input"),
        }
    }

    fn part(self, text: &str) -> Value {
        let kind = match self {
            Text => "output_text",
            Refusal => "refusal",
            Summary => "summary_text",
            Reasoning | Function | Custom => "reasoning_text",
        };
        json!({"type": kind, self.words().1: text})
    }

    /// Returns the item, which may be at its beginning.
    fn item(self, text: Option<&str>) -> Value {
        let parts: Vec<_> = text.into_iter().map(|text| self.part(text)).collect();
        match self {
            Text | Refusal => json!({"id": "it_0", "type": "message", "role": "assistant", "content": parts}),
            Summary => json!({"id": "it_0", "type": "reasoning", "summary": parts}),
            Reasoning => json!({"id": "it_0", "type": "reasoning", "summary": [], "content": parts}),
            Function => json!({"id": "it_0", "type": "function_call", "call_id": "c", "name": "f",
                "arguments": text.unwrap_or_default()}),
            Custom => json!({"id": "it_0", "type": "custom_tool_call", "call_id": "c", "name": "f",
                "input": text.unwrap_or_default()}),
        }
    }

    /// Returns the text of a finished item.
    fn of_item(self, item: &Value) -> String {
        let text = match self {
            Text => &item["content"][0]["text"],
            Refusal => &item["content"][0]["refusal"],
            Summary => &item["summary"][0]["text"],
            Reasoning => &item["content"][0]["text"],
            Function => &item["arguments"],
            Custom => &item["input"],
        };
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Returns the text in a chat message.
    fn of_message(self, message: &Value) -> String {
        let text = match self {
            Text => &message["content"],
            Refusal => &message["refusal"],
            Summary | Reasoning => &message["reasoning_content"],
            Function | Custom => &message["tool_calls"][0]["function"]["arguments"],
        };
        text.as_str().unwrap_or_default().to_owned()
    }
}

impl Said {
    fn events(&self) -> Vec<Value> {
        let (name, key) = self.kind.words();
        let place = |event: Value| {
            let mut event = event;
            for (key, value) in [
                ("item_id", json!("it_0")),
                ("output_index", json!(0)),
                ("content_index", json!(0)),
                ("summary_index", json!(0)),
            ] {
                event[key] = value;
            }
            event
        };
        let mut events = vec![
            json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.kind.item(None)}),
        ];
        events.extend(self.deltas.iter().map(|text| place(json!({"type": format!("{name}.delta"), "delta": text}))));
        events.extend(self.text_done.iter().map(|text| place(json!({"type": format!("{name}.done"), key: text}))));
        if let (Some(text), Text | Refusal | Summary) = (&self.part_done, self.kind) {
            let part = if self.kind == Summary { "reasoning_summary_part" } else { "content_part" };
            events.push(place(json!({"type": format!("response.{part}.done"), "part": self.kind.part(text)})));
        }
        let done = |text: &String| json!({"type": "response.output_item.done", "output_index": 0, "item": self.kind.item(Some(text))});
        events.extend(self.item_done.iter().map(done));
        let output: Vec<_> = self.output.iter().map(|text| self.kind.item(Some(text))).collect();
        events.push(json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}}));
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        events
    }

    fn outcome(&self, way: Way) -> Outcome {
        way.outcome(&ReplyPlan { stream: true, ..ReplyPlan::new("m") }, [&to_bytes(&self.events())[..]])
    }

    /// Returns the values that its ends have, in order. An empty end says nothing. Only texts that have parts have the
    /// end of one.
    fn values(&self) -> Vec<&String> {
        let part_done = self.part_done.as_ref().filter(|_| matches!(self.kind, Text | Refusal | Summary));
        let ends = [self.text_done.as_ref(), part_done, self.item_done.as_ref(), self.output.as_ref()];
        ends.into_iter().flatten().filter(|end| !self.is_empty(end)).collect()
    }

    fn is_empty(&self, text: &str) -> bool {
        text.is_empty() || self.kind == Function && text.trim_ascii().is_empty()
    }

    /// Returns the text of a whole reply: the last value.
    fn last(&self) -> String {
        self.filled(self.values().pop().cloned().unwrap_or_else(|| self.deltas.concat()))
    }

    /// Returns a text as a client has it at the end.
    fn filled(&self, text: String) -> String {
        if self.kind == Function && self.is_empty(&text) { text + "{}" } else { text }
    }

    fn is_same(&self, a: &str, b: &str) -> bool {
        let value = |text| serde_json::from_str::<Value>(text).ok().map(invariants::with_floats);
        a == b || self.kind == Function && value(a).is_some() && value(a) == value(b)
    }
}

/// Returns what a client has read of the text; every end that it was told says the same.
fn read(said: &Said, way: Way, stream: &str) -> String {
    if matches!(way, Way::ChatStream) {
        let chunks: Vec<Value> =
            invariants::data(stream).iter().filter_map(|data| serde_json::from_str(data).ok()).collect();
        let text = |chunk: &Value| said.kind.of_message(&chunk["choices"][0]["delta"]);
        return chunks.iter().map(text).collect();
    }
    let events = invariants::response_events(stream);
    let (name, key) = said.kind.words();
    let of_kind = |kind: String| events.iter().filter(move |event| event["type"] == kind);
    let text: String = of_kind(format!("{name}.delta")).map(|event| event["delta"].as_str().unwrap()).collect();
    let is_whole = events.last().unwrap()["type"] == "response.completed";
    let mut ends: Vec<String> =
        of_kind(format!("{name}.done")).map(|event| event[key].as_str().unwrap().to_owned()).collect();
    for part in ["content_part", "reasoning_summary_part"] {
        ends.extend(
            of_kind(format!("response.{part}.done")).map(|event| event["part"][key].as_str().unwrap().to_owned()),
        );
    }
    ends.extend(of_kind("response.output_item.done".to_owned()).map(|event| said.kind.of_item(&event["item"])));
    if is_whole {
        ends.push(said.kind.of_item(&events.last().unwrap()["response"]["output"][0]));
    }
    for end in &ends {
        assert_eq!(*end, text, "every end says what the deltas said: {stream}");
    }
    text
}

const STREAMS: [Way; 2] = [Way::ChatStream, Way::ResponsesStream];
const BODIES: [Way; 2] = [Way::ChatBody, Way::ResponsesBody];

/// Checks what a client of each way gets.
fn check(said: &Said) {
    for way in BODIES {
        let Outcome { success, error } = said.outcome(way);
        let body: Value =
            serde_json::from_str(&success.unwrap_or_else(|| panic!("{said:?}, {way:?}: {error:?}"))).unwrap();
        let text = match way {
            Way::ChatBody => said.kind.of_message(&body["choices"][0]["message"]),
            Way::ChatStream | Way::ResponsesStream | Way::ResponsesMessages | Way::ResponsesBody => {
                said.kind.of_item(&body["output"][0])
            }
        };
        assert_eq!(text, said.last(), "{said:?}, {way:?}");
    }
    let continued = said
        .values()
        .into_iter()
        .try_fold(said.deltas.concat(), |text, value| value.starts_with(&text).then(|| value.clone()));
    for way in STREAMS {
        let Outcome { success, error } = said.outcome(way);
        if let (Way::ResponsesStream, Some(stream), None, true) = (way, &success, &error, said.kind.is_call()) {
            let last = invariants::response_events(stream).pop().unwrap();
            let body = said.outcome(Way::ResponsesBody).success.unwrap();
            invariants::same_output(&last["response"], &serde_json::from_str(&body).unwrap());
        }
        let text = success.map(|stream| read(said, way, &stream)).unwrap_or_default();
        let has_failed = error.is_some();
        if let Some(error) = error {
            assert!(said.kind.is_call(), "{said:?}, {way:?}: {error}");
            assert_eq!(error["error"]["code"], "upstream_protocol_error", "{said:?}, {way:?}");
            assert!(said.values().iter().any(|value| !said.is_same(&text, value)), "{said:?}, {way:?}: {text}");
        } else if said.kind.is_call() {
            let last = said.values().pop().cloned();
            assert!(last.is_none_or(|last| said.is_same(&text, &last)), "{said:?}, {way:?}: {text}");
        } else {
            let sent = said.deltas.concat();
            assert!(text.starts_with(&sent), "{said:?}, {way:?}: {text}");
            assert!(text == sent || said.values().contains(&&text), "{said:?}, {way:?}: {text} was never said");
        }
        // A client of the Responses API may have been told the end before.
        if let (Some(whole), Way::ChatStream, false) = (&continued, way, has_failed) {
            assert_eq!(text, said.filled(whole.clone()), "{said:?}, {way:?}");
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let text = || {
        prop_oneof![
            6 => prop::sample::select(vec![
                r#"{"a":1}"#, r#"{"a": 1}"#, r#"{"a":1,"b":"é\n"}"#, r#"{"b": "\u00e9\u000a", "a": 1.0}"#, r#"{"a":2}"#,
                r#"{"a":"#, "{}", "Hello", "Hello world", "Hello\nworld \"again\"", "Hell", "",
            ]).prop_map(str::to_owned),
            1 => "[a\"\\\\ é]{0,4}",
        ]
    };
    let end = || prop::option::of(text());
    let kind = prop::sample::select(Kind::ALL.to_vec());
    (kind, text(), any::<prop::sample::Index>(), end(), end(), end(), end())
        .prop_map(|(kind, sent, at, text_done, part_done, mut item_done, output)| {
            // Deltas are split anywhere, and one may be lost.
            let mut at = at.index(sent.len() + 1);
            while !sent.is_char_boundary(at) {
                at -= 1;
            }
            let deltas =
                [&sent[..at], &sent[at..]].into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect();
            // A call has an end.
            if kind.is_call() && text_done.is_none() && item_done.is_none() && output.is_none() {
                item_done = Some(sent.clone());
            }
            Said { kind, deltas, text_done, part_done, item_done, output }
        })
        .prop_filter("a call whose end does not say what it is must be whole", |said| {
            let is_said = !said.values().is_empty();
            let sent = said.deltas.concat();
            is_said || said.kind != Function || sent.trim().is_empty() || serde_json::from_str::<Value>(&sent).is_ok()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_stream_is_a_beginning_of_the_last_value_and_a_body_is_that_value(said in said()) {
        check(&said);
    }
}
