//! The replies that come whole: a compacted conversation, and pictures (docs/backend.md §2.1). What is read of them has a type; the rest
//! is kept as it came.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

/// A conversation made short: the reply to [`requests::compaction`](crate::requests::compaction).
#[derive(Debug, Clone, PartialEq)]
pub struct CompactionReply {
    /// The response's id; older replies have none.
    pub id: Option<String>,
    /// `response.compaction`; older replies do not say so.
    pub object: Option<String>,
    /// Unix seconds.
    pub created_at: Option<Value>,
    /// The items that stand for the conversation, one of the type `compaction` among them: the input of the next turn.
    pub output: Vec<Value>,
    /// What it cost.
    pub usage: Option<Value>,
    /// Every other key.
    pub rest: Map<String, Value>,
}

impl CompactionReply {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// [`UnaryReplyError`]: the reply is not a compaction; asking again may bring one.
    pub fn parse(body: &[u8]) -> Result<Self, UnaryReplyError> {
        let read = |rest: &mut Map<String, Value>| {
            Some(Self {
                id: text(rest, "id"),
                object: text(rest, "object"),
                created_at: rest.shift_remove("created_at"),
                output: list(rest, "output")?,
                usage: rest.shift_remove("usage"),
                rest: std::mem::take(rest),
            })
        };
        read_with(body, "a compaction", read)
    }
}

/// Pictures: the reply to [`requests::images`](crate::requests::images).
#[derive(Debug, Clone, PartialEq)]
pub struct ImagesReply {
    /// Unix seconds.
    pub created: Value,
    /// The pictures; at least one.
    pub data: Vec<GeneratedImage>,
    /// The background that the backend chose.
    pub background: Option<String>,
    /// The format of the pictures, such as `png`.
    pub output_format: Option<String>,
    /// The quality that the backend chose.
    pub quality: Option<String>,
    /// Width and height that the backend chose.
    pub size: Option<String>,
    /// What it cost.
    pub usage: Option<Value>,
    /// Every other key.
    pub rest: Map<String, Value>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedImage {
    /// The file in base64.
    pub b64_json: String,
    /// Every other key.
    pub rest: Map<String, Value>,
}

impl ImagesReply {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// [`UnaryReplyError`]: the reply holds no picture; asking again may bring one.
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
        read_with(body, "pictures", read).and_then(|images| match images.data.is_empty() {
            true => Err(UnaryReplyError { wanted: "pictures", problem: "`data` is empty".to_owned() }),
            false => Ok(images),
        })
    }
}

impl GeneratedImage {
    fn read(picture: Value) -> Option<Self> {
        let Value::Object(mut rest) = picture else { return None };
        Some(Self { b64_json: text(&mut rest, "b64_json")?, rest })
    }
}

impl Serialize for CompactionReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, object, created_at, output, usage, rest } = self;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in [("id", id), ("object", object)] {
            value.iter().try_for_each(|value| map.serialize_entry(key, value))?;
        }
        created_at.iter().try_for_each(|value| map.serialize_entry("created_at", value))?;
        map.serialize_entry("output", output)?;
        usage.iter().try_for_each(|value| map.serialize_entry("usage", value))?;
        rest.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
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

/// A reply that is not what was asked for. The message does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the backend's reply is not {wanted}: {problem}; try again")]
pub struct UnaryReplyError {
    wanted: &'static str,
    problem: String,
}

/// Reads an object; what `read` leaves of it is the rest.
fn read_with<T>(
    body: &[u8],
    wanted: &'static str,
    read: impl FnOnce(&mut Map<String, Value>) -> Option<T>,
) -> Result<T, UnaryReplyError> {
    let problem = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut object)) => match read(&mut object) {
            Some(read) => return Ok(read),
            None => "a key is missing or has a value of the wrong type".to_owned(),
        },
        Ok(_) => "it is no object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(UnaryReplyError { wanted, problem })
}

/// Takes a text out; what is none stays.
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
    fn replies_are_kept_whole() {
        let compactions = [
            json!({"id": "resp_1", "object": "response.compaction", "created_at": 1,
                "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}],
                "usage": {"input_tokens": 1}, "new": [1]}),
            json!({"output": []}),
        ];
        for reply in compactions {
            let read = CompactionReply::parse(reply.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), reply);
        }
        let pictures = json!({"created": 1, "data": [{"b64_json": "AA==", "new": true}], "background": "opaque",
            "output_format": "png", "quality": "low", "size": "1254x1254", "usage": {"total_tokens": 1}, "new": 1});
        let read = ImagesReply::parse(pictures.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), pictures);
        assert_eq!(read.quality.as_deref(), Some("low"));
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        for body in ["", "<html>s3cret</html>", "{}", r#"{"output": "s3cret"}"#, r#"{"created": 1, "data": []}"#] {
            let problems = [
                CompactionReply::parse(body.as_bytes()).unwrap_err().to_string(),
                ImagesReply::parse(body.as_bytes()).unwrap_err().to_string(),
            ];
            for problem in problems {
                assert!(problem.contains("try again") && !problem.contains("s3cret"), "{problem}");
            }
        }
    }
}
