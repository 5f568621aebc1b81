//! The output of a tool: a string, or a list whose elements are judged one by one.
//!
//! A tool may return anything. A part of any known API keeps its kind, because the base64 of an image would be hundreds
//! of thousands of tokens as text. Other elements are sent as their JSON.

use serde_json::value::RawValue;

use super::content::read_part;
use super::place::Place;
use crate::error::Error;
use crate::json::{Members, Node, ValueKind, find, to_raw};
use crate::notice::Notices;
use crate::responses::{ContentPart, Opaque, OutputContent};

/// The members in which results of tools hold their parts: those of MCP and Anthropic, of MCP's resources, of the AI
/// SDK, and of Gemini.
const WRAPPERS: &[&str] = &["content", "contents", "value", "parts"];

/// The types of parts that hold parts.
const WRAPPER_TYPES: &[&str] = &["content", "mcp_tool_result", "search_result", "tool_result", "tool-result"];

/// How many results may be inside each other. Each level is read once more.
const MAX_DEPTH: usize = 3;

/// The types that only parts have. If one of them is malformed, the request is.
const EXACT: &[&str] = &["input_text", "output_text", "input_image", "input_file", "image_url"];

/// Reads the output of a tool: a string, or parts. Any other JSON is sent as text.
///
/// # Errors
/// A part is malformed: a 400 with its path.
pub(super) fn read(node: &Node<'_, '_>, notices: &mut Notices) -> Result<OutputContent, Error> {
    let mut judged = Judged::default();
    match node.kind() {
        ValueKind::String => return Ok(OutputContent::Text(node.written()?)),
        ValueKind::Array => {
            let elements = node.array()?;
            if elements.is_empty() {
                return Ok(nothing());
            }
            judged.elements(node, &elements, 0)?;
        }
        ValueKind::Object => {
            judged.object(node, &node.object()?, 0)?;
            // Without an image, the whole is better left as the tool wrote it.
            judged.has_parts &= judged.has_media;
        }
        ValueKind::Number | ValueKind::Bool | ValueKind::Null => {}
    }
    if judged.has_parts {
        notices.extend(judged.notices);
        notices.trail.is_shifted |= judged.is_shifted;
        return Ok(OutputContent::Parts(judged.parts));
    }
    notices.repaired(node.here(), "sent JSON as text");
    Ok(OutputContent::Text(node.text().into()))
}

/// Returns the output of a tool that returned nothing.
pub(super) fn nothing() -> OutputContent {
    OutputContent::Text("".into())
}

/// What a value of a tool is for the backend.
#[derive(Default)]
struct Judged {
    parts: Vec<ContentPart>,
    notices: Notices,
    /// Whether anything looks like a part, and not only like data.
    has_parts: bool,
    /// Whether there is an image or a file.
    has_media: bool,
    /// Whether an element of the output has become no part, or several.
    is_shifted: bool,
}

impl Judged {
    fn elements(&mut self, list: &Node<'_, '_>, elements: &[&RawValue], depth: usize) -> Result<(), Error> {
        for (index, raw) in elements.iter().enumerate() {
            let element = list.index(index, raw);
            match element.kind() {
                ValueKind::Null => {}
                ValueKind::String => {
                    self.has_parts = true;
                    self.parts.push(ContentPart::Text(element.written()?));
                }
                ValueKind::Object => self.object(&element, &element.object()?, depth)?,
                ValueKind::Array | ValueKind::Number | ValueKind::Bool => self.text(&element, "data"),
            }
            self.is_shifted |= depth == 0 && self.parts.len() != index + 1;
        }
        Ok(())
    }

    fn object(&mut self, node: &Node<'_, '_>, members: &Members<'_>, depth: usize) -> Result<(), Error> {
        let kind = find(members, "type").map(|raw| node.key("type", raw)).and_then(|node| node.string().ok());
        self.has_parts |= kind.is_some();
        let is_wrapper = kind.as_deref().is_none_or(|kind| WRAPPER_TYPES.contains(&kind));
        if is_wrapper && depth < MAX_DEPTH && self.wrapper(node, members, kind.is_some(), depth)? {
            return Ok(());
        }
        let mut tried = Self::default();
        match read_part(node.path(), members, Place::Output, &mut tried.notices, &mut tried.parts) {
            Ok(()) if !tried.parts.is_empty() => {
                tried.has_media = tried.parts.iter().any(is_media);
                tried.has_parts = true;
                self.extend(tried);
            }
            Err(error) if kind.as_deref().is_some_and(|kind| EXACT.contains(&kind)) => return Err(error),
            _ => self.text(node, kind.as_deref().map_or("data", |kind| kind)),
        }
        Ok(())
    }

    /// Reads an object that holds parts. An object without a type is one only if there is an image in it.
    fn wrapper(
        &mut self,
        node: &Node<'_, '_>,
        members: &Members<'_>,
        is_typed: bool,
        depth: usize,
    ) -> Result<bool, Error> {
        let Some((key, raw)) = members.iter().find(|(key, _)| WRAPPERS.contains(&&**key)) else { return Ok(false) };
        let content = node.key(key, raw);
        let mut tried = Self::default();
        if content.kind() == ValueKind::Array {
            tried.elements(&content, &content.array()?, depth + 1)?;
        } else if content.kind() == ValueKind::String && is_typed {
            tried.parts.push(ContentPart::Text(content.written()?));
        } else {
            return Ok(false);
        }
        if !is_typed && !tried.has_media {
            return Ok(false);
        }
        let mut rest = Opaque { kind: String::new(), members: Vec::new() };
        for (key, raw) in members.iter().filter(|(name, _)| name != key && name != "type") {
            let member = node.key(key, raw);
            // What is not an error needs no words.
            if member.text() != "false" && !member.is_blank() {
                rest.members.push((key.to_string(), member.raw()));
            }
        }
        if !rest.members.is_empty() {
            tried.notices.repaired(node.here(), "sent what is beside the parts as JSON text");
            tried.parts.push(ContentPart::Text(to_raw(&rest)?.get().into()));
        }
        tried.has_parts = true;
        self.extend(tried);
        Ok(true)
    }

    fn text(&mut self, node: &Node<'_, '_>, kind: &str) {
        self.notices.repaired(node.here(), format!("sent an element of type `{kind}` as JSON text"));
        self.parts.push(ContentPart::Text(node.text().into()));
    }

    fn extend(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.notices.extend(other.notices);
        self.has_parts |= other.has_parts;
        self.has_media |= other.has_media;
    }
}

fn is_media(part: &ContentPart) -> bool {
    matches!(part, ContentPart::Image(_) | ContentPart::File(_))
}
