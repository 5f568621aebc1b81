//! What an endpoint needs to know of a request in addition to its body.

use codex_client::{Caller, TurnContext};
use codex_translate::{Error, KeepaliveStyle, Options, ReasoningStyle, Sender};
use codex_upstream::ModelAliases;
use http::HeaderMap;

use crate::request::official_client::is_official_client;
use crate::telemetry::record::RequestRecord;

/// What an endpoint needs to know of a request in addition to its body.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The record of the request.
    pub(crate) record: RequestRecord,
    /// The caller.
    pub(crate) caller: Caller,
    /// The options that the request's headers select.
    pub(crate) options: Options,
    /// Whether the official client sent it.
    pub(crate) sender: Sender,
}

impl RequestContext {
    /// Reads the headers of a request of `caller`.
    ///
    /// # Errors
    /// One of the program's own headers has an invalid value (400).
    pub(crate) fn read(headers: &HeaderMap, caller: Caller, record: &RequestRecord) -> Result<Self, Error> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let reasoning = match text("x-codex-proxy-reasoning") {
            None => ReasoningStyle::default(),
            Some(word) => reasoning_style(word)?,
        };
        let strict = is_strict(headers)?;
        let (sender, keepalive) = match is_official_client(headers) {
            true => (Sender::CodexCli, KeepaliveStyle::Event),
            false => (Sender::Unknown, KeepaliveStyle::Comment),
        };
        Ok(Self {
            record: record.clone(),
            caller: Caller {
                session: ["session-id", "session_id", "thread-id", "conversation_id", "x-session-id"]
                    .into_iter()
                    .find_map(text)
                    .filter(|session| !session.is_empty())
                    .map(str::to_owned),
                ..caller
            },
            options: Options { strict, reasoning, keepalive, ..Options::default() },
            sender,
        })
    }

    /// Returns what a turn for the request depends on in addition to its body.
    pub(crate) fn turn<'a>(&'a self, options: &'a Options, aliases: &'a ModelAliases) -> TurnContext<'a> {
        TurnContext { caller: Some(&self.caller), options, aliases }
    }
}

/// Returns whether the caller wants an error instead of anything dropped.
///
/// # Errors
/// The header has another value (400).
pub(crate) fn is_strict(headers: &HeaderMap) -> Result<bool, Error> {
    const NAME: &str = "x-codex-proxy-strict";
    match headers.get(NAME).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"false" | b"0") => Ok(false),
        Some(b"true" | b"1") => Ok(true),
        Some(_) => Err(Error::invalid(NAME, format!("invalid value for header {NAME}: expected `true` or `false`"))),
    }
}

fn reasoning_style(word: &str) -> Result<ReasoningStyle, Error> {
    match word {
        "reasoning_content" => Ok(ReasoningStyle::ReasoningContent),
        "reasoning" => Ok(ReasoningStyle::Reasoning),
        "think" => Ok(ReasoningStyle::Think),
        "none" => Ok(ReasoningStyle::None),
        _ => Err(Error::invalid(
            "x-codex-proxy-reasoning",
            "invalid value for header x-codex-proxy-reasoning: expected `reasoning_content`, `reasoning`, `think` or `none`",
        )),
    }
}
