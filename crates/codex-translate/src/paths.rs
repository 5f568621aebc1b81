//! Where in the caller's body the parts of a request come from, so that an error of the backend names what the caller
//! wrote.
//!
//! The backend names paths of the request that it got, such as `input[3].content[1].image_url`. Messages and tools have
//! other names and places there: messages become items, one or several, some are dropped or added, and chat nests what
//! the hub does not.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::Error;

/// The settings that have the same name in all dialects and the hub.
const SETTINGS: [&str; 10] = [
    "model",
    "instructions",
    "include",
    "stream_options",
    "service_tier",
    "parallel_tool_calls",
    "prompt_cache_key",
    "client_metadata",
    "access_programs",
    "tool_choice",
];

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

/// Where an item of `input` comes from, in a body that an embedder has completed with stored items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOrigin {
    /// The caller has sent it, at this index of its `input`.
    Sent(usize),
    /// The caller has sent it as `input`, which is a string.
    Text,
    /// It is stored, and the caller refers to it at this index of its `input`.
    Referred(usize),
    /// It is stored, and belongs to the conversation that the request continues.
    Stored,
}

impl ItemOrigin {
    /// Returns the index in the caller's `input`, if the caller has sent the item or refers to it.
    pub(crate) fn index(self) -> Option<usize> {
        match self {
            Self::Sent(index) | Self::Referred(index) => Some(index),
            Self::Text => Some(0),
            Self::Stored => None,
        }
    }

    /// Returns whether the item is a stored one.
    pub(crate) fn is_stored(self) -> bool {
        matches!(self, Self::Referred(_) | Self::Stored)
    }
}

/// What the readers and the normaliser record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestSources {
    /// Whether the conversation is a list of `messages`.
    pub(crate) is_chat: bool,
    /// Whether the conversation is one string.
    pub(crate) is_text: bool,
    /// The source of each item.
    pub(crate) items: Vec<ItemSource>,
    /// The source of each tool.
    pub(crate) tools: Vec<ToolSource>,
    /// The messages that became instructions.
    pub(crate) hoisted: Vec<ItemSource>,
    /// The parameters that set the effort, the summary, the verbosity and the format.
    pub(crate) effort: Option<&'static str>,
    pub(crate) summary: Option<&'static str>,
    pub(crate) verbosity: Option<&'static str>,
    pub(crate) format: Option<&'static str>,
    /// Whether the format has its schema in `json_schema`.
    pub(crate) is_format_nested: bool,
    /// Whether the caller has named the format.
    pub(crate) has_format_name: bool,
    /// The parameter that chooses among the tools.
    pub(crate) choice: Option<&'static str>,
    /// Which of [`SETTINGS`] the caller has set.
    set: u16,
}

/// The source of an item: an element of the caller's conversation, and what is known of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemSource {
    /// `None` if the item was added.
    pub(crate) index: Option<u32>,
    pub(crate) content: ContentSource,
    /// Which of several calls of a message; `None` for any other item.
    pub(crate) call: Option<CallSource>,
}

/// How the caller wrote the content of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentSource {
    /// There is none.
    Absent,
    /// A string, or parts of which not every one became one part.
    Whole,
    /// Each part became one, after `before` that were added. Images have their URL `nested` in an object, or not;
    /// `None` if it is unknown.
    Parts { before: u8, nested: Option<bool> },
    /// The images of an assistant's message, after `before` parts from its `content`. Each element of `images` became
    /// one part if `is_exact`.
    Images { before: u16, is_exact: bool, nested: Option<bool> },
}

/// A call in a message of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallSource {
    /// In `tool_calls`; in `custom` instead of `function` if it is a custom tool's.
    Listed { index: u16, is_custom: bool },
    /// In `function_call`.
    Legacy,
    /// An item of its own.
    Item,
}

/// The source of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolSource {
    /// The parameter; `None` if the tool was added.
    pub(crate) parameter: Option<&'static str>,
    /// The place in its list; `None` if the parameter asks for one tool, as `web_search_options` does.
    pub(crate) index: Option<u32>,
    /// The member that has the tool's own members, if they are nested.
    pub(crate) nested: Option<&'static str>,
    /// The member that has the schema.
    pub(crate) schema: &'static str,
}

