//! `POST /backend-api/codex/images/generations` and `…/edits` (`docs/backend.md` §2.1).
//!
//! Like the real ones, they accept few parameters and ignore model, quality and size: the backend chooses them itself
//! and reports its choice.

use http::Response;
use serde_json::{Map, Value, json};

use crate::backend::checks::parts::is_image_data;
use crate::backend::checks::values::one_of;
use crate::backend::faults;
use crate::backend::responses::object;
use crate::backend::unary::{self, Accepted};
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{Body, Dropped};
use crate::protocol::refusal::Refusal;
use crate::recipe::items::PIXEL;
use crate::recipe::usage::images_usage;
use crate::scenario::plan::StatusFault;
use crate::state::SimState;
use crate::tokens::grant::Grant;

/// The keys of the body of a generation and of an edit.
pub(crate) const GENERATION: &[&str] = &["prompt", "model", "background", "n", "quality", "size"];
pub(crate) const EDIT: &[&str] = &["prompt", "model", "background", "n", "quality", "size", "images"];

/// Answers a request whose body may have these keys.
pub(crate) async fn answer(inbound: &Inbound, keys: &[&str], state: &SimState) -> Result<Response<Body>, Dropped> {
    let prompt = inbound.body.json().and_then(|body| body.get("prompt")?.as_str()).unwrap_or_default();
    unary::answer(inbound, prompt, state, |grant| generate(inbound, keys, grant, state)).await
}

fn generate(inbound: &Inbound, keys: &[&str], grant: &Grant, state: &SimState) -> Result<Accepted, Refusal> {
    let body = object(&inbound.body)?;
    if let Some(unknown) = body.keys().find(|key| !keys.contains(&key.as_str())) {
        return Err(Refusal::unknown(unknown));
    }
    let model = text(body, "model")?;
    let prompt = text(body, "prompt")?;
    choice(body, "background", &["transparent", "opaque", "auto"])?;
    choice(body, "quality", &["low", "medium", "high", "auto"])?;
    size(body)?;
    let wanted = count(body)?;
    if keys.contains(&"images") {
        images(body)?;
    }
    check_plan(grant, state)?;
    let images: Vec<Value> = (0..wanted).map(|_| json!({"b64_json": PIXEL})).collect();
    let reply = json!({
        "created": state.clock.unix_now(),
        "background": "opaque",
        "data": images,
        "output_format": "png",
        "quality": "low",
        "size": "1254x1254",
        "usage": images_usage(prompt, wanted),
    });
    Ok(Accepted { model: model.to_owned(), reply })
}

/// §2.8: the free plan has no image generation.
fn check_plan(grant: &Grant, state: &SimState) -> Result<(), Refusal> {
    let fault = (grant.plan_type == "free").then_some(StatusFault::UsageNotIncluded);
    let now = state.clock.unix_now();
    if fault.is_some() { faults::on_turn(fault.as_ref(), "", grant, state.quota(now), now) } else { Ok(()) }
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    match body.get(key) {
        Some(Value::String(text)) if text.is_empty() => Err(Refusal::empty(key)),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Refusal::wrong_type(key, "a string", other)),
        None => Err(Refusal::missing(key)),
    }
}

fn choice(body: &Map<String, Value>, key: &str, supported: &[&str]) -> Result<(), Refusal> {
    body.get(key).map_or(Ok(()), |value| one_of(value, supported, key))
}

/// `auto`, or width and height.
fn size(body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(size) = body.get("size") else {
        return Ok(());
    };
    let Some(text) = size.as_str() else {
        return Err(Refusal::wrong_type("size", "a string", size));
    };
    let sides = text.split_once('x').map(|(width, height)| (width.parse::<u32>(), height.parse::<u32>()));
    let known = text == "auto" || matches!(sides, Some((Ok(_), Ok(_))));
    if known { Ok(()) } else { Err(Refusal::value("size", text, &["1024x1024", "1024x1536", "1536x1024", "auto"])) }
}

fn count(body: &Map<String, Value>) -> Result<usize, Refusal> {
    let Some(n) = body.get("n") else {
        return Ok(1);
    };
    match n.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=10).contains(n)) {
        Some(n) => Ok(n),
        None => Err(Refusal::wrong_type("n", "an integer from 1 to 10", n)),
    }
}

/// Images as data URLs, in the formats that the models accept.
fn images(body: &Map<String, Value>) -> Result<(), Refusal> {
    let list = match body.get("images") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) | None => return Err(Refusal::missing("images")),
        Some(other) => return Err(Refusal::wrong_type("images", "an array", other)),
    };
    for (index, image) in list.iter().enumerate() {
        let param = format!("images[{index}].image_url");
        if let Some(unknown) = image.as_object().and_then(|image| image.keys().find(|key| *key != "image_url")) {
            return Err(Refusal::unknown(&format!("images[{index}].{unknown}")));
        }
        let url = image.get("image_url").and_then(Value::as_str).ok_or_else(|| Refusal::missing(&param))?;
        if !is_image_data(url) {
            let message =
                "The image data you provided does not represent a valid image. Please check your input and try again.";
            return Err(Refusal::error(Some(&param), Some("invalid_value"), message));
        }
    }
    Ok(())
}
