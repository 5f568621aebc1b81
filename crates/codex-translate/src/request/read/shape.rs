//! The two forms of OpenAI's request bodies. A client may send either form to either path.

use crate::request::params::{self, Parameter};
use crate::request::schema::Strict;
use crate::responses::{Conventions, HUB};

/// The form of a body, whatever path it was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Chat,
    Responses,
}

/// What is different about Chat Completions.
static CHAT: Conventions = Conventions {
    names: &[
        ("input", "messages"),
        ("max_output_tokens", "max_completion_tokens"),
        ("reasoning.effort", "reasoning_effort"),
        ("text.format", "response_format"),
        ("text.verbosity", "verbosity"),
    ],
    hoists_instructions: true,
    shows_reasoning: true,
    stores: false,
};

impl Shape {
    pub(super) fn conventions(self) -> &'static Conventions {
        match self {
            Self::Chat => &CHAT,
            Self::Responses => &HUB,
        }
    }

    pub(super) fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Chat => params::CHAT,
            Self::Responses => params::RESPONSES,
        }
    }

    /// Returns what it means that a tool has no `strict`.
    pub(super) fn absent_strict(self) -> Strict {
        match self {
            Self::Chat => Strict::Off,
            Self::Responses => Strict::IfPossible,
        }
    }
}
