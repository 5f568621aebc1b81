//! Text that is copied from one JSON document to another.
//!
//! A delta is a JSON string in an event of the backend and becomes a JSON string in an event for the client. Usually
//! the text between the quotes can be copied; it is unescaped only if necessary.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use memchr::{memchr, memchr3_iter};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::Error;

/// Replaces a lone surrogate, which is not a character although RFC 8259 §8.2 allows it as an escape.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// A text: plain, JSON-escaped, or both at once.
///
/// [`Display`](fmt::Display) writes the plain text without copying it; [`decode`](Self::decode) returns it. A lone
/// surrogate, which is not a character although JSON allows it as an escape, becomes U+FFFD.
///
/// # Example
/// ```
/// use codex_translate::Text;
///
/// let delta = Text::Escaped(r#"\"Hello\", she said.\n"#);
/// assert_eq!(delta.to_string(), "\"Hello\", she said.\n");
/// assert_eq!(format!("{:>4}", Text::Plain("ü")), "   ü");
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// Both plain and escaped: ASCII in which nothing is escaped or needs to be.
    Verbatim(&'a str),
    /// The text between the quotes of a JSON string, which is valid there.
    Escaped(&'a str),
    /// The text itself, without escapes.
    Plain(&'a str),
}

impl<'a> Text<'a> {
    /// Returns the text of a JSON string.
    ///
    /// # Errors
    /// The value is not a string.
    pub(crate) fn of(raw: &'a RawValue) -> Result<Self, Error> {
        let inner = raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.map(Self::Escaped).ok_or_else(|| Error::protocol("a text in an event is not a string"))
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Verbatim(text) | Self::Escaped(text) | Self::Plain(text) => text.is_empty(),
        }
    }

    /// Returns the plain text, borrowed if nothing in it is escaped.
    pub fn decode(&self) -> Cow<'a, str> {
        match self {
            Self::Escaped(text) if memchr(b'\\', text.as_bytes()).is_some() => {
                let mut decoded = String::with_capacity(text.len());
                self.push_to(&mut decoded);
                Cow::Owned(decoded)
            }
            Self::Verbatim(text) | Self::Escaped(text) | Self::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// Appends the plain text to `out`.
    pub fn push_to(&self, out: &mut String) {
        match self {
            Self::Verbatim(text) | Self::Plain(text) => out.push_str(text),
            Self::Escaped(text) => unescape(text, |piece| match piece {
                Unescaped::Run(run) => out.push_str(run),
                Unescaped::Char(c) => out.push(c),
            }),
        }
    }

    /// Returns the length of the plain text in bytes.
    pub(crate) fn decoded_len(&self) -> usize {
        match self {
            Self::Verbatim(text) | Self::Plain(text) => text.len(),
            Self::Escaped(text) => {
                let mut len = 0;
                unescape(text, |piece| len += piece.len());
                len
            }
        }
    }

    /// Returns the length of the plain text in characters.
    pub(crate) fn chars(&self) -> u64 {
        match self {
            Self::Verbatim(text) => text.len() as u64,
            Self::Plain(text) => text.chars().count() as u64,
            Self::Escaped(text) => {
                let mut chars = 0;
                unescape(text, |piece| chars += piece.chars());
                chars
            }
        }
    }

    /// Returns the text as a JSON string.
    pub(crate) fn to_json(self) -> String {
        let mut json = vec![b'"'];
        self.write_escaped(&mut json);
        json.push(b'"');
        // Whole strings and ASCII make valid UTF-8.
        String::from_utf8(json).unwrap_or_default()
    }

    /// Appends the escaped text, without quotes.
    ///
    /// Unicode line separators are escaped, because some clients split their input at them.
    pub fn write_escaped(&self, out: &mut Vec<u8>) {
        match self {
            Self::Verbatim(text) => out.extend_from_slice(text.as_bytes()),
            Self::Plain(text) => escape(text, out),
            Self::Escaped(text) if may_be_copied(text) => out.extend_from_slice(text.as_bytes()),
            Self::Escaped(text) => unescape(text, |piece| match piece {
                Unescaped::Run(run) => escape(run, out),
                Unescaped::Char(c) => escape(c.encode_utf8(&mut [0; 4]), out),
            }),
        }
    }
}

/// Writes the plain text. Without a width or a precision it is written in pieces, so nothing is allocated.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verbatim(text) | Self::Plain(text) => f.pad(text),
            Self::Escaped(_) if f.width().is_some() || f.precision().is_some() => f.pad(&self.decode()),
            Self::Escaped(text) => {
                let mut written = Ok(());
                unescape(text, |piece| {
                    written = written.and_then(|()| match piece {
                        Unescaped::Run(run) => f.write_str(run),
                        Unescaped::Char(c) => f.write_char(c),
                    });
                });
                written
            }
        }
    }
}

