//! Reads members of JSON objects by name and skips everything else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::node::BorrowedStr;
use super::text::Text;
use crate::error::Error;

/// Returns the members of a JSON object that `keys` names, in that order; null counts as a value.
///
/// # Errors
/// The text is not a single JSON object.
pub(crate) fn members<'a, const N: usize>(
    object: &'a str,
    keys: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Error> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    NamedMembers(keys)
        .deserialize(&mut deserializer)
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|error| Error::protocol(format!("an event has an unexpected form: {error}")))
}

/// Returns the members of an object that `keys` names, in that order; null counts as absence.
///
/// # Errors
/// The value is not an object.
pub(crate) fn members_of<'a, const N: usize>(
    object: &'a RawValue,
    keys: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Error> {
    Ok(members(object.get(), keys)?.map(present))
}

/// Returns all members of a JSON object, in their order; null counts as a value.
///
/// # Errors
/// The text is not a single JSON object.
pub(crate) fn every_member(object: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Error> {
    struct MembersVisitor;
    impl<'de> Visitor<'de> for MembersVisitor {
        type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(BorrowedStr(key)) = map.next_key()? {
                found.push((key, map.next_value()?));
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    deserializer.deserialize_map(MembersVisitor).map_err(|error| Error::protocol(format!("not a JSON object: {error}")))
}

/// Returns the elements of a list; an absent list has none.
///
/// # Errors
/// The value is not a list.
pub(crate) fn list(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, Error> {
    let Some(raw) = present(raw) else { return Ok(Vec::new()) };
    serde_json::from_str(raw.get())
        .map_err(|error| Error::protocol(format!("an event has an unexpected form: {error}")))
}

/// Returns a value unless it is null.
pub(crate) fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// Parses an index; an absent one is 0.
///
/// # Errors
/// The value is not an unsigned integer.
pub(crate) fn number(raw: Option<&RawValue>) -> Result<u64, Error> {
    let Some(raw) = present(raw) else { return Ok(0) };
    raw.get().parse().map_err(|_| Error::protocol(format!("an index in an event is not a number: {}", raw.get())))
}

/// Returns a string; `None` if the value is absent or of another type.
pub(crate) fn word(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    Some(Text::of(raw?).ok()?.decode())
}

struct NamedMembers<'k, const N: usize>([&'k str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for NamedMembers<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for NamedMembers<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(KeyIndex(&self.0))? {
            match place {
                Some(place) => found[place] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Compares a key with those wanted, without copying it.
struct KeyIndex<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for KeyIndex<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIndex<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_single_object_is_an_error() {
        for text in ["", "[]", "1", "{", r#"{"a":1}{"a":2}"#, r#"{"a":1} x"#, r#"{"a":1,}"#] {
            assert!(members(text, ["a"]).is_err(), "{text}");
        }
    }
}
