//! Lazy parsing of request JSON: a value is a slice of the body with its path, and is parsed when its content is
//! needed.
//!
//! A body is scanned once per level that is read, and is never copied as a whole. A value's path is a chain on the
//! stack, which is written out only if an error needs it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::surrogates;
use super::text::TextBuf;
use crate::error::{Error, ErrorKind};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// JSON that is forwarded as it was written.
pub(crate) type Raw = Box<RawValue>;

/// An object's members in order, without nulls, and with the last member of each name.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// A value of a request, with its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a, 'p> {
    raw: &'a RawValue,
    path: Path<'p>,
}

/// The type of a JSON value, known from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        })
    }
}

/// The path of a value: its own step and those of the values around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Self>,
    step: PathStep<'p>,
}

#[derive(Clone, Copy, Debug)]
enum PathStep<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

/// Returns the text of a request body, with lone surrogates replaced and without a byte order mark, which some programs
/// for Windows write although RFC 8259 §8.1 forbids it.
///
/// # Errors
/// The body is not UTF-8.
pub(crate) fn text(body: &[u8]) -> Result<Cow<'_, str>, Error> {
    utf8(body).map(surrogates::replace_lone_surrogates)
}

fn utf8(body: &[u8]) -> Result<&str, Error> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    std::str::from_utf8(body).map_err(|error| {
        let message = format!("the request body is not UTF-8: invalid byte at offset {}", error.valid_up_to());
        Error::new(ErrorKind::InvalidRequest, message)
    })
}

/// Parses a request body.
///
/// # Errors
/// The body is not UTF-8, or not JSON (the message contains line and column).
pub(crate) fn parse(body: &[u8]) -> Result<&RawValue, Error> {
    let text = utf8(body)?;
    if text.trim_ascii().is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "the request body is empty; send a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        let what = match error.classify() {
            Category::Eof => "is incomplete JSON",
            Category::Io | Category::Syntax | Category::Data => "is not valid JSON",
        };
        Error::new(ErrorKind::InvalidRequest, format!("the request body {what}: {error}"))
    })
}

/// Returns the member `name` of an object.
pub(crate) fn find<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw)
}

/// Returns the `type` of an object. An empty one counts as absent.
pub(crate) fn find_type<'a>(members: &Members<'a>) -> Option<&'a RawValue> {
    find(members, "type").filter(|raw| raw.get() != "\"\"")
}

/// Writes `value` as JSON.
///
/// # Errors
/// This crate has a defect: all values written here are made of JSON.
pub(crate) fn to_raw(value: &impl serde::Serialize) -> Result<Raw, Error> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("a value could not be written as JSON: {error}")))
}

impl<'a, 'p> Node<'a, 'p> {
    /// Makes the node of the outermost value.
    pub(crate) fn root(raw: &'a RawValue) -> Self {
        Self { raw, path: Path::ROOT }
    }

    /// Makes the node of the member `key`, which was read from this object.
    pub(crate) fn key(&'p self, key: &'p str, raw: &'a RawValue) -> Self {
        self.path.key(key, raw)
    }

    /// Makes the node of the element `index`, which was read from this array.
    pub(crate) fn index(&'p self, index: usize, raw: &'a RawValue) -> Self {
        Self { raw, path: self.path.element(index) }
    }

