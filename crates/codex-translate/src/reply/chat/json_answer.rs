//! Whether an answer is a whole JSON document yet.

use crate::json::Text;

/// Follows the brackets of an answer that must be JSON, in pieces.
///
/// Models sometimes say such an answer twice, in two messages, which together are no JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct JsonAnswer {
    depth: usize,
    state: JsonState,
    is_whole: bool,
    scratch: String,
}

#[derive(Clone, Copy, Debug, Default)]
enum JsonState {
    #[default]
    BetweenStrings,
    InString,
    /// After a backslash.
    Escaped,
}

impl JsonAnswer {
    /// Returns whether the text so far is, or begins with, an object or an array that has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Follows the next piece.
    pub(super) fn push(&mut self, text: Text<'_>) {
        self.scratch.clear();
        text.push_to(&mut self.scratch);
        for byte in self.scratch.bytes() {
            self.state = match (self.state, byte) {
                (JsonState::InString, b'\\') => JsonState::Escaped,
                (JsonState::InString, b'"') => JsonState::BetweenStrings,
                (JsonState::BetweenStrings, b'"') => JsonState::InString,
                (JsonState::InString | JsonState::Escaped, _) => JsonState::InString,
                (JsonState::BetweenStrings, b'{' | b'[') => {
                    self.depth += 1;
                    JsonState::BetweenStrings
                }
                (JsonState::BetweenStrings, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole |= self.depth == 0;
                    JsonState::BetweenStrings
                }
                (JsonState::BetweenStrings, _) => JsonState::BetweenStrings,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_when_its_first_bracket_is_closed() {
        for (text, is_whole) in [
            ("", false),
            ("  ", false),
            ("Here: ", false),
            (r#"{"a":{"b":[1]}"#, false),
            (r#"{"a":"}"#, false),
            (r#"{"a":"\"}"#, false),
            (r#"{"a":"\\"}"#, true),
            (r#"{"a":{"b":[1]}}"#, true),
            ("[] \n", true),
        ] {
            let (mut whole, mut pieces) = (JsonAnswer::default(), JsonAnswer::default());
            whole.push(Text::Plain(text));
            text.split_inclusive(|_| true).for_each(|piece| pieces.push(Text::Plain(piece)));
            assert_eq!((whole.is_whole(), pieces.is_whole()), (is_whole, is_whole), "{text}");
        }
    }
}
