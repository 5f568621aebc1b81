//! Where in the caller's body the parts of a request come from, so that an error of the backend names what the caller
//! wrote.
//!
//! The backend names paths of the request that it got, such as `input[3].content[1].image_url`. Messages and tools have
//! other names and places there: messages become items, one or several, some are dropped or added, and chat nests what
//! the hub does not.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::Error;
use crate::json::{Members, find};

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
    /// What the caller has written of the format and its schema.
    pub(crate) format_members: Written,
    /// The parameter that chooses among the tools.
    pub(crate) choice: Option<&'static str>,
    /// What the caller has written of it, if it is in the form in which it is sent.
    pub(crate) choice_members: Written,
    /// The places of the reasoning among the items.
    reasoning: Vec<usize>,
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
    /// What the caller has written of it, in a list of items.
    pub(crate) members: Written,
}

/// Which members of the request that is sent the caller has written, under the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Written {
    #[default]
    None,
    /// Those of [`MEMBERS`] whose bits are set.
    Some(u16),
    /// All of them, with all that is in them.
    All,
}

/// The members of items, tools and settings that are read and written again.
const MEMBERS: [&str; 16] = [
    "type",
    "role",
    "phase",
    "name",
    "description",
    "call_id",
    "arguments",
    "input",
    "namespace",
    "summary",
    "encrypted_content",
    "status",
    "strict",
    "defer_loading",
    "format",
    "mode",
];

impl Written {
    /// Returns which members a value has.
    pub(crate) fn of(members: &Members<'_>) -> Self {
        let bits = MEMBERS.iter().enumerate().filter(|(_, name)| find(members, name).is_some());
        Self::Some(bits.fold(0, |bits, (at, _)| bits | 1 << at))
    }

    /// Appends a member, and what is in it, to the path of its value, as far as the caller has written it.
    fn append(self, path: &mut String, member: &str, rest: &str) {
        let is_written = match self {
            Self::None => false,
            Self::Some(bits) => MEMBERS.iter().position(|name| *name == member).is_some_and(|at| bits & (1 << at) != 0),
            // The reader may have added it.
            Self::All => member != "call_id",
        };
        if is_written {
            let _ = write!(path, ".{member}");
            // Tools, their schemas and their formats are settled.
            if !matches!(member, "tools" | "parameters" | "format") {
                path.push_str(rest);
            }
        }
    }
}

/// How the caller wrote the content of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentSource {
    /// There is none.
    Absent,
    /// A string, or parts of which not every one became one part.
    Whole,
    /// Each part became one, after `before` that were added. Images have their URL `nested` in an object, or not;
    /// `None` if it is unknown. Each part has the same members if they are `exact`.
    Parts { before: u8, nested: Option<bool>, is_exact: bool },
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
    /// What else the caller has written of it.
    pub(crate) members: Written,
    /// Whether it is a namespace with the tools that the caller has listed in it.
    pub(crate) has_listed: bool,
}

impl ItemSource {
    /// The source of an item that was added.
    pub(crate) const ADDED: Self =
        Self { index: None, content: ContentSource::Absent, call: None, members: Written::None };

    /// Returns the source of an item that was written anew.
    pub(crate) fn by_index(self) -> Self {
        Self { index: self.index, ..Self::ADDED }
    }

    /// Returns the source of an item that has the content in another form.
    pub(crate) fn rewritten(self) -> Self {
        let content = match self.content {
            ContentSource::Absent => ContentSource::Absent,
            ContentSource::Whole | ContentSource::Parts { .. } | ContentSource::Images { .. } => ContentSource::Whole,
        };
        Self { content, call: None, members: Written::None, ..self }
    }
}

impl ContentSource {
    /// Returns the source of parts that may have other members.
    pub(crate) fn inexact(self) -> Self {
        match self {
            Self::Parts { before, nested, .. } => Self::Parts { before, nested, is_exact: false },
            Self::Absent | Self::Whole | Self::Images { .. } => self,
        }
    }
}

impl ToolSource {
    /// The source of a tool that was added.
    pub(crate) const ADDED: Self = Self {
        parameter: None,
        index: None,
        nested: None,
        schema: "parameters",
        members: Written::None,
        has_listed: false,
    };

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
            ("tool_choice", _) => self.choice.map(|choice| self.choice(choice, rest)),
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
            ("content" | "output", _) if source.members != Written::All => {
                self.content(&mut path, source, member, rest)
            }
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
            ("call_id" | "name" | "arguments" | "input", Some(CallSource::Item)) if self.is_chat => {
                path.push('.');
                path.push_str(member);
            }
            _ => source.members.append(&mut path, member, rest),
        }
        Some(path)
    }

    /// Appends the path of content to that of its message.
    fn content(&self, path: &mut String, source: &ItemSource, member: &str, rest: &str) {
        let member = if self.is_chat { "content" } else { member };
        let (index, rest) = index(rest).map_or((None, rest), |(index, rest)| (Some(index), rest));
        let mut has_same_parts = false;
        let (member, before, nested) = match source.content {
            ContentSource::Absent => return,
            ContentSource::Whole => (member, None, None),
            ContentSource::Parts { before, nested, is_exact } => {
                has_same_parts = is_exact;
                (member, Some(usize::from(before)), nested)
            }
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
        if has_same_parts {
            path.push_str(rest);
        } else if let (true, Some(nested)) = (rest.starts_with(".image_url"), nested) {
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
        let Some((mut member, mut rest)) = rest.strip_prefix('.').and_then(step) else { return Some(path) };
        let mut members = source.members;
        if member == "tools"
            && source.has_listed
            && let Some((index, inner)) = self::index(rest)
        {
            let _ = write!(path, ".tools[{index}]");
            let Some(inner) = inner.strip_prefix('.').and_then(step) else { return Some(path) };
            ((member, rest), members) = (inner, Written::None);
        }
        match member {
            // Below it, the schema may have been repaired.
            "parameters" => {
                let _ = write!(path, ".{}", source.schema);
            }
            "name" | "description" => {
                let _ = write!(path, ".{member}");
            }
            member => members.append(&mut path, member, rest),
        }
        Some(path)
    }

    /// Returns the path of the choice among the tools, or of something in it.
    fn choice(&self, choice: &str, rest: &str) -> String {
        let mut path = choice.to_owned();
        match rest.strip_prefix('.').and_then(step) {
            Some(("tools", rest)) if self.choice_members != Written::None => {
                let _ = write!(path, ".tools{rest}");
            }
            Some((member, rest)) => self.choice_members.append(&mut path, member, rest),
            None => {}
        }
        path
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
            Some((member, rest)) => {
                let mut path = format!("{format}{nested}");
                self.format_members.append(&mut path, member, rest);
                path
            }
            None => format.to_owned(),
        }
    }
}

impl RequestPaths {
    /// Makes the paths of a request that is ready to be sent, with `reasoning` at these places of its input.
    pub(crate) fn new(sources: RequestSources, reasoning: Vec<usize>) -> Self {
        Self { sources: Arc::new(RequestSources { reasoning, ..sources }) }
    }

    /// Returns the paths of the same request without its reasoning.
    #[must_use]
    pub fn without_reasoning(&self) -> Self {
        let mut sources = (*self.sources).clone();
        for place in std::mem::take(&mut sources.reasoning).into_iter().rev() {
            if place < sources.items.len() {
                sources.items.remove(place);
            }
        }
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
