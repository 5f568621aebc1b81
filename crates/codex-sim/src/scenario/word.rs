//! The words of a scenario and their syntax.

/// Why a scenario is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// There is no such word: see [`Scenario`](super::Scenario) for the list.
    #[error("unknown scenario word `{0}`; the documentation of codex_sim::Scenario lists them")]
    Unknown(String),
    /// The word's argument is missing or invalid.
    #[error("scenario word `{word}` needs {needs}")]
    Argument {
        /// The word.
        word: String,
        /// What it needs.
        needs: &'static str,
    },
    /// A `[sim:` has no closing `]`.
    #[error("scenario `[sim:{0}` has no closing `]`")]
    Unclosed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(super) name: String,
    pub(super) argument: Option<String>,
    pub(crate) once: bool,
}

impl Word {
    pub(super) fn parse(text: &str) -> Self {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.to_owned())),
            None => (text.trim(), None),
        };
        let (name, once) = name.strip_suffix("-once").map_or((name, false), |name| (name, true));
        Self { name: name.to_owned(), argument, once }
    }

    pub(crate) fn to_text(&self) -> String {
        let once = if self.once { "-once" } else { "" };
        let argument = self.argument.as_ref().map_or_else(String::new, |argument| format!("={argument}"));
        format!("{PREFIX}{}{once}{argument}]", self.name)
    }

    pub(super) fn text(&self, needs: &'static str) -> Result<String, ScenarioError> {
        let given = self.argument.clone().filter(|argument| !argument.is_empty());
        given.ok_or_else(|| self.bad_argument(needs))
    }

    pub(super) fn number(&self, most: usize, needs: &'static str) -> Result<usize, ScenarioError> {
        let given = self.argument.as_ref().and_then(|argument| argument.parse().ok());
        given.filter(|number| (1..=most).contains(number)).ok_or_else(|| self.bad_argument(needs))
    }

    pub(super) fn no_argument(&self) -> Result<(), ScenarioError> {
        if self.argument.is_none() { Ok(()) } else { Err(self.bad_argument("no argument")) }
    }

    pub(super) fn bad_argument(&self, needs: &'static str) -> ScenarioError {
        ScenarioError::Argument { word: self.name.clone(), needs }
    }
}

/// Removes the bracketed words from a text that is to be echoed.
pub(crate) fn without_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        out.push_str(&rest[..at]);
        let after = &rest[at + PREFIX.len()..];
        rest = find_closing(after).map_or("", |end| &after[end + 1..]);
    }
    out.push_str(rest);
    out.trim().to_owned()
}

pub(super) const PREFIX: &str = "[sim:";

pub(super) fn parse_bracketed(text: &str) -> Result<Vec<Word>, ScenarioError> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let after = &rest[at + PREFIX.len()..];
        let unclosed = || ScenarioError::Unclosed(after.chars().take(20).collect());
        let end = find_closing(after).ok_or_else(unclosed)?;
        words.push(Word::parse(&after[..end]));
        rest = &after[end + 1..];
    }
    Ok(words)
}

/// Returns where the bracket that was opened before `text` closes. Brackets inside, as in a JSON argument, must be
/// balanced.
fn find_closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 0 => return Some(at),
            b']' => depth -= 1,
            _ => {}
        }
    }
    None
}
