//! The replies that come whole: a compacted conversation, and pictures (wire.md §2.1). What is read of them has a type; the rest
//! is kept as it came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A conversation made short: the reply to [`requests::compaction`](crate::requests::compaction).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Compaction {
    /// The response's id; older replies have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `response.compaction`; older replies do not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Value>,
    /// The items that stand for the conversation, one of the type `compaction` among them: the input of the next turn.
    pub output: Vec<Value>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// Every other key.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Compaction {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// [`WholeError`]: the reply is not a compaction; asking again may bring one.
    pub fn parse(body: &[u8]) -> Result<Self, WholeError> {
        read(body, "a compaction")
    }
}

/// Pictures: the reply to [`requests::images`](crate::requests::images).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Images {
    /// Unix seconds.
    pub created: Value,
    /// The pictures; at least one.
    pub data: Vec<Picture>,
    /// The background that the backend chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// The format of the pictures, such as `png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// The quality that the backend chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Width and height that the backend chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// Every other key.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Picture {
    /// The file in base64.
    pub b64_json: String,
    /// Every other key.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Images {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// [`WholeError`]: the reply holds no picture; asking again may bring one.
    pub fn parse(body: &[u8]) -> Result<Self, WholeError> {
        let images: Self = read(body, "pictures")?;
        if images.data.is_empty() {
            return Err(WholeError { wanted: "pictures", problem: "`data` is empty".to_owned() });
        }
        Ok(images)
    }
}

/// A reply that is not what was asked for. The message does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the backend's reply is not {wanted}: {problem}; try again")]
pub struct WholeError {
    wanted: &'static str,
    problem: String,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], wanted: &'static str) -> Result<T, WholeError> {
    serde_json::from_slice(body).map_err(|error| {
        // serde's words for a wrong type quote the value.
        let problem = if error.is_data() {
            "a key is missing or has a value of the wrong type".to_owned()
        } else {
            error.to_string()
        };
        WholeError { wanted, problem }
    })
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
            let read = Compaction::parse(reply.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), reply);
        }
        let pictures = json!({"created": 1, "data": [{"b64_json": "AA==", "new": true}], "background": "opaque",
            "output_format": "png", "quality": "low", "size": "1254x1254", "usage": {"total_tokens": 1}, "new": 1});
        let read = Images::parse(pictures.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), pictures);
        assert_eq!(read.quality.as_deref(), Some("low"));
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        for body in ["", "<html>s3cret</html>", "{}", r#"{"output": "s3cret"}"#, r#"{"created": 1, "data": []}"#] {
            let problems = [
                Compaction::parse(body.as_bytes()).unwrap_err().to_string(),
                Images::parse(body.as_bytes()).unwrap_err().to_string(),
            ];
            for problem in problems {
                assert!(problem.contains("try again") && !problem.contains("s3cret"), "{problem}");
            }
        }
    }
}
