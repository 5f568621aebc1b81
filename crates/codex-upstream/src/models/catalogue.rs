//! The models of an account, parsed leniently (`docs/backend.md §5`).

use std::sync::{Arc, LazyLock};

use codex_translate::{Effort, Profile};
use serde_json::{Map, Value, json};

/// The models that an account may use, best first.
///
/// # Example
/// What a name means, and what that model supports:
///
/// ```
/// use codex_translate::Profile;
/// use codex_upstream::{Catalogue, ModelAliases};
///
/// let catalogue = Catalogue::built_in();
/// let choice = catalogue.resolve("openai/gpt-5.5-high", &ModelAliases::default());
/// assert_eq!((&*choice.slug, choice.effort.as_deref()), ("gpt-5.5", Some("high")));
///
/// let profile = catalogue.find(&choice.slug).map_or_else(|| Profile::permissive(&choice.slug), Profile::from);
/// assert_eq!(profile.slug, "gpt-5.5");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    models: Vec<Model>,
}

/// A model's entry in the catalogue. Only the slug is required; missing members are unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The name for requests.
    pub slug: String,
    /// The name for display.
    pub display_name: Option<String>,
    /// The supported reasoning efforts, weakest first; empty if unknown.
    pub efforts: Vec<String>,
    /// The default effort.
    pub default_effort: Option<String>,
    /// Whether it supports `text.verbosity`; `None` if unknown.
    pub verbosity: Option<bool>,
    /// The default verbosity.
    pub default_verbosity: Option<String>,
    /// The supported service tiers, in addition to the default one.
    pub tiers: Vec<String>,
    /// Whether it supports `reasoning.summary`; `None` if unknown.
    pub summaries: Option<bool>,
    /// Whether the official client uses the Responses Lite shape for it (`docs/backend.md §2.8`).
    pub lite: bool,
    /// Whether the official client prefers a WebSocket for it (`docs/backend.md §4`).
    pub websockets: bool,
    /// The context window that the official client uses, in tokens.
    pub context_window: Option<u64>,
    /// The largest context window, in tokens.
    pub max_context_window: Option<u64>,
    /// The longest reply, in tokens. No catalogue seen so far has it.
    pub max_output_tokens: Option<u64>,
    /// The kinds of input it accepts, such as `text` and `image`; empty if unknown.
    pub input_modalities: Vec<String>,
    /// Whether it may call several tools at once; `None` if unknown.
    pub parallel_tool_calls: Option<bool>,
    /// Whether it is listed.
    pub visibility: Visibility,
    /// Its position in the list: lower sorts first.
    pub priority: i64,
    /// The lowest client version that may use it, such as `0.153.0`.
    pub minimal_client_version: Option<String>,
    /// The plans that include it; empty if unknown.
    pub plans: Vec<String>,
    /// The model that replaces it.
    pub upgrade: Option<String>,
    /// The entry as the backend sent it, for clients that read the catalogue themselves.
    pub raw: Arc<Map<String, Value>>,
}

/// What the model supports; unknown features count as supported.
impl From<&Model> for Profile {
    fn from(model: &Model) -> Self {
        let permissive = Self::permissive(&model.slug);
        Self {
            efforts: model.efforts.iter().map(|effort| Effort::from_word(effort)).collect(),
            verbosity: model.verbosity.unwrap_or(permissive.verbosity),
            tiers: model.tiers.clone(),
            summaries: model.summaries.unwrap_or(permissive.summaries),
            lite: model.lite,
            slug: permissive.slug,
        }
    }
}

/// Whether a model is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// Listed.
    List,
    /// Not listed, but usable.
    Hide,
    /// Not listed.
    None,
    /// An unknown value; not listed.
    Other(String),
}

/// A catalogue that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The text is not JSON.
    #[error("the model catalogue is not JSON")]
    NotJson,
    /// It contains no list of models.
    #[error("the model catalogue contains no list of models")]
    NoModels,
}

impl Catalogue {
    /// Parses `{"models":[…]}`; the key may also be `data`, and an entry's slug may be called `id` (`docs/backend.md
    /// §5.1`).
    ///
    /// Entries without a slug are skipped.
    ///
    /// # Errors
    /// [`CatalogueError`] if there is no such list; the caller keeps its old catalogue.
    pub fn parse(json: &[u8]) -> Result<Self, CatalogueError> {
        let mut body: Value = serde_json::from_slice(json).map_err(|_| CatalogueError::NotJson)?;
        let list = ["models", "data"].iter().find_map(|key| {
            let Value::Array(list) = body.get_mut(key)?.take() else { return None };
            Some(list)
        });
        Ok(Self::from_entries(list.ok_or(CatalogueError::NoModels)?))
    }

