//! Images and files in the forms of other APIs, which agents put into messages and outputs of tools: MCP, Anthropic,
//! Gemini, LangChain and the AI SDK.
//!
//! These forms have the same few members under several names and at several depths, so they are gathered by name from
//! the part and from the objects in it.

use super::place::{Place, leftover, unsupported};
use crate::error::Error;
use crate::json::{Members, Path, TextBuf, ValueKind};
use crate::notice::Notices;
use crate::responses::{ContentPart, InputFile, InputImage};

/// How many objects deep the members of a part may be, such as `inlineData.data`.
const MAX_DEPTH: usize = 2;

const NO_AUDIO: &str = "the backend does not support audio and video; send a transcript";

/// The first characters of the base64 of file formats.
const BEGINNINGS: &[(&str, &str)] =
    &[("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("JVBERi", "application/pdf")];

/// The names that files without one get. The public API requires a name beside data.
const NAMES: &[(&str, &str)] = &[
    ("application/pdf", "file.pdf"),
    ("application/json", "file.json"),
    ("text/csv", "file.csv"),
    ("text/html", "file.html"),
    ("text/markdown", "file.md"),
    ("text/plain", "file.txt"),
];

/// What a part contains, whatever its form.
#[derive(Default)]
struct Media {
    data: Option<String>,
    url: Option<String>,
    file_id: Option<String>,
    media_type: Option<String>,
    /// Where the data is from, such as `file:///a.png`; an address if there is no data.
    uri: Option<String>,
    name: Option<String>,
    context: Option<String>,
    detail: Option<String>,
    /// The type of the source: `text` if `data` is not base64.
    source: Option<String>,
    text: Option<TextBuf>,
    id: Option<String>,
}

/// The types that say little about the content.
const OTHERS: &[&str] = &["file", "document", "media", "resource", "text-plain", "file-data", "file-url", "file-id"];

/// The types of audio and video.
const SOUND: &[&str] = &["audio", "input_audio", "audio_url", "video", "input_video", "video_url"];

/// Returns whether a part of the type `kind` is an image or a file in the form of another API.
pub(super) fn is_media(kind: &str) -> bool {
    is_image(kind) || SOUND.contains(&kind) || OTHERS.contains(&kind)
}

fn is_image(kind: &str) -> bool {
    matches!(kind, "image" | "image-data" | "image-url" | "image-file-id")
}

/// Reads an image or a file in the form of another API.
///
/// # Errors
/// Nothing in it can be sent, or something has the wrong type: a 400 with its path.
pub(super) fn read(
    at: &Path<'_>,
    kind: &str,
    members: &Members<'_>,
    place: Place,
    notices: &mut Notices,
    out: &mut Vec<ContentPart>,
) -> Result<(), Error> {
    let mut media = Media::default();
    media.gather(at, members, notices, 0)?;
    match media.unsupported(kind) {
        Some(_) if media.is_empty() && place == Place::Output => return Err(at.missing("data")),
        Some(kind) if place == Place::Output => out.push(named(at, &kind, notices)),
        Some(kind) => return Err(unsupported(at, &kind, NO_AUDIO)),
        None => media.write(at, kind, place, notices, out)?,
    }
    Ok(())
}

impl Media {
    fn gather(
        &mut self,
        at: &Path<'_>,
        members: &Members<'_>,
        notices: &mut Notices,
        depth: usize,
    ) -> Result<(), Error> {
        for (key, raw) in members {
            let member = at.key(key, raw);
            match &**key {
                "type" if depth == 0 => {}
                "type" | "source_type" => self.source = Some(member.string()?),
                "data" | "base64" | "blob" | "source" | "inlineData" | "inline_data" | "fileData" | "file_data"
                | "file" | "image" | "input_audio" | "audio_url" | "video" | "video_url" | "image_url" | "resource"
                | "url" | "file_url" | "fileUri" | "file_uri" => {
                    if member.kind() == ValueKind::Object && depth < MAX_DEPTH {
                        self.gather(member.path(), &member.object()?, notices, depth + 1)?;
                    } else if key.ends_with("url") || key.ends_with("ri") {
                        self.url = Some(member.non_empty()?);
                    } else {
                        self.data = Some(member.non_empty()?);
                    }
                }
                "uri" => self.uri = Some(member.non_empty()?),
                "file_id" | "fileId" => self.file_id = Some(member.non_empty()?),
                "mimeType" | "mime_type" | "mediaType" | "media_type" => self.media_type = essence(&member.str()?),
                "filename" | "fileName" | "name" | "title" => self.name = Some(member.string()?),
                "context" => self.context = Some(member.string()?),
                "detail" => self.detail = Some(member.string()?),
                "text" => self.text = Some(member.written()?),
                "id" => self.id = Some(member.string()?),
                key => leftover(key, &member, notices),
            }
        }
        Ok(())
    }

    /// Appends what the part is for the backend: text, an image or a file.
    fn write(
        mut self,
        at: &Path<'_>,
        kind: &str,
        place: Place,
        notices: &mut Notices,
        out: &mut Vec<ContentPart>,
    ) -> Result<(), Error> {
        match self.source.as_deref() {
            // Anthropic has the text in `data`, LangChain in `text`.
            Some("text") => self.text = self.text.take().or_else(|| self.data.take().map(TextBuf::from)),
            Some("id") => self.file_id = self.file_id.take().or_else(|| self.id.take()),
            _ => {}
        }
        let has_text = self.text.is_some();
        self.url = self.data.take_if(|data| is_url(data)).or_else(|| self.url.take());
        if self.is_empty() && !has_text {
            self.url = Some(self.uri.take().ok_or_else(|| at.missing("data"))?);
        }
        let media_type = self.media_type();
        // Data of a tool has such members, too: only a declared type tells that it is an image, not about one.
        let is_vague = matches!(kind, "image" | "file") && media_type.is_empty() && self.source.is_none();
        if place == Place::Output && self.url.is_some() && is_vague {
            return Err(at.missing("mimeType"));
        }
        if let Some(context) = self.context.take() {
            notices.emulated(at.place("context"), "sent in a text part before the document");
            out.push(ContentPart::Text(context.into()));
        }
        if let Some(text) = self.text {
            if let Some(name) = self.name.or(self.uri) {
                notices.emulated(at.without_indexes(), "sent the name of a document in a text part before it");
                out.push(ContentPart::Text(format!("Contents of {name}:").into()));
            }
            out.push(ContentPart::Text(text));
        } else if is_image(kind) || media_type.starts_with("image/") {
            out.push(ContentPart::Image(self.into_image(at, &media_type, notices)));
        } else {
            out.push(ContentPart::File(self.into_file(at, &media_type, notices)));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.data.is_none() && self.url.is_none() && self.file_id.is_none()
    }

    /// Returns the declared media type, or else what can be told from the content; empty if nothing can.
    fn media_type(&self) -> String {
        let written = [&self.url, &self.data].into_iter().flatten();
        let found = written.clone().find_map(|text| type_in(text)).or_else(|| self.data.as_deref().and_then(sniffed));
        self.media_type.as_deref().or(found).unwrap_or_default().to_owned()
    }

    /// Returns the media type, or else the type of the part, if the model cannot see what it contains.
    fn unsupported(&self, kind: &str) -> Option<String> {
        let media_type = self.media_type();
        let is_sound = media_type.starts_with("audio/") || media_type.starts_with("video/") || SOUND.contains(&kind);
        is_sound.then(|| if media_type.is_empty() { kind.to_owned() } else { media_type })
    }

    fn into_image(self, at: &Path<'_>, media_type: &str, notices: &mut Notices) -> InputImage {
        if self.name.is_some() || self.uri.is_some() {
            notices.repaired(at.without_indexes(), "sent an image without its name");
        }
        let media_type = if media_type.starts_with("image/") { media_type } else { "image/png" };
        let data = self.data.map(|data| data_url(&data, media_type));
        InputImage { image_url: data.or(self.url), file_id: self.file_id, detail: self.detail }
    }

    fn into_file(self, at: &Path<'_>, media_type: &str, notices: &mut Notices) -> InputFile {
        if self.detail.is_some() {
            notices.dropped(at.place("detail"), "not supported by the backend");
        }
        let known_type = if media_type.is_empty() { "application/octet-stream" } else { media_type };
        let (inline, file_url) = match self.url {
            Some(url) if url.starts_with("data:") => (Some(url), None),
            url => (None, url),
        };
        let file_data = self.data.map(|data| data_url(&data, known_type)).or(inline);
        let named = self.name.or_else(|| self.uri.as_deref().and_then(last_segment).map(str::to_owned));
        let filename = named.or_else(|| file_data.is_some().then(|| name_for(media_type).to_owned()));
        InputFile { filename, file_data, file_id: self.file_id, file_url }
    }
}

/// Returns the name of what the model cannot hear, which stands for it in a tool's output: the client cannot take back
/// what the tool has said.
fn named(at: &Path<'_>, kind: &str, notices: &mut Notices) -> ContentPart {
    notices.dropped(at.without_indexes(), NO_AUDIO);
    ContentPart::Text(format!("[{kind} that cannot be shown]").into())
}

/// Returns a media type without parameters; `None` if it says nothing, like `image/*`.
fn essence(written: &str) -> Option<String> {
    let essence = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*essence {
        "image/jpg" => Some("image/jpeg".to_owned()),
        _ => Some(essence).filter(|essence| essence.contains('/') && !essence.ends_with('*')),
    }
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("data:") || text.starts_with("https://") || text.starts_with("http://")
}

/// Returns the media type in a data URL.
fn type_in(url: &str) -> Option<&str> {
    let (media_type, _) = url.strip_prefix("data:")?.split_once([';', ','])?;
    Some(media_type).filter(|media_type| media_type.contains('/'))
}

/// Returns the media type of the file that base64 text is of, if it can be told from its beginning.
pub(super) fn sniffed(base64: &str) -> Option<&'static str> {
    // A RIFF file whose form is WEBP.
    if base64.starts_with("UklGR") && base64.get(12..16) == Some("RUJQ") {
        return Some("image/webp");
    }
    BEGINNINGS.iter().find(|(beginning, _)| base64.starts_with(beginning)).map(|(_, media_type)| *media_type)
}

/// Makes a data URL of base64 text, which some programs break into lines.
pub(super) fn data_url(base64: &str, media_type: &str) -> String {
    let mut url = format!("data:{media_type};base64,");
    url.extend(base64.split_ascii_whitespace());
    url
}

/// Returns a name for a file of this type.
fn name_for(media_type: &str) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == media_type).map_or("file", |(_, name)| *name)
}

fn last_segment(uri: &str) -> Option<&str> {
    uri.rsplit('/').next().filter(|segment| !segment.is_empty())
}
