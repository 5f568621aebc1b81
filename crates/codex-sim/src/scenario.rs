//! Scenarios: which magic words exist and what each asks for.

use std::time::Duration;

use serde_json::Value;

/// Largest number of deltas `big` makes.
const MAX_DELTAS: usize = 2_000_000;
/// Largest delta `single-delta` makes, the frame size the real stream may reach (`wire.md` §3.1).
const MAX_DELTA_BYTES: usize = 16 * 1024 * 1024;

/// What one responses request is to be answered with, written as words.
///
/// In a user's text, in the header `x-sim-scenario` and in [`Control::queue`](crate::Control::queue) a word is written
/// `[sim:NAME]` or `[sim:NAME=ARGUMENT]`, and several may be combined; the header and the queue also take `NAME,NAME=ARGUMENT`.
/// A word that ends in `-once` applies the first time its text is seen and is passed over the second time, so that a retry
/// succeeds.
///
/// **Content**, one output item or message each, in the order written:
/// `text` or `text=WORDS`, `tool` or `tool=NAME`, `args=JSON` (arguments for the calls), `parallel-tools`, `custom-tool`,
/// `reasoning` (summaries if the request asked for them; `reasoning=always`), `reasoning-text`, `refusal`, `commentary`
/// (then a final answer), `commentary-only`, `json-schema`, `web-search`, `image`, `big=DELTAS`, `single-delta=BYTES`,
/// `line-separators` (U+2028 and U+2029 inside the text).
///
/// **Ending**: `incomplete-max-tokens`, `incomplete-content-filter`, `failed=CODE`, `error-first` (`error-first=flat` for the
/// public API's shape), `overloaded`.
///
/// **Framing**: `cut`, `cut=EVENTS`, `no-terminal`, `stall`, `stall=EVENTS`, `stall=headers`, `delay=MS`, `split`, `crlf`,
/// `keepalive`, `unknown`, `full-output`, `content-type`, `trailing`, `comments`, `legacy-delta`, `no-item-done`.
///
/// **Status**: `401`, `402`, `403-json`, `cloudflare`, `404`, `429-usage`, `429-not-included`, `429-rate`, `500`, `503`,
/// `context-length`.
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

/// A scenario spelled out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) contents: Vec<Content>,
    pub(crate) arguments: Option<Value>,
    pub(crate) ending: Ending,
    pub(crate) framing: Framing,
    pub(crate) status: Option<StatusFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Text(Option<String>),
    Tool(Option<String>),
    ParallelTools,
    CustomTool,
    Reasoning { always: bool },
    ReasoningText,
    Refusal,
    Commentary,
    CommentaryOnly,
    JsonSchema,
    WebSearch,
    Image,
    Big(usize),
    SingleDelta(usize),
    LineSeparators,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Completed,
    /// `response.incomplete` with this reason.
    Incomplete(&'static str),
    /// `response.failed` with this code.
    Failed(String),
    /// An `error` event and nothing else.
    ErrorFirst { flat: bool },
    /// `response.failed` with `server_is_overloaded` as the first event.
    Overloaded,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) cut: Option<Point>,
    pub(crate) stall: Option<Point>,
    pub(crate) no_terminal: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) split: bool,
    pub(crate) crlf: bool,
    pub(crate) keepalive: bool,
    pub(crate) unknown: bool,
    pub(crate) full_output: bool,
    pub(crate) content_type: bool,
    pub(crate) trailing: bool,
    pub(crate) comments: bool,
    pub(crate) legacy_delta: bool,
    pub(crate) no_item_done: bool,
}

/// Where in a reply a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before the response headers.
    Headers,
    /// After this many events.
    Events(u64),
    /// At the second delta.
    Middle,
}

/// A reply that is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusFault {
    Unauthorized,
    Deactivated,
    Forbidden,
    Cloudflare,
    NotFound,
    UsageLimit,
    UsageNotIncluded,
    RateLimit,
    ServerError,
    Unavailable,
    ContextLength,
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

    fn wrong(&self, needs: &'static str) -> ScenarioError {
        ScenarioError::Argument { word: self.name.clone(), needs }
    }
}