    /// Returns the models built into the official client 0.171.0, then the seven that codex-proxy has always listed.
    /// They are for use while the backend is not available. `scripts/derive-catalogues` writes the list.
    ///
    /// The accounts of today refuse the seven (`docs/backend.md §5.4`).
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Catalogue>> =
            LazyLock::new(|| Arc::new(Catalogue::parse(include_bytes!("catalogue.json")).unwrap_or_default()));
        Arc::clone(&BUILT_IN)
    }

    /// Returns all models, including hidden ones, best first.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Returns the listed models, best first.
    pub fn listed(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(|model| model.visibility == Visibility::List)
    }

    /// Returns the model with the given slug, even if it is hidden.
    #[must_use]
    pub fn find(&self, slug: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.slug == slug)
    }

    pub(crate) fn from_entries(entries: Vec<Value>) -> Self {
        let mut models: Vec<Model> = entries.into_iter().filter_map(Model::read).collect();
        models.sort_by_key(|model| model.priority);
        Self { models }
    }
}

impl Model {
    /// Returns what is known about the model, for the entry of a model list, under names that clients of other servers
    /// read: `context_length` and `architecture` are OpenRouter's, `context_window` is Groq's. Unknown facts are
    /// absent.
    #[must_use]
    pub fn facts(&self) -> Map<String, Value> {
        let modalities = &self.input_modalities;
        let architecture = json!({"input_modalities": modalities, "output_modalities": ["text"]});
        let facts = [
            ("context_length", json!(self.context_window)),
            ("context_window", json!(self.context_window)),
            ("max_context_window", json!(self.max_context_window)),
            ("max_output_tokens", json!(self.max_output_tokens)),
            ("input_modalities", json!(modalities)),
            ("architecture", if modalities.is_empty() { Value::Null } else { architecture }),
            ("supported_reasoning_efforts", json!(self.efforts)),
            ("default_reasoning_effort", json!(self.default_effort)),
            ("service_tiers", json!(self.tiers)),
        ];
        let is_known = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        facts.into_iter().filter(|(_, value)| is_known(value)).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn read(entry: Value) -> Option<Self> {
        let Value::Object(raw) = entry else {
            return None;
        };
        let text = |key: &str| raw.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let owned = |key: &str| text(key).map(str::to_owned);
        let flag = |key: &str| raw.get(key).and_then(Value::as_bool);
        let count = |key: &str| raw.get(key).and_then(Value::as_u64);
        Some(Self {
            slug: text("slug").or_else(|| text("id"))?.to_owned(),
            display_name: owned("display_name"),
            efforts: names(raw.get("supported_reasoning_levels"), "effort"),
            default_effort: owned("default_reasoning_level"),
            verbosity: flag("support_verbosity"),
            default_verbosity: owned("default_verbosity"),
            tiers: names(raw.get("service_tiers"), "id"),
            summaries: flag("supports_reasoning_summary_parameter").or_else(|| flag("supports_reasoning_summaries")),
            lite: flag("use_responses_lite").unwrap_or(false),
            websockets: flag("prefer_websockets").unwrap_or(false),
            context_window: count("context_window"),
            max_context_window: count("max_context_window"),
            max_output_tokens: count("max_output_tokens"),
            input_modalities: names(raw.get("input_modalities"), "id"),
            parallel_tool_calls: flag("supports_parallel_tool_calls"),
            visibility: Visibility::read(text("visibility")),
            priority: raw.get("priority").and_then(Value::as_i64).unwrap_or(i64::MAX),
            minimal_client_version: raw.get("minimal_client_version").and_then(version),
            plans: names(raw.get("available_in_plans"), "id"),
            upgrade: raw.get("upgrade").and_then(|upgrade| upgrade.get("model")?.as_str()).map(str::to_owned),
            raw: Arc::new(raw),
        })
    }
}

impl Visibility {
    /// Parses the visibility. An entry without one comes from another form of the list, which contains only listed
    /// models.
    fn read(text: Option<&str>) -> Self {
        match text {
            None | Some("list") => Self::List,
            Some("hide") => Self::Hide,
            Some("none") => Self::None,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// Parses a list whose entries are strings, or objects with the string under `key`.
fn names(list: Option<&Value>, key: &str) -> Vec<String> {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry.as_str().or_else(|| entry.get(key)?.as_str())).map(str::to_owned).collect()
}

/// Parses a version that is a string, or a list of its parts.
fn version(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(|part| part.as_u64().map(|part| part.to_string())).collect();
            parts.map(|parts| parts.join("."))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
