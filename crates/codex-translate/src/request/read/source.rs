//! Records where in the body the parts of a request come from.

use crate::json::{Members, Node, ValueKind, find};
use crate::notice::Trail;
use crate::paths::{CallSource, ContentSource, ItemSource, Written};
use crate::responses::{CallKind, InputItem, OutputContent, ResponsesRequest, Role, ToolChoice};

/// What the paths of a message's items depend on. It is read before the message.
pub(super) struct MessageForm {
    content: Option<ValueKind>,
    /// Whether it is a message of chat, whose calls are members.
    is_message: bool,
    /// Whether it is a message of chat that answers a call.
    is_answer: bool,
    has_name: bool,
    has_output: bool,
    /// Whether the conversation is a list of messages.
    is_of_chat: bool,
    /// Whether it is the assistant's, whose text, refusal and images are put together anew.
    is_assistant: bool,
    has_images: bool,
    members: Written,
}

impl MessageForm {
    pub(super) fn of(members: &Members<'_>, is_of_chat: bool, trail: &mut Trail) -> Self {
        let tools = std::mem::take(&mut trail.tools);
        *trail = Trail { tools, ..Trail::default() };
        let output = find(members, "output");
        let name = find(members, "name").map(Node::root);
        Self {
            content: find(members, "content").or(output).map(|raw| Node::root(raw).kind()),
            is_message: find(members, "role").is_some(),
            is_answer: find(members, "tool_call_id").is_some(),
            has_name: name.is_some_and(|name| !name.is_blank()),
            has_output: output.is_some(),
            is_of_chat,
            is_assistant: find(members, "role").is_some_and(|role| role.get() == "\"assistant\""),
            has_images: find(members, "images").is_some_and(|images| !Node::root(images).is_blank()),
            members: if is_of_chat { Written::None } else { Written::of(members) },
        }
    }

    /// Appends the sources of the items that the message at the caller's `index` became.
    pub(super) fn trace(
        &self,
        index: Option<usize>,
        items: &[InputItem],
        trail: &Trail,
        sources: &mut Vec<ItemSource>,
    ) {
        let index = index.and_then(|index| u32::try_from(index).ok());
        let mut listed = 0..;
        let legacy = items.iter().rposition(|item| matches!(item, InputItem::Call(call) if is_legacy(&call.call_id)));
        for (at, item) in items.iter().enumerate() {
            let (content, call) = match item {
                InputItem::Message(message) if self.is_assistant && self.has_images && message.role == Role::User => {
                    (Self::images(trail), None)
                }
                InputItem::Message(message) => {
                    let before = u8::from(self.has_name && message.role == Role::User);
                    (self.content(trail, self.is_assistant, before), None)
                }
                InputItem::Output(output) => {
                    let is_text = matches!(output.content, OutputContent::Text(_));
                    // In a list of items, a message of a tool has its output in `content`.
                    let is_elsewhere = !self.is_of_chat && !self.has_output;
                    let content = if is_elsewhere { ContentSource::Absent } else { self.content(trail, is_text, 0) };
                    (content.inexact(), self.is_answer.then_some(CallSource::Answer))
                }
                InputItem::Call(_) if !self.is_message => (ContentSource::Absent, Some(CallSource::Item)),
                InputItem::Call(_) if legacy == Some(at) => (ContentSource::Absent, Some(CallSource::Legacy)),
                InputItem::Call(call) => {
                    let listed = CallSource::Listed {
                        index: listed.next().unwrap_or_default(),
                        is_custom: call.kind == CallKind::Custom,
                    };
                    (ContentSource::Absent, Some(listed))
                }
                InputItem::Reasoning(_) | InputItem::Opaque(_) | InputItem::Verbatim(_) => {
                    (ContentSource::Absent, None)
                }
            };
            let members = if item.opaque().is_some() && !self.is_of_chat { Written::All } else { self.members };
            sources.push(ItemSource { index, content, call, members });
        }
    }

    fn content(&self, trail: &Trail, is_rewritten: bool, before: u8) -> ContentSource {
        match self.content {
            None => ContentSource::Absent,
            Some(ValueKind::Array) if !trail.is_shifted && !is_rewritten => {
                let is_exact = !self.is_of_chat && !trail.is_rewritten;
                ContentSource::Parts { before, nested: nested(trail), is_exact }
            }
            Some(_) => ContentSource::Whole,
        }
    }