impl Plan {
    fn apply(&mut self, word: &Word) -> Result<(), ScenarioError> {
        if let Some(content) = content(word)? {
            self.contents.push(content);
        } else if let Some(ending) = ending(word)? {
            self.ending = ending;
        } else if let Some(status) = status(word) {
            self.status = Some(status);
        } else if word.name == "args" {
            let json = word.text("a JSON object")?;
            self.arguments = Some(serde_json::from_str(&json).map_err(|_| word.wrong("a JSON object"))?);
        } else if !self.framing.apply(word)? {
            return Err(ScenarioError::Unknown(word.name.clone()));
        }
        Ok(())
    }
}

impl Framing {
    fn apply(&mut self, word: &Word) -> Result<bool, ScenarioError> {
        match word.name.as_str() {
            "cut" => self.cut = Some(word.point()?),
            "stall" => self.stall = Some(word.point()?),
            "no-terminal" => self.no_terminal = true,
            "delay" => {
                let ms = word.number(600_000, "milliseconds between events")?;
                self.delay = Some(Duration::from_millis(ms as u64));
            }
            "split" => self.split = true,
            "crlf" => self.crlf = true,
            "keepalive" => self.keepalive = true,
            "unknown" => self.unknown = true,
            "full-output" => self.full_output = true,
            "content-type" => self.content_type = true,
            "trailing" => self.trailing = true,
            "comments" => self.comments = true,
            "legacy-delta" => self.legacy_delta = true,
            "no-item-done" => self.no_item_done = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn content(word: &Word) -> Result<Option<Content>, ScenarioError> {
    Ok(Some(match word.name.as_str() {
        "text" => Content::Text(word.argument.clone()),
        "tool" => Content::Tool(word.argument.clone()),
        "parallel-tools" => Content::ParallelTools,
        "custom-tool" => Content::CustomTool,
        "reasoning" => Content::Reasoning { always: word.argument.as_deref() == Some("always") },
        "reasoning-text" => Content::ReasoningText,
        "refusal" => Content::Refusal,
        "commentary" => Content::Commentary,
        "commentary-only" => Content::CommentaryOnly,
        "json-schema" => Content::JsonSchema,
        "web-search" => Content::WebSearch,
        "image" => Content::Image,
        "big" => Content::Big(word.number(MAX_DELTAS, "a number of deltas up to 2000000")?),
        "single-delta" => Content::SingleDelta(word.number(MAX_DELTA_BYTES, "a number of bytes up to 16777216")?),
        "line-separators" => Content::LineSeparators,
        _ => return Ok(None),
    }))
}

fn ending(word: &Word) -> Result<Option<Ending>, ScenarioError> {
    Ok(Some(match word.name.as_str() {
        "incomplete-max-tokens" => Ending::Incomplete("max_output_tokens"),
        "incomplete-content-filter" => Ending::Incomplete("content_filter"),
        "failed" => Ending::Failed(word.text("an error code, e.g. failed=server_error")?),
        "error-first" => Ending::ErrorFirst { flat: word.argument.as_deref() == Some("flat") },
        "overloaded" => Ending::Overloaded,
        _ => return Ok(None),
    }))
}

fn status(word: &Word) -> Option<StatusFault> {
    Some(match word.name.as_str() {
        "401" => StatusFault::Unauthorized,
        "402" => StatusFault::Deactivated,
        "403-json" => StatusFault::Forbidden,
        "cloudflare" => StatusFault::Cloudflare,
        "404" => StatusFault::NotFound,
        "429-usage" => StatusFault::UsageLimit,
        "429-not-included" => StatusFault::UsageNotIncluded,
        "429-rate" => StatusFault::RateLimit,
        "500" => StatusFault::ServerError,
        "503" => StatusFault::Unavailable,
        "context-length" => StatusFault::ContextLength,
        _ => return None,
    })
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
    use super::*;

    #[test]
    fn words_combine_in_either_form() {
        let wanted = Scenario::parse("tool=read_file,crlf,failed=server_error").expect("a valid example");
        let text = "please [sim:tool=read_file] and[sim:crlf] [sim:failed=server_error]";
        assert_eq!(Scenario::in_text(text), Ok(wanted.clone()));
        let plan = wanted.plan(|_| false);
        assert_eq!(plan.contents, [Content::Tool(Some("read_file".to_owned()))]);
        assert_eq!(plan.ending, Ending::Failed("server_error".to_owned()));
        assert!(plan.framing.crlf);
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
        assert!(matches!(Scenario::parse("big=many"), Err(ScenarioError::Argument { .. })));
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
