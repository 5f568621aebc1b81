//! The model that a request names: its profile, the settings in its name, and the notice of what the name became.

use codex_translate::{Effort, Notice, NoticeKind, Options, Profile};
use codex_upstream::{Catalogue, ModelAliases, ModelChoice};

/// The model that a request is translated for.
#[derive(Debug)]
pub(crate) struct NamedModel {
    /// The profile of the model that is sent.
    pub(crate) profile: Profile,
    /// The request's own options, and those in the model's name where the request has none.
    pub(crate) options: Options,
    /// Whether the catalogue has the model.
    pub(crate) is_known: bool,
    /// The notice of what the name became, if it is not the model's own.
    notice: Option<Notice>,
}

impl NamedModel {
    /// Finds the model that a client calls `name`.
    pub(crate) fn new(name: &str, catalogue: &Catalogue, aliases: &ModelAliases, options: &Options) -> Self {
        let choice = catalogue.resolve(name, aliases);
        let notice = (choice.slug != name).then(|| notice(name, &choice));
        let known = catalogue.find(&choice.slug);
        Self {
            profile: known.map_or_else(|| Profile::permissive(&choice.slug), Profile::from),
            is_known: known.is_some(),
            options: Options {
                effort: choice.effort.as_deref().map(Effort::from_word),
                service_tier: choice.tier,
                web_search: choice.web_search,
                ..options.clone()
            },
            notice,
        }
    }

    /// Adds the notice of what the name became to those of the translation.
    pub(crate) fn noticed(&self, translated: Vec<Notice>) -> Vec<Notice> {
        self.notice.clone().into_iter().chain(translated).collect()
    }
}

fn notice(name: &str, choice: &ModelChoice) -> Notice {
    let setting = |what: &str, value: &Option<String>| value.as_ref().map(|value| format!("{what} `{value}`"));
    let settings = [
        setting("effort", &choice.effort),
        setting("tier", &choice.tier),
        choice.web_search.then(|| "web search".to_owned()),
    ];
    let settings: String = settings.into_iter().flatten().map(|setting| format!("; {setting}")).collect();
    let kind = if choice.is_substitute { NoticeKind::Emulated } else { NoticeKind::Repaired };
    Notice { parameter: "model".to_owned(), kind, detail: format!("sent `{name}` as `{}`{settings}", choice.slug) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NamedModel {
        let aliases = "work=gpt-5.5-high".parse().unwrap();
        NamedModel::new(name, &Catalogue::built_in(), &aliases, &Options::default())
    }

    #[test]
    fn a_models_own_name_leaves_no_notice() {
        let named = named("gpt-5.5");
        assert_eq!((named.profile.slug.as_str(), &named.options), ("gpt-5.5", &Options::default()));
        assert!(named.noticed(Vec::new()).is_empty());
    }

    #[test]
    fn the_notice_of_the_model_comes_first() {
        let rows = [
            ("work", "model repaired: sent `work` as `gpt-5.5`; effort `high`"),
            ("openai/gpt-5.5", "model repaired: sent `openai/gpt-5.5` as `gpt-5.5`"),
            (
                "gpt-4o-mini:online",
                "model emulated: sent `gpt-4o-mini:online` as `gpt-6-luna`; effort `low`; web search",
            ),
            ("gpt-5.5-fast", "model repaired: sent `gpt-5.5-fast` as `gpt-5.5`; tier `priority`"),
        ];
        for (name, expected) in rows {
            let later = Notice { parameter: "seed".into(), kind: NoticeKind::Dropped, detail: "why".into() };
            let notices = named(name).noticed(vec![later.clone()]);
            assert_eq!((notices[0].to_string().as_str(), &notices[1]), (expected, &later));
        }
    }
}
