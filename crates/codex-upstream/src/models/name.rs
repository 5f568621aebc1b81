//! Resolves the names by which clients ask for models: they decorate, abbreviate and guess them.
//!
//! A slug of the catalogue always means that model, whatever other rule applies. Other names are taken apart: a
//! provider before a slash, [`ModelAliases`], settings after the name, and small models that this account does not have
//! (`docs/features.md` U7). A name that is still unknown is sent to the backend as it is.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::models::catalogue::Catalogue;

/// Words in the names of other vendors' small models, which clients use on their own for titles and summaries.
const SMALL_WORDS: [&str; 4] = ["mini", "nano", "haiku", "flash"];

/// Words in the names of the backend's own small models, smallest first (`docs/backend.md §5.4`).
const OWN_SMALL_WORDS: [&str; 3] = ["nano", "luna", "mini"];

/// The effort of a model that replaces a small one, which would not reason much either.
const SMALL_EFFORT: &str = "low";

/// The tier that user interfaces call fast (`docs/backend.md §2.5`).
const FAST_TIER: &str = "priority";

/// Settings that also end slugs, such as `gpt-5.1-codex-max`.
const ENDS_OF_SLUGS: [&str; 2] = ["max", "ultra"];

/// The model that a name means, and the settings in the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelChoice {
    /// The slug for requests.
    pub slug: String,
    /// The reasoning effort, as in `gpt-5.5-high`.
    pub effort: Option<String>,
    /// The service tier, as in `gpt-5.5-fast`.
    pub tier: Option<String>,
    /// Whether web search is offered to the model, as in `gpt-5.5:online`.
    pub web_search: bool,
    /// Whether the model replaces a small one that the account does not have.
    pub is_substitute: bool,
}

/// User-defined names of models: each stands for a name that [`Catalogue::resolve`] understands.
///
/// An alias cannot stand for another alias.
///
/// ```
/// use codex_upstream::{Catalogue, ModelAliases};
///
/// let aliases: ModelAliases = "work=gpt-5.5-high, quick=gpt-5.5-low".parse()?;
/// let choice = Catalogue::built_in().resolve("work", &aliases);
/// assert_eq!((&*choice.slug, choice.effort.as_deref()), ("gpt-5.5", Some("high")));
/// # Ok::<(), codex_upstream::ParseAliasError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelAliases(BTreeMap<String, String>);

/// Text that is not a list of aliases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not an alias: expected `alias=model`, separated by commas, each alias once")]
pub struct ParseAliasError {
    /// The invalid entry.
    pub entry: String,
}

impl FromStr for ModelAliases {
    type Err = ParseAliasError;

    /// Parses `alias=model,other=gpt-5.5-high`. White space and empty entries are ignored.
    fn from_str(text: &str) -> Result<Self, ParseAliasError> {
        let mut aliases = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let unusable = || ParseAliasError { entry: entry.to_owned() };
            let (alias, model) = entry.split_once('=').ok_or_else(unusable)?;
            let (alias, model) = (alias.trim(), model.trim());
            let is_taken = aliases.insert(alias.to_owned(), model.to_owned()).is_some();
            if alias.is_empty() || model.is_empty() || is_taken {
                return Err(unusable());
            }
        }
        Ok(Self(aliases))
    }
}

impl ModelAliases {
    /// Returns the aliases and the names that they stand for, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(alias, model)| (alias.as_str(), model.as_str()))
    }
}

impl Catalogue {
    /// Returns the model that a client means by `name`.
    ///
    /// Of several settings of one kind the last in the name counts; a setting in the name overrides one in an alias.
    #[must_use]
    pub fn resolve(&self, name: &str, aliases: &ModelAliases) -> ModelChoice {
        let mut choice = ModelChoice::default();
        if let Some(model) = self.resolve_into(name.trim(), aliases, &mut choice) {
            self.resolve_into(model, &ModelAliases::default(), &mut choice);
        }
        choice
    }

