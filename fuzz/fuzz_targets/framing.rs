//! The SSE decoder yields the same events as eventsource-stream, however the bytes are split.
#![no_main]

mod common;

use codex_translate::{DecodeError, Decoder};
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use libfuzzer_sys::fuzz_target;

type Seen = (String, String);

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(1 << 20, [bytes]);
    assert_eq!(decode(1 << 20, common::pieces(bytes)), whole);
    assert_eq!(decode(1 << 20, bytes.chunks(1)), whole);
    let limit = usize::from(bytes.first().copied().unwrap_or(1)) + 1;
    assert_eq!(decode(limit, bytes.chunks(1)), decode(limit, [bytes]));
    // The oracle takes bytes that are not UTF-8 for nothing at all.
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(whole, (oracle(text), None));
    }
});

fn decode<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<DecodeError>) {
    let (mut decoder, mut seen) = (Decoder::new(limit), Vec::new());
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => seen.push((frame.event.to_owned(), frame.data.to_owned())),
                Ok(None) => break,
                Err(error) => return (seen, Some(error)),
            }
        }
    }
    (seen, None)
}

/// The oracle mistakes a byte order mark and a carriage return at the very end, where more may come.
fn oracle(text: &str) -> Vec<Seen> {
    let mut text = format!("\n{}", text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.ends_with('\r') {
        text.push('\n');
    }
    let bytes = stream::iter([Ok::<_, std::convert::Infallible>(text.into_bytes())]);
    let events = bytes.eventsource().collect::<Vec<_>>().now_or_never().expect("the bytes are there");
    events.into_iter().map(|event| event.expect("UTF-8")).map(|event| (event.event, event.data)).collect()
}
