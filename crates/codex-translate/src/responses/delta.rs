//! Deltas, parsed without a general parser: nearly all events are deltas, and only the position of the text matters.

use std::ops::Range;

use memchr::memchr2;

use super::event::{Event, TextDelta};
use super::item::CallKind;
use super::text_kind::TextKind;
use crate::json::Text;

/// A delta in the backend's own form: compact, no duplicate members, and no members unknown here.
///
/// Other forms are left to [`Envelope`](super::Envelope), which parses every form, and this one with the same result.
#[derive(Clone, Debug)]
pub(crate) struct CompactDelta<'a> {
    pub(crate) json: &'a str,
    pub(crate) kind: &'static str,
    /// The number, and its position.
    pub(crate) sequence_number: Option<(u64, Range<usize>)>,
    /// Whether the event names item, place and part of its text.
    pub(crate) is_placed: bool,
    pub(crate) content: DeltaContent<'a>,
}

/// The content of a delta, and what it adds to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DeltaContent<'a> {
    Text(TextDelta<'a>),
    Call { kind: CallKind, output_index: u64, arguments: Text<'a> },
}

#[derive(Clone, Copy, Debug)]
enum DeltaTarget {
    Text(TextKind),
    Call(CallKind),
}

const KINDS: [(&str, DeltaTarget); 6] = [
    ("response.output_text.delta", DeltaTarget::Text(TextKind::Text)),
    ("response.function_call_arguments.delta", DeltaTarget::Call(CallKind::Function)),
    ("response.custom_tool_call_input.delta", DeltaTarget::Call(CallKind::Custom)),
    ("response.reasoning_summary_text.delta", DeltaTarget::Text(TextKind::Summary)),
    ("response.reasoning_text.delta", DeltaTarget::Text(TextKind::Reasoning)),
    ("response.refusal.delta", DeltaTarget::Text(TextKind::Refusal)),
];

/// The longest delta that is stored for comparison; the backend's have a few hundred bytes.
const MAX_TEMPLATE_BYTES: usize = 4 * 1024;

/// Parses the deltas of one reply.
///
/// Nearly every delta differs from the one before it only in number, text and obfuscation: it is compared with that
/// one, and parsed only if it differs in something else.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeltaReader {
    last: Option<DeltaTemplate>,
}

impl DeltaReader {
    /// Parses an event; `None` if it is not a delta, or has another form.
    pub(crate) fn read<'a>(&mut self, json: &'a str) -> Option<CompactDelta<'a>> {
        if let Some(delta) = self.last.as_ref().and_then(|form| form.read(json)) {
            return Some(delta);
        }
        let (delta, slots) = CompactDelta::read(json)?;
        // A very large one is not stored.
        self.last = (json.len() <= MAX_TEMPLATE_BYTES).then(|| DeltaTemplate::of(&delta, slots));
        Some(delta)
    }
}

/// The common form of the deltas of one text.
#[derive(Clone, Debug)]
struct DeltaTemplate {
    /// One of them.
    json: String,
    /// The positions that differ each time, in order.
    slots: TemplateSlots,
    kind: &'static str,
    is_placed: bool,
    content: DeltaContent<'static>,
}

type TemplateSlots = Vec<(TemplateSlot, Range<usize>)>;

/// What differs from delta to delta.
#[derive(Clone, Copy, Debug)]
enum TemplateSlot {
    SequenceNumber,
    Text,
    Obfuscation,
}

impl DeltaTemplate {
    fn of(delta: &CompactDelta<'_>, slots: TemplateSlots) -> Self {
        let &CompactDelta { json, kind, is_placed, content, .. } = delta;
        Self { json: json.to_owned(), slots, kind, is_placed, content: content.with(Text::Plain("")) }
    }

    /// Parses a delta of this form.
    fn read<'a>(&self, json: &'a str) -> Option<CompactDelta<'a>> {
        let mut cursor = Cursor { json, at: 0 };
        let (mut sequence_number, mut text, mut from) = (None, Text::Plain(""), 0);
        for (slot, span) in &self.slots {
            cursor.skip(&self.json[from..span.start]).then_some(())?;
            from = span.end;
            match slot {
                TemplateSlot::SequenceNumber => sequence_number = Some(cursor.number()?),
                TemplateSlot::Text => text = cursor.text()?,
                TemplateSlot::Obfuscation => {
                    cursor.string()?;
                }
            }
        }
        let is_same = json.as_bytes().get(cursor.at..)? == &self.json.as_bytes()[from..];
        let Self { kind, is_placed, content, .. } = *self;
        is_same.then(|| CompactDelta { json, kind, sequence_number, is_placed, content: content.with(text) })
    }
}