    /// Takes `name` apart into `choice`. Returns `None` once the slug is decided, or the name that an alias stands for.
    fn resolve_into<'a>(&self, name: &'a str, aliases: &'a ModelAliases, choice: &mut ModelChoice) -> Option<&'a str> {
        let mut rest = name;
        loop {
            if self.find(rest).is_some() {
                break;
            }
            if let Some(model) = aliases.0.get(rest) {
                return Some(model);
            }
            if let Some(slug) = self.slug(rest) {
                slug.clone_into(&mut choice.slug);
                return None;
            }
            // Slugs contain neither colons nor slashes, so these always separate a setting or a provider.
            if let Some((shorter, setting)) = rest.rsplit_once(':')
                && !shorter.is_empty()
                && choice.take(setting)
            {
                rest = shorter;
            } else if let Some((_, shorter)) = rest.split_once('/').filter(|(_, shorter)| !shorter.is_empty()) {
                rest = shorter;
            } else {
                return self.resolve_dashed(rest, aliases, choice);
            }
        }
        rest.clone_into(&mut choice.slug);
        None
    }

    /// Resolves a name with settings after dashes. Where the rest is a known name, that decides which parts are
    /// settings: slugs contain dashes, too.
    fn resolve_dashed<'a>(
        &self,
        name: &'a str,
        aliases: &'a ModelAliases,
        choice: &mut ModelChoice,
    ) -> Option<&'a str> {
        let (mut rest, mut dashed) = (name, choice.clone());
        while let Some((shorter, setting)) = rest.rsplit_once('-')
            && dashed.take(setting)
        {
            rest = shorter;
            let (alias, slug) = (aliases.0.get(rest), self.slug(rest));
            if alias.is_some() || slug.is_some() {
                *choice = dashed;
                slug.unwrap_or(rest).clone_into(&mut choice.slug);
                return alias.map(String::as_str);
            }
        }
        match self.smallest().filter(|_| is_small(rest)) {
            Some(slug) => {
                *choice = dashed;
                slug.clone_into(&mut choice.slug);
                choice.effort.get_or_insert_with(|| SMALL_EFFORT.to_owned());
                choice.is_substitute = true;
            }
            None => without_settings(name, choice).clone_into(&mut choice.slug),
        }
        None
    }

    /// Returns the slug of this name, whatever its case.
    fn slug(&self, name: &str) -> Option<&str> {
        let slugs = || self.models().iter().map(|model| model.slug.as_str());
        slugs().find(|slug| *slug == name).or_else(|| slugs().find(|slug| slug.eq_ignore_ascii_case(name)))
    }

    /// Returns the listed model that is probably the smallest, by its name: nothing else in a catalogue indicates size.
    /// If no name does, it is the first model.
    fn smallest(&self) -> Option<&str> {
        let slugs = || self.listed().map(|model| model.slug.as_str());
        let called = |word: &&'static str| slugs().find(|slug| has_word(slug, word));
        OWN_SMALL_WORDS.iter().find_map(called).or_else(|| slugs().next())
    }
}

impl ModelChoice {
    /// Applies a setting, unless one of its kind is already set. Returns whether the text is a setting.
    fn take(&mut self, setting: &str) -> bool {
        let setting = setting.to_ascii_lowercase();
        match setting.as_str() {
            "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max" | "ultra" => {
                self.effort.get_or_insert(setting);
            }
            "fast" => {
                self.tier.get_or_insert_with(|| FAST_TIER.to_owned());
            }
            "online" => self.web_search = true,
            _ => return false,
        }
        true
    }
}

/// Takes settings off the name of a model that the catalogue does not have, as a newer model than the built-in list has
/// (`docs/backend.md §5.4`). The names of other vendors' models stay whole: `mistral-medium` is one.
fn without_settings<'a>(name: &'a str, choice: &mut ModelChoice) -> &'a str {
    let mut rest = name;
    while let Some((shorter, setting)) = rest.rsplit_once('-')
        && is_numbered_gpt(shorter)
        && !ENDS_OF_SLUGS.iter().any(|end| setting.eq_ignore_ascii_case(end))
        && choice.take(setting)
    {
        rest = shorter;
    }
    rest
}

