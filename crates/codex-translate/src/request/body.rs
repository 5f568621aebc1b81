//! Parses a request body in one pass, down to the members of its messages or items.
//!
//! The conversation is nearly all of a body, so every further pass over it would cost time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind};
use crate::json::{self, BorrowedStr, Members, Node, Object, ValueKind, last_of_each};

/// The members of a body.
#[derive(Debug, Default)]
pub(crate) struct ParsedBody<'a> {
    /// All members but the two below.
    pub(crate) members: Members<'a>,
    /// The conversation of Chat Completions.
    pub(crate) messages: Option<Shallow<'a>>,
    /// The conversation of the Responses API.
    pub(crate) input: Option<Shallow<'a>>,
}

/// A value whose objects are split into members, which are not parsed.
#[derive(Debug)]
pub(crate) enum Shallow<'a> {
    Object(Members<'a>),
    Array(Vec<Self>),
    String(Cow<'a, str>),
    Other(ValueKind),
}

impl<'a> ParsedBody<'a> {
    /// Parses the text of a body.
    ///
    /// # Errors
    /// It is not JSON (the message contains line and column), or not an object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| {
            let precise = json::parse(text.as_bytes()).and_then(|raw| Node::root(raw).object());
            let general = || Error::new(ErrorKind::InvalidRequest, format!("cannot parse the request body: {error}"));
            precise.err().unwrap_or_else(general)
        })
    }
}

impl Shallow<'_> {
    /// Returns the type of the value.
    pub(crate) fn kind(&self) -> ValueKind {
        match self {
            Self::Object(_) => ValueKind::Object,
            Self::Array(_) => ValueKind::Array,
            Self::String(_) => ValueKind::String,
            Self::Other(kind) => *kind,
        }
    }
}

impl<'de> Deserialize<'de> for ParsedBody<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = ParsedBody<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut body = ParsedBody::default();
                while let Some(BorrowedStr(key)) = map.next_key()? {
                    match &*key {
                        // The last member with a name wins, and null means absence.
                        "messages" => body.messages = present(map.next_value()?),
                        "input" => body.input = present(map.next_value()?),
                        _ => body.members.push((key, map.next_value()?)),
                    }
                }
                body.members = last_of_each(body.members);
                Ok(body)
            }
        }
        deserializer.deserialize_map(BodyVisitor)
    }
}

fn present(value: Shallow<'_>) -> Option<Shallow<'_>> {
    Some(value).filter(|value| value.kind() != ValueKind::Null)
}

impl<'de> Deserialize<'de> for Shallow<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShallowVisitor)
    }
}

struct ShallowVisitor;

impl<'de> Visitor<'de> for ShallowVisitor {
    type Value = Shallow<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Object::visit(map).map(|Object(members)| Shallow::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Shallow::Array(elements))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Shallow::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Shallow::String(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shallow::Other(ValueKind::Bool))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shallow::Other(ValueKind::Number))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shallow::Other(ValueKind::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shallow::Other(ValueKind::Number))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shallow::Other(ValueKind::Null))
    }
}
