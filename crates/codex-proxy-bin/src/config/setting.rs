//! The description of a setting.

use url::Url;

use crate::config::values::Values;

/// One setting, described in one place. The rows are in `table.rs`.
pub struct Setting {
    /// The name, which is also the key in the file.
    pub name: &'static str,
    /// The long flag of the commands that accept it, such as `--port`.
    pub flag: Option<&'static str>,
    /// The environment variables; the first one that is set wins.
    pub env: &'static [&'static str],
    /// Whether it may appear in the file.
    pub in_file: bool,
    /// How it may be written in the file, in addition to plain text.
    pub shape: ValueShape,
    /// The values it accepts, for the documentation and for errors: "a port". Empty if there are `choices`.
    pub accepts: &'static str,
    /// The words it accepts, if it accepts no others; for the documentation and shell completion.
    pub choices: &'static [&'static str],
    /// The default, written as a user would; empty if there is none.
    pub default: &'static str,
    /// The default in words, as Markdown, if it depends on the command; otherwise empty.
    pub default_in_words: &'static str,
    /// How much of its value may be shown.
    pub redaction: Redaction,
    /// Whether SIGHUP reloads it.
    pub reloads: bool,
    /// A sentence or two for the documentation.
    pub about: &'static str,
    /// Parses a value, which is never empty, into the configuration; the error says what is wrong with it.
    pub(super) set: fn(&mut Values, &str) -> Result<(), String>,
}

/// How a value may be written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueShape {
    /// A string, a number, `true` or `false`.
    One,
    /// A path, which may start with `~/`.
    Path,
    /// Also an array of these; elsewhere the items are separated by commas.
    List,
    /// Also a table of these; elsewhere `key=value` pairs separated by commas.
    Table,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// All of it.
    None,
    /// A URL without its password.
    Password,
    /// Only whether it is set.
    All,
}

/// The defaults of a row.
pub(super) const EMPTY: Setting = Setting {
    name: "",
    flag: None,
    env: &[],
    in_file: true,
    shape: ValueShape::One,
    accepts: "",
    choices: &[],
    default: "",
    default_in_words: "",
    redaction: Redaction::None,
    reloads: false,
    about: "",
    set: |_, _| Ok(()),
};

impl Setting {
    /// Parses a value into `values`; an empty one changes nothing. The error says what is wrong with it.
    pub(super) fn apply(&self, values: &mut Values, text: &str) -> Result<(), String> {
        if text.is_empty() { Ok(()) } else { (self.set)(values, text) }
    }

    /// Returns the values it accepts, in words.
    pub fn accepts(&self) -> String {
        let quoted: Vec<_> = self.choices.iter().map(|choice| format!("`{choice}`")).collect();
        match quoted.split_last() {
            None => self.accepts.to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

/// Replaces the password in a URL. Text that may contain one but cannot be parsed is hidden entirely.
pub(super) fn without_password(text: &str) -> String {
    const HIDDEN: &str = "(set)";
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.to_string(),
            Err(()) => HIDDEN.to_owned(),
        },
        Ok(url) if url.has_host() => text.to_owned(),
        _ if text.contains('@') => HIDDEN.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_not_shown() {
        assert_eq!(without_password("http://ada:secret@proxy.example:3128"), "http://ada:***@proxy.example:3128/");
        assert_eq!(without_password("http://proxy.example:3128"), "http://proxy.example:3128");
        assert_eq!(without_password("ada:secret@proxy.example"), "(set)");
        assert_eq!(without_password("proxy.example:3128"), "proxy.example:3128");
    }
}
