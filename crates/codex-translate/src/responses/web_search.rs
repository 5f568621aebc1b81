//! The hosted web search, as an embedder shows it to its user (docs/backend.md §3.4).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{Text, list, members_of, word};

/// The types of the events of a web search, without its state.
const PROGRESS: &str = "response.web_search_call.";

/// What one event says about a web search: see [`Event::web_search`](super::Event::web_search).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebSearch<'a> {
    /// The search's place in the output.
    pub output_index: u64,
    /// The id of the search's item; empty if the event has none.
    pub item_id: Cow<'a, str>,
    /// How far the search is.
    pub status: WebSearchStatus<'a>,
    /// What is searched. The backend sends it with the last event of a search only.
    pub action: Option<WebSearchAction<'a>>,
}

/// How far a web search is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSearchStatus<'a> {
    /// `in_progress`: it has begun.
    InProgress,
    /// `searching`
    Searching,
    /// `completed`
    Completed,
    /// `failed`
    Failed,
    /// Another state, as it was written; empty if there is none.
    Other(Cow<'a, str>),
}

/// What the model does with the web.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WebSearchAction<'a> {
    /// `search`
    Search {
        /// The query.
        query: Text<'a>,
        /// All queries, if there are several; usually only the one above.
        queries: Vec<Text<'a>>,
    },
    /// `open_page`
    OpenPage {
        /// The page's URL.
        url: Text<'a>,
    },
    /// `find_in_page`
    FindInPage {
        /// The page's URL.
        url: Text<'a>,
        /// The text to find.
        pattern: Text<'a>,
    },
    /// Another action, as it was written.
    Other(&'a RawValue),
}

impl<'a> WebSearch<'a> {
    /// Returns the query, if the event has one.
    pub fn query(&self) -> Option<Text<'a>> {
        match self.action {
            Some(WebSearchAction::Search { query, .. }) => Some(query),
            Some(WebSearchAction::OpenPage { .. } | WebSearchAction::FindInPage { .. } | WebSearchAction::Other(_))
            | None => None,
        }
    }
}

impl<'a> WebSearchStatus<'a> {
    /// Returns the state that `word` names.
    pub fn from_word(word: Cow<'a, str>) -> Self {
        match &*word {
            "in_progress" => Self::InProgress,
            "searching" => Self::Searching,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            _ => Self::Other(word),
        }
    }

    /// Returns the word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InProgress => "in_progress",
            Self::Searching => "searching",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }

    /// Returns the state that an event of the type `kind` reports, if that is about a web search.
    pub(super) fn of_event(kind: &Cow<'a, str>) -> Option<Self> {
        let word = match kind {
            Cow::Borrowed(kind) => Cow::Borrowed(kind.strip_prefix(PROGRESS)?),
            Cow::Owned(kind) => Cow::Owned(kind.strip_prefix(PROGRESS)?.to_owned()),
        };
        Some(Self::from_word(word))
    }
}

impl<'a> WebSearchAction<'a> {
    /// Reads an action. One of an unknown form is not an error, because no reply depends on it.
    pub(super) fn read(raw: &'a RawValue) -> Self {
        Self::read_known(raw).unwrap_or(Self::Other(raw))
    }

    fn read_known(raw: &'a RawValue) -> Option<Self> {
        let [kind, query, queries, url, pattern] =
            members_of(raw, ["type", "query", "queries", "url", "pattern"]).ok()?;
        let text = |raw: Option<&'a RawValue>| Text::of(raw?).ok();
        Some(match &*word(kind)? {
            "search" => {
                let queries: Vec<_> = list(queries).ok()?.into_iter().map(Text::of).collect::<Result<_, _>>().ok()?;
                Self::Search { query: text(query).or_else(|| queries.first().copied())?, queries }
            }
            "open_page" => Self::OpenPage { url: text(url)? },
            "find_in_page" => Self::FindInPage { url: text(url)?, pattern: text(pattern)? },
            _ => return None,
        })
    }
}
