//! The model catalogue: the one bundled with the official CLI 0.169.0 (`wire.md` §9) and the seven older names that clients of
//! the original program use.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const BUILT_IN: &str = include_str!("catalogue.json");

/// What the simulator needs to know of every model.
#[derive(Debug)]
pub(crate) struct Catalogue {
    models: Vec<Model>,
    digest: String,
}

/// One model, with its listing entry as it is sent.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) facts: Facts,
    pub(crate) minimal: Version,
    pub(crate) entry: Value,
}

/// The fields of a listing entry that the checks look at (`wire.md` §5.2).
#[derive(Debug, Deserialize)]
pub(crate) struct Facts {
    pub(crate) slug: String,
    minimal_client_version: String,
    supported_reasoning_levels: Vec<Level>,
    pub(crate) support_verbosity: bool,
    pub(crate) supports_reasoning_summary_parameter: bool,
    service_tiers: Vec<Tier>,
    input_modalities: Vec<String>,
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
    pub(crate) fn built_in() -> Result<Self, serde_json::Error> {
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
        let models = listing.models.into_iter().map(read).collect::<Result<_, serde_json::Error>>()?;
        let digest = Sha256::digest(BUILT_IN.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { models, digest })
    }

    pub(crate) fn find(&self, slug: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.facts.slug == slug)
    }

    /// The models a client of `version` is shown (`wire.md` §5.3).
    pub(crate) fn visible_to(&self, version: Version) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |model| model.minimal <= version)
    }

    /// The ETag of the listing a client of `version` gets. A later version sees a superset, so the count tells listings apart.
    pub(crate) fn etag(&self, version: Version) -> String {
        format!("W/\"{}-{}\"", self.digest, self.visible_to(version).count())
    }
}

impl Model {
    /// Efforts the model takes on the wire: those listed, `none`, and never `ultra` (`wire.md` §5.4).
    pub(crate) fn efforts(&self) -> impl Iterator<Item = &str> {
        let listed = self.facts.supported_reasoning_levels.iter().map(|level| level.effort.as_str());
        std::iter::once("none").chain(listed.filter(|effort| *effort != "ultra"))
    }

    pub(crate) fn offers_tier(&self, tier: &str) -> bool {
        self.facts.service_tiers.iter().any(|offered| offered.id == tier)
    }

    pub(crate) fn takes_images(&self) -> bool {
        self.facts.input_modalities.iter().any(|modality| modality == "image")
    }

    /// Whether the `instructions` key may be left out: from gpt-5.5 on (`wire.md` §2.5, §9).
    pub(crate) fn instructions_optional(&self) -> bool {
        let numbers = self.facts.slug.strip_prefix("gpt-").and_then(|rest| rest.split('-').next());
        let Some(numbers) = numbers else { return true };
        let mut parts = numbers.split('.').map(str::parse::<u64>);
        let (Some(Ok(major)), minor) = (parts.next(), parts.next()) else {
            return true;
        };
        (major, minor.and_then(Result::ok).unwrap_or(0)) >= (5, 5)
    }

    /// The part of the slug that encrypted reasoning is bound to, e.g. `gpt-5.6` of `gpt-5.6-sol`.
    pub(crate) fn family(&self) -> &str {
        let slug = self.facts.slug.as_str();
        slug.match_indices('-').nth(1).map_or(slug, |(at, _)| &slug[..at])
    }
}

/// A client version: three numbers, compared in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u64; 3]);

impl Version {
    /// The version below which a model counts as open to clients that do not identify themselves.
    pub(crate) const UNGATED: Self = Self([0, 0, 1]);

    /// Reads `0.169.0`; a pre-release suffix is ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(|part| part.parse::<u64>().ok());
        let version = Self([numbers.next()??, numbers.next()??, numbers.next()??]);
        numbers.next().is_none().then_some(version)
    }

    /// Reads the version of a user agent's first product, e.g. `codex_exec/0.169.0 (…)`.
    pub(crate) fn of_user_agent(user_agent: &str) -> Option<Self> {
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
        let cli = Version::of_user_agent("codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm");
        assert_eq!(cli, Version::parse("0.169.0"));
    }

    #[test]
    fn instructions_are_required_up_to_five_four() {
        let catalogue = Catalogue::built_in().expect("a valid example");
        let optional = |slug: &str| catalogue.find(slug).expect("a valid example").instructions_optional();
        assert!(!optional("gpt-5.1"));
        assert!(!optional("gpt-5.3-codex-spark"));
        assert!(optional("gpt-5.5"));
        assert!(optional("gpt-6-astra"));
        assert!(optional("codex-auto-review"));
    }

    #[test]
    fn ultra_never_reaches_the_wire() {
        let catalogue = Catalogue::built_in().expect("a valid example");
        let efforts: Vec<&str> = catalogue.find("gpt-6-astra").expect("a valid example").efforts().collect();
        assert_eq!(efforts, ["none", "low", "medium", "high", "xhigh", "max"]);
    }
}
