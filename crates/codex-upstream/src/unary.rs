//! Unary replies, which are one JSON object: images (`docs/backend.md §2.1`). Known members have a type; the others are
//! preserved.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

/// Images: the reply to [`requests::images`](crate::requests::images).
///
/// ```
/// use codex_upstream::ImagesReply;
///
/// let reply = ImagesReply::parse(br#"{"created":1750000000,"data":[{"b64_json":"aGk="}]}"#)?;
/// assert_eq!(reply.data[0].b64_json, "aGk=");
/// # Ok::<(), codex_upstream::UnaryReplyError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ImagesReply {
    /// Unix seconds.
    pub created: Value,
    /// The images; at least one.
    pub data: Vec<GeneratedImage>,
    /// The background that the backend chose.
    pub background: Option<String>,
    /// The format of the images, such as `png`.
    pub output_format: Option<String>,
    /// The quality that the backend chose.
    pub quality: Option<String>,
    /// Width and height that the backend chose.
    pub size: Option<String>,
    /// The tokens used.
    pub usage: Option<Value>,
    /// Every other key.
    pub rest: Map<String, Value>,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedImage {
    /// The file in base64.
    pub b64_json: String,
    /// Every other key.
    pub rest: Map<String, Value>,
}

impl ImagesReply {
    /// Parses a reply.
    ///
    /// # Errors
    /// [`UnaryReplyError`]: the reply contains no image; another request may succeed.
    pub fn parse(body: &[u8]) -> Result<Self, UnaryReplyError> {
        let read = |rest: &mut Map<String, Value>| {
            Some(Self {
                created: rest.shift_remove("created")?,
                data: list(rest, "data")?.into_iter().map(GeneratedImage::read).collect::<Option<Vec<_>>>()?,
                background: text(rest, "background"),
                output_format: text(rest, "output_format"),
                quality: text(rest, "quality"),
                size: text(rest, "size"),
                usage: rest.shift_remove("usage"),
                rest: std::mem::take(rest),
            })
        };
        read_with(body, "images", read).and_then(|images| match images.data.is_empty() {
            true => Err(UnaryReplyError { expected: "images", problem: "`data` is empty".to_owned() }),
            false => Ok(images),
        })
    }
}

impl GeneratedImage {
    fn read(image: Value) -> Option<Self> {
        let Value::Object(mut rest) = image else { return None };
        Some(Self { b64_json: text(&mut rest, "b64_json")?, rest })
    }
}

impl Serialize for ImagesReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { created, data, background, output_format, quality, size, usage, rest } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("created", created)?;
        map.serialize_entry("data", data)?;
        for (key, value) in
            [("background", background), ("output_format", output_format), ("quality", quality), ("size", size)]
        {
            value.iter().try_for_each(|value| map.serialize_entry(key, value))?;
        }
        usage.iter().try_for_each(|value| map.serialize_entry("usage", value))?;
        rest.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

impl Serialize for GeneratedImage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("b64_json", &self.b64_json)?;
        self.rest.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

/// A reply of an unexpected form. The message does not quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the backend's reply does not contain {expected}: {problem}; try again")]
pub struct UnaryReplyError {
    expected: &'static str,
    problem: String,
}

/// Parses an object; `read` takes out the known members.
fn read_with<T>(
    body: &[u8],
    expected: &'static str,
    read: impl FnOnce(&mut Map<String, Value>) -> Option<T>,
) -> Result<T, UnaryReplyError> {
    let problem = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut object)) => match read(&mut object) {
            Some(read) => return Ok(read),
            None => "a key is missing or has a value of the wrong type".to_owned(),
        },
        Ok(_) => "it is not an object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(UnaryReplyError { expected, problem })
}

/// Removes and returns a string; a value of another type stays.
fn text(rest: &mut Map<String, Value>, key: &str) -> Option<String> {
    rest.get(key)?.as_str()?;
    match rest.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

fn list(rest: &mut Map<String, Value>, key: &str) -> Option<Vec<Value>> {
    match rest.shift_remove(key) {
        Some(Value::Array(list)) => Some(list),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_members_are_preserved() {
        let images = json!({"created": 1, "data": [{"b64_json": "AA==", "new": true}], "background": "opaque",
            "output_format": "png", "quality": "low", "size": "1254x1254", "usage": {"total_tokens": 1}, "new": 1});
        let read = ImagesReply::parse(images.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), images);
        assert_eq!(read.quality.as_deref(), Some("low"));
    }

    #[test]
    fn other_replies_are_rejected_without_being_quoted() {
        for body in ["", "<html>s3cret</html>", "{}", r#"{"data": "s3cret"}"#, r#"{"created": 1, "data": []}"#] {
            let problem = ImagesReply::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }
}
