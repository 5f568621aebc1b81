//! Checks on message contents and their parts (`docs/backend.md` §2.7, §2.8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::backend::checks::values::one_of;
use crate::protocol::refusal::Refusal;
use crate::protocol::turn::Turn;

/// Checks the content of a message: a string, or parts of the types that `role` may send (`tool` is a tool's output,
/// `agent` a message between agents).
pub(crate) fn check_content(content: Option<&Value>, role: &str, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    match content {
        None => Err(Refusal::missing(at)),
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => {
            let mut indexed = parts.iter().enumerate();
            indexed.try_for_each(|(index, part)| check_part(part, role, &format!("{at}[{index}]"), turn))
        }
        Some(other) => Err(Refusal::wrong_type(at, "one of an array of objects or string", other)),
    }
}

fn check_part(part: &Value, role: &str, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(object) = part.as_object() else {
        return Err(Refusal::wrong_type(at, "an object", part));
    };
    let kind = allowed_type(object, role, at)?;
    no_cache_breakpoints(object, at)?;
    let keys: &[&str] = match kind {
        "input_text" => &["text"],
        "input_image" => &["image_url", "detail"],
        "input_file" => &["file_id", "file_data", "filename", "file_url", "detail"],
        "input_audio" => &["input_audio", "audio_url"],
        "encrypted_content" => &["encrypted_content"],
        "output_text" => &["text", "annotations", "logprobs"],
        _ => &["refusal"],
    };
    if let Some(key) = object.keys().find(|key| key.as_str() != "type" && !keys.contains(&key.as_str())) {
        return Err(Refusal::unknown(&format!("{at}.{key}")));
    }
    match kind {
        "input_text" | "output_text" => string(object, "text", at),
        "refusal" | "encrypted_content" => string(object, kind, at),
        "input_image" => image(object, at, turn),
        "input_file" => file(object, at),
        _ => Ok(()),
    }
}

/// Checks one part of a reasoning item's summary.
pub(crate) fn check_summary(part: &Value, at: &str) -> Result<(), Refusal> {
    let Some(object) = part.as_object() else {
        return Err(Refusal::wrong_type(at, "an object", part));
    };
    let param = format!("{at}.type");
    one_of(object.get("type").ok_or_else(|| Refusal::missing(&param))?, &["summary_text"], &param)?;
    string(object, "text", at)
}

/// §2.8: user and developer send `input_*`, the assistant `output_text` and `refusal`.
fn allowed_type<'a>(part: &'a Map<String, Value>, role: &str, at: &str) -> Result<&'a str, Refusal> {
    let allowed: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        "agent" => &["input_text", "encrypted_content"],
        _ => &["input_text", "input_image", "input_file", "input_audio"],
    };
    let param = format!("{at}.type");
    let kind = part.get("type").ok_or_else(|| Refusal::missing(&param))?;
    one_of(kind, allowed, &param)?;
    Ok(kind.as_str().unwrap_or_default())
}

/// §2.6: cache breakpoints are refused.
fn no_cache_breakpoints(part: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    if part.contains_key("prompt_cache_breakpoint") {
        let param = format!("{at}.prompt_cache_breakpoint");
        let message = "prompt_cache_breakpoint is not supported on this model";
        return Err(Refusal::error(Some(&param), Some("unsupported_parameter"), message));
    }
    Ok(())
}

/// §2.7, §2.8: `image_url` is a string, a data URL of an image or an https URL; the model must accept images.
fn image(part: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let param = format!("{at}.image_url");
    let url = match part.get("image_url") {
        Some(Value::String(url)) => url,
        Some(other) => return Err(Refusal::wrong_type(&param, "an image URL", other)),
        None => return Err(Refusal::missing(&param)),
    };
    if !url.starts_with("https://") && !is_image_data(url) {
        let message = if url.starts_with("data:") {
            "The image data you provided does not represent a valid image. Please check your input and try again."
                .to_owned()
        } else {
            format!("Invalid '{param}'. Expected a valid URL, but got a value with an invalid format.")
        };
        return Err(Refusal::error(Some(&param), Some("invalid_value"), message));
    }
    if let Some(detail) = part.get("detail").filter(|detail| !detail.is_null()) {
        one_of(detail, &["auto", "low", "high", "original"], &format!("{at}.detail"))?;
    }
    if turn.model.takes_images() {
        return Ok(());
    }
    let message = format!("The '{}' model does not support image inputs.", turn.model.facts.slug);
    Err(Refusal::error(Some(&param), Some("invalid_value"), message))
}

pub(crate) fn is_image_data(url: &str) -> bool {
    let data = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    data.is_some_and(|(_, data)| STANDARD.decode(data).is_ok_and(|bytes| is_image(&bytes)))
}

/// Recognises the four formats that vision models accept by their first bytes.
fn is_image(bytes: &[u8]) -> bool {
    let webp = bytes.len() > 12 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP";
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"GIF8") || webp
}

fn file(part: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let sources = ["file_id", "file_data", "file_url"];
    let given = sources.iter().any(|key| part.get(*key).is_some_and(Value::is_string));
    if given { Ok(()) } else { Err(Refusal::missing(&format!("{at}.file_id"))) }
}

fn string(part: &Map<String, Value>, key: &str, at: &str) -> Result<(), Refusal> {
    let param = format!("{at}.{key}");
    match part.get(key) {
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(Refusal::wrong_type(&param, "a string", other)),
        None => Err(Refusal::missing(&param)),
    }
}
