//! What a model takes, and what the caller of this crate wants of a translation.

use std::fmt;

use crate::plan::ReasoningStyle;

/// How many choices one request may ask for unless [`Options::max_choices`] says otherwise.
pub const DEFAULT_MAX_CHOICES: u32 = 8;

/// What the model catalogue knows of a model (docs/backend.md §5.2); requests are clamped to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The slug that is sent upstream; the name the caller used is echoed back from [`ReplyPlan`](crate::ReplyPlan).
    pub slug: String,
    /// The reasoning efforts of the model, in any order. Empty: not known, nothing is clamped.
    pub efforts: Vec<Effort>,
    /// Whether the model takes `text.verbosity`.
    pub verbosity: bool,
    /// The service tiers of the model by their wire names, such as `priority`.
    pub tiers: Vec<String>,
    /// Whether the model takes `reasoning.summary`.
    pub summaries: bool,
    /// Whether the model takes the Responses Lite shape (docs/backend.md §2.8).
    pub lite: bool,
}

impl Profile {
    /// The profile of a model of which nothing is known: whatever the request says is carried.
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

    /// The effort to send for `wanted`: itself, the nearest that the model has (the lower of two as near), or none at
    /// all for a word that is unknown here and to the model.
    pub(crate) fn nearest_effort(&self, wanted: &Effort) -> Option<Effort> {
        if self.efforts.is_empty() || self.efforts.contains(wanted) {
            return Some(wanted.clone());
        }
        let rank = wanted.rank()?;
        let known = self.efforts.iter().filter_map(|effort| Some((effort.rank()?, effort)));
        known.min_by_key(|(other, _)| (other.abs_diff(rank), *other)).map(|(_, effort)| effort.clone())
    }

    /// Whether the model lists the service tier `tier`.
    pub(crate) fn has_tier(&self, tier: &str) -> bool {
        self.tiers.iter().any(|listed| listed == tier)
    }
}

/// A reasoning effort. A word that is not known here is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effort {
    /// No reasoning.
    None,
    /// Less than low.
    Minimal,
    /// Little.
    Low,
    /// The usual amount.
    Medium,
    /// Much.
    High,
    /// More than high.
    XHigh,
    /// The most that the wire knows.
    Max,
    /// A word of catalogues and user interfaces; the backend refuses it, so `max` is sent (docs/backend.md §2.7).
    Ultra,
    /// A word of another time.
    Other(String),
}

impl Effort {
    /// The effort that `word` names.
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

    /// The word that the caller used.
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

    /// The word that the backend takes.
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

/// What the caller of this crate decides for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether what would be dropped is a 400 instead.
    pub strict: bool,
    /// How reasoning is shown.
    pub reasoning: ReasoningStyle,
    /// The effort of a request that names none, such as one read from the suffix of a model's name.
    pub effort: Option<Effort>,
    /// The service tier of a request that names none.
    pub service_tier: Option<String>,
    /// Whether the hosted web search is offered even if the request does not ask for it (a model's name ending in
    /// `:online`).
    pub web_search: bool,
    /// The largest `n`.
    pub max_choices: u32,
    /// Whether the program keeps the responses whose [`ReplyPlan::store`](crate::ReplyPlan::store) says so.
    pub stores: bool,
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
            stores: false,
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