impl ItemSource {
    /// The source of an item that was added.
    pub(crate) const ADDED: Self = Self { index: None, content: ContentSource::Absent, call: None };

    /// Returns the source of an item that has the content in another form.
    pub(crate) fn rewritten(self) -> Self {
        let content = match self.content {
            ContentSource::Absent => ContentSource::Absent,
            ContentSource::Whole | ContentSource::Parts { .. } | ContentSource::Images { .. } => ContentSource::Whole,
        };
        Self { content, call: None, ..self }
    }
}

impl ToolSource {
    /// The source of a tool that was added.
    pub(crate) const ADDED: Self = Self { parameter: None, index: None, nested: None, schema: "parameters" };

    /// Makes the source of the tool at `index` of a list.
    pub(crate) fn of(list: &'static str, index: usize) -> Self {
        Self { index: u32::try_from(index).ok(), ..Self::asked_by(list) }
    }

    /// Makes the source of a tool for which a parameter asks.
    pub(crate) fn asked_by(parameter: &'static str) -> Self {
        Self { parameter: Some(parameter), ..Self::ADDED }
    }

    /// Returns the parameter of a notice about a member of the tool.
    pub(crate) fn place(&self, member: &str) -> String {
        let list = if self.parameter.is_none() || self.index.is_some() { "[]" } else { "" };
        format!("{}{list}.{member}", self.parameter.unwrap_or("tools"))
    }
}

impl RequestSources {
    /// Records that the caller has set a parameter.
    pub(crate) fn set(&mut self, key: &str) {
        if let Some(at) = SETTINGS.iter().position(|name| *name == key) {
            self.set |= 1 << at;
        }
    }

