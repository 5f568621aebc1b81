//! What is recorded of the caller's body while it is read.

use std::fmt::Write as _;

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
    pub(super) reasoning: Vec<usize>,
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
    pub(super) fn append(self, path: &mut String, member: &str, rest: &str) {
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
    /// The message is the output of a call, which it names in `tool_call_id`.
    Answer,
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

    pub(super) fn is_set(&self, key: &str) -> bool {
        SETTINGS.iter().position(|name| *name == key).is_some_and(|at| self.set & (1 << at) != 0)
    }
}
