//! Scenarios: which magic words exist and what each asks for.

pub(crate) mod plan;

use crate::scenario::plan::{Plan, Point};

/// What one responses request is to be answered with, written as words.
///
/// In a user's text, in the header `x-sim-scenario` and in [`Control::queue`](crate::Control::queue) a word is written
/// `[sim:NAME]` or `[sim:NAME=ARGUMENT]`, and several may be combined; the header and the queue also take `NAME,NAME=ARGUMENT`.
/// A word that ends in `-once` applies the first time its text is seen and is passed over the second time, so that a retry
/// succeeds.
///
/// **Content**, one output item or message each, in the order written:
/// `text` or `text=WORDS`, `tool` or `tool=NAME`, `args=JSON` (arguments for the calls), `parallel-tools`, `custom-tool`,
/// `reasoning` (summaries if the request asked for them; `reasoning=always`, `reasoning=blank` with placeholder lines),
/// `reasoning-text`, `refusal`, `commentary` (then a final answer), `commentary-only`, `json-schema`, `web-search`, `image`,
/// `big=DELTAS`, `single-delta=BYTES`, `line-separators` (U+2028 and U+2029 inside the text), `no-items` (no item at all).
///
/// **Ending**: `incomplete-max-tokens`, `incomplete-content-filter`, `failed=CODE`, `failed-first=CODE` (`response.failed` as
/// the only event), `overloaded` (that with `server_is_overloaded`), `error` and `error-first` (an `error` event as the last or
/// as the only one; `=CODE` names its code, `=flat` gives it the public API's shape).
///
/// **Framing**: `cut` (in the middle of the second delta), `cut=EVENTS`, `no-terminal`, `no-events` (an empty 200), `stall`,
/// `stall=EVENTS`, `stall=headers`, `delay=MS`, `split`, `crlf`, `cr`, `keepalive`, `unknown` (events and keys), `late-limits=PERCENT` (the
/// quota, after the output), `full-output`
/// (`empty-output` is the default), `content-type` (`no-content-type` is the default), `trailing`, `comments`, `legacy-delta`,
/// `no-item-done`. On a WebSocket those of bytes and lines say nothing; `close=CODE` closes it instead of answering.
///
/// **Status**: `401` (`=token_expired`, `=token_revoked`, `=detail`, `=scope`), `402`, `403-json`, `cloudflare` (403 with HTML;
/// `=blocked`, `=unable` for other pages), `404` (`=empty`), `422`, `429-usage`, `429-not-included`, `429-quota`, `429-rate`,
/// `500`, `502`, `503` (`=slow_down`), `504`, `520` to `524`, `context-length`, `cyber-policy`, `capacity`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scenario {
    words: Vec<Word>,
}

/// Why a scenario was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// No such word: see [`Scenario`] for the list.
    #[error("unknown scenario {0}; see the documentation of codex_sim::Scenario for the list")]
    Unknown(String),
    /// The word's argument is missing or not of its kind.
    #[error("scenario {word} needs {needs}")]
    Argument {
        /// The word.
        word: String,
        /// What it needs.
        needs: &'static str,
    },
    /// `[sim:` without its `]`.
    #[error("scenario [sim:{0} is not closed by ]")]
    Unclosed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    name: String,
    argument: Option<String>,
    pub(crate) once: bool,
}

impl Scenario {
    /// Reads words in either form.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] names the word to correct.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let words = if text.contains(OPENING) {
            bracketed(text)?
        } else {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Word::read).collect()
        };
        Self::checked(words)
    }

    /// Reads the bracketed words in a user's text, none being no error.
    pub(crate) fn in_text(text: &str) -> Result<Self, ScenarioError> {
        Self::checked(bracketed(text)?)
    }

    /// Spells the scenario out, leaving out the words for which `skip` holds.
    pub(crate) fn plan(&self, mut skip: impl FnMut(&Word) -> bool) -> Plan {
        let mut plan = Plan::default();
        for word in &self.words {
            if !skip(word) {
                // Checked on reading.
                let _ = plan.apply(word);
            }
        }
        plan
    }

    /// The words as they would be written in a text.
    pub(crate) fn written(&self) -> String {
        self.words.iter().map(Word::written).collect()
    }

    fn checked(words: Vec<Word>) -> Result<Self, ScenarioError> {
        let mut plan = Plan::default();
        words.iter().try_for_each(|word| plan.apply(word))?;
        Ok(Self { words })
    }
}