/// An owned [`Text`].
///
/// Text from a client is forwarded as it was written, and unescaped only where it is read.
#[derive(Clone, Debug)]
pub struct TextBuf(TextRepr);

#[derive(Clone, Debug)]
enum TextRepr {
    /// A JSON string.
    Escaped(Box<RawValue>),
    /// The text itself.
    Plain(String),
}

impl TextBuf {
    /// Copies `json`, which is a JSON string without lone surrogates.
    pub(crate) fn written(json: &RawValue) -> Self {
        debug_assert!(json.get().starts_with('"'), "a JSON string");
        Self(TextRepr::Escaped(json.to_owned()))
    }

    /// Borrows the text.
    pub fn as_text(&self) -> Text<'_> {
        match &self.0 {
            TextRepr::Escaped(json) => Text::of(json).unwrap_or(Text::Plain("")),
            TextRepr::Plain(text) => Text::Plain(text),
        }
    }

    /// Returns the plain text, borrowed if nothing in it is escaped.
    pub fn decode(&self) -> Cow<'_, str> {
        self.as_text().decode()
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.as_text().is_empty()
    }
}

/// Writes the plain text, as for [`Text`].
impl fmt::Display for TextBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_text().fmt(f)
    }
}

impl From<String> for TextBuf {
    fn from(text: String) -> Self {
        Self(TextRepr::Plain(text))
    }
}

impl From<&str> for TextBuf {
    fn from(text: &str) -> Self {
        Self(TextRepr::Plain(text.to_owned()))
    }
}

impl PartialEq for TextBuf {
    fn eq(&self, other: &Self) -> bool {
        self.decode() == other.decode()
    }
}

impl Eq for TextBuf {}

impl Serialize for TextBuf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            TextRepr::Escaped(json) => json.serialize(serializer),
            TextRepr::Plain(text) => text.serialize(serializer),
        }
    }
}

/// Appends `text` as a JSON string with quotes.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// A piece of an unescaped string.
enum Unescaped<'a> {
    Run(&'a str),
    Char(char),
}

impl Unescaped<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Run(run) => run.len(),
            Self::Char(c) => c.len_utf8(),
        }
    }

    fn chars(&self) -> u64 {
        match self {
            Self::Run(run) => run.chars().count() as u64,
            Self::Char(_) => 1,
        }
    }
}

/// Returns whether an escaped text can be copied: it has no line separators, and no `\u`, which may be one or a lone
/// surrogate.
fn may_be_copied(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr3_iter(b'\\', 0xe2, 0xc2, bytes).all(|at| match bytes[at] {
        b'\\' => bytes.get(at + 1) != Some(&b'u'),
        _ => !is_line_separator(&bytes[at..]),
    })
}

/// Returns whether `bytes` begin with U+0085, U+2028 or U+2029.
fn is_line_separator(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xc2\x85") || bytes.starts_with(b"\xe2\x80\xa8") || bytes.starts_with(b"\xe2\x80\xa9")
}

/// Yields the text between the quotes of a JSON string in pieces. Invalid escapes are yielded as they are.
fn unescape(mut text: &str, mut each: impl FnMut(Unescaped<'_>)) {
    while let Some(at) = memchr(b'\\', text.as_bytes()) {
        let (run, escape) = text.split_at(at);
        if !run.is_empty() {
            each(Unescaped::Run(run));
        }
        let (c, len) = match escape.as_bytes().get(1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'u') => unicode_escape(escape),
            Some(&c) if c.is_ascii() => (char::from(c), 2),
            Some(_) | None => (REPLACEMENT, 1),
        };
        each(Unescaped::Char(c));
        text = escape.get(len..).unwrap_or_default();
    }
    if !text.is_empty() {
        each(Unescaped::Run(text));
    }
}

