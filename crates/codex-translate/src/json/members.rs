//! The members of JSON objects, read by name without looking into anything else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::text::Text;
use crate::error::Error;

/// The members of a JSON object that are named in `keys`, in that order; null is a value like any other.
///
/// # Errors
/// The text is not one JSON object.
pub(crate) fn members<'a, const N: usize>(
    object: &'a str,
    keys: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Error> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    NamedMembers(keys)
        .deserialize(&mut deserializer)
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|error| Error::protocol(format!("an event of the reply has an unexpected form: {error}")))
}

/// The members of an object that are named in `keys`, without those that are null.
///
/// # Errors
/// The value is not an object.
pub(crate) fn members_of<'a, const N: usize>(
    object: &'a RawValue,
    keys: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Error> {
    Ok(members(object.get(), keys)?.map(present))
}

/// The elements of a list; one that is absent has none.
///
/// # Errors
/// The value is not a list.
pub(crate) fn list(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, Error> {
    let Some(raw) = present(raw) else { return Ok(Vec::new()) };
    serde_json::from_str(raw.get())
        .map_err(|error| Error::protocol(format!("an event of the reply has an unexpected form: {error}")))
}

/// A value that is there and not null.
pub(crate) fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// An index; 0 if there is none.
///
/// # Errors
/// The value is not a number that counts something.
pub(crate) fn number(raw: Option<&RawValue>) -> Result<u64, Error> {
    let Some(raw) = present(raw) else { return Ok(0) };
    raw.get().parse().map_err(|_| Error::protocol(format!("an index of an event is no number: {}", raw.get())))
}

/// A word that may be absent or of another type.
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

/// A key that is compared without being kept.
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
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "1", "{", r#"{"a":1}{"a":2}"#, r#"{"a":1} x"#, r#"{"a":1,}"#] {
            assert!(members(text, ["a"]).is_err(), "{text}");
        }
    }
}
