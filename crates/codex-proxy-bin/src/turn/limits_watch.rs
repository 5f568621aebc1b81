//! The quota in a reply's stream: the backend tells of it in an event that may come anywhere (docs/backend.md §3.5).
//!
//! Every byte of every reply passes here, so that what a text delta costs is a search for a few bytes; only the event itself is
//! read.

use std::time::SystemTime;

use codex_upstream::{ByteStream, Quota};
use futures_util::StreamExt as _;
use memchr::memmem::Finder;

/// What the event's line holds and hardly any other does.
const NAME: &[u8] = b"codex.rate_limits";

/// The longest line that is kept while it comes in pieces. The event's is far shorter.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The stream as it is; each quota that it tells of goes to `observe` when its event has passed.
pub(crate) fn watched(body: ByteStream, mut observe: impl FnMut(Quota) + Send + 'static) -> ByteStream {
    let mut lines = Lines::new();
    Box::pin(body.inspect(move |piece| {
        if let Ok(piece) = piece {
            lines.take(piece, &mut |json| {
                // The name may stand in what the model says.
                if is_the_event(json) {
                    Quota::from_event(json, SystemTime::now()).into_iter().for_each(&mut observe);
                }
            });
        }
    }))
}

fn is_the_event(json: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice(json).is_ok_and(|event: Event<'_>| event.kind.as_bytes() == NAME)
}

/// Finds the lines that hold the name, whatever pieces they come in.
struct Lines {
    name: Finder<'static>,
    /// The beginning of a line whose end has not come; empty if that is too long to be the event's.
    begun: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    fn new() -> Self {
        Self { name: Finder::new(NAME), begun: Vec::new(), is_too_long: false }
    }

    fn take(&mut self, piece: &[u8], found: &mut impl FnMut(&[u8])) {
        let Some(end) = memchr::memrchr2(b'\n', b'\r', piece) else {
            return self.keep(piece);
        };
        let (ended, rest) = piece.split_at(end + 1);
        let mut whole = ended;
        if self.is_too_long || !self.begun.is_empty() {
            let first = memchr::memchr2(b'\n', b'\r', ended).map_or(ended.len(), |end| end + 1);
            self.keep(&ended[..first]);
            whole = &ended[first..];
            if !self.is_too_long {
                self.look(&self.begun, found);
            }
        }
        self.look(whole, found);
        self.begun.clear();
        self.is_too_long = false;
        self.keep(rest);
    }

    fn keep(&mut self, part: &[u8]) {
        self.is_too_long |= self.begun.len() + part.len() > MAX_LINE_BYTES;
        if self.is_too_long {
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    /// Hands out the data of the lines that hold the name.
    fn look(&self, lines: &[u8], found: &mut impl FnMut(&[u8])) {
        let mut from = 0;
        while let Some(at) = self.name.find(&lines[from..]).map(|at| from + at) {
            let start = memchr::memrchr2(b'\n', b'\r', &lines[..at]).map_or(0, |end| end + 1);
            let end = memchr::memchr2(b'\n', b'\r', &lines[at..]).map_or(lines.len(), |end| at + end);
            if let Some(data) = lines[start..end].strip_prefix(b"data:") {
                found(data);
            }
            from = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use codex_upstream::read_to_end;
    use futures_util::stream;

    use super::*;

    const DELTA: &str = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"codex.rate_limits\"}\n\n";

    fn limits(plan: &str) -> String {
        format!("event: codex.rate_limits\ndata: {{\"plan_type\":\"{plan}\",\"type\":\"codex.rate_limits\"}}\n\n")
    }

    /// The plans of which the stream tells in these pieces.
    async fn plans(pieces: &[&[u8]]) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let observed = Arc::clone(&seen);
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let whole: Vec<u8> = pieces.iter().flatten().flatten().copied().collect();
        let body = watched(Box::pin(stream::iter(pieces)), move |quota| observed.lock().unwrap().extend(quota.plan));
        assert_eq!(read_to_end(body, 1 << 20).await.unwrap(), whole, "the stream stays as it is");
        std::mem::take(&mut *seen.lock().unwrap())
    }

    #[tokio::test]
    async fn the_event_is_found_anywhere_and_at_every_split() {
        let text = [DELTA, &limits("plus"), DELTA, &limits("pro"), DELTA].concat();
        for line_end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', line_end);
            for at in 0..=text.len() {
                let (one, other) = text.as_bytes().split_at(at);
                assert_eq!(plans(&[one, other]).await, ["plus", "pro"], "{line_end:?} at {at}");
            }
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(plans(&bytes).await, ["plus", "pro"], "{line_end:?} byte by byte");
        }
    }

    #[tokio::test]
    async fn what_only_looks_like_it_is_passed_over() {
        for text in
            [DELTA, "data: codex.rate_limits\n\n", ": codex.rate_limits\n\n", "data: {\"type\":\"codex.rate_limits\""]
        {
            assert!(plans(&[text.as_bytes()]).await.is_empty(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_long_line_is_not_kept_and_hides_nothing_behind_it() {
        let long = format!("data: {}", "x".repeat(MAX_LINE_BYTES));
        let after = format!("\n\n{}", limits("plus"));
        assert_eq!(plans(&[long.as_bytes(), b"more", after.as_bytes()]).await, ["plus"]);
        let mut lines = Lines::new();
        lines.take(long.as_bytes(), &mut |_| {});
        assert!(lines.begun.is_empty() && lines.begun.capacity() == 0);
    }
}
