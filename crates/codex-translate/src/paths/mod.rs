//! Where in the caller's body the parts of a request come from, so that an error of the backend names what the caller
//! wrote.
//!
//! The backend names paths of the request that it got, such as `input[3].content[1].image_url`. Messages and tools have
//! other names and places there: messages become items, one or several, some are dropped or added, and chat nests what
//! the hub does not.

mod lookup;
mod origin;
mod source;

use std::sync::Arc;

use lookup::step;
pub use origin::ItemOrigin;
pub(crate) use source::{CallSource, ContentSource, ItemSource, RequestSources, ToolSource, Written};

use crate::error::Error;

/// Where in the caller's body the parts of a request come from.
///
/// ```
/// use codex_translate::chat::ChatRequest;
/// use codex_translate::{Error, Options, Profile, to_responses};
///
/// let body = br#"{"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content":
///     [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}"#;
/// let plan = to_responses(ChatRequest::from_json(body)?, &Profile::permissive("m"), &Options::default())?.plan;
/// let error = Error::invalid("input[0].content[0].image_url", "Invalid 'input[0].content[0].image_url'.");
/// let error = plan.paths.in_callers_words(error);
/// assert_eq!(error.param(), Some("messages[1].content[0].image_url.url"));
/// assert_eq!(error.message(), "Invalid 'messages[1].content[0].image_url.url'.");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestPaths {
    sources: Arc<RequestSources>,
}

impl RequestPaths {
    /// Makes the paths of a request that is ready to be sent, with `reasoning` at these places of its input.
    pub(crate) fn new(mut sources: RequestSources, reasoning: Vec<usize>) -> Self {
        sources.reasoning = reasoning;
        Self { sources: Arc::new(sources) }
    }

    /// Returns the paths of the same request without its reasoning.
    #[must_use]
    pub fn without_reasoning(&self) -> Self {
        let mut sources = (*self.sources).clone();
        let mut reasoning = std::mem::take(&mut sources.reasoning).into_iter().peekable();
        let items = std::mem::take(&mut sources.items).into_iter().enumerate();
        sources.items =
            items.filter(|(place, _)| reasoning.next_if_eq(place).is_none()).map(|(_, item)| item).collect();
        Self { sources: Arc::new(sources) }
    }

    /// Returns an error of the backend with the caller's paths in its parameter and its message. A parameter that the
    /// caller did not write is left out, and the backend's words stay.
    #[must_use]
    pub fn in_callers_words(&self, error: Error) -> Error {
        if *self.sources == RequestSources::default() {
            return error;
        }
        let param = error.param().map(|param| (param.to_owned(), self.path_of(param)));
        let message = self.reworded(error.message(), param.as_ref());
        let error = if message == error.message() { error } else { error.with_message(message) };
        match param {
            Some((_, written)) => error.replace_param(written),
            None => error,
        }
    }

    /// Returns the caller's path for a path of the request that was sent, such as `input[0].content[1]`; `None` if the
    /// caller wrote nothing there.
    pub fn path_of(&self, path: &str) -> Option<String> {
        match path.strip_prefix("input.").map(|rest| rest.split_once('.').unwrap_or((rest, ""))) {
            // As validation errors write it.
            Some((index, _)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.sources.path(&format!("input[{index}]"))
            }
            _ => self.sources.path(path),
        }
    }

    /// Replaces the paths in a message. All other words are prose, and stay: a single name is a path only if it is the
    /// parameter of the error and in quotes.
    fn reworded(&self, message: &str, param: Option<&(String, Option<String>)>) -> String {
        let is_of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
        let mut reworded = String::with_capacity(message.len());
        let mut rest = message;
        while !rest.is_empty() {
            let (other, after) = rest.split_at(rest.find(is_of_path).unwrap_or(rest.len()));
            reworded.push_str(other);
            let (word, after) = after.split_at(after.find(|c| !is_of_path(c)).unwrap_or(after.len()));
            // A sentence may end after it.
            let path = word.trim_end_matches('.');
            let quote = reworded.chars().next_back().filter(|c| matches!(c, '\'' | '"' | '`'));
            let is_quoted = quote.is_some_and(|quote| after.starts_with(quote));
            let written = match param {
                Some((sent, written)) if sent == path && (is_quoted || path.contains(['[', '.'])) => written.clone(),
                _ if Self::is_path(path) => self.path_of(path),
                _ => None,
            };
            reworded.push_str(written.as_deref().unwrap_or(path));
            reworded.push_str(&word[path.len()..]);
            rest = after;
        }
        reworded
    }

    /// Returns whether a word of a message is a path whose names or places differ in the caller's body.
    fn is_path(word: &str) -> bool {
        step(word).is_some_and(|(head, rest)| {
            !rest.is_empty() && matches!(head, "input" | "tools" | "text" | "reasoning" | "instructions")
        })
    }
}