/// Takes the bracketed words out of a text, for what is to be echoed.
pub(crate) fn without_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        out.push_str(&rest[..at]);
        let after = &rest[at + OPENING.len()..];
        rest = closing(after).map_or("", |end| &after[end + 1..]);
    }
    out.push_str(rest);
    out.trim().to_owned()
}

impl Word {
    fn read(text: &str) -> Self {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.to_owned())),
            None => (text.trim(), None),
        };
        let (name, once) = name.strip_suffix("-once").map_or((name, false), |name| (name, true));
        Self { name: name.to_owned(), argument, once }
    }

    pub(crate) fn written(&self) -> String {
        let once = if self.once { "-once" } else { "" };
        let argument = self.argument.as_ref().map_or_else(String::new, |argument| format!("={argument}"));
        format!("{OPENING}{}{once}{argument}]", self.name)
    }

    fn text(&self, needs: &'static str) -> Result<String, ScenarioError> {
        let given = self.argument.clone().filter(|argument| !argument.is_empty());
        given.ok_or_else(|| self.wrong(needs))
    }

    fn number(&self, most: usize, needs: &'static str) -> Result<usize, ScenarioError> {
        let given = self.argument.as_ref().and_then(|argument| argument.parse().ok());
        given.filter(|number| (1..=most).contains(number)).ok_or_else(|| self.wrong(needs))
    }

    fn point(&self) -> Result<Point, ScenarioError> {
        match self.argument.as_deref() {
            None => Ok(Point::Middle),
            Some("headers") if self.name == "stall" => Ok(Point::Headers),
            Some(events) => events.parse().map(Point::Events).map_err(|_| self.wrong("a number of events")),
        }
    }

    fn bare(&self) -> Result<(), ScenarioError> {
        if self.argument.is_none() { Ok(()) } else { Err(self.wrong("no argument")) }
    }

    fn wrong(&self, needs: &'static str) -> ScenarioError {
        ScenarioError::Argument { word: self.name.clone(), needs }
    }
}

const OPENING: &str = "[sim:";

fn bracketed(text: &str) -> Result<Vec<Word>, ScenarioError> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        let after = &rest[at + OPENING.len()..];
        let unclosed = || ScenarioError::Unclosed(after.chars().take(20).collect());
        let end = closing(after).ok_or_else(unclosed)?;
        words.push(Word::read(&after[..end]));
        rest = &after[end + 1..];
    }
    Ok(words)
}

/// Where the bracket opened before `text` closes; brackets inside, as in a JSON argument, must pair.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 0 => return Some(at),
            b']' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::plan::{Content, Ending, LineEnd, StatusFault};
    use super::*;

    #[test]
    fn words_combine_in_either_form() {
        let wanted = Scenario::parse("tool=read_file,crlf,failed=server_error").expect("a valid example");
        let text = "please [sim:tool=read_file] and[sim:crlf] [sim:failed=server_error]";
        assert_eq!(Scenario::in_text(text), Ok(wanted.clone()));
        let plan = wanted.plan(|_| false);
        assert_eq!(plan.contents, [Content::Tool(Some("read_file".to_owned()))]);
        assert_eq!(plan.ending, Ending::Failed("server_error".to_owned()));
        assert_eq!(plan.framing.line_end, LineEnd::CrLf);
        assert_eq!(without_words(text), "please  and");
    }

    #[test]
    fn a_json_argument_may_hold_brackets() {
        let scenario = Scenario::in_text(r#"[sim:tool][sim:args={"a":[1,[2]]}] go"#).expect("a valid example");
        let plan = scenario.plan(|_| false);
        assert_eq!(plan.arguments, Some(serde_json::json!({"a": [1, [2]]})));
    }

    #[test]
    fn a_wrong_word_is_named() {
        assert_eq!(Scenario::parse("teapot"), Err(ScenarioError::Unknown("teapot".to_owned())));
        for argument in ["big=many", "crlf=5", "refusal=no", "500=x", "401=teapot", "reasoning=loud", "failed"] {
            assert!(matches!(Scenario::parse(argument), Err(ScenarioError::Argument { .. })), "{argument}");
        }
        assert!(matches!(Scenario::in_text("[sim:text"), Err(ScenarioError::Unclosed(_))));
        assert_eq!(Scenario::in_text("no words here"), Ok(Scenario::default()));
    }

    #[test]
    fn once_is_taken_off_the_name_and_reported() {
        let scenario = Scenario::parse("500-once").expect("a valid example");
        assert_eq!(scenario.plan(|word| word.once).status, None);
        assert_eq!(scenario.plan(|_| false).status, Some(StatusFault::ServerError));
        assert_eq!(scenario.written(), "[sim:500-once]");
    }
}
