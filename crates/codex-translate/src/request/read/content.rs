//! Content of a message: a string or a list of parts, in the names of either dialect or of another API.

use super::media;
use super::place::{Place, leftover, unsupported};
use crate::error::Error;
use crate::json::{Members, Node, Path, ValueKind, find, find_type};
use crate::notice::Notices;
use crate::request::read::shape::Shape;
use crate::responses::{ContentPart, InputFile, InputImage, Opaque};

/// The members that show the type of a part without one.
const KINDS_BY_MEMBER: &[(&str, &str)] = &[
    ("text", "text"),
    ("image_url", "image_url"),
    ("refusal", "refusal"),
    ("file", "file"),
    ("inlineData", "media"),
    ("inline_data", "media"),
    ("fileData", "media"),
];

/// Reads content that is a string or a list of parts.
///
/// # Errors
/// It is neither, or a part has a type that cannot be sent: a 400 with its path.
pub(super) fn parts(node: &Node<'_, '_>, place: Place, notices: &mut Notices) -> Result<Vec<ContentPart>, Error> {
    match node.kind() {
        ValueKind::String => Ok(vec![ContentPart::Text(node.written()?)]),
        ValueKind::Array => {
            let mut parts = Vec::new();
            for (index, raw) in node.array()?.into_iter().enumerate() {
                let part = node.index(index, raw);
                if part.kind() == ValueKind::String {
                    notices.trail.is_rewritten = true;
                    parts.push(ContentPart::Text(part.written()?));
                } else {
                    read_part(part.path(), &part.object()?, place, notices, &mut parts)?;
                }
                notices.trail.is_shifted |= parts.len() != index + 1;
            }
            Ok(parts)
        }
        ValueKind::Object | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            Err(node.invalid("must be a string or an array of content parts").with_code("invalid_type"))
        }
    }
}

/// Reads a part with these members. Most parts are one part for the backend; one that is dropped with a notice is none.
///
/// # Errors
/// The part has a type that cannot be sent, or something in it is missing: a 400 with its path.
pub(super) fn part_of(
    at: &Path<'_>,
    members: &Members<'_>,
    shape: Shape,
    notices: &mut Notices,
) -> Result<Vec<ContentPart>, Error> {
    let mut parts = Vec::new();
    read_part(at, members, Place::Message(shape), notices, &mut parts)?;
    Ok(parts)
}

/// Reads a part with these members, and appends what it is for the backend.
///
/// # Errors
/// As for [`part_of`].
pub(super) fn read_part(
    at: &Path<'_>,
    members: &Members<'_>,
    place: Place,
    notices: &mut Notices,
    out: &mut Vec<ContentPart>,
) -> Result<(), Error> {
    let kind = kind_of(at, members)?;
    let is_url_nested = find(members, "image_url").is_some_and(|raw| Node::root(raw).kind() == ValueKind::Object);
    let has_same_members = find(members, "type").is_some() && find(members, "file").is_none() && !is_url_nested;
    // The refusal of another than the assistant is text.
    notices.trail.is_rewritten |=
        !has_same_members || matches!(&*kind, "document" | "refusal") || media::is_media(&kind);
    let part = match &*kind {
        "text" | "input_text" | "output_text" => {
            ContentPart::Text(member(at, members, "text", |text| text.written(), notices)?)
        }
        "refusal" => ContentPart::Refusal(member(at, members, "refusal", |text| text.string(), notices)?),
        "image_url" | "input_image" => ContentPart::Image(image(at, members, notices)?),
        "input_file" => ContentPart::File(file(at, members, notices)?),
        "file" if is_file_of_chat(members) => ContentPart::File(file(at, members, notices)?),
        "thinking" | "redacted_thinking" | "reasoning" | "reasoning_text" | "summary_text" => {
            notices.dropped(at.without_indexes(), format!("parts of type `{kind}` are not sent to the backend"));
            return Ok(());
        }
        "document" if document(at, members, place, notices, out)? => return Ok(()),
        kind if media::is_media(kind) => {
            // Images elsewhere than in `image_url`.
            (notices.trail.has_nested_url, notices.trail.has_flat_url) = (true, true);
            return media::read(at, kind, members, place, notices, out);
        }
        _ if place == Place::Message(Shape::Responses) => ContentPart::Other(Opaque::new(&kind, members)),
        _ => return Err(unsupported(at, &kind, "send `text`, `image_url`, `file` or `refusal`")),
    };
    out.push(part);
    Ok(())
}

/// Reads a document of Anthropic's API whose source is content; false if it has another source.
fn document(
    at: &Path<'_>,
    members: &Members<'_>,
    place: Place,
    notices: &mut Notices,
    out: &mut Vec<ContentPart>,
) -> Result<bool, Error> {
    let Some(raw) = find(members, "source") else { return Ok(false) };
    let source = at.key("source", raw);
    let in_source = if source.kind() == ValueKind::Object { source.object()? } else { Members::new() };
    let Some(raw) = find(&in_source, "content") else { return Ok(false) };
    out.extend(parts(&source.key("content", raw), place, notices)?);
    for (key, raw) in members.iter().filter(|(key, _)| key != "source") {
        leftover(key, &at.key(key, raw), notices);
    }
    for (key, raw) in in_source.iter().filter(|(key, _)| key != "content") {
        leftover(key, &source.key(key, raw), notices);
    }
    Ok(true)
}

/// Returns the part's type. A part without one has the type of its only content.
fn kind_of(at: &Path<'_>, members: &Members<'_>) -> Result<String, Error> {
    if let Some(raw) = find_type(members) {
        return at.key("type", raw).string();
    }
    let has = |key: &str| find(members, key).is_some();
    let known = KINDS_BY_MEMBER.iter().find(|(key, _)| has(key));
    let kind = known.map(|(_, kind)| *kind).or_else(|| {
        let is_typed = has("mimeType") || has("mime_type") || has("mediaType") || has("media_type");
        (is_typed && (has("data") || has("blob"))).then_some("media")
    });
    kind.map(str::to_owned).ok_or_else(|| at.missing("type"))
}

/// Returns whether a file is in the form of chat, not in that of another API with the same type.
fn is_file_of_chat(members: &Members<'_>) -> bool {
    ["file", "file_data", "file_id", "file_url"].iter().any(|key| find(members, key).is_some())
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
                notices.trail.has_nested_url = true;
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
            "image_url" => {
                notices.trail.has_flat_url = true;
                image.image_url = Some(member.non_empty()?);
            }
            "file_id" => image.file_id = Some(member.non_empty()?),
            "detail" => image.detail = Some(member.string()?),
            key => leftover(key, &member, notices),
        }
    }
    if image.image_url.is_none() && image.file_id.is_none() {
        return Err(at.missing("image_url"));
    }
    if let Some(url) = &mut image.image_url
        && let Some(media_type) = media::sniffed(url)
    {
        notices.repaired(at.place("image_url"), "sent base64 as a data URL");
        *url = media::data_url(url, media_type);
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
    if let Some(data) = &mut file.file_data
        && !media::is_url(data)
    {
        notices.repaired(at.place("file_data"), "sent base64 as a data URL");
        *data = media::data_url(data, media::sniffed(data).unwrap_or("application/octet-stream"));
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