    /// Makes the node of another value at the same place.
    pub(crate) fn with<'b>(&self, raw: &'b RawValue) -> Node<'b, 'p> {
        Node { raw, path: self.path }
    }

    /// Returns the path of the value.
    pub(crate) fn path(&self) -> &Path<'p> {
        &self.path
    }

    /// Returns the value as it was written.
    pub(crate) fn text(&self) -> &'a str {
        self.raw.get()
    }

    /// Copies the value as it was written.
    pub(crate) fn raw(&self) -> Raw {
        self.raw.to_owned()
    }

    /// Returns the type of the value.
    pub(crate) fn kind(&self) -> ValueKind {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => ValueKind::Object,
            Some(b'[') => ValueKind::Array,
            Some(b'"') => ValueKind::String,
            Some(b't' | b'f') => ValueKind::Bool,
            Some(b'n') | None => ValueKind::Null,
            Some(_) => ValueKind::Number,
        }
    }

    /// Returns the members of this object.
    pub(crate) fn object(&self) -> Result<Members<'a>, Error> {
        if self.kind() != ValueKind::Object {
            return Err(self.mistyped("an object"));
        }
        let Object(members) = self.read()?;
        Ok(members)
    }

    /// Returns the elements of this array.
    pub(crate) fn array(&self) -> Result<Vec<&'a RawValue>, Error> {
        if self.kind() != ValueKind::Array {
            return Err(self.mistyped("an array"));
        }
        self.read()
    }

    /// Returns the text of this string.
    pub(crate) fn string(&self) -> Result<String, Error> {
        self.str().map(Cow::into_owned)
    }

    /// Returns the text of this string, borrowed if it has no escapes.
    pub(crate) fn str(&self) -> Result<Cow<'a, str>, Error> {
        if self.kind() != ValueKind::String {
            return Err(self.mistyped("a string"));
        }
        let BorrowedStr(text) = self.read()?;
        Ok(text)
    }

    /// Copies this string as it was written.
    pub(crate) fn written(&self) -> Result<TextBuf, Error> {
        if self.kind() != ValueKind::String {
            return Err(self.mistyped("a string"));
        }
        Ok(TextBuf::written(self.raw))
    }

    /// Returns the text of this string, which must not be empty.
    pub(crate) fn non_empty(&self) -> Result<String, Error> {
        let text = self.string()?;
        if text.is_empty() {
            return Err(self.invalid("must not be empty"));
        }
        Ok(text)
    }

    pub(crate) fn bool(&self) -> Result<bool, Error> {
        match self.text() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.mistyped("a boolean")),
        }
    }

    /// Returns this number, which must be a positive integer; one that is too large becomes the largest `u32`.
    pub(crate) fn positive(&self) -> Result<u32, Error> {
        if self.kind() != ValueKind::Number {
            return Err(self.mistyped("an integer"));
        }
        match self.text().parse::<f64>() {
            Ok(number) if number.fract() != 0.0 => Err(self.mistyped("an integer")),
            Ok(number) if number < 1.0 => Err(self.invalid("must be at least 1")),
            Ok(number) if number >= f64::from(u32::MAX) => Ok(u32::MAX),
            // In range and without a fraction, so the cast is exact.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by the arms above")]
            Ok(number) => Ok(number as u32),
            Err(_) => Err(self.mistyped("an integer")),
        }
    }

    /// Returns whether this is an empty string, list or object.
    pub(crate) fn is_blank(&self) -> bool {
        match self.text().as_bytes() {
            [b'"', inner @ .., b'"'] => inner.is_empty(),
            [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
            _ => false,
        }
    }

    /// Parses the whole value into a tree, for JSON Schemas.
    pub(crate) fn value(&self) -> Result<Value, Error> {
        self.read()
    }

    /// Makes a 400 about this value; the message is its path and then `message`.
    pub(crate) fn invalid(&self, message: impl fmt::Display) -> Error {
        self.path.invalid(message)
    }

    /// Makes a 400 about the missing member `key`.
    pub(crate) fn missing(&self, key: &str) -> Error {
        self.path.missing(key)
    }

    /// Returns the parameter of a notice about the member `key` of this value.
    pub(crate) fn place(&self, key: &str) -> String {
        self.path.place(key)
    }

    /// Returns the parameter of a notice about this value.
    pub(crate) fn here(&self) -> String {
        self.path.without_indexes()
    }

    fn mistyped(&self, expected: &str) -> Error {
        self.path.mistyped(expected, self.kind())
    }

    fn read<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        serde_json::from_str(self.text()).map_err(|error| self.invalid(format_args!("cannot be parsed: {error}")))
    }
}

impl<'p> Path<'p> {
    /// The path of the outermost value.
    pub(crate) const ROOT: Self = Self { parent: None, step: PathStep::Root };

    /// Makes the node of the member `key`, which was read from the object at this path.
    pub(crate) fn key<'a>(&'p self, key: &'p str, raw: &'a RawValue) -> Node<'a, 'p> {
        Node { raw, path: self.member(key) }
    }

    /// Returns the path of the member `key`.
    pub(crate) fn member(&'p self, key: &'p str) -> Self {
        Self { parent: Some(self), step: PathStep::Key(key) }
    }

    /// Returns the path of the element `index`.
    pub(crate) fn element(&'p self, index: usize) -> Self {
        Self { parent: Some(self), step: PathStep::Index(index) }
    }

    /// Makes a 400 about the value at this path; the message is the path and then `message`.
    pub(crate) fn invalid(&self, message: impl fmt::Display) -> Error {
        let path = self.to_string();
        if path.is_empty() {
            return Error::new(ErrorKind::InvalidRequest, format!("the request body {message}"));
        }
        let message = format!("`{path}` {message}");
        Error::invalid(path, message)
    }

    /// Makes a 400 about the missing member `key`.
    pub(crate) fn missing(&self, key: &str) -> Error {
        let path = Path { parent: Some(self), step: PathStep::Key(key) }.to_string();
        let message = format!("missing required parameter: `{path}`");
        Error::invalid(path, message).with_code("missing_required_parameter")
    }

    /// Makes a 400 about the type of the value at this path.
    pub(crate) fn mistyped(&self, expected: &str, found: ValueKind) -> Error {
        self.invalid(format_args!("must be {expected}, not {found}")).with_code("invalid_type")
    }

    /// Returns the parameter of a notice about the member `key` of the value at this path.
    pub(crate) fn place(&self, key: &str) -> String {
        Path { parent: Some(self), step: PathStep::Key(key) }.without_indexes()
    }

    /// Returns the path with `[]` for every index, so that it is the same for all elements of an array.
    pub(crate) fn without_indexes(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, false);
        text
    }

    fn write(&self, text: &mut String, indexes: bool) {
        if let Some(parent) = self.parent {
            parent.write(text, indexes);
        }
        match self.step {
            PathStep::Root => {}
            PathStep::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            PathStep::Index(index) if indexes => text.push_str(&format!("[{index}]")),
            PathStep::Index(_) => text.push_str("[]"),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text, true);
        f.write_str(&text)
    }
}

