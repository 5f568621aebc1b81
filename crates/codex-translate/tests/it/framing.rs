//! The decoder against eventsource-stream, an independent implementation.

use codex_translate::DecodeError;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::feeding::{Seen, decode, oracle};

const LIMIT: usize = 1 << 20;

fn decode_text<'a>(pieces: impl IntoIterator<Item = &'a [u8]> + Clone) -> Vec<Seen> {
    let (seen, error) = decode(LIMIT, pieces);
    assert_eq!(error, None);
    seen
}

/// Splits `bytes` at `cuts`.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// Generates text that looks like an event stream, with every kind of line and line end.
fn stream_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => Just(String::new()),
        4 => "(event|data|id|retry|other|)(:| ?: ?|)[a-zé:\u{2028}\u{feff}]{0,4}",
        2 => "data: ?[a-z{}\"]{0,6}",
        // The backend's form.
        2 => "event: [a-z]{0,3}\ndata: [a-zé]{0,4}\n",
        1 => ":.{0,6}".prop_map(|comment| comment.replace(['\r', '\n'], "")),
        1 => "[a-z: ]{0,4}",
    ];
    let end = prop_oneof![4 => Just("\n"), 2 => Just("\r\n"), 2 => Just("\r")];
    (any::<bool>(), prop::collection::vec((line, end), 0..24), "[a-z:]{0,3}").prop_map(|(bom, lines, rest)| {
        let lines: String = lines.into_iter().map(|(line, end)| line + end).collect();
        format!("{}{lines}{rest}", if bom { "\u{feff}" } else { "" })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_decoder_sees_what_eventsource_stream_sees(
        text in stream_text(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let expected = oracle(&text);
        prop_assert_eq!(decode_text([text.as_bytes()]), &expected[..], "whole");
        prop_assert_eq!(decode_text(pieces(text.as_bytes(), &cuts)), &expected[..], "in pieces");
        prop_assert_eq!(decode_text(text.as_bytes().chunks(1)), &expected[..], "byte by byte");
    }

    #[test]
    fn errors_do_not_depend_on_the_pieces(
        text in stream_text(),
        broken in prop::option::of(any::<Index>()),
        limit in 1_usize..40,
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let mut bytes = text.into_bytes();
        if let Some(at) = broken {
            bytes.insert(at.index(bytes.len() + 1), 0xff);
        }
        let whole = decode(limit, [&bytes[..]]);
        prop_assert_eq!(&decode(limit, pieces(&bytes, &cuts)), &whole, "in pieces");
        prop_assert_eq!(&decode(limit, bytes.chunks(1)), &whole, "byte by byte");
    }
}

#[test]
fn fields_are_read_as_the_standard_says() {
    for (text, expected) in [
        // The examples of the HTML standard, §9.2.6.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![("message", "YHOO\n+2\n10")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            vec![("message", "first event"), ("message", "second event"), ("message", " third event")],
        ),
        ("data\n\ndata\ndata\n\ndata:", vec![("message", ""), ("message", "\n")]),
        ("data:test\n\ndata: test\n\n", vec![("message", "test"), ("message", "test")]),
        // A type without data is not an event, and is dropped.
        ("event: a\n\ndata: x\n\n", vec![("message", "x")]),
        ("event: a\nevent: b\ndata: x\n\n", vec![("b", "x")]),
        ("event:\ndata: x\n\n", vec![("message", "x")]),
        ("Data: x\ndata : x\n\n", vec![]),
        // An incomplete event at the end is dropped.
        ("data: x\n", vec![]),
        ("data: x\n\ndata: y", vec![("message", "x")]),
        ("data: x\r\rdata: y\r\n\r\ndata: z\n\r", vec![("message", "x"), ("message", "y"), ("message", "z")]),
        ("\u{feff}data: x\n\n", vec![("message", "x")]),
        ("\u{feff}\u{feff}data: x\n\n", vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(event, data)| (event.to_owned(), data.to_owned())).collect();
        assert_eq!(decode_text([text.as_bytes()]), expected, "{text:?}");
        assert_eq!(decode_text(text.as_bytes().chunks(1)), expected, "{text:?}, byte by byte");
    }
}

#[test]
fn an_event_may_be_as_large_as_the_limit_and_no_larger() {
    let event = "event: e\ndata: 12345\n\n";
    // The size of an event includes the end of its blank line.
    let two = format!("{event}{event}");
    assert_eq!(decode(event.len(), [two.as_bytes()]).0.len(), 2);
    let error = Some(DecodeError::TooLarge { limit_bytes: event.len() - 1 });
    assert_eq!(decode(event.len() - 1, [two.as_bytes()]), (vec![], error));
    assert_eq!(decode(event.len() - 1, two.as_bytes().chunks(1)), (vec![], error));
    // The limit also applies to a line without an end, and to one without a meaning.
    assert_eq!(decode(8, ["data: 123".as_bytes()]).1, Some(DecodeError::TooLarge { limit_bytes: 8 }));
    assert_eq!(decode(8, [": 3456789".as_bytes()]).1, Some(DecodeError::TooLarge { limit_bytes: 8 }));
    // A byte order mark does not count.
    assert_eq!(decode(1, "\u{feff}".as_bytes().chunks(1)), (vec![], None));
    // Comments between events do not count.
    assert_eq!(decode(9, [": 345678\n".repeat(1000).as_bytes()]), (vec![], None));
}
