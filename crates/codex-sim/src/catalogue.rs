//! The model catalogue: the catalogue bundled with the official CLI 0.171.0 (`docs/backend.md` §5.4) and seven older
//! names that some clients still use. An entry has every key that the CLI's decoder requires; its texts are this
//! crate's own. `scripts/derive-catalogues` writes it.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const BUILT_IN: &str = include_str!("catalogue.json");

/// The older names that the backend has withdrawn (§5.4).
const RETIRED: [&str; 7] = [
    "gpt-5.1",
    "gpt-5.1-codex-max",
    "gpt-5.1-codex-mini",
    "gpt-5.2",
    "gpt-5.2-codex",
    "gpt-5.3-codex",
    "gpt-5.3-codex-spark",
];

/// The models and their properties.
#[derive(Debug)]
pub(crate) struct Catalogue {
    models: Vec<Model>,
}

/// One model, with its entry in the listing as it is sent.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) facts: Facts,
    pub(crate) minimal: Version,
    pub(crate) entry: Value,
}

/// The fields of a listing entry that the checks read (`docs/backend.md` §5.2).
#[derive(Debug, Deserialize)]
pub(crate) struct Facts {
    pub(crate) slug: String,
    minimal_client_version: String,
    supported_reasoning_levels: Vec<Level>,
    pub(crate) support_verbosity: bool,
    pub(crate) supports_reasoning_summary_parameter: bool,
    service_tiers: Vec<Tier>,
    input_modalities: Vec<String>,
    available_in_plans: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Level {
    effort: String,
}

#[derive(Debug, Deserialize)]
struct Tier {
    id: String,
}

impl Catalogue {
    /// Parses the built-in listing, with the retired models if `retired` is set.
    pub(crate) fn built_in(retired: bool) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Listing {
            models: Vec<Value>,
        }
        let listing: Listing = serde_json::from_str(BUILT_IN)?;
        let read = |entry: Value| {
            let facts = Facts::deserialize(&entry)?;
            let minimal = Version::parse(&facts.minimal_client_version).unwrap_or_default();
            Ok(Model { facts, minimal, entry })
        };
        let mut models = listing.models.into_iter().map(read).collect::<Result<Vec<Model>, serde_json::Error>>()?;
        models.retain(|model| retired || !RETIRED.contains(&model.facts.slug.as_str()));
        Ok(Self { models })
    }

    pub(crate) fn find(&self, slug: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.facts.slug == slug)
    }

    /// Returns the models shown to a client of `version` with an account on `plan` (`docs/backend.md` §5.1, §5.3).
    pub(crate) fn visible_to(&self, version: Version, plan: &str) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |model| model.minimal <= version && model.included_in(plan))
    }

    /// Returns the ETag of the listing that [`visible_to`](Self::visible_to) returns.
    pub(crate) fn etag(&self, version: Version, plan: &str) -> String {
        let mut digest = Sha256::new();
        self.visible_to(version, plan).for_each(|model| digest.update(format!("{}\n", model.entry)));
        let short: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("W/\"{short}\"")
    }
}

impl Model {
    /// Returns the efforts the model accepts on the wire: the listed ones without `ultra`, and for most models `none`
    /// (`docs/backend.md` §5.4).
    pub(crate) fn efforts(&self) -> impl Iterator<Item = &str> {
        let listed = self.facts.supported_reasoning_levels.iter().map(|level| level.effort.as_str());
        let always_reasons = ["codex", "astra"].iter().any(|word| self.facts.slug.contains(word));
        (!always_reasons).then_some("none").into_iter().chain(listed.filter(|effort| *effort != "ultra"))
    }

    /// Returns whether accounts on `plan` have the model; an entry without plans is for all of them.
    pub(crate) fn included_in(&self, plan: &str) -> bool {
        self.facts.available_in_plans.as_ref().is_none_or(|plans| plans.iter().any(|named| named == plan))
    }

    pub(crate) fn offers_tier(&self, tier: &str) -> bool {
        self.facts.service_tiers.iter().any(|offered| offered.id == tier)
    }

    pub(crate) fn takes_images(&self) -> bool {
        self.facts.input_modalities.iter().any(|modality| modality == "image")
    }

    /// Returns whether the `instructions` key may be missing: from gpt-5.5 on (`docs/backend.md` §2.5, §9).
    pub(crate) fn instructions_optional(&self) -> bool {
        let numbers = self.facts.slug.strip_prefix("gpt-").and_then(|rest| rest.split('-').next());
        let Some(numbers) = numbers else { return true };
        let mut parts = numbers.split('.').map(str::parse::<u64>);
        let (Some(Ok(major)), minor) = (parts.next(), parts.next()) else {
            return true;
        };
        (major, minor.and_then(Result::ok).unwrap_or(0)) >= (5, 5)
    }

