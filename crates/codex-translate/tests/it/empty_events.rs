//! No stream contains a blank line that ends no event: openai-go up to 3.42 takes every blank line for the end of an
//! event, and fails at one without data (docs/clients/quirks.md).

use codex_translate::dialect;
use serde_json::Value;

use crate::fixtures::{Way, cases};

/// Returns the data of the events that openai-go's former decoder reads.
///
/// # Panics
/// An event's data is neither JSON nor the end of the stream: there the client fails.
fn go_events(stream: &str) -> Vec<String> {
    let (mut events, mut data) = (Vec::new(), String::new());
    for line in stream.lines() {
        if line.is_empty() {
            let event = std::mem::take(&mut data);
            let event = event.trim_end_matches('\n');
            let is_readable = event == "[DONE]" || serde_json::from_str::<Value>(event).is_ok();
            assert!(is_readable, "unexpected end of JSON input: {event:?} in {stream}");
            events.push(event.to_owned());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name == "data" {
            data.push_str(value.strip_prefix(' ').unwrap_or(value));
            data.push('\n');
        }
    }
    assert!(data.is_empty(), "the last event does not end: {stream}");
    events
}

#[test]
fn a_keepalive_before_every_event_changes_nothing_for_any_decoder() {
    let mut count = 0;
    for case in &cases() {
        let ways = [(Way::ChatStream, &dialect::CHAT), (Way::ResponsesStream, &dialect::RESPONSES)];
        for (way, dialect) in ways {
            let Some(plan) = way.plan(case) else { continue };
            let Some(stream) = way.outcome(&plan, [&case.events[..]]).success else { continue };
            let expected = go_events(&stream);
            let with_keepalives: String =
                stream.split_inclusive("\n\n").flat_map(|event| [dialect.keepalive, event]).collect();
            let with_keepalives = with_keepalives + dialect.keepalive;
            assert_eq!(go_events(&with_keepalives), expected, "{}, {way:?}", case.name);
            let seen = crate::feeding::oracle(&with_keepalives);
            let seen: Vec<_> = seen.into_iter().map(|(_, data)| data).collect();
            assert_eq!(seen, expected, "{}, {way:?}, eventsource-stream", case.name);
            let (own, error) = crate::feeding::decode(1 << 20, with_keepalives.as_bytes().chunks(1));
            let own: Vec<_> = own.into_iter().map(|(_, data)| data).collect();
            assert_eq!((own, error), (expected, None), "{}, {way:?}, our own", case.name);
            count += 1;
        }
    }
    assert!(count > 120, "{count} streams");
}
