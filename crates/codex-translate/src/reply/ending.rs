//! What the end of a text says about its deltas, which the client may have read.
//!
//! The backend says a text up to five times: in its deltas, at its own end, at the end of its part and of its item, and
//! in the last event. A later one can go on where a lost delta left off, can write the same arguments in another way
//! (`MoonshotAI/kimi-code#1455`), or can be another value. A whole reply has the last value. A stream cannot take back
//! what it has sent:
//!
//! * what continues it is added;
//! * another value of a call is an error, because the client would run the wrong call (docs/features.md R7);
//! * another value of a text is left out and counted in [`Summary::revised`](crate::Summary::revised).

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::json::{Text, is_same_value};
use crate::responses::CallKind;

/// The arguments of a function that is called without any.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// A final value, compared with what was said before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending<'a> {
    /// The same value, or none.
    Same,
    /// What was said, and this.
    More(Cow<'a, str>),
    /// Another value.
    Other,
}

impl<'a> Ending<'a> {
    /// Compares `whole` with what was said.
    pub(super) fn of(said: Text<'_>, whole: Text<'a>) -> Self {
        if whole.is_empty() {
            return Self::Same;
        }
        let rest = match (said, whole) {
            // Usually both are escaped in the same way.
            (Text::Escaped(said), Text::Escaped(whole)) if whole.starts_with(said) => {
                Some(Text::Escaped(&whole[said.len()..]).decode())
            }
            (said, whole) => {
                let said = said.decode();
                match whole.decode() {
                    Cow::Borrowed(whole) => whole.strip_prefix(&*said).map(Cow::Borrowed),
                    Cow::Owned(mut whole) => whole.starts_with(&*said).then(|| {
                        whole.drain(..said.len());
                        Cow::Owned(whole)
                    }),
                }
            }
        };
        match rest {
            Some(rest) if rest.is_empty() => Self::Same,
            Some(rest) => Self::More(rest),
            None => Self::Other,
        }
    }
}

/// Checks that `whole`, the [other](Ending::Other) final value of a call, is the same JSON as what was said.
///
/// # Errors
/// It is another value, or the tool takes text instead of JSON.
pub(super) fn check_same(kind: CallKind, said: Text<'_>, whole: Text<'_>) -> Result<(), Error> {
    if kind == CallKind::Function && is_same_value(&said.decode(), &whole.decode()) {
        return Ok(());
    }
    Err(Error::protocol("the backend ended a tool call with other arguments than it had sent before"))
}

/// Returns the final arguments of a call, or input of a custom tool. Those of a function that is called without any may
/// be blank, which clients cannot parse: that is the same as none.
pub(super) fn arguments_of(kind: CallKind, arguments: Text<'_>) -> Text<'_> {
    if kind == CallKind::Function && is_blank(arguments) { Text::Plain("") } else { arguments }
}

/// Returns whether a text is empty or whitespace.
pub(super) fn is_blank(text: Text<'_>) -> bool {
    let (Text::Verbatim(inner) | Text::Escaped(inner) | Text::Plain(inner)) = text;
    let may_be = inner.bytes().next().is_none_or(|first| first.is_ascii_whitespace() || first == b'\\');
    may_be && text.decode().trim_ascii().is_empty()
}

/// Makes the error for a reply with a call that is not complete.
pub(super) fn cut_call() -> Error {
    Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_true_continuation_is_more() {
        for (said, whole, expected) in [
            ("ab", "ab", Ending::Same),
            ("ab", "", Ending::Same),
            ("ab", "abc", Ending::More(Cow::Borrowed("c"))),
            ("", "\\n", Ending::More(Cow::Borrowed("\n"))),
            ("ab", "a", Ending::Other),
            ("ab", "xbc", Ending::Other),
            ("\\u00e9", "é!", Ending::More(Cow::Borrowed("!"))),
            ("é", "\\u00E9", Ending::Same),
            ("a\\n", "a\\\\n", Ending::Other),
        ] {
            assert_eq!(Ending::of(Text::Escaped(said), Text::Escaped(whole)), expected, "{said} and {whole}");
            let plain = Text::Escaped(said).decode();
            assert_eq!(Ending::of(Text::Plain(&plain), Text::Escaped(whole)), expected, "{said} and {whole}");
        }
    }

    #[test]
    fn arguments_are_compared_as_json_and_inputs_as_text() {
        let (said, whole) = (Text::Plain(r#"{"a":1}"#), Text::Escaped(r#"{\"a\": 1}"#));
        assert!(check_same(CallKind::Function, said, whole).is_ok());
        assert!(check_same(CallKind::Custom, said, whole).is_err());
        assert!(check_same(CallKind::Function, said, Text::Plain(r#"{"a":2}"#)).is_err());
        assert!(check_same(CallKind::Function, Text::Plain(r#"{"a":"#), whole).is_err());
    }
}
