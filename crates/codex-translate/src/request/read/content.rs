//! Content: a string or a list of parts, in the names of either dialect.

use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::{Members, Node, Path, ValueKind, find};
use crate::notice::Notices;
use crate::request::read::shape::Shape;
use crate::responses::{ContentPart, InputFile, InputImage, Opaque, OutputContent};

/// Keys that replies put on parts and that mean nothing in a request.
const LEFTOVERS: &[&str] = &["type", "annotations", "logprobs", "id", "status", "index", "parsed"];

/// Reads content that is a string or a list of parts.
///
/// # Errors
/// It is neither, or a part has a type that cannot be sent: a 400 with its path.
pub(super) fn parts(node: &Node<'_, '_>, shape: Shape, notices: &mut Notices) -> Result<Vec<ContentPart>, Error> {
    match node.kind() {
        ValueKind::String => Ok(vec![ContentPart::Text(node.written()?)]),
        ValueKind::Array => {
            let mut parts = Vec::new();
            for (index, raw) in node.array()?.into_iter().enumerate() {
                parts.extend(part(&node.index(index, raw), shape, notices)?);
            }
            Ok(parts)
        }
        ValueKind::Object | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            Err(node.invalid("must be a string or an array of content parts").with_code("invalid_type"))
        }
    }
}

/// Reads one part; `None` if it is dropped with a notice.
///
/// # Errors
/// The part has a type that cannot be sent, or something in it is missing: a 400 with its path.
pub(super) fn part(node: &Node<'_, '_>, shape: Shape, notices: &mut Notices) -> Result<Option<ContentPart>, Error> {
    if node.kind() == ValueKind::String {
        return Ok(Some(ContentPart::Text(node.written()?)));
    }
    part_of(node.path(), &node.object()?, shape, notices)
}

/// Reads a part with these members.
///
/// # Errors
/// As for [`part`].
pub(super) fn part_of(
    at: &Path<'_>,
    members: &Members<'_>,
    shape: Shape,
    notices: &mut Notices,
) -> Result<Option<ContentPart>, Error> {
    let kind = kind_of(at, members)?;
    let part = match &*kind {
        "text" | "input_text" | "output_text" => {
            ContentPart::Text(member(at, members, "text", |text| text.written(), notices)?)
        }
        "refusal" => ContentPart::Refusal(member(at, members, "refusal", |text| text.string(), notices)?),
        "image_url" | "input_image" => ContentPart::Image(image(at, members, notices)?),
        "file" | "input_file" => ContentPart::File(file(at, members, notices)?),
        "input_audio" | "audio" => {
            return Err(unsupported(at, &kind, "the backend does not support audio; send a transcript"));
        }
        "thinking" | "redacted_thinking" | "reasoning" | "reasoning_text" | "summary_text" => {
            notices.dropped(at.without_indexes(), format!("parts of type `{kind}` are not sent to the backend"));
            return Ok(None);
        }
        _ if shape == Shape::Responses => ContentPart::Other(Opaque::new(&kind, members)),
        _ => return Err(unsupported(at, &kind, "send `text`, `image_url`, `file` or `refusal`")),
    };
    Ok(Some(part))
}

/// Reads the output of a tool: a string, or parts. Any other JSON is sent as text.
///
/// # Errors
/// A part cannot be sent: a 400 with its path.
pub(super) fn output(node: &Node<'_, '_>, shape: Shape, notices: &mut Notices) -> Result<OutputContent, Error> {
    match node.kind() {
        ValueKind::String => Ok(OutputContent::Text(node.written()?)),
        ValueKind::Array if is_parts(node)? => Ok(OutputContent::Parts(parts(node, shape, notices)?)),
        ValueKind::Object | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            notices.repaired(node.here(), "sent JSON as text");
            Ok(OutputContent::Text(node.text().into()))
        }
    }
}

/// Returns the output of a tool that returned nothing.
pub(super) fn no_output() -> OutputContent {
    OutputContent::Text("".into())
}

