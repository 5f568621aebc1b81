//! `POST /backend-api/codex/responses`: the checks in the order of `wire.md` §8, then the stream.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::auth::ledger::Grant;
use crate::backend::quota::Quota;
use crate::backend::refusal::{Refusal, cloudflare_challenge};
use crate::backend::turn::{Turn, last_user_text};
use crate::backend::{detail, gate, items, pairing, params, tools};
use crate::catalogue::Version;
use crate::ids::ResponseIds;
use crate::inbound::{Inbound, Payload};
use crate::recipe::echo;
use crate::recipe::frames::frames;
use crate::recipe::outputs::outputs;
use crate::recipe::script::{Script, failure_message};
use crate::recipe::usage::{Usage, input_tokens};
use crate::reply::{self, Body, Dropped};
use crate::scenario::{Plan, Point, Scenario, ScenarioError, StatusFault, Word};
use crate::world::World;

/// Answers one turn.
pub(crate) async fn answer(inbound: Inbound, world: &Arc<World>) -> Result<Response<Body>, Dropped> {
    let plan = match planned(&inbound, world) {
        Ok(plan) => plan,
        Err(error) => return Ok(Refusal::detail(error.to_string()).into_response()),
    };
    if plan.framing.stall == Some(Point::Headers) {
        world.released().await;
    }
    if world.orders().cloudflare || plan.status == Some(StatusFault::Cloudflare) {
        return Ok(diagnosed(cloudflare_challenge(), world));
    }
    Ok(diagnosed(judged(&inbound, &plan, world), world))
}

/// The scenario of a request: from the header, else from the queue, else from the last user text.
fn planned(inbound: &Inbound, world: &World) -> Result<Plan, ScenarioError> {
    let text = match &inbound.body {
        Payload::Json(body) => body.get("input").and_then(Value::as_array).map(|input| last_user_text(input)),
        Payload::Empty | Payload::Form(_) | Payload::UnknownEncoding(_) => None,
        Payload::Malformed(_) | Payload::TooLarge | Payload::Broken => None,
    };
    let text = text.unwrap_or_default();
    let scenario = match inbound.header("x-sim-scenario") {
        Some(words) => Scenario::parse(words)?,
        None => {
            let queued = world.orders().scenarios.pop_front();
            queued.map_or_else(|| Scenario::in_text(&text), Ok)?
        }
    };
    inbound.ticket.scenario(&scenario.written());
    Ok(scenario.plan(|word| word.once && passed_by(word, &text, world)))
}

/// Whether a `-once` word has fired for this text already; it is then forgotten, so that the next time it fires again.
fn passed_by(word: &Word, text: &str, world: &World) -> bool {
    let mut hasher = DefaultHasher::new();
    (word.written(), text).hash(&mut hasher);
    let key = hasher.finish();
    let fired = &mut world.orders().fired;
    if fired.remove(&key).is_some() {
        return true;
    }
    fired.insert(key, ());
    false
}

fn judged(inbound: &Inbound, plan: &Plan, world: &Arc<World>) -> Response<Body> {
    let grant = match admitted(&inbound.headers, plan, world) {
        Ok(grant) => grant,
        Err(refusal) => return refusal.into_response(),
    };
    let (quota, now) = (world.orders().quota, world.unix_now());
    let checked = checked(inbound, &grant, world).and_then(|turn| {
        model_fault(&turn, plan)?;
        quota_fault(plan, quota, &grant, now)?;
        server_fault(plan)?;
        Ok(turn)
    });
    match checked {
        Ok(turn) => streamed(&turn, inbound, plan, world),
        Err(refusal) => {
            let mut response = refusal.into_response();
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                let shown = if plan.status == Some(StatusFault::RateLimit) { quota } else { quota.used_up() };
                shown.set_headers(&mut response, &grant.plan_type, now);
            }
            response
        }
    }
}

/// §8 steps 1-2 after the edge: bearer, account, and what scenarios put in their place.
fn admitted(headers: &HeaderMap, plan: &Plan, world: &World) -> Result<Grant, Refusal> {
    if plan.status == Some(StatusFault::Unauthorized) {
        return Err(gate::invalidated());
    }
    let grant = gate::authenticate(headers, world)?;
    match plan.status {
        Some(StatusFault::Forbidden) => Err(gate::wrong_workspace()),
        Some(StatusFault::Deactivated) => Err(gate::deactivated()),
        _ => Ok(grant),
    }
}

/// §8 steps 3-7.
fn checked<'a>(inbound: &'a Inbound, grant: &'a Grant, world: &'a World) -> Result<Turn<'a>, Refusal> {
    let body = object(&inbound.body)?;
    let (model, input) = detail::check(body, &inbound.headers, &world.catalogue)?;
    let lite = inbound.header("x-openai-internal-codex-responses-lite") == Some("true");
    let turn = Turn { body, input, model, grant, lite };
    tools::check(&turn)?;
    items::check(&turn)?;
    pairing::check(&turn)?;
    params::check(&turn)?;
    Ok(turn)
}