/// Returns the character of the escape `\uXXXX`, or of two that form a surrogate pair, and the length of the escape.
fn unicode_escape(escape: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (REPLACEMENT, escape.len().min(6)) };
    if let Some(c) = char::from_u32(first.into()) {
        return (c, 6);
    }
    let pair = [Some(first), unit(6)].into_iter().flatten();
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) => (c, 12),
        Some(Err(_)) | None => (REPLACEMENT, 6),
    }
}

/// Appends `text` with escapes, without quotes.
fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x00..=0x1f => {
                out.extend_from_slice(&bytes[copied..at]);
                copied = at + 1;
                push_unit(byte.into(), out);
                continue;
            }
            0xc2 | 0xe2 if is_line_separator(&bytes[at..]) => {
                out.extend_from_slice(&bytes[copied..at]);
                // U+0085 has two bytes; the others have three and differ in the last one.
                let (unit, len) = if byte == 0xc2 { (0x85, 2) } else { (0x2000 + u16::from(bytes[at + 2] - 0x80), 3) };
                copied = at + len;
                push_unit(unit, out);
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(escaped);
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn push_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, decoded: &str, written: &str) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let text = Text::of(raw).unwrap();
        assert_eq!(text.decode(), decoded);
        assert_eq!(text.decoded_len(), decoded.len());
        assert_eq!(text.to_string(), decoded);
        assert_eq!(TextBuf::written(raw).to_string(), decoded);
        assert_eq!(format!("{text:>9.2}"), format!("{decoded:>9.2}"));
        let mut out = Vec::new();
        text.write_escaped(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), written);
        let mut plain = Vec::new();
        Text::Plain(decoded).write_escaped(&mut plain);
        let again: String = serde_json::from_str(&format!("\"{}\"", String::from_utf8(plain).unwrap())).unwrap();
        assert_eq!(again, decoded);
    }

    #[test]
    fn texts_are_copied_or_rewritten() {
        check(r#""""#, "", "");
        check(r#""plain ü 👋""#, "plain ü 👋", "plain ü 👋");
        check(r#""a\nb\t\"c\"\\ \/ \b\f\r""#, "a\nb\t\"c\"\\ / \u{8}\u{c}\r", r#"a\nb\t\"c\"\\ \/ \b\f\r"#);
        check(r#""\u0041\u00fc""#, "Aü", "Aü");
        check(r#""\ud83d\udc4b!""#, "👋!", "👋!");
        check("\"a\u{2028}b\u{2029}c\u{85}d\"", "a\u{2028}b\u{2029}c\u{85}d", r"a\u2028b\u2029c\u0085d");
        check(r#""\u2028""#, "\u{2028}", r"\u2028");
        check(r#""\u001f""#, "\u{1f}", r"\u001f");
        check("\"\u{e2}\u{2027}\u{202a}\u{86}\"", "\u{e2}\u{2027}\u{202a}\u{86}", "\u{e2}\u{2027}\u{202a}\u{86}");
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        check(r#""\ud83d""#, "\u{fffd}", "\u{fffd}");
        check(r#""\ud83dx""#, "\u{fffd}x", "\u{fffd}x");
        check(r#""\udc4b\ud83d\udc4b""#, "\u{fffd}👋", "\u{fffd}👋");
        check(r#""\ud83d\u0041""#, "\u{fffd}A", "\u{fffd}A");
    }

    #[test]
    fn writing_stops_at_the_first_error() {
        struct Full(usize);
        impl fmt::Write for Full {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                self.0 += 1;
                Err(fmt::Error)
            }
        }
        let mut full = Full(0);
        assert!(write!(full, "{}", Text::Escaped(r"a\nb\nc")).is_err());
        assert_eq!(full.0, 1);
    }

    #[test]
    fn values_of_other_types_are_errors() {
        let raw: &RawValue = serde_json::from_str("{\"a\":\"b\"}").unwrap();
        assert!(Text::of(raw).is_err());
    }
}