/// A string that borrows from the body if possible, which serde's own `Cow` never does.
pub(crate) struct BorrowedStr<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for BorrowedStr<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BorrowedStrVisitor;
        impl<'de> Visitor<'de> for BorrowedStrVisitor {
            type Value = BorrowedStr<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(BorrowedStr(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(BorrowedStr(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(BorrowedStrVisitor)
    }
}

/// An object whose values are not parsed.
pub(crate) struct Object<'a>(pub(crate) Members<'a>);

impl<'de> Object<'de> {
    /// Collects the members that a deserializer yields.
    pub(crate) fn visit<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut members: Members<'de> = Vec::new();
        while let Some(BorrowedStr(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(Self(last_of_each(members)))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Object::visit(map)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Keeps the last member of each name, as JavaScript does, and drops nulls, which mean absence.
pub(crate) fn last_of_each(mut members: Members<'_>) -> Members<'_> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| members[a].0.cmp(&members[b].0).then(a.cmp(&b)));
    let mut kept = vec![true; members.len()];
    for pair in order.windows(2) {
        kept[pair[0]] = members[pair[0]].0 != members[pair[1]].0;
    }
    let mut kept = kept.into_iter();
    members.retain(|(_, raw)| kept.next() == Some(true) && raw.get() != "null");
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Vec<(String, String)> {
        let raw = parse(text.as_bytes()).unwrap();
        let members = Node::root(raw).object().unwrap();
        members.into_iter().map(|(key, raw)| (key.into_owned(), raw.get().to_owned())).collect()
    }

    #[test]
    fn last_member_wins_and_nulls_are_absent() {
        assert_eq!(object(r#"{"a":1,"b":null,"a":2}"#), [("a".into(), "2".into())]);
        assert_eq!(object(r#"{"a":1,"a":null}"#), []);
        assert_eq!(object(r#"{"\u0061":"x"}"#), [("a".into(), "\"x\"".into())]);
    }

    #[test]
    fn errors_name_line_or_path() {
        let error = parse(b"{\n  \"a\": @\n}").unwrap_err();
        assert!(error.message().contains("line 2 column"), "{error}");
        assert!(parse(b"\xff").unwrap_err().message().contains("offset 0"));
        for unreadable in [&b"{\"a\":"[..], b" \n"] {
            assert_eq!(parse(unreadable).unwrap_err().kind(), ErrorKind::InvalidRequest);
        }
        let raw = parse(br#"{"m":[{"c":5}]}"#).unwrap();
        let root = Node::root(raw);
        let members = root.object().unwrap();
        let list = root.key("m", members[0].1);
        let items = list.array().unwrap();
        let item = list.index(0, items[0]);
        let members = item.object().unwrap();
        let error = item.key("c", members[0].1).str().unwrap_err();
        assert_eq!((error.param(), error.code()), (Some("m[0].c"), Some("invalid_type")));
        assert_eq!(item.place("c"), "m[].c");
    }

    #[test]
    fn positive_numbers() {
        for (text, expected) in [
            ("1", Some(1)),
            ("7.0", Some(7)),
            ("1e99", Some(u32::MAX)),
            ("0", None),
            ("-1", None),
            ("1.5", None),
            ("\"1\"", None),
        ] {
            let raw = parse(text.as_bytes()).unwrap();
            assert_eq!(Node::root(raw).positive().ok(), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_only_where_a_tree_is_built() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let raw = parse(deep.as_bytes()).unwrap();
        let members = Node::root(raw).object().unwrap();
        let error = Node::root(members[0].1).value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}