/// §8 step 3: an encoding and a body that can be read.
fn object(payload: &Payload) -> Result<&Map<String, Value>, Refusal> {
    match payload {
        Payload::Json(value) => value.as_object().ok_or_else(|| Refusal::detail("Request body must be a JSON object")),
        Payload::UnknownEncoding(name) => Err(Refusal::detail(format!("Unsupported content encoding: {name}"))),
        Payload::Malformed(problem) => Err(Refusal::detail(format!("Invalid JSON: {problem}"))),
        Payload::Empty | Payload::Form(_) | Payload::TooLarge | Payload::Broken => {
            Err(Refusal::detail("Invalid JSON: the body is empty or no JSON"))
        }
    }
}

/// What the model API answers before it starts (§3.6).
fn model_fault(turn: &Turn<'_>, plan: &Plan) -> Result<(), Refusal> {
    match plan.status {
        Some(StatusFault::NotFound) => {
            let message = format!("Model not found {}", turn.model.facts.slug);
            Err(Refusal::detail(message).with_status(StatusCode::NOT_FOUND))
        }
        Some(StatusFault::ContextLength) => {
            let code = "context_length_exceeded";
            Err(Refusal::error(Some("input"), Some(code), failure_message(code)))
        }
        _ => Ok(()),
    }
}

/// §8 step 8.
fn quota_fault(plan: &Plan, quota: Quota, grant: &Grant, now: u64) -> Result<(), Refusal> {
    let too_many = |error: Value| Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!({"error": error})));
    match plan.status {
        Some(StatusFault::UsageLimit) => Err(quota.used_up().usage_limit(&grant.plan_type, now)),
        Some(StatusFault::UsageNotIncluded) => {
            let code = "usage_not_included";
            too_many(json!({"type": code, "message": failure_message(code), "plan_type": grant.plan_type}))
        }
        Some(StatusFault::RateLimit) => {
            let code = "rate_limit_exceeded";
            too_many(json!({"type": "tokens", "code": code, "message": failure_message(code), "param": null}))
        }
        _ if quota.exhausted() => Err(quota.usage_limit(&grant.plan_type, now)),
        _ => Ok(()),
    }
}

fn server_fault(plan: &Plan) -> Result<(), Refusal> {
    let (status, kind, code) = match plan.status {
        Some(StatusFault::ServerError) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "server_error"),
        Some(StatusFault::Unavailable) => {
            (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", "server_is_overloaded")
        }
        _ => return Ok(()),
    };
    let error = json!({"message": failure_message(code), "type": kind, "param": null, "code": code});
    Err(Refusal::new(status, json!({"error": error})))
}

/// §8 step 9.
fn streamed(turn: &Turn<'_>, inbound: &Inbound, plan: &Plan, world: &Arc<World>) -> Response<Body> {
    let mut ids = ResponseIds::new(world.rng());
    let now = world.unix_now();
    let (cache_key, cached) = cache(turn, inbound, world, &mut ids);
    let said = outputs(turn, plan);
    let usage = Usage::count(input_tokens(turn), cached, &said);
    let response = echo::response(turn, &ids.item("resp"), now, &cache_key);
    let obfuscate = turn.at("stream_options", "include_obfuscation") != Some(&Value::Bool(false));
    let mut script = Script::new(response, said, usage, plan, obfuscate, &mut ids);
    let quota = world.orders().quota;
    if plan.framing.unknown {
        script = script.with_private_events(quota, &turn.grant.plan_type, now);
    }
    let frames = frames(script, plan.framing.clone(), Arc::clone(world), inbound.ticket.clone());
    let mut reply = reply::stream(frames);
    quota.set_headers(&mut reply, &turn.grant.plan_type, now);
    reply::set(&mut reply, "openai-model", &turn.model.facts.slug);
    reply::set(&mut reply, "x-reasoning-included", "true");
    reply::set(&mut reply, "x-codex-turn-state", &ids.rng().token(24));
    if let Some(version) = inbound.header("user-agent").and_then(Version::of_user_agent) {
        reply::set(&mut reply, "x-models-etag", &world.catalogue.etag(version));
    }
    if plan.framing.content_type {
        reply::set(&mut reply, "content-type", "text/event-stream; charset=utf-8");
    }
    reply
}

/// §2.6: without a session id the key is replaced by a fresh one and nothing is cached; with one, the second request of the
/// same key and session finds what the first left.
fn cache(turn: &Turn<'_>, inbound: &Inbound, world: &World, ids: &mut ResponseIds) -> (String, u64) {
    let key = turn.body.get("prompt_cache_key").and_then(Value::as_str);
    let session = inbound.header("session-id").or_else(|| inbound.header("session_id"));
    let (Some(key), Some(session)) = (key, session) else {
        return (ids.rng().uuid(), 0);
    };
    let pair = (key.to_owned(), session.to_owned());
    let table = &mut world.orders().prompt_cache;
    let cached = table.find(&pair).copied().unwrap_or(0);
    table.insert(pair, input_tokens(turn));
    (key.to_owned(), cached)
}

/// Adds the headers every reply of the real edge carries (§3.5).
fn diagnosed(mut response: Response<Body>, world: &World) -> Response<Body> {
    let mut rng = world.rng();
    reply::set(&mut response, "x-request-id", &rng.uuid());
    reply::set(&mut response, "cf-ray", &format!("{}-AMS", rng.hex(16)));
    reply::set(&mut response, "cf-cache-status", "DYNAMIC");
    reply::set(&mut response, "x-openai-proxy-wasm", "v0.1");
    reply::set(&mut response, "set-cookie", &format!("__cf_bm={}; Path=/; HttpOnly; SameSite=None", rng.token(24)));
    response
}
