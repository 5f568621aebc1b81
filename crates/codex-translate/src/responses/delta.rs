//! Text deltas, read without a general parser: nearly all events are such, and all that is to be known of one is where its text
//! begins and ends.

use std::ops::Range;

use memchr::memchr2;

use super::event::{Channel, Piece};
use crate::text::Text;

/// A text delta in the form in which the backend writes it: compact, no member twice, and no member that is not known here.
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
    pub(crate) piece: Piece<'a>,
}

impl<'a> PlainDelta<'a> {
    /// Reads an event; `None` if it is none of these.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        let mut cursor = Cursor { json, at: 0 };
        let (mut kind, mut text, mut sequence_number, mut item_id) = (None, None, None, None);
        let (mut output_index, mut content_index, mut summary_index) = (None, None, None);
        let (mut logprobs, mut obfuscation) = (None, None);
        cursor.take(b'{')?;
        loop {
            let key = cursor.string()?;
            cursor.take(b':')?;
            match key {
                "type" => once(&mut kind, cursor.string()?)?,
                "delta" => once(&mut text, cursor.string()?)?,
                "sequence_number" => once(&mut sequence_number, cursor.number()?)?,
                "item_id" => once(&mut item_id, cursor.string()?)?,
                "output_index" => once(&mut output_index, cursor.number()?.0)?,
                "content_index" => once(&mut content_index, cursor.number()?.0)?,
                "summary_index" => once(&mut summary_index, cursor.number()?.0)?,
                "obfuscation" => once(&mut obfuscation, cursor.string()?)?,
                "logprobs" => once(&mut logprobs, cursor.empty_list()?)?,
                _ => return None,
            }
            match cursor.byte()? {
                b',' => {}
                b'}' if cursor.at == json.len() => break,
                _ => return None,
            }
        }
        let kind = kind?;
        let (channel, part) = match kind {
            "response.output_text.delta" => (Channel::Text, content_index),
            "response.reasoning_summary_text.delta" => (Channel::Summary, summary_index),
            "response.reasoning_text.delta" => (Channel::Reasoning, content_index),
            "response.refusal.delta" => (Channel::Refusal, content_index),
            _ => return None,
        };
        let is_placed = item_id.is_some() && output_index.is_some() && part.is_some();
        let (output_index, part) = (output_index.unwrap_or_default(), part.unwrap_or_default());
        let piece = Piece { channel, output_index, part, text: Text::Escaped(text?) };
        Some(Self { json, kind, sequence_number, is_placed, piece })
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
        let string = self.json.get(start..self.at - 1)?;
        // Control characters make it no JSON.
        string.bytes().all(|byte| byte >= 0x20).then_some(string)
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

    fn empty_list(&mut self) -> Option<()> {
        self.take(b'[')?;
        self.take(b']')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::{Envelope, Event, number, present, word};
    use super::*;

    const DELTA: &str = r#"{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":1,"content_index":2,"delta":"a \"b\"\n","logprobs":[],"obfuscation":"x"}"#;

    /// The general way says the same, where this way says anything.
    fn check(json: &str) -> bool {
        let Some(plain) = PlainDelta::read(json) else { return false };
        let envelope = Envelope::parse(json).unwrap().unwrap();
        let Event::Delta(piece) = envelope.event().unwrap() else { panic!("no delta: {json}") };
        assert_eq!(plain.kind, envelope.kind());
        assert_eq!(plain.piece.channel, piece.channel, "{json}");
        assert_eq!((plain.piece.output_index, plain.piece.part), (piece.output_index, piece.part), "{json}");
        assert_eq!(plain.piece.text.decode(), piece.text.decode(), "{json}");
        assert_eq!(
            plain.sequence_number.as_ref().map(|(sequence, _)| *sequence),
            present(envelope.sequence_number).map(|raw| number(Some(raw)).unwrap()),
            "{json}"
        );
        if let Some((_, span)) = plain.sequence_number {
            assert_eq!(Some(&json[span]), envelope.sequence_number.map(|raw| raw.get()));
        }
        let part =
            if plain.piece.channel == Channel::Summary { envelope.summary_index } else { envelope.content_index };
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
