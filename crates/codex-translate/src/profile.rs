//! What a model supports, and what the caller of this crate chooses for a translation.

use std::fmt;

use crate::paths::ItemOrigin;
use crate::plan::{KeepaliveStyle, ReasoningStyle};

/// The default of [`Options::max_choices`].
pub const DEFAULT_MAX_CHOICES: u32 = 8;

/// What the model catalogue says about a model (docs/backend.md §5.2). Requests are clamped to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The slug that is sent to the backend. Replies repeat the caller's name for the model, from
    /// [`ReplyPlan::model`](crate::ReplyPlan::model).
    pub slug: String,
    /// The reasoning efforts of the model, in any order. If empty, they are unknown and nothing is clamped.
    pub efforts: Vec<Effort>,
    /// Whether the model supports `text.verbosity`.
    pub verbosity: bool,
    /// The wire names of the model's service tiers, such as `priority`.
    pub tiers: Vec<String>,
    /// Whether the model supports `reasoning.summary`.
    pub summaries: bool,
    /// Whether the model accepts the Responses Lite shape (docs/backend.md §2.8).
    pub lite: bool,
}

impl Profile {
    /// Makes the profile of an unknown model, which forwards every setting of a request.
    pub fn permissive(slug: impl Into<String>) -> Self {
        Self {
            slug: slug.into(),
            efforts: Vec::new(),
            verbosity: true,
            tiers: vec!["priority".to_owned()],
            summaries: true,
            lite: false,
        }
    }

    /// Returns the effort to send for `wanted`: the same, or the nearest of the model (of two, the lower one); `None`
    /// if neither this crate nor the model knows the word.
    pub(crate) fn nearest_effort(&self, wanted: &Effort) -> Option<Effort> {
        if self.efforts.is_empty() || self.efforts.contains(wanted) {
            return Some(wanted.clone());
        }
        let rank = wanted.rank()?;
        let known = self.efforts.iter().filter_map(|effort| Some((effort.rank()?, effort)));
        known.min_by_key(|(other, _)| (other.abs_diff(rank), *other)).map(|(_, effort)| effort.clone())
    }

    /// Returns whether the model lists the service tier `tier`.
    pub(crate) fn has_tier(&self, tier: &str) -> bool {
        self.tiers.iter().any(|listed| listed == tier)
    }
}

/// A reasoning effort.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effort {
    /// No reasoning.
    None,
    /// Less than `low`.
    Minimal,
    /// Little reasoning.
    Low,
    /// A moderate amount.
    Medium,
    /// Much reasoning.
    High,
    /// More than `high`.
    XHigh,
    /// The most that the backend accepts.
    Max,
    /// A word that catalogues and user interfaces use. The backend rejects it, so `max` is sent (docs/backend.md §2.7).
    Ultra,
    /// A word that this crate does not know.
    Other(String),
}

impl Effort {
    /// Returns the effort that `word` names.
    pub fn from_word(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            "ultra" => Self::Ultra,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the word that the caller used.
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
            Self::Ultra => "ultra",
            Self::Other(word) => word,
        }
    }

    /// Returns the word that the backend accepts.
    pub fn wire(&self) -> &str {
        match self {
            Self::Ultra => "max",
            Self::None
            | Self::Minimal
            | Self::Low
            | Self::Medium
            | Self::High
            | Self::XHigh
            | Self::Max
            | Self::Other(_) => self.as_str(),
        }
    }

    fn rank(&self) -> Option<u8> {
        Some(match self {
            Self::None => 0,
            Self::Minimal => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::XHigh => 5,
            Self::Max => 6,
            Self::Ultra => 7,
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who sent a request, as far as its headers tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// Any client. The Codex CLI is still recognised by the members that only it writes on its items, which not all of
    /// its requests have.
    #[default]
    Unknown,
    /// The Codex CLI, by its `originator` or user agent (docs/backend.md §2.2). The items and tools of its Responses
    /// requests are what the backend expects, and are not changed.
    CodexCli,
}

/// Where the body of a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyOrigin<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// Where each item of `input` comes from, if an embedder has completed it; otherwise all are the caller's.
    pub items: Option<&'a [ItemOrigin]>,
    /// Whether the embedder has left out items that the conversation before them has, which a notice then says.
    pub has_repeats: bool,
}

impl From<Sender> for BodyOrigin<'_> {
    fn from(sender: Sender) -> Self {
        Self { sender, ..Self::default() }
    }
}

/// The choices of this crate's caller for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether a parameter that would be dropped is an error with status 400 instead.
    pub strict: bool,
    /// How reasoning is shown.
    pub reasoning: ReasoningStyle,
    /// The effort for requests without one, for example from the suffix of a model's name.
    pub effort: Option<Effort>,
    /// The service tier for requests without one.
    pub service_tier: Option<String>,
    /// Whether to add the hosted web search (for a model's name ending in `:online`).
    pub web_search: bool,
    /// The largest allowed `n`.
    pub max_choices: u32,
    /// Whether the embedder stores the response if [`ReplyPlan::store`](crate::ReplyPlan::store) is set.
    pub storage: Storage,
    /// How the client learns that the turn is alive.
    pub keepalive: KeepaliveStyle,
}

/// Whether the caller of this crate stores a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// It stores none.
    #[default]
    Never,
    /// It does if the stored form has at most this many bytes.
    UpTo(usize),
    /// It stores responses but not this one, for the reason given: a phrase for a notice.
    Refused(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strict: false,
            reasoning: ReasoningStyle::default(),
            effort: None,
            service_tier: None,
            web_search: false,
            max_choices: DEFAULT_MAX_CHOICES,
            storage: Storage::default(),
            keepalive: KeepaliveStyle::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_are_clamped_to_the_nearest() {
        let mut profile = Profile::permissive("m");
        assert_eq!(profile.nearest_effort(&Effort::Minimal), Some(Effort::Minimal));
        profile.efforts = ["low", "medium", "high", "xhigh"].map(Effort::from_word).into();
        for (wanted, sent) in [
            ("none", Some("low")),
            ("minimal", Some("low")),
            ("high", Some("high")),
            ("max", Some("xhigh")),
            ("ultra", Some("xhigh")),
            ("turbo", None),
        ] {
            let nearest = profile.nearest_effort(&Effort::from_word(wanted));
            assert_eq!(nearest.as_ref().map(Effort::wire), sent, "{wanted}");
        }
        profile.efforts = vec![Effort::Low, Effort::High];
        assert_eq!(profile.nearest_effort(&Effort::Medium), Some(Effort::Low));
        profile.efforts.push(Effort::Ultra);
        assert_eq!(profile.nearest_effort(&Effort::Ultra).as_ref().map(Effort::wire), Some("max"));
    }
}
