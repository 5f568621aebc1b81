//! Scenarios: the magic words that choose a reply.
//!
//! It parses words into a [`Plan`]; it never builds a reply, and it knows nothing about HTTP.

mod apply;
pub(crate) mod plan;
pub(crate) mod word;

use crate::scenario::plan::Plan;
use crate::scenario::word::{PREFIX, ScenarioError, Word, parse_bracketed};

/// The reply to one responses request, written as words.
///
/// In a user's text, in the header `x-sim-scenario` and in [`Control::queue`](crate::Control::queue) a word is
/// written `[sim:NAME]` or `[sim:NAME=ARGUMENT]`, and several may be combined; the header and the queue also accept
/// `NAME,NAME=ARGUMENT`. A word that ends in `-once` applies the first time its text is seen and is skipped the
/// second time, so a retry succeeds.
///
/// **Content** (one output item or message each, in the order written): `text` or `text=WORDS`, `tool` or
/// `tool=NAME`, `args=JSON` (arguments for the calls), `parallel-tools`, `custom-tool`, `reasoning` (with summaries
/// if the request asks for them; `reasoning=always` always, `reasoning=blank` with placeholder lines),
/// `reasoning-text`, `refusal`, `commentary` (then a final answer), `commentary-only`, `json-schema`, `web-search`,
/// `image`, `big=DELTAS`, `single-delta=BYTES`, `line-separators` (U+2028 and U+2029 inside the text), `no-items` (no
/// item at all).
///
/// **Ending**: `incomplete-max-tokens`, `incomplete-content-filter`, `failed=CODE`, `failed-first=CODE`
/// (`response.failed` as the only event), `overloaded` (the same with `server_is_overloaded`), `error` and
/// `error-first` (an `error` event as the last or the only one; `=CODE` sets its code, `=flat` gives it the public
/// API's shape). Any code is accepted; those of `docs/backend.md` §3.6 come with their message, status and details. In
/// place of a code these accept JSON: the error object of a failed response, the fields of an `error` event.
///
/// **Framing**: `cut` (in the middle of the second delta), `cut=EVENTS`, `cut=output` (at the first item),
/// `no-terminal`, `no-events` (an empty 200), `stall` (until [`Control::release`](crate::Control::release)),
/// `stall=EVENTS`, `stall=output`, `stall=headers`, `stall-for=MS` (the stall ends by itself), `keepalive=MS` (during a
/// stall, at this interval), `keepalive` (between events), `delay=MS`, `split`, `crlf`, `cr`, `unknown` (unknown events
/// and keys), `late-limits=PERCENT` (a quota event after the output), `full-output` (`empty-output` is the default),
/// `content-type` (`no-content-type` is the default), `trailing`, `comments`, `legacy-delta`, `no-item-done`,
/// `compressed` (as the request's `accept-encoding` says). On a WebSocket, words about bytes and lines have no effect;
/// `close=CODE` closes the connection instead of answering, and `ignore-interrupts` gives them no answer.
///
/// **Status**: `401` (`=token_expired`, `=token_revoked`, `=detail`, `=scope`), `402`, `403-json`, `cloudflare` (403
/// with HTML; `=blocked`, `=unable` for other pages), `404` (`=empty`), `422`, `429-usage`, `429-not-included`,
/// `429-quota`, `429-rate`, `500`, `502`, `503` (`=slow_down`), `504`, `520` to `524`, `context-length`,
/// `cyber-policy`, `misalignment` (403; `=400`), `capacity`, `refused=STATUS JSON` (this status with this body).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scenario {
    words: Vec<Word>,
}

impl Scenario {
    /// Parses words in either form.
    ///
    /// # Errors
    /// [`ScenarioError`], which names the word to correct.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let words = if text.contains(PREFIX) {
            parse_bracketed(text)?
        } else {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Word::parse).collect()
        };
        Self::checked(words)
    }

    /// Parses the bracketed words in a user's text, of which there may be none.
    pub(crate) fn in_text(text: &str) -> Result<Self, ScenarioError> {
        Self::checked(parse_bracketed(text)?)
    }

    /// Returns the plan of the scenario, without the words for which `skip` returns true.
    pub(crate) fn plan(&self, mut skip: impl FnMut(&Word) -> bool) -> Plan {
        let mut plan = Plan::default();
        for word in &self.words {
            if !skip(word) {
                // Checked when parsed.
                let _ = plan.apply(word);
            }
        }
        plan
    }

    /// Returns the words as they are written in a text.
    pub(crate) fn to_text(&self) -> String {
        self.words.iter().map(Word::to_text).collect()
    }

    fn checked(words: Vec<Word>) -> Result<Self, ScenarioError> {
        let mut plan = Plan::default();
        words.iter().try_for_each(|word| plan.apply(word))?;
        Ok(Self { words })
    }
}

#[cfg(test)]
mod tests {
    use super::plan::{Content, Ending, ErrorShape, LineEnd, StatusFault};
    use super::word::without_words;
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
    fn a_json_argument_may_contain_brackets() {
        let scenario = Scenario::in_text(r#"[sim:tool][sim:args={"a":[1,[2]]}] go"#).expect("a valid example");
        let plan = scenario.plan(|_| false);
        assert_eq!(plan.arguments, Some(serde_json::json!({"a": [1, [2]]})));
    }

    #[test]
    fn a_fault_may_be_spelled_out() {
        let fault = serde_json::json!({"error": {"code": "x", "message": "m"}});
        let scenario = Scenario::in_text(&format!("[sim:refused=403 {fault}][sim:error-first={fault}]")).expect("JSON");
        let plan = scenario.plan(|_| false);
        assert_eq!(plan.status, Some(StatusFault::Given(403, fault.clone())));
        assert_eq!(plan.ending, Ending::ErrorFirst(ErrorShape::Given(fault)));
    }

    #[test]
    fn a_wrong_word_is_named() {
        assert_eq!(Scenario::parse("teapot"), Err(ScenarioError::Unknown("teapot".to_owned())));
        for argument in [
            "big=many",
            "crlf=5",
            "refusal=no",
            "500=x",
            "401=teapot",
            "reasoning=loud",
            "failed",
            "refused=403",
            "refused=200 {}",
        ] {
            assert!(matches!(Scenario::parse(argument), Err(ScenarioError::Argument { .. })), "{argument}");
        }
        assert!(matches!(Scenario::in_text("[sim:text"), Err(ScenarioError::Unclosed(_))));
        assert_eq!(Scenario::in_text("no words here"), Ok(Scenario::default()));
    }

    #[test]
    fn once_is_stripped_from_the_name_and_kept_in_the_text() {
        let scenario = Scenario::parse("500-once").expect("a valid example");
        assert_eq!(scenario.plan(|word| word.once).status, None);
        assert_eq!(scenario.plan(|_| false).status, Some(StatusFault::ServerError));
        assert_eq!(scenario.to_text(), "[sim:500-once]");
    }
}
