//! Deltas, read without a general parser: nearly all events are such, and all that is to be known of one is where its text
//! begins and ends.

use std::ops::Range;

use memchr::memchr2;

use super::event::{Channel, Event, Piece};
use super::item::CallKind;
use crate::text::Text;

/// A delta in the form in which the backend writes it: compact, no member twice, and no member that is not known here.
///
/// Whatever is of another form is left to [`Envelope`](super::Envelope), which reads every form and this one to the same effect.
#[derive(Clone, Debug)]
pub(crate) struct PlainDelta<'a> {
    pub(crate) json: &'a str,
    pub(crate) kind: &'a str,
    /// The number, and where it stands.
    pub(crate) sequence_number: Option<(u64, Range<usize>)>,
    /// Whether the event says all of where its text belongs: item, place and part.
    pub(crate) is_placed: bool,
    pub(crate) said: Said<'a>,
}

/// What a delta adds to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'a> {
    Text(Piece<'a>),
    Call { kind: CallKind, output_index: u64, payload: Text<'a> },
}

impl<'a> PlainDelta<'a> {
    /// Reads an event; `None` if it is none of these.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        // They would make it no JSON; looked for at once, since that is faster than string by string.
        if json.bytes().fold(u8::MAX, u8::min) < 0x20 {
            return None;
        }
        let mut cursor = Cursor { json, at: 0 };
        let (mut kind, mut text, mut sequence_number, mut item_id) = (None, None, None, None);
        let (mut output_index, mut content_index, mut summary_index) = (None, None, None);
        let (mut logprobs, mut obfuscation) = (None, None);
        cursor.take(b'{')?;
        loop {
            // The letter spares most comparisons.
            match cursor.letter()? {
                b't' if cursor.skip("\"type\":") => once(&mut kind, cursor.string()?)?,
                b's' if cursor.skip("\"sequence_number\":") => once(&mut sequence_number, cursor.number()?)?,
                b'i' if cursor.skip("\"item_id\":") => once(&mut item_id, cursor.string()?)?,
                b'o' if cursor.skip("\"output_index\":") => once(&mut output_index, cursor.number()?.0)?,
                b'c' if cursor.skip("\"content_index\":") => once(&mut content_index, cursor.number()?.0)?,
                b's' if cursor.skip("\"summary_index\":") => once(&mut summary_index, cursor.number()?.0)?,
                b'd' if cursor.skip("\"delta\":") => once(&mut text, cursor.string()?)?,
                b'l' if cursor.skip("\"logprobs\":[]") => once(&mut logprobs, ())?,
                b'o' if cursor.skip("\"obfuscation\":") => once(&mut obfuscation, cursor.string()?)?,
                _ => return None,
            }
            match cursor.byte()? {
                b',' => {}
                b'}' if cursor.at == json.len() => break,
                _ => return None,
            }
        }
        let (kind, text) = (kind?, Text::Escaped(text?));
        let is_placed = item_id.is_some() && output_index.is_some();
        let output_index = output_index.unwrap_or_default();
        let call = |kind| (Said::Call { kind, output_index, payload: text }, true);
        let piece = |channel, part: Option<u64>| {
            let piece = Piece { channel, output_index, part: part.unwrap_or_default(), text };
            (Said::Text(piece), part.is_some())
        };
        let (said, has_part) = match kind {
            "response.output_text.delta" => piece(Channel::Text, content_index),
            "response.reasoning_summary_text.delta" => piece(Channel::Summary, summary_index),
            "response.reasoning_text.delta" => piece(Channel::Reasoning, content_index),
            "response.refusal.delta" => piece(Channel::Refusal, content_index),
            "response.function_call_arguments.delta" => call(CallKind::Function),
            "response.custom_tool_call_input.delta" => call(CallKind::Custom),
            _ => return None,
        };
        Some(Self { json, kind, sequence_number, is_placed: is_placed && has_part, said })
    }

    /// The event, as the general way reads it.
    pub(crate) fn event(&self) -> Event<'a> {
        match self.said {
            Said::Text(piece) => Event::Delta(piece),
            Said::Call { output_index, payload, .. } => Event::CallDelta { output_index, payload },
        }
    }
}

/// Fills a member that must not come twice.
fn once<T>(member: &mut Option<T>, value: T) -> Option<()> {
    if member.replace(value).is_some() { None } else { Some(()) }
}

struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.json.as_bytes().get(self.at).copied();
        self.at += 1;
        byte
    }

    /// The first letter of the key that comes next.
    fn letter(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at + 1).copied()
    }

    /// Passes over `wanted` if that comes next.
    fn skip(&mut self, wanted: &str) -> bool {
        let is_next = self.json.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(wanted.as_bytes()));
        if is_next {
            self.at += wanted.len();
        }
        is_next
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then_some(())
    }

    /// What stands between the quotes of a string without Unicode escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            self.at += memchr2(b'"', b'\\', self.json.as_bytes().get(self.at..)?)?;
            if self.byte()? == b'"' {
                break;
            }
            if !matches!(self.byte()?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
                return None;
            }
        }
        self.json.get(start..self.at - 1)
    }

    /// A whole number as JSON has it, and where it stands.
    fn number(&mut self) -> Option<(u64, Range<usize>)> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Nothing counts that far; and zeros do not come first.
        if !(1..=18).contains(&digits) || digits > 1 && rest[0] == b'0' {
            return None;
        }
        let span = self.at..self.at + digits;
        self.at = span.end;
        let number = rest[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        Some((number, span))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::{Envelope, number, present, word};
    use super::*;

    const DELTA: &str = r#"{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":1,"content_index":2,"delta":"a \"b\"\n","logprobs":[],"obfuscation":"x"}"#;

    /// The general way says the same, where this way says anything.
    fn check(json: &str) -> bool {
        let Some(plain) = PlainDelta::read(json) else { return false };
        let envelope = Envelope::parse(json).unwrap().unwrap();
        let part = match (plain.said, envelope.event().unwrap()) {
            (Said::Text(plain), Event::Delta(piece)) => {
                assert_eq!(plain.channel, piece.channel, "{json}");
                assert_eq!((plain.output_index, plain.part), (piece.output_index, piece.part), "{json}");
                assert_eq!(plain.text.decode(), piece.text.decode(), "{json}");
                if plain.channel == Channel::Summary { envelope.summary_index } else { envelope.content_index }
            }
            (Said::Call { output_index: plain, payload: text, .. }, Event::CallDelta { output_index, payload }) => {
                assert_eq!((plain, text.decode()), (output_index, payload.decode()), "{json}");
                envelope.output_index
            }
            (said, event) => panic!("{said:?} is {event:?}: {json}"),
        };
        assert_eq!(plain.kind, envelope.kind());
        assert_eq!(
            plain.sequence_number.as_ref().map(|(sequence, _)| *sequence),
            present(envelope.sequence_number).map(|raw| number(Some(raw)).unwrap()),
            "{json}"
        );
        if let Some((_, span)) = plain.sequence_number {
            assert_eq!(Some(&json[span]), envelope.sequence_number.map(|raw| raw.get()));
        }
        let is_placed = word(envelope.item_id).is_some() && envelope.output_index.is_some() && part.is_some();
        assert_eq!(plain.is_placed, is_placed, "{json}");
        true
    }

    #[test]
    fn the_backends_form_is_read() {
        assert!(check(DELTA));
        for (from, to) in [
            ("output_text", "refusal"),
            ("output_text", "reasoning_text"),
            ("output_text", "reasoning_summary_text"),
            ("output_text", "function_call_arguments"),
            ("output_text", "custom_tool_call_input"),
            ("\"item_id\":\"msg_1\",", ""),
            (",\"output_index\":1", ""),
            (",\"obfuscation\":\"x\"", ""),
            ("a \\\"b\\\"\\n", "ü\\\\"),
        ] {
            assert!(check(&DELTA.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn any_other_form_is_left_to_the_general_way() {
        for (from, to) in [
            ("output_text.delta", "output_text.done"),
            ("\"delta\":", "\"text\":"),
            (":7", ":07"),
            (":7", ":7.0"),
            (":7", ":-7"),
            (":7", ":null"),
            (":7", ": 7"),
            (":7", ":7777777777777777777"),
            ("[]", "[1]"),
            ("\\n", "\\u000a"),
            ("\\n", "\n"),
            ("\\n", "\\x"),
            ("\"type\"", "\"t\\u0079pe\""),
            ("\"item_id\"", "\"delta\""),
            ("\"item_id\"", "\"unknown\""),
            ("}", ",}"),
            ("}", "} "),
            ("}", ""),
            ("\"x\"}", "\"x"),
        ] {
            let json = DELTA.replacen(from, to, 1);
            assert_ne!(json, DELTA);
            assert!(PlainDelta::read(&json).is_none(), "{json}");
        }
        assert!(PlainDelta::read("").is_none() && PlainDelta::read("{}").is_none());
    }

    proptest! {
        /// Whatever becomes of an event, this way never says anything else than the general one.
        #[test]
        fn the_general_way_is_never_contradicted(
            at in 0..DELTA.len(),
            len in 0_usize..4,
            put in prop::sample::select(vec![
                "", "\"", "\\", ",", ":", "{", "}", "[", "]", "0", "1", "-", ".", "e", " ", "\n", "\u{1}", "ü", "null", "true",
                "\"delta\":\"x\",", "\"summary_index\":3,", "\\u0041", "\\ud83d", "\"type\":\"error\",",
            ]),
        ) {
            let mut json = DELTA.to_owned();
            json.replace_range(at..(at + len).min(DELTA.len()), put);
            check(&json);
        }
    }
}