/// Returns whether every element is a content part, not data of the tool.
fn is_parts(node: &Node<'_, '_>) -> Result<bool, Error> {
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let element = node.index(index, raw);
        if element.kind() != ValueKind::Object {
            return Ok(false);
        }
        let members = element.object()?;
        let kind = text_of(find(&members, "type"));
        let known = ["text", "input_text", "output_text", "image_url", "input_image", "file", "input_file", "refusal"];
        if !kind.is_some_and(|kind| known.contains(&&*kind)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the part's type. A part without one has the type of its only content.
fn kind_of(at: &Path<'_>, members: &Members<'_>) -> Result<String, Error> {
    if let Some(raw) = find(members, "type") {
        return at.key("type", raw).string();
    }
    for (key, kind) in [("text", "text"), ("image_url", "image_url"), ("refusal", "refusal"), ("file", "file")] {
        if find(members, key).is_some() {
            return Ok(kind.to_owned());
        }
    }
    Err(at.missing("type"))
}

/// Reads the member `name` of a part by `read`, and drops the others.
fn member<'a, T>(
    at: &Path<'_>,
    members: &Members<'a>,
    name: &str,
    read: impl Fn(&Node<'a, '_>) -> Result<T, Error>,
    notices: &mut Notices,
) -> Result<T, Error> {
    let mut found = None;
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            key if key == name => found = Some(read(&member)?),
            key => leftover(key, &member, notices),
        }
    }
    found.ok_or_else(|| at.missing(name))
}

/// Reads an image. `image_url` is a string in Responses and an object in chat, where it also contains the detail.
fn image(at: &Path<'_>, members: &Members<'_>, notices: &mut Notices) -> Result<InputImage, Error> {
    let mut image = InputImage::default();
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            "image_url" if member.kind() == ValueKind::Object => {
                for (key, raw) in member.object()? {
                    let inner = member.key(&key, raw);
                    match &*key {
                        "url" => image.image_url = Some(inner.non_empty()?),
                        "detail" => image.detail = Some(inner.string()?),
                        key => leftover(key, &inner, notices),
                    }
                }
                if image.image_url.is_none() {
                    return Err(member.missing("url"));
                }
            }
            "image_url" => image.image_url = Some(member.non_empty()?),
            "file_id" => image.file_id = Some(member.non_empty()?),
            "detail" => image.detail = Some(member.string()?),
            key => leftover(key, &member, notices),
        }
    }
    if image.image_url.is_none() && image.file_id.is_none() {
        return Err(at.missing("image_url"));
    }
    Ok(image)
}

/// Reads a file. Its members are in `file` in chat, and next to the type in Responses.
fn file(at: &Path<'_>, members: &Members<'_>, notices: &mut Notices) -> Result<InputFile, Error> {
    let mut file = InputFile::default();
    for (key, raw) in members {
        let member = at.key(key, raw);
        if key == "file" {
            for (key, raw) in member.object()? {
                file_member(&mut file, &key, &member.key(&key, raw), notices)?;
            }
        } else {
            file_member(&mut file, key, &member, notices)?;
        }
    }
    if file.file_data.is_none() && file.file_id.is_none() && file.file_url.is_none() {
        return Err(at.invalid("must contain `file_data`, `file_id` or `file_url`"));
    }
    Ok(file)
}

fn file_member(file: &mut InputFile, key: &str, member: &Node<'_, '_>, notices: &mut Notices) -> Result<(), Error> {
    match key {
        "filename" => file.filename = Some(member.string()?),
        "file_data" => file.file_data = Some(member.non_empty()?),
        "file_id" => file.file_id = Some(member.non_empty()?),
        "file_url" => file.file_url = Some(member.non_empty()?),
        key => leftover(key, member, notices),
    }
    Ok(())
}

/// Drops a key that the part's type does not have, such as the cache marks of Anthropic's API, with a notice unless it
/// is a leftover of a reply.
fn leftover(key: &str, member: &Node<'_, '_>, notices: &mut Notices) {
    if !LEFTOVERS.contains(&key) {
        notices.dropped(member.here(), "not supported by the backend");
    }
}

fn unsupported(at: &Path<'_>, kind: &str, instead: &str) -> Error {
    at.invalid(format_args!("has the type `{kind}`, which is not supported: {instead}"))
        .with_code("unsupported_content")
}

/// Returns the text of a value if it is a string.
fn text_of(raw: Option<&RawValue>) -> Option<String> {
    let node = Node::root(raw?);
    (node.kind() == ValueKind::String).then(|| node.string().ok()).flatten()
}
