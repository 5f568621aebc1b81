//! Deltas, read without a general parser: nearly all events are such, and all that is to be known of one is where its text
//! begins and ends.

use std::ops::Range;

use memchr::memchr2;

use super::event::{Event, Piece};
use super::item::CallKind;
use super::text_kind::TextKind;
use crate::json::Text;

/// A delta in the form in which the backend writes it: compact, no member twice, and no member that is not known here.
///
/// Whatever is of another form is left to [`Envelope`](super::Envelope), which reads every form and this one to the same effect.
#[derive(Clone, Debug)]
pub(crate) struct PlainDelta<'a> {
    pub(crate) json: &'a str,
    pub(crate) kind: &'static str,
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

#[derive(Clone, Copy, Debug)]
enum Target {
    Text(TextKind),
    Call(CallKind),
}

const KINDS: [(&str, Target); 6] = [
    ("response.output_text.delta", Target::Text(TextKind::Text)),
    ("response.function_call_arguments.delta", Target::Call(CallKind::Function)),
    ("response.custom_tool_call_input.delta", Target::Call(CallKind::Custom)),
    ("response.reasoning_summary_text.delta", Target::Text(TextKind::Summary)),
    ("response.reasoning_text.delta", Target::Text(TextKind::Reasoning)),
    ("response.refusal.delta", Target::Text(TextKind::Refusal)),
];

/// The longest delta that is kept to be compared with the next; the backend's are some hundred bytes.
const MAX_FORM_BYTES: usize = 4 * 1024;

/// Reads the deltas of one reply.
///
/// Nearly every delta is the one before it but for its number, its text and its obfuscation: it is compared with that one, and
/// taken apart only if it is different.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeltaReader {
    last: Option<Form>,
}

impl DeltaReader {
    /// Reads an event; `None` if it is no delta, or one of another form.
    pub(crate) fn read<'a>(&mut self, json: &'a str) -> Option<PlainDelta<'a>> {
        if let Some(delta) = self.last.as_ref().and_then(|form| form.read(json)) {
            return Some(delta);
        }
        let (delta, blanks) = PlainDelta::read(json)?;
        // Of a huge one, no other is made.
        self.last = (json.len() <= MAX_FORM_BYTES).then(|| Form::of(&delta, blanks));
        Some(delta)
    }
}

/// What the deltas of one text have in common.
#[derive(Clone, Debug)]
struct Form {
    /// One of them.
    json: String,
    /// The places in it that are filled anew each time, in their order.
    blanks: Blanks,
    kind: &'static str,
    is_placed: bool,
    said: Said<'static>,
}

type Blanks = Vec<(Blank, Range<usize>)>;

/// What stands in a place that is filled anew each time.
#[derive(Clone, Copy, Debug)]
enum Blank {
    SequenceNumber,
    Text,
    Obfuscation,
}

impl Form {
    fn of(delta: &PlainDelta<'_>, blanks: Blanks) -> Self {
        let &PlainDelta { json, kind, is_placed, said, .. } = delta;
        Self { json: json.to_owned(), blanks, kind, is_placed, said: said.with(Text::Plain("")) }
    }

    /// Reads a delta of this form.
    fn read<'a>(&self, json: &'a str) -> Option<PlainDelta<'a>> {
        let mut cursor = Cursor { json, at: 0 };
        let (mut sequence_number, mut text, mut from) = (None, Text::Plain(""), 0);
        for (blank, span) in &self.blanks {
            cursor.skip(&self.json[from..span.start]).then_some(())?;
            from = span.end;
            match blank {
                Blank::SequenceNumber => sequence_number = Some(cursor.number()?),
                Blank::Text => text = cursor.text()?,
                Blank::Obfuscation => {
                    cursor.string()?;
                }
            }
        }
        let is_same = json.as_bytes().get(cursor.at..)? == &self.json.as_bytes()[from..];
        let Self { kind, is_placed, said, .. } = *self;
        is_same.then(|| PlainDelta { json, kind, sequence_number, is_placed, said: said.with(text) })
    }
}

impl<'a> PlainDelta<'a> {
    /// Reads an event member by member, and finds what another one like it would have anew; `None` if it is none of these.
    fn read(json: &'a str) -> Option<(Self, Blanks)> {
        let mut cursor = Cursor { json, at: 0 };
        let (mut kind, mut text, mut sequence_number, mut item_id) = (None, None, None, None);
        let (mut output_index, mut content_index, mut summary_index) = (None, None, None);
        let (mut logprobs, mut obfuscation) = (None, None);
        let mut blanks = Blanks::with_capacity(3);
        cursor.take(b'{')?;
        loop {
            if cursor.skip("\"type\":") {
                once(&mut kind, cursor.string()?.0)?;
            } else if cursor.skip("\"item_id\":") {
                once(&mut item_id, cursor.string()?)?;
            } else if cursor.skip("\"output_index\":") {
                once(&mut output_index, cursor.number()?.0)?;
            } else if cursor.skip("\"content_index\":") {
                once(&mut content_index, cursor.number()?.0)?;
            } else if cursor.skip("\"summary_index\":") {
                once(&mut summary_index, cursor.number()?.0)?;
            } else if cursor.skip("\"logprobs\":[]") {
                once(&mut logprobs, ())?;
            } else if cursor.skip("\"sequence_number\":") {
                let (number, span) = cursor.number()?;
                once(&mut sequence_number, (number, span.clone()))?;
                blanks.push((Blank::SequenceNumber, span));
            } else if cursor.skip("\"delta\":") {
                let start = cursor.at;
                once(&mut text, cursor.text()?)?;
                blanks.push((Blank::Text, start..cursor.at));
            } else if cursor.skip("\"obfuscation\":") {
                let start = cursor.at;
                once(&mut obfuscation, cursor.string()?)?;
                blanks.push((Blank::Obfuscation, start..cursor.at));
            } else {
                return None;
            }
            match cursor.byte()? {
                b',' => {}
                b'}' if cursor.at == json.len() => break,
                _ => return None,
            }
        }
        let (kind, text) = (kind?, text?);
        let (kind, target) = KINDS.into_iter().find(|(name, _)| *name == kind)?;
        let is_placed = item_id.is_some() && output_index.is_some();
        let output_index = output_index.unwrap_or_default();
        let (said, has_part) = match target {
            Target::Call(kind) => (Said::Call { kind, output_index, payload: text }, true),
            Target::Text(channel) => {
                let part = if channel == TextKind::Summary { summary_index } else { content_index };
                (Said::Text(Piece { channel, output_index, part: part.unwrap_or_default(), text }), part.is_some())
            }
        };
        Some((Self { json, kind, sequence_number, is_placed: is_placed && has_part, said }, blanks))
    }