    /// Returns the caller's name of a setting, if the caller has set it.
    pub(crate) fn name_of(&self, setting: &str) -> Option<&'static str> {
        match setting {
            "reasoning.effort" => self.effort,
            "reasoning.summary" => self.summary,
            "text.verbosity" => self.verbosity,
            "text.format" => self.format,
            "tool_choice" => self.choice,
            _ => None,
        }
    }

    fn is_set(&self, key: &str) -> bool {
        SETTINGS.iter().position(|name| *name == key).is_some_and(|at| self.set & (1 << at) != 0)
    }

    /// Returns the caller's path for a path of the request that was sent; `None` if the caller wrote nothing there.
    fn path(&self, path: &str) -> Option<String> {
        let (head, rest) = step(path)?;
        let (index, rest) = index(rest).map_or((None, rest), |(index, rest)| (Some(index), rest));
        match (head, index) {
            ("input", Some(index)) => self.item(index, rest),
            ("input", None) => Some(if self.is_chat { "messages" } else { "input" }.to_owned()),
            ("tools", Some(index)) => self.tool(index, rest),
            ("tools", None) => self.tools.iter().find_map(|tool| tool.parameter).map(str::to_owned),
            ("instructions", _) => self.instructions(),
            ("tool_choice", _) => self.choice.map(str::to_owned),
            ("reasoning", _) => match rest {
                ".effort" => self.effort.map(str::to_owned),
                ".summary" => self.summary.map(str::to_owned),
                _ => None,
            },
            ("text", _) => match rest.strip_prefix(".format") {
                Some(rest) => self.format.map(|format| self.format(format, rest)),
                None if rest == ".verbosity" => self.verbosity.map(str::to_owned),
                None => None,
            },
            // The values of a list may have been filtered.
            ("stream_options", _) => self.is_set(head).then(|| path.to_owned()),
            _ => self.is_set(head).then(|| head.to_owned()),
        }
    }

    fn item(&self, index: usize, rest: &str) -> Option<String> {
        let source = self.items.get(index)?;
        if self.is_text {
            return source.index.map(|_| "input".to_owned());
        }
        let mut path = format!("{}[{}]", if self.is_chat { "messages" } else { "input" }, source.index?);
        let Some((member, rest)) = rest.strip_prefix('.').and_then(step) else { return Some(path) };
        match (member, source.call) {
            ("content" | "output", _) => self.content(&mut path, source, member, rest),
            (_, Some(CallSource::Listed { index, is_custom })) => {
                let _ = write!(path, ".tool_calls[{index}]");
                path.push_str(match (member, is_custom) {
                    ("call_id", _) => ".id",
                    ("name", false) => ".function.name",
                    ("arguments", false) => ".function.arguments",
                    ("name", true) => ".custom.name",
                    ("input", true) => ".custom.input",
                    _ => "",
                });
            }
            (_, Some(CallSource::Legacy)) => path.push_str(".function_call"),
            // Every message has a role, and not every item that becomes one.
            ("role", None) if self.is_chat => path.push_str(".role"),
            ("call_id" | "name" | "arguments" | "input", Some(CallSource::Item)) => {
                path.push('.');
                path.push_str(member);
            }
            _ => {}
        }
        Some(path)
    }

    /// Appends the path of content to that of its message.
    fn content(&self, path: &mut String, source: &ItemSource, member: &str, rest: &str) {
        let member = if self.is_chat { "content" } else { member };
        let (index, rest) = index(rest).map_or((None, rest), |(index, rest)| (Some(index), rest));
        let (member, before, nested) = match source.content {
            ContentSource::Absent => return,
            ContentSource::Whole => (member, None, None),
            ContentSource::Parts { before, nested } => (member, Some(usize::from(before)), nested),
            ContentSource::Images { before, is_exact, nested } => {
                let before = usize::from(before);
                match index {
                    Some(index) if index >= before => ("images", is_exact.then_some(before), nested),
                    None if before == 0 => ("images", None, None),
                    // A part of `content`, or the whole of both.
                    Some(_) => (member, None, None),
                    None => return,
                }
            }
        };
        let _ = write!(path, ".{member}");
        let Some(index) = index else { return };
        let Some(index) = before.and_then(|before| index.checked_sub(before)) else { return };
        let _ = write!(path, "[{index}]");
        if let (true, Some(nested)) = (rest.starts_with(".image_url"), nested) {
            path.push_str(if nested { ".image_url.url" } else { ".image_url" });
        }
    }

    fn tool(&self, index: usize, rest: &str) -> Option<String> {
        let source = self.tools.get(index)?;
        let mut path = source.parameter?.to_owned();
        let Some(index) = source.index else { return Some(path) };
        let _ = write!(path, "[{index}]");
        if let Some(nested) = source.nested {
            let _ = write!(path, ".{nested}");
        }
        // Below the parameters, the schema may have been repaired.
        for (sent, written) in [(".parameters", source.schema), (".name", "name"), (".description", "description")] {
            if rest.starts_with(sent) {
                let _ = write!(path, ".{written}");
            }
        }
        Some(path)
    }

    fn instructions(&self) -> Option<String> {
        match (&*self.hoisted, self.is_set("instructions")) {
            ([], true) => Some("instructions".to_owned()),
            ([], false) => None,
            ([message], false) => {
                let mut path = format!("messages[{}]", message.index?);
                self.content(&mut path, &message.rewritten(), "content", "");
                Some(path)
            }
            // Which of them is unknown.
            (_, true) => None,
            (_, false) => Some("messages".to_owned()),
        }
    }

    fn format(&self, format: &str, rest: &str) -> String {
        let nested = if self.is_format_nested { ".json_schema" } else { "" };
        match rest.strip_prefix('.').and_then(step) {
            Some(("type", _)) => format!("{format}.type"),
            Some(("schema", _)) => format!("{format}{nested}.schema"),
            Some(("name", _)) if self.has_format_name => format!("{format}{nested}.name"),
            Some(_) => format!("{format}{nested}"),
            None => format.to_owned(),
        }
    }
}

impl RequestPaths {
    pub(crate) fn new(sources: RequestSources) -> Self {
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

/// Splits off the first name of a path.
fn step(path: &str) -> Option<(&str, &str)> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

/// Splits off an index.
fn index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}
