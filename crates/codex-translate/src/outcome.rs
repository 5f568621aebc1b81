//! What both writers say of a reply: how it goes on, and how it ended.

use std::fmt;

use crate::usage::Usage;

/// Whether a reply wants more of its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// More is to come.
    Continue,
    /// The reply is decided: what upstream sends from now on means nothing, so let it go.
    Done,
}

/// What a reply is called. Ids and times are the caller's: this crate has neither clock nor chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyId {
    /// The id, such as `chatcmpl-…`. On the Responses path it stands in only where upstream gave none.
    pub id: String,
    /// When the reply was made, in seconds since 1970.
    pub created: u64,
}

/// How a reply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it ended.
    pub finish: Finish,
    /// What it cost, if the backend said so or this side has cut it.
    pub usage: Option<Usage>,
}

/// Why a reply ended, in the words of Chat Completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finish {
    /// The model was done, or came to a stop string.
    Stop,
    /// A limit of tokens was reached.
    Length,
    /// The model waits for the outputs of its tool calls.
    ToolCalls,
    /// The same in the legacy dialect.
    FunctionCall,
    /// A filter of the backend took over.
    ContentFilter,
}

impl Finish {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::FunctionCall => "function_call",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
