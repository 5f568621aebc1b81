//! The words of a scenario, and how they are written in a text.

/// Why a scenario was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// No such word: see [`Scenario`] for the list.
    #[error("unknown scenario {0}; see the documentation of codex_sim::Scenario for the list")]
    Unknown(String),
    /// The word's argument is missing or not of its kind.
    #[error("scenario {word} needs {needs}")]
    Argument {
        /// The word.
        word: String,
        /// What it needs.
        needs: &'static str,
    },
    /// `[sim:` without its `]`.
    #[error("scenario [sim:{0} is not closed by ]")]
    Unclosed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(super) name: String,
    pub(super) argument: Option<String>,
    pub(crate) once: bool,
}

impl Word {
    pub(super) fn read(text: &str) -> Self {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.to_owned())),
            None => (text.trim(), None),
        };
        let (name, once) = name.strip_suffix("-once").map_or((name, false), |name| (name, true));
        Self { name: name.to_owned(), argument, once }
    }

    pub(crate) fn written(&self) -> String {
        let once = if self.once { "-once" } else { "" };
        let argument = self.argument.as_ref().map_or_else(String::new, |argument| format!("={argument}"));
        format!("{OPENING}{}{once}{argument}]", self.name)
    }

    pub(super) fn text(&self, needs: &'static str) -> Result<String, ScenarioError> {
        let given = self.argument.clone().filter(|argument| !argument.is_empty());
        given.ok_or_else(|| self.wrong(needs))
    }

    pub(super) fn number(&self, most: usize, needs: &'static str) -> Result<usize, ScenarioError> {
        let given = self.argument.as_ref().and_then(|argument| argument.parse().ok());
        given.filter(|number| (1..=most).contains(number)).ok_or_else(|| self.wrong(needs))
    }

    pub(super) fn bare(&self) -> Result<(), ScenarioError> {
        if self.argument.is_none() { Ok(()) } else { Err(self.wrong("no argument")) }
    }

    pub(super) fn wrong(&self, needs: &'static str) -> ScenarioError {
        ScenarioError::Argument { word: self.name.clone(), needs }
    }
}

/// Takes the bracketed words out of a text, for what is to be echoed.
pub(crate) fn without_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        out.push_str(&rest[..at]);
        let after = &rest[at + OPENING.len()..];
        rest = closing(after).map_or("", |end| &after[end + 1..]);
    }
    out.push_str(rest);
    out.trim().to_owned()
}

pub(super) const OPENING: &str = "[sim:";

pub(super) fn bracketed(text: &str) -> Result<Vec<Word>, ScenarioError> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        let after = &rest[at + OPENING.len()..];
        let unclosed = || ScenarioError::Unclosed(after.chars().take(20).collect());
        let end = closing(after).ok_or_else(unclosed)?;
        words.push(Word::read(&after[..end]));
        rest = &after[end + 1..];
    }
    Ok(words)
}

/// Where the bracket opened before `text` closes; brackets inside, as in a JSON argument, must pair.
fn closing(text: &str) -> Option<usize> {
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