    /// Returns the part of the slug that encrypted reasoning is bound to, e.g. `gpt-5.6` of `gpt-5.6-sol`.
    pub(crate) fn family(&self) -> &str {
        let slug = self.facts.slug.as_str();
        slug.match_indices('-').nth(1).map_or(slug, |(at, _)| &slug[..at])
    }
}

/// A client version: three numbers, compared in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u64; 3]);

impl Version {
    /// The version up to which a model is open to clients that do not identify themselves.
    pub(crate) const UNGATED: Self = Self([0, 0, 1]);

    /// Parses `0.171.0`; a pre-release suffix is ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(|part| part.parse::<u64>().ok());
        let version = Self([numbers.next()??, numbers.next()??, numbers.next()??]);
        numbers.next().is_none().then_some(version)
    }

    /// Returns the version a client states in the `version` header, or else in its user agent.
    pub(crate) fn of_client(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        text("version").and_then(Self::parse).or_else(|| text("user-agent").and_then(Self::of_user_agent))
    }

    /// Parses the version of a user agent's first product, e.g. `codex_exec/0.171.0 (…)`.
    fn of_user_agent(user_agent: &str) -> Option<Self> {
        let (_, rest) = user_agent.split_once('/')?;
        Self::parse(rest.split([' ', '(']).next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number_and_not_by_text() {
        assert!(Version::parse("0.9.0") < Version::parse("0.153.0"));
        assert_eq!(Version::parse("0.153"), None);
        assert_eq!(Version::parse("0.156.0-alpha.2"), Version::parse("0.156.0"));
    }

    #[test]
    fn a_browser_user_agent_has_no_client_version() {
        assert_eq!(Version::of_user_agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"), None);
        let cli = Version::of_user_agent("codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm");
        assert_eq!(cli, Version::parse("0.171.0"));
    }

    #[test]
    fn instructions_are_required_up_to_five_four() {
        let catalogue = Catalogue::built_in(true).expect("a valid example");
        let optional = |slug: &str| catalogue.find(slug).expect("a valid example").instructions_optional();
        assert!(!optional("gpt-5.1"));
        assert!(!optional("gpt-5.3-codex-spark"));
        assert!(optional("gpt-5.5"));
        assert!(optional("gpt-6-astra"));
        assert!(optional("codex-auto-review"));
    }

    #[test]
    fn the_official_client_can_decode_every_entry() {
        let catalogue = Catalogue::built_in(true).expect("a valid example");
        for Model { facts, entry, .. } in &catalogue.models {
            for key in ["slug", "display_name", "description", "shell_type", "visibility", "base_instructions"] {
                assert!(entry[key].is_string(), "{} lacks {key}", facts.slug);
            }
            for key in ["supported_reasoning_levels", "service_tiers"] {
                let described = entry[key].as_array().expect("a list").iter().all(|one| one["description"].is_string());
                assert!(described, "{}: {key}", facts.slug);
            }
            for key in ["upgrade", "availability_nux"] {
                assert!(entry.get(key).is_some(), "{} lacks {key}", facts.slug);
            }
        }
    }

    #[test]
    fn a_listing_depends_on_version_plan_and_retired_models() {
        let catalogue = Catalogue::built_in(false).expect("a valid example");
        let seen = |version: &str, plan: &str| -> Vec<&str> {
            let version = Version::parse(version).expect("a valid example");
            catalogue.visible_to(version, plan).map(|model| model.facts.slug.as_str()).collect()
        };
        assert_eq!(seen("0.171.0", "plus")[..2], ["gpt-6.2-sol", "gpt-6.2-astra"]);
        assert!(!seen("0.171.0", "free").contains(&"gpt-6.2-sol"));
        assert!(!seen("0.165.0", "plus").contains(&"gpt-6.2-sol"));
        assert!(RETIRED.iter().all(|slug| catalogue.find(slug).is_none()));
        let version = Version::parse("0.171.0").expect("a valid example");
        assert_ne!(catalogue.etag(version, "plus"), catalogue.etag(version, "free"));
    }

    #[test]
    fn ultra_never_reaches_the_wire() {
        let catalogue = Catalogue::built_in(true).expect("a valid example");
        let efforts = |slug| catalogue.find(slug).expect("a valid example").efforts().collect::<Vec<_>>();
        assert_eq!(efforts("gpt-6-astra"), ["low", "medium", "high", "xhigh", "max"]);
        assert_eq!(efforts("gpt-6-sol"), ["none", "low", "medium", "high", "xhigh", "max"]);
    }
}