    /// The event, as the general way reads it.
    pub(crate) fn event(&self) -> Event<'a> {
        match self.said {
            Said::Text(piece) => Event::Delta(piece),
            Said::Call { output_index, payload, .. } => Event::CallDelta { output_index, payload },
        }
    }
}

impl Said<'_> {
    /// The same, but with another text.
    fn with(self, text: Text<'_>) -> Said<'_> {
        match self {
            Self::Text(Piece { channel, output_index, part, .. }) => {
                Said::Text(Piece { channel, output_index, part, text })
            }
            Self::Call { kind, output_index, .. } => Said::Call { kind, output_index, payload: text },
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

    /// The text of a string without Unicode escapes.
    fn text(&mut self) -> Option<Text<'a>> {
        let (text, has_escapes) = self.string()?;
        Some(if !has_escapes && text.is_ascii() { Text::Verbatim(text) } else { Text::Escaped(text) })
    }

    /// What stands between the quotes of a string without Unicode escapes, and whether there are others.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.take(b'"')?;
        let (start, mut has_escapes) = (self.at, false);
        loop {
            self.at += memchr2(b'"', b'\\', self.json.as_bytes().get(self.at..)?)?;
            if self.byte()? == b'"' {
                break;
            }
            has_escapes = true;
            if !matches!(self.byte()?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
                return None;
            }
        }
        let string = self.json.get(start..self.at - 1)?;
        // A control character would make it no JSON.
        (string.bytes().fold(u8::MAX, u8::min) >= 0x20).then_some((string, has_escapes))
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

    use super::super::event::Envelope;
    use super::*;
    use crate::json::{number, present, word};

    const DELTA: &str = r#"{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":1,"content_index":2,"delta":"a \"b\"\n","logprobs":[],"obfuscation":"x"}"#;

    /// The general way says the same, where this way says anything; and so it is with a delta that is like the one before it.
    fn check(json: &str) -> bool {
        let mut reader = DeltaReader::default();
        reader.read(&json.replace("a \\\"b", "before"));
        let after_another = reader.read(json);
        let Some((plain, _)) = PlainDelta::read(json) else {
            assert!(after_another.is_none(), "{json}");
            return false;
        };
        check_one(json, &plain);
        check_one(json, &after_another.unwrap());
        true
    }

    fn check_one(json: &str, plain: &PlainDelta<'_>) {
        let envelope = Envelope::parse(json).unwrap().unwrap();
        let part = match (plain.said, envelope.event().unwrap()) {
            (Said::Text(plain), Event::Delta(piece)) => {
                assert_eq!(plain.channel, piece.channel, "{json}");
                assert_eq!((plain.output_index, plain.part), (piece.output_index, piece.part), "{json}");
                assert_eq!(plain.text.decode(), piece.text.decode(), "{json}");
                if plain.channel == TextKind::Summary { envelope.summary_index } else { envelope.content_index }
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
        if let Some((_, span)) = plain.sequence_number.clone() {
            assert_eq!(Some(&json[span]), envelope.sequence_number.map(|raw| raw.get()));
        }
        let is_placed = word(envelope.item_id).is_some() && envelope.output_index.is_some() && part.is_some();
        assert_eq!(plain.is_placed, is_placed, "{json}");
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

    #[test]
    fn a_delta_is_read_alike_whatever_came_before_it() {
        let ordered = r#"{"content_index":2,"delta":"x","item_id":"msg_1","output_index":1,"sequence_number":7,"type":"response.output_text.delta"}"#;
        let all = [
            DELTA.to_owned(),
            DELTA.replace(":7", ":10"),
            DELTA.replace("a \\\"b\\\"\\n", ""),
            DELTA.replace("msg_1", "msg_2"),
            DELTA.replace("\"output_index\":1", "\"output_index\":12"),
            DELTA.replace("output_text", "refusal"),
            ordered.to_owned(),
            ordered.replace("\"x\"", "\"12345\""),
        ];
        for before in &all {
            for json in &all {
                let mut reader = DeltaReader::default();
                reader.read(before).unwrap();
                check_one(json, &reader.read(json).unwrap());
            }
        }
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
