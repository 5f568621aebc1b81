//! An event in the buffer that it arrived in.

use std::borrow::Cow;

use memchr::{memchr2, memmem};

use crate::json::{members, word};

/// One event of the backend, by its JSON text.
///
/// Making one costs nothing: the text is parsed on demand. It can be invalid, which the code that parses it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    json: &'a str,
}

impl<'a> RawEvent<'a> {
    /// Makes an event from its JSON text.
    pub fn new(json: &'a str) -> Self {
        Self { json }
    }

    /// Returns the JSON text, as it arrived.
    pub fn json(self) -> &'a str {
        self.json
    }

    /// Returns the event's `type`; empty if it has none that can be read.
    ///
    /// If `type` comes first, as the backend writes it, the rest of the event is not parsed.
    pub fn kind(self) -> Cow<'a, str> {
        match self.leading_kind() {
            Some(kind) => Cow::Borrowed(kind),
            None => members(self.json, ["type"]).ok().and_then(|[kind]| word(kind)).unwrap_or_default(),
        }
    }

    /// Returns whether the event's `type` is `kind`, spelled without escapes. Costs a search of the text if `type` does
    /// not come first.
    pub fn is_kind(self, kind: &str) -> bool {
        match self.leading_kind() {
            Some(leading) => leading == kind,
            None => memmem::find(self.json.as_bytes(), kind.as_bytes()).is_some() && self.kind() == kind,
        }
    }

    fn leading_kind(self) -> Option<&'a str> {
        let rest = self.json.strip_prefix("{\"type\":\"")?;
        let end = memchr2(b'"', b'\\', rest.as_bytes())?;
        rest[end..].starts_with('"').then(|| &rest[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_wherever_it_is() {
        for (json, kind) in [
            (r#"{"type":"error","code":1}"#, "error"),
            (r#"{"code":1,"type":"error"}"#, "error"),
            (r#" { "type" : "error" } "#, "error"),
            (r#"{"type":"err\u006fr"}"#, "error"),
            (r#"{"item":{"type":"message"}}"#, ""),
            (r#"{"type":7}"#, ""),
            (r#"{"type":"error"#, ""),
            ("[DONE]", ""),
            ("", ""),
        ] {
            let event = RawEvent::new(json);
            assert_eq!(event.kind(), kind, "{json}");
            assert_eq!(event.is_kind("error"), kind == "error" && !json.contains('\\'), "{json}");
        }
    }
}
