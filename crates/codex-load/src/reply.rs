//! The replies of the upstream, in the backend's form, and the text that a client must have received.

use std::fmt::Write as _;

use bytes::Bytes;

/// The beginning of a delta that carries the time when it was sent; its digits follow.
pub(crate) const STAMP: &str = "@";

/// The number of digits of a time.
pub(crate) const STAMP_DIGITS: usize = 16;

const ITEM: &str = "msg_0b51be2101d9d6220168d469589190819b945ffe7a83ece6cf";

/// A reply as a list of events.
pub(crate) struct Reply {
    pub(crate) events: Vec<String>,
    /// The text of the model.
    pub(crate) text: String,
}

impl Reply {
    /// Returns a reply of `deltas` different pieces: a lost, duplicated or reordered one is noticed.
    pub(crate) fn of_deltas(deltas: usize) -> Self {
        Self::of_pieces((0..deltas).map(|number| format!(" piece {number:05}")))
    }

    /// Returns a reply in one piece of `bytes` bytes.
    pub(crate) fn of_one_event(bytes: usize) -> Self {
        Self::of_pieces(std::iter::once("x".repeat(bytes)))
    }

    fn of_pieces(pieces: impl Iterator<Item = String>) -> Self {
        let mut events = head();
        let mut text = String::new();
        let mut deltas = 0;
        for piece in pieces {
            events.push(delta(deltas, &piece));
            text.push_str(&piece);
            deltas += 1;
        }
        // The backend repeats a text at its end; a huge one is sent only once.
        let repeated = if deltas == 1 && text.len() > 1024 { "" } else { &text };
        events.extend(tail(deltas, repeated));
        Self { events, text }
    }

    /// Returns the reply's bytes over HTTP/1.1, with a chunk for each event, as from a server that flushes each.
    pub(crate) fn chunked(&self) -> Bytes {
        let mut wire = self.events.iter().map(|event| chunk(event)).collect::<String>();
        wire.push_str("0\r\n\r\n");
        wire.into()
    }

    /// Returns the reply's bytes in DATA frames of 16 KiB, as from an edge that buffers.
    pub(crate) fn data_frames(&self) -> Vec<Bytes> {
        let mut rest = Bytes::from(self.events.concat());
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            pieces.push(rest.split_to(rest.len().min(16 * 1024)));
        }
        pieces
    }
}

/// Returns the events before the first delta.
pub(crate) fn head() -> Vec<String> {
    let response = r#""response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"gpt-5.5","output":[]}"#;
    vec![
        event("response.created", &format!(r#""sequence_number":0,{response}"#)),
        event("response.in_progress", &format!(r#""sequence_number":1,{response}"#)),
        event(
            "response.output_item.added",
            &format!(
                r#""sequence_number":2,"output_index":0,"item":{{"id":"{ITEM}","type":"message","status":"in_progress","content":[],"role":"assistant"}}"#
            ),
        ),
        event(
            "response.content_part.added",
            &format!(
                r#""sequence_number":3,"item_id":"{ITEM}","output_index":0,"content_index":0,"part":{{"type":"output_text","annotations":[],"logprobs":[],"text":""}}"#
            ),
        ),
    ]
}

/// Returns a text delta in the backend's form, about 300 bytes.
pub(crate) fn delta(number: usize, text: &str) -> String {
    event(
        "response.output_text.delta",
        &format!(
            r#""sequence_number":{},"item_id":"{ITEM}","output_index":0,"content_index":0,"delta":"{text}","logprobs":[],"obfuscation":"1irxx2aXDjHEn""#,
            number + 4
        ),
    )
}

/// Returns the events after `deltas` deltas whose text was `text`.
pub(crate) fn tail(deltas: usize, text: &str) -> Vec<String> {
    let number = deltas + 4;
    let part = format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#);
    vec![
        event(
            "response.output_text.done",
            &format!(
                r#""sequence_number":{number},"item_id":"{ITEM}","output_index":0,"content_index":0,"text":"{text}","logprobs":[]"#
            ),
        ),
        event(
            "response.output_item.done",
            &format!(
                r#""sequence_number":{},"output_index":0,"item":{{"id":"{ITEM}","type":"message","status":"completed","content":[{part}],"role":"assistant"}}"#,
                number + 1
            ),
        ),
        event(
            "response.completed",
            &format!(
                r#""sequence_number":{},"response":{{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-5.5","output":[],"usage":{{"input_tokens":9,"output_tokens":{deltas},"total_tokens":{}}}}}"#,
                number + 2,
                deltas + 9
            ),
        ),
    ]
}

/// Returns an event as a chunk of HTTP/1.1.
pub(crate) fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn event(kind: &str, members: &str) -> String {
    let mut event = String::with_capacity(2 * kind.len() + members.len() + 32);
    // Writing to a String cannot fail.
    let _ = write!(event, "event: {kind}\ndata: {{\"type\":\"{kind}\",{members}}}\n\n");
    event
}
