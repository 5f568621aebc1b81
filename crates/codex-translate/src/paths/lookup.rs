//! Finds the caller's path for a path of the request that was sent.

use std::fmt::Write as _;

use super::source::{CallSource, ContentSource, ItemSource, RequestSources, Written};

impl RequestSources {
    /// Returns the caller's path for a path of the request that was sent; `None` if the caller wrote nothing there.
    pub(super) fn path(&self, path: &str) -> Option<String> {
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
                "" => whole("reasoning", &[self.effort, self.summary]),
                ".effort" => self.effort.map(str::to_owned),
                ".summary" => self.summary.map(str::to_owned),
                _ => None,
            },
            ("text", _) => match rest.strip_prefix(".format") {
                Some(rest) => self.format.map(|format| self.format(format, rest)),
                None if rest.is_empty() => whole("text", &[self.verbosity, self.format]),
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
            ("call_id", Some(CallSource::Answer)) => path.push_str(".tool_call_id"),
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

/// Returns the caller's name of an object of settings: its own, or that of the only one that the caller has set.
fn whole(name: &str, settings: &[Option<&'static str>]) -> Option<String> {
    let mut set = settings.iter().flatten();
    let is_within = |setting: &str| step(setting).is_some_and(|(head, _)| head == name);
    match (set.next(), set.next()) {
        (Some(one), _) if is_within(one) => Some(name.to_owned()),
        (Some(_), Some(other)) if is_within(other) => Some(name.to_owned()),
        (Some(one), None) => Some((*one).to_owned()),
        _ => None,
    }
}

/// Splits off the first name of a path.
pub(super) fn step(path: &str) -> Option<(&str, &str)> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

/// Splits off an index.
fn index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}
