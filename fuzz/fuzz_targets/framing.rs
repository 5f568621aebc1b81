//! The SSE decoder yields the same events as eventsource-stream, however the bytes are split.
#![no_main]

use codex_translate::Decoder;
use eventsource_stream::Eventsource;
use futures_util::{StreamExt, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    // The oracle reports invalid UTF-8 per chunk and so depends on the split; that input is the `pipe` target's.
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    assert_eq!(ours(text.as_bytes(), &cuts), oracle(text), "input {text:?}, cuts {cuts:?}");
});

fn ours(mut bytes: &[u8], cuts: &[u8]) -> Vec<(String, String)> {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut));
    while !bytes.is_empty() {
        let cut = cuts.next().unwrap_or(bytes.len()).min(bytes.len());
        let (piece, rest) = bytes.split_at(cut.max(1).min(bytes.len()));
        bytes = rest;
        decoder.feed(piece);
        while let Some(frame) = decoder.next_frame().expect("valid UTF-8 within the limit") {
            events.push((frame.event.to_owned(), frame.data.to_owned()));
        }
    }
    events
}

fn oracle(text: &str) -> Vec<(String, String)> {
    let bytes = stream::iter([Ok::<_, std::convert::Infallible>(text.as_bytes().to_vec())]);
    let events = futures_executor::block_on(bytes.eventsource().collect::<Vec<_>>());
    events.into_iter().map(|event| event.expect("valid UTF-8")).map(|event| (event.event, event.data)).collect()
}
