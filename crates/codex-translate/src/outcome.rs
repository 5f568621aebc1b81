//! What identifies a reply, whether it continues, and how it ended.

use std::fmt;

use crate::usage::Usage;

/// Whether a reply needs more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// The reply needs more events.
    Continue,
    /// The reply is complete: ignore further events and drop the backend's stream.
    Done,
}

/// The id and the time of a reply. The caller provides both, because this crate has no clock and no randomness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyId {
    /// The id, such as `chatcmpl-…`. On the Responses path it is used only if the backend sends none.
    pub id: String,
    /// When the reply was created, in seconds since the Unix epoch.
    pub created: u64,
}

/// How a reply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it ended.
    pub finish: Finish,
    /// The tokens used, if the backend reported them or this crate cut off the reply.
    pub usage: Option<Usage>,
    /// The number of items of a stream that the backend has ended with another text than it had sent. The client has
    /// the text that was sent. A whole reply has the last text, so there are none.
    pub revised: usize,
}

impl Summary {
    /// Makes the summary of a reply whose texts the backend has not revised.
    pub fn new(finish: Finish, usage: Option<Usage>) -> Self {
        Self { finish, usage, revised: 0 }
    }
}

/// Why a reply ended, as Chat Completions names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finish {
    /// The model finished, or its answer reached a stop string.
    Stop,
    /// The reply reached a token limit.
    Length,
    /// The model called tools and waits for their outputs.
    ToolCalls,
    /// The same, with legacy functions.
    FunctionCall,
    /// A filter of the backend stopped the reply.
    ContentFilter,
}

impl Finish {
    /// Returns the word on the wire.
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
