//! Edits of JSON objects that change a few members and keep the text of everything else.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

/// Changes to the text of one JSON object.
#[derive(Debug)]
pub(crate) struct ObjectEdit<'a> {
    object: &'a str,
    /// In order, without overlaps.
    changes: Vec<(Range<usize>, Cow<'a, str>)>,
}

impl<'a> ObjectEdit<'a> {
    /// Starts without changes. `object` is the text of a JSON object.
    pub(crate) fn new(object: &'a str) -> Self {
        Self { object: object.trim_ascii(), changes: Vec::new() }
    }

    /// Returns whether there are no changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Sets the member `key`; `found` is its current value, a slice of the object's text.
    pub(crate) fn set(&mut self, key: &str, found: Option<&RawValue>, value: impl Into<Cow<'a, str>>) {
        let change = match found.and_then(|found| self.span(found.get())) {
            Some(span) => (span, value.into()),
            None => {
                let end = self.object.len().saturating_sub(1);
                let comma = if self.is_empty_so_far() { "" } else { "," };
                (end..end, Cow::Owned(format!("{comma}\"{key}\":{}", value.into())))
            }
        };
        let at = self.changes.partition_point(|(span, _)| span.start <= change.0.start);
        self.changes.insert(at, change);
    }

    /// Removes the member `key`, whose value is `found`. A key that is written with escapes gets the value null.
    pub(crate) fn remove(&mut self, key: &str, found: &RawValue) {
        let Some(span) = self.span(found.get()) else { return };
        let before = self.object[..span.start].trim_ascii_end().strip_suffix(':').map(str::trim_ascii_end);
        let before = before.and_then(|before| before.strip_suffix(&*format!("\"{key}\""))).map(str::trim_ascii_end);
        let after = &self.object[span.end..];
        let comma = after.len() - after.trim_ascii_start().len();
        let range = match before {
            Some(before) if before.ends_with(',') => before.len() - 1..span.end,
            Some(before) if after[comma..].starts_with(',') => before.len()..span.end + comma + 1,
            Some(before) => before.len()..span.end,
            None => return self.set(key, Some(found), "null"),
        };
        let at = self.changes.partition_point(|(span, _)| span.start <= range.start);
        self.changes.insert(at, (range, Cow::Borrowed("")));
    }

    /// Returns the object's new text as the pieces to concatenate.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        let mut pieces = Vec::with_capacity(2 * self.changes.len() + 1);
        let mut copied = 0;
        for (span, value) in &self.changes {
            pieces.push(&self.object[copied..span.start]);
            pieces.push(value);
            copied = span.end;
        }
        pieces.push(&self.object[copied..]);
        pieces
    }

    /// Returns the object's new text.
    pub(crate) fn text(&self) -> String {
        self.pieces().concat()
    }

    /// Returns the position of `part`, a slice of the object's text.
    fn span(&self, part: &str) -> Option<Range<usize>> {
        let start = part.as_ptr().addr().checked_sub(self.object.as_ptr().addr())?;
        let span = start..start + part.len();
        (self.object.get(span.clone()) == Some(part)).then_some(span)
    }

    fn is_empty_so_far(&self) -> bool {
        self.changes.is_empty() && self.object[1..].trim_ascii_start().starts_with('}')
    }
}

#[cfg(test)]
mod tests {
    use super::super::members::members;
    use super::*;

    #[track_caller]
    fn check(object: &str, expected: &str) {
        let [a, b] = members(object, ["a", "b"]).unwrap();
        let mut edit = ObjectEdit::new(object);
        edit.set("b", b, "[2]");
        edit.set("a", a, "1");
        assert_eq!(edit.text(), expected);
    }

    #[test]
    fn members_are_replaced_or_added() {
        check(r#" {"a": "x", "c": {"a": 0}, "b": null} "#, r#"{"a": 1, "c": {"a": 0}, "b": [2]}"#);
        check(r#"{"b":{"a":7},"a":[]}"#, r#"{"b":[2],"a":1}"#);
        check("{ }", r#"{ "b":[2],"a":1}"#);
        check(r#"{"b":1,"b":2}"#, r#"{"b":1,"b":[2],"a":1}"#);
    }

    #[test]
    fn members_are_removed_with_their_comma() {
        for (object, expected) in [
            (r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
            (r#"{"b":2 , "a" : "x"}"#, r#"{"b":2 }"#),
            (r#"{"b":2,"a":[1],"c":3}"#, r#"{"b":2,"c":3}"#),
            (r#"{ "a": {} }"#, "{ }"),
            (r#"{"\u0061":1}"#, r#"{"\u0061":null}"#),
        ] {
            let [a] = members(object, ["a"]).unwrap();
            let mut edit = ObjectEdit::new(object);
            edit.remove("a", a.unwrap());
            assert_eq!(edit.text(), expected);
            serde_json::from_str::<serde_json::Value>(&edit.text()).unwrap();
        }
    }
}