impl<'a> CompactDelta<'a> {
    /// Parses an event member by member, and finds the positions that differ in the next delta; `None` for other
    /// events.
    fn read(json: &'a str) -> Option<(Self, TemplateSlots)> {
        let mut cursor = Cursor { json, at: 0 };
        let (mut kind, mut text, mut sequence_number, mut item_id) = (None, None, None, None);
        let (mut output_index, mut content_index, mut summary_index) = (None, None, None);
        let (mut logprobs, mut obfuscation) = (None, None);
        let mut slots = TemplateSlots::with_capacity(3);
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
                slots.push((TemplateSlot::SequenceNumber, span));
            } else if cursor.skip("\"delta\":") {
                let start = cursor.at;
                once(&mut text, cursor.text()?)?;
                slots.push((TemplateSlot::Text, start..cursor.at));
            } else if cursor.skip("\"obfuscation\":") {
                let start = cursor.at;
                once(&mut obfuscation, cursor.string()?)?;
                slots.push((TemplateSlot::Obfuscation, start..cursor.at));
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
        let (content, has_part) = match target {
            DeltaTarget::Call(kind) => (DeltaContent::Call { kind, output_index, arguments: text }, true),
            DeltaTarget::Text(text_kind) => {
                let part = if text_kind == TextKind::Summary { summary_index } else { content_index };
                (
                    DeltaContent::Text(TextDelta { text_kind, output_index, part: part.unwrap_or_default(), text }),
                    part.is_some(),
                )
            }
        };
        Some((Self { json, kind, sequence_number, is_placed: is_placed && has_part, content }, slots))
    }

    /// Returns the event, as the general parser returns it.
    pub(crate) fn event(&self) -> Event<'a> {
        match self.content {
            DeltaContent::Text(piece) => Event::Delta(piece),
            DeltaContent::Call { output_index, arguments, .. } => Event::CallDelta { output_index, arguments },
        }
    }
}

impl DeltaContent<'_> {
    /// Returns the same with another text.
    fn with(self, text: Text<'_>) -> DeltaContent<'_> {
        match self {
            Self::Text(TextDelta { text_kind, output_index, part, .. }) => {
                DeltaContent::Text(TextDelta { text_kind, output_index, part, text })
            }
            Self::Call { kind, output_index, .. } => DeltaContent::Call { kind, output_index, arguments: text },
        }
    }
}

/// Sets a member that must not occur twice.
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

    /// Skips `wanted` if it comes next.
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

    /// Parses a string without Unicode escapes.
    fn text(&mut self) -> Option<Text<'a>> {
        let (text, has_escapes) = self.string()?;
        Some(if !has_escapes && text.is_ascii() { Text::Verbatim(text) } else { Text::Escaped(text) })
    }

    /// Returns the text between the quotes of a string without Unicode escapes, and whether it has other escapes.
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
        // JSON has no control characters in strings.
        (string.bytes().fold(u8::MAX, u8::min) >= 0x20).then_some((string, has_escapes))
    }

    /// Parses an integer as JSON writes it, and returns its position.
    fn number(&mut self) -> Option<(u64, Range<usize>)> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // No counter is that large, and JSON has no leading zeros.
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

    /// The general parser returns the same wherever this one returns anything, even after a similar delta.
    fn check(json: &str) -> bool {
        let mut reader = DeltaReader::default();
        reader.read(&json.replace("a \\\"b", "before"));
        let after_another = reader.read(json);
        let Some((plain, _)) = CompactDelta::read(json) else {
            assert!(after_another.is_none(), "{json}");
            return false;
        };
        check_one(json, &plain);
        check_one(json, &after_another.unwrap());
        true
    }

    fn check_one(json: &str, plain: &CompactDelta<'_>) {
        let envelope = Envelope::parse(json).unwrap().unwrap();
        let part = match (plain.content, envelope.event().unwrap()) {
            (DeltaContent::Text(plain), Event::Delta(piece)) => {
                assert_eq!(plain.text_kind, piece.text_kind, "{json}");
                assert_eq!((plain.output_index, plain.part), (piece.output_index, piece.part), "{json}");
                assert_eq!(plain.text.decode(), piece.text.decode(), "{json}");
                if plain.text_kind == TextKind::Summary { envelope.summary_index } else { envelope.content_index }
            }
            (
                DeltaContent::Call { output_index: plain, arguments: text, .. },
                Event::CallDelta { output_index, arguments },
            ) => {
                assert_eq!((plain, text.decode()), (output_index, arguments.decode()), "{json}");
                envelope.output_index
            }
            (content, event) => panic!("{content:?} is {event:?}: {json}"),
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
            assert!(CompactDelta::read(&json).is_none(), "{json}");
        }
        assert!(CompactDelta::read("").is_none() && CompactDelta::read("{}").is_none());
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
        /// This parser never contradicts the general one.
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
