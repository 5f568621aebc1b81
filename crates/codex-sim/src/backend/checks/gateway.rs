//! The gateway's checks, whose refusals have the form `{"detail":"…"}` (`docs/backend.md` §2.5, §8 steps 4-6).

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::catalogue::{Catalogue, Model, Version};
use crate::protocol::refusal::Refusal;
use crate::protocol::turn;

/// The top-level keys that the gateway accepts over HTTP (§2.5).
const ALLOWED: [&str; 16] = [
    "model",
    "input",
    "instructions",
    "stream",
    "store",
    "stream_options",
    "include",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "prompt_cache_key",
    "client_metadata",
    "service_tier",
    "access_programs",
];

/// Makes every check of a turn in order, and returns the model and the input list.
pub(crate) fn check<'a>(
    body: &'a Map<String, Value>,
    headers: &HeaderMap,
    catalogue: &'a Catalogue,
    plan: &str,
) -> Result<(&'a Model, &'a [Value]), Refusal> {
    known_keys(body, &ALLOWED)?;
    store_is_false(body)?;
    stream_is_true(body)?;
    let input = input_is_a_list(body)?;
    no_system_messages(input)?;
    let slug = body.get("model").and_then(Value::as_str).unwrap_or_default();
    let model = catalogue.find(slug).filter(|model| model.included_in(plan));
    instructions_where_required(body, model)?;
    known_service_tier(body, model)?;
    let model = model.ok_or_else(|| unsupported_model(slug))?;
    recent_client(headers, model)?;
    Ok((model, input))
}

/// §2.5: names the first key outside the allow-list.
fn known_keys(body: &Map<String, Value>, allowed: &[&str]) -> Result<(), Refusal> {
    let unknown = body.keys().find(|key| !allowed.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(Refusal::detail(format!("Unsupported parameter: {key}"))))
}

/// §2.5: over HTTP, a missing `store` is refused too.
fn store_is_false(body: &Map<String, Value>) -> Result<(), Refusal> {
    literal(body, "store", false, "Store must be set to false")
}

/// §2.5.
fn stream_is_true(body: &Map<String, Value>) -> Result<(), Refusal> {
    literal(body, "stream", true, "Stream must be set to true")
}

fn literal(body: &Map<String, Value>, key: &str, wanted: bool, message: &str) -> Result<(), Refusal> {
    if body.get(key).and_then(Value::as_bool) == Some(wanted) { Ok(()) } else { Err(Refusal::detail(message)) }
}

/// §2.5: a string input is refused.
fn input_is_a_list(body: &Map<String, Value>) -> Result<&[Value], Refusal> {
    let list = body.get("input").and_then(Value::as_array);
    list.map(Vec::as_slice).ok_or_else(|| Refusal::detail("Input must be a list"))
}

/// §2.5: `developer` is the accepted role.
fn no_system_messages(input: &[Value]) -> Result<(), Refusal> {
    let system = input.iter().any(|item| turn::kind(item) == "message" && turn::role(item) == "system");
    if system { Err(Refusal::detail("System messages are not allowed")) } else { Ok(()) }
}

/// §2.5: older models require the key, even if it is an empty string.
fn instructions_where_required(body: &Map<String, Value>, model: Option<&Model>) -> Result<(), Refusal> {
    let given = body.get("instructions").is_some_and(Value::is_string);
    let required = model.is_some_and(|model| !model.instructions_optional());
    if required && !given { Err(Refusal::detail("Instructions are required")) } else { Ok(()) }
}

/// §2.5: `default` everywhere, `priority` where the catalogue lists it, nothing else.
fn known_service_tier(body: &Map<String, Value>, model: Option<&Model>) -> Result<(), Refusal> {
    let Some(tier) = body.get("service_tier").filter(|tier| !tier.is_null()) else {
        return Ok(());
    };
    let name = tier.as_str().unwrap_or_default();
    let offered = name == "default" || (name == "priority" && model.is_none_or(|model| model.offers_tier(name)));
    if offered { Ok(()) } else { Err(Refusal::detail(format!("Unsupported service_tier: {}", shown(tier)))) }
}

/// §2.7: a slug that does not exist, or one that the account's plan does not include.
fn unsupported_model(slug: &str) -> Refusal {
    Refusal::detail(format!("The '{slug}' model is not supported when using Codex with a ChatGPT account."))
}

/// §5.3: the version comes from the `version` header, or else from the user agent. Without either, a gated model is
/// not found (§2.7).
fn recent_client(headers: &HeaderMap, model: &Model) -> Result<(), Refusal> {
    let slug = &model.facts.slug;
    match Version::of_client(headers) {
        Some(version) if version >= model.minimal => Ok(()),
        None if model.minimal <= Version::UNGATED => Ok(()),
        None => Err(Refusal::detail(format!("Model not found {slug}")).with_status(StatusCode::NOT_FOUND)),
        Some(_) => Err(Refusal::detail(format!(
            "The '{slug}' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again."
        ))),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
