//! The calls that the official client's own tools make: web search, history and notes (`docs/backend.md §2.1`).

use bytes::Bytes;
use http::HeaderMap;

use crate::error::UpstreamError;
use crate::headers;

/// A tool of the official client that the backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlphaTool {
    /// The web search that models call from code.
    Search,
    /// What was said before a conversation was compacted.
    History,
    /// What the model has written down for itself.
    Notes,
}

/// A call of an [`AlphaTool`]: a JSON object, which is sent unchanged.
///
/// ```
/// use codex_upstream::{AlphaRequest, AlphaTool};
/// use http::HeaderMap;
///
/// let search = AlphaRequest::new(AlphaTool::Search, "", &HeaderMap::new(), r#"{"id": "1", "commands": {}}"#.into())?;
/// assert_eq!(search.path(), "codex/alpha/search");
/// assert!(AlphaRequest::new(AlphaTool::Notes, "../../usage", &HeaderMap::new(), "{}".into()).is_err());
/// # Ok::<(), codex_upstream::UpstreamError>(())
/// ```
#[derive(Clone)]
pub struct AlphaRequest {
    tool: AlphaTool,
    path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl AlphaTool {
    /// Returns the tool's name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::History => "history",
            Self::Notes => "notes",
        }
    }

    /// Returns the path below the backend's base URL.
    fn path(self) -> &'static str {
        match self {
            Self::Search => "codex/alpha/search",
            Self::History => "codex/alpha/history/v2",
            Self::Notes => "codex/alpha/notes/v2",
        }
    }
}

impl AlphaRequest {
    /// The headers of a client that are sent, in the official client's order.
    pub const HEADERS: [http::HeaderName; 3] = [
        headers::X_CODEX_TURN_METADATA,
        headers::X_OPENAI_TOOL_OUTPUT_TRUNCATION_POLICY,
        headers::X_OPENAI_ENCRYPTED_TOOL_ARGUMENTS,
    ];

    /// Makes a call from a client's request. `operation` is the last part of the path, such as `read_file`, or empty.
    /// Of `headers`, only [`AlphaRequest::HEADERS`] are sent.
    ///
    /// # Errors
    /// [`UpstreamError::InvalidRequest`] if `operation` is not made of lower-case letters, digits and underscores: it
    /// must not lead to another endpoint.
    pub fn new(tool: AlphaTool, operation: &str, headers: &HeaderMap, body: Bytes) -> Result<Self, UpstreamError> {
        if !operation.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            let reason = format!("the operation of `{}` is not a word", tool.as_str());
            return Err(UpstreamError::InvalidRequest { reason });
        }
        let path = match operation {
            "" => tool.path().to_owned(),
            operation => format!("{}/{operation}", tool.path()),
        };
        let known = |name| Some((headers.get(&name)?.clone(), name));
        let headers = Self::HEADERS.into_iter().filter_map(known).map(|(value, name)| (name, value)).collect();
        Ok(Self { tool, path, headers, body })
    }

    /// Returns the path below the backend's base URL.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether the backend may receive the call twice. A note must not be appended twice.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.tool != AlphaTool::Notes
    }
}

/// Shows no content.
impl std::fmt::Debug for AlphaRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlphaRequest")
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_operation_cannot_lead_to_another_endpoint() {
        let path = |operation| {
            Some(AlphaRequest::new(AlphaTool::Notes, operation, &HeaderMap::new(), Bytes::new()).ok()?.path)
        };
        assert_eq!(path("read_file").as_deref(), Some("codex/alpha/notes/v2/read_file"));
        for operation in ["..", "a/b", "a?b", "a#b", "a%2f", "A", "a-b", "é", " "] {
            assert_eq!(path(operation), None, "{operation}");
        }
    }

    #[test]
    fn only_the_tools_own_headers_are_sent_and_no_content_is_shown() {
        let names = ["authorization", "x-openai-encrypted-tool-arguments", "cookie", "x-codex-turn-metadata"];
        let asked = names.into_iter().map(|name| (name.parse().unwrap(), HeaderValue::from_static("s3cret"))).collect();
        let request = AlphaRequest::new(AlphaTool::Notes, "read_file", &asked, Bytes::from_static(b"s3cret")).unwrap();
        let sent: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(sent, ["x-codex-turn-metadata", "x-openai-encrypted-tool-arguments"]);
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