    /// Returns the source of the images of an assistant's message, which are sent as the user's.
    fn images(trail: &Trail) -> ContentSource {
        let before = u16::try_from(trail.shown);
        let is_exact = before.is_ok() && !trail.is_images_shifted;
        ContentSource::Images { before: before.unwrap_or(u16::MAX), is_exact, nested: nested(trail) }
    }
}

/// Returns whether the images of a message have their URL in an object, if all have it in the same place.
fn nested(trail: &Trail) -> Option<bool> {
    (trail.has_nested_url != trail.has_flat_url).then_some(trail.has_nested_url)
}

/// Returns whether a call has an id that the reader gave it.
fn is_legacy(call_id: &str) -> bool {
    call_id.starts_with("call_legacy_")
}

/// What a setting has changed; compared before and after each is read.
pub(super) struct SettingsBefore {
    effort: bool,
    summary: bool,
    verbosity: bool,
    format: bool,
    choice: bool,
}

impl SettingsBefore {
    pub(super) fn of(request: &ResponsesRequest) -> Self {
        Self {
            effort: request.reasoning.effort.is_some(),
            summary: request.reasoning.summary.is_some(),
            verbosity: request.text.verbosity.is_some(),
            format: request.text.format.is_some(),
            choice: request.tool_choice.is_some(),
        }
    }

    /// Records what the parameter `key` has set.
    pub(super) fn trace(&self, request: &mut ResponsesRequest, key: &str, node: &Node<'_, '_>) {
        let now = Self::of(request);
        let mut tools = std::mem::take(&mut request.notices.trail.tools);
        let sources = &mut request.local.sources;
        sources.set(key);
        sources.tools.append(&mut tools);
        sources.tools.resize(request.tools.len(), crate::paths::ToolSource::ADDED);
        if now.effort && !self.effort {
            sources.effort = match key {
                "reasoning" => find_in(node, "effort").map_or(Some("reasoning.enabled"), |_| Some("reasoning.effort")),
                "reasoning_effort" => Some("reasoning_effort"),
                "reasoningEffort" => Some("reasoningEffort"),
                _ => None,
            };
        }
        if now.summary && !self.summary {
            sources.summary = match key {
                "reasoning" => {
                    find_in(node, "summary").map_or(Some("reasoning.generate_summary"), |_| Some("reasoning.summary"))
                }
                "reasoningSummary" => Some("reasoningSummary"),
                _ => None,
            };
        }
        if now.verbosity && !self.verbosity {
            sources.verbosity = match key {
                "text" => Some("text.verbosity"),
                "verbosity" => Some("verbosity"),
                "textVerbosity" => Some("textVerbosity"),
                _ => None,
            };
        }
        if now.format && !self.format {
            let format = if key == "text" { find_in(node, "format") } else { Some(node.raw()) };
            sources.format = match key {
                "text" => Some("text.format"),
                "response_format" => Some("response_format"),
                _ => None,
            };
            let nested = format.as_ref().and_then(|raw| find_in(&Node::root(raw), "json_schema"));
            sources.is_format_nested = nested.is_some();
            let format = nested.or(format);
            sources.format_members = format.map(|raw| members_of(&Node::root(&raw))).unwrap_or_default();
        }
        if now.choice && !self.choice {
            sources.choice = match key {
                "tool_choice" => Some("tool_choice"),
                "function_call" => Some("function_call"),
                _ => None,
            };
            sources.choice_members = choice_members(node, request.tool_choice.as_ref());
        }
    }
}

fn members_of(node: &Node<'_, '_>) -> Written {
    node.object().map(|members| Written::of(&members)).unwrap_or_default()
}

/// Returns what is written of a choice that has the form in which it is sent.
fn choice_members(node: &Node<'_, '_>, choice: Option<&ToolChoice>) -> Written {
    let is_flat = |members: &Members<'_>| {
        find(members, "type").is_some()
            && ["function", "custom", "allowed_tools"].iter().all(|name| find(members, name).is_none())
    };
    let Some(members) = node.object().ok().filter(is_flat) else { return Written::None };
    let listed = find(&members, "tools").and_then(|tools| node.key("tools", tools).array().ok()).unwrap_or_default();
    let is_same = match choice {
        Some(ToolChoice::Allowed { tools, .. }) => {
            tools.len() == listed.len()
                && listed.iter().all(|tool| Node::root(tool).object().is_ok_and(|tool| is_flat(&tool)))
        }
        _ => listed.is_empty(),
    };
    if is_same { Written::of(&members) } else { Written::None }
}

fn find_in(node: &Node<'_, '_>, name: &str) -> Option<crate::json::Raw> {
    find(&node.object().ok()?, name).map(ToOwned::to_owned)
}