fn is_numbered_gpt(name: &str) -> bool {
    name.strip_prefix("gpt-").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_small(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("gpt-3.5-turbo") || SMALL_WORDS.iter().any(|word| has_word(&name, word))
}

fn has_word(name: &str, word: &str) -> bool {
    name.split(['-', '_', '.', '@']).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let list = br#"{"models": [
            {"slug": "gpt-6.1-sol", "priority": 1},
            {"slug": "gpt-6-luna", "priority": 4},
            {"slug": "gpt-5.6-luna", "priority": 9},
            {"slug": "gpt-5.1-codex", "priority": 20},
            {"slug": "gpt-5.1-codex-max", "priority": 21},
            {"slug": "gpt-7-nano", "priority": 22, "visibility": "hide"}
        ]}"#;
        Catalogue::parse(list).unwrap()
    }

    /// Formats a choice as one line: slug, effort, tier, and the flags that are set.
    fn told(name: &str, aliases: &str) -> String {
        let choice = catalogue().resolve(name, &aliases.parse().unwrap());
        let flag = |is_set: bool, word: &str| is_set.then(|| word.to_owned());
        let parts = [
            Some(choice.slug),
            choice.effort,
            choice.tier,
            flag(choice.web_search, "search"),
            flag(choice.is_substitute, "small"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_model_of_the_catalogue_takes_precedence_over_every_rule() {
        for name in ["gpt-6.1-sol", "gpt-5.1-codex-max", "gpt-7-nano", " gpt-6-luna "] {
            assert_eq!(told(name, "gpt-6.1-sol=gpt-6-luna"), name.trim(), "{name}");
        }
    }

    #[test]
    fn providers_and_settings_come_off() {
        let rows = [
            ("openai/gpt-6.1-sol", "gpt-6.1-sol"),
            ("openrouter/openai/gpt-6.1-sol", "gpt-6.1-sol"),
            ("codex/gpt-5.1-codex-max", "gpt-5.1-codex-max"),
            ("gpt-6.1-sol-high", "gpt-6.1-sol high"),
            ("gpt-6.1-sol:high", "gpt-6.1-sol high"),
            ("gpt-6.1-sol-HIGH", "gpt-6.1-sol high"),
            ("GPT-6.1-SOL", "gpt-6.1-sol"),
            ("GPT-6.1-SOL-HIGH", "gpt-6.1-sol high"),
            ("OpenAI/Gpt-5.1-Codex-Max:Fast", "gpt-5.1-codex-max priority"),
            ("gpt-6.1-sol-none", "gpt-6.1-sol none"),
            ("gpt-6.1-sol-minimal", "gpt-6.1-sol minimal"),
            ("gpt-6.1-sol-xhigh", "gpt-6.1-sol xhigh"),
            ("gpt-6.1-sol-ultra", "gpt-6.1-sol ultra"),
            ("gpt-5.1-codex-max-max", "gpt-5.1-codex-max max"),
            ("gpt-6.1-sol-fast", "gpt-6.1-sol priority"),
            ("gpt-6.1-sol-high-fast", "gpt-6.1-sol high priority"),
            ("gpt-6.1-sol-fast-low", "gpt-6.1-sol low priority"),
            ("gpt-6.1-sol:online", "gpt-6.1-sol search"),
            ("openai/gpt-6.1-sol-fast:high:online", "gpt-6.1-sol high priority search"),
            ("gpt-6.1-sol-low:high", "gpt-6.1-sol high"),
        ];
        for (name, expected) in rows {
            assert_eq!(told(name, ""), expected, "{name}");
        }
    }

    #[test]
    fn small_models_of_others_become_the_smallest_listed_one() {
        for name in [
            "gpt-4o-mini",
            "gpt-4.1-mini",
            "gpt-4.1-nano",
            "gpt-5-nano",
            "gpt-5-mini",
            "gpt-5-mini-2025-08-07",
            "gpt-3.5-turbo",
            "gpt-3.5-turbo-0125",
            "claude-3-5-haiku-latest",
            "anthropic/claude-haiku-4.5",
            "google/gemini-2.5-flash",
            "GPT-4o-Mini",
        ] {
            assert_eq!(told(name, ""), "gpt-6-luna low small", "{name}");
        }
        assert_eq!(told("gpt-5-mini-high", ""), "gpt-6-luna high small");
        assert_eq!(told("gpt-5-nano:online", ""), "gpt-6-luna low search small");
    }

    #[test]
    fn without_small_names_the_first_model_is_used() {
        let only = Catalogue::parse(br#"{"models": [{"slug": "b", "priority": 2}, {"slug": "a", "priority": 1}]}"#);
        assert_eq!(only.unwrap().resolve("gpt-4o-mini", &ModelAliases::default()).slug, "a");
        assert_eq!(Catalogue::default().resolve("gpt-4o-mini", &ModelAliases::default()).slug, "gpt-4o-mini");
    }

    #[test]
    fn settings_are_taken_off_models_that_the_catalogue_does_not_have() {
        let rows = [
            ("gpt-8-high", "gpt-8 high"),
            ("gpt-8-sol-xhigh-fast", "gpt-8-sol xhigh priority"),
            ("openai/gpt-8.2-astra-none", "gpt-8.2-astra none"),
            ("gpt-8-High:online", "gpt-8 high search"),
            ("gpt-8-codex-max-low", "gpt-8-codex-max low"),
            // The last word may be part of the slug.
            ("gpt-8-codex-max", "gpt-8-codex-max"),
            ("gpt-8-ULTRA", "gpt-8-ULTRA"),
            ("gpt-8-sol-high-max", "gpt-8-sol-high-max"),
        ];
        for (name, expected) in rows {
            assert_eq!(told(name, ""), expected, "{name}");
        }
    }

    #[test]
    fn the_built_in_list_has_the_newest_models() {
        for (name, slug, effort) in
            [("gpt-6.2-sol-high", "gpt-6.2-sol", "high"), ("gpt-6.2-astra-max", "gpt-6.2-astra", "max")]
        {
            let choice = Catalogue::built_in().resolve(name, &ModelAliases::default());
            assert_eq!((&*choice.slug, choice.effort.as_deref()), (slug, Some(effort)));
        }
    }

    #[test]
    fn what_is_unknown_is_left_to_the_backend() {
        let rows = [
            ("gpt-high", "gpt-high"),
            ("mistral-medium", "mistral-medium"),
            ("openai/gpt-8", "gpt-8"),
            ("gpt-8:free", "gpt-8:free"),
            ("gemini-pro", "gemini-pro"),
            ("o4-miniature", "o4-miniature"),
            ("", ""),
            ("/", "/"),
            ("-high", "-high"),
            (":high", ":high"),
        ];
        for (name, expected) in rows {
            assert_eq!(told(name, ""), expected, "{name}");
        }
    }

    #[test]
    fn aliases_stand_for_names_with_settings() {
        let aliases = "work = gpt-6.1-sol-high, gpt-4o-mini=gpt-5.1-codex, loop=loop2, loop2=loop, p/x=gpt-6-luna";
        let rows = [
            ("work", "gpt-6.1-sol high"),
            ("openai/work", "gpt-6.1-sol high"),
            ("work-low", "gpt-6.1-sol low"),
            ("work:online", "gpt-6.1-sol high search"),
            ("gpt-4o-mini", "gpt-5.1-codex"),
            ("gpt-4o-mini-fast", "gpt-5.1-codex priority"),
            ("loop", "loop2"),
            ("p/x", "gpt-6-luna"),
        ];
        for (name, expected) in rows {
            assert_eq!(told(name, aliases), expected, "{name}");
        }
    }

    #[test]
    fn the_error_of_a_list_of_aliases_names_the_entry() {
        for (text, entry) in [("a", "a"), ("a=b,=c", "=c"), ("a= ", "a="), ("a=b, a=c", "a=c")] {
            assert_eq!(text.parse::<ModelAliases>().unwrap_err().entry, entry, "{text}");
        }
        assert_eq!(" , ".parse(), Ok(ModelAliases::default()));
        let aliases: ModelAliases = "b=2,a=1".parse().unwrap();
        assert_eq!(aliases.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }
}
