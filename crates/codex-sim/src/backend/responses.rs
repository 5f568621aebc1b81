//! `POST /backend-api/codex/responses`: the checks in the order of `docs/backend.md` §8, then the stream.

use std::sync::Arc;

use http::{Method, Response};
use serde_json::{Map, Value};

use crate::backend::auth;
use crate::backend::checks::gateway;
use crate::backend::checks::items;
use crate::backend::checks::pairing;
use crate::backend::checks::params;
use crate::backend::checks::tools;
use crate::backend::faults;
use crate::catalogue::Version;
use crate::exchange::compression::Compressed;
use crate::exchange::inbound::{Inbound, Payload};
use crate::exchange::reply::{self, Body, Dropped};
use crate::ids::ResponseIds;
use crate::protocol::refusal::Refusal;
use crate::protocol::turn::{Turn, last_user_text};
use crate::recipe::echo;
use crate::recipe::frames::frames;
use crate::recipe::outputs::outputs;
use crate::recipe::quota_snapshot::QuotaSnapshot;
use crate::recipe::script::Script;
use crate::recipe::usage::{Usage, input_tokens};
use crate::scenario::Scenario;
use crate::scenario::plan::{Plan, Point};
use crate::scenario::word::ScenarioError;
use crate::state::SimState;
use crate::tokens::grant::Grant;

/// Answers one turn.
pub(crate) async fn answer(inbound: Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    let plan = match choose_plan(&inbound, &user_text(&inbound), state) {
        Ok(plan) => plan,
        Err(error) => return Ok(Refusal::detail(error.to_string()).into_response()),
    };
    if plan.framing.stall == Some(Point::Headers) {
        state.stalls.released(&inbound.ticket, plan.framing.stall_for).await;
    }
    if let Some(page) = faults::before_the_backend(plan.status.as_ref()) {
        return Ok(page);
    }
    let answered = accept(&inbound, &plan, true, state).map(|answer| stream_reply(answer, &inbound, &plan, state));
    Ok(answered.unwrap_or_else(Refusal::into_response))
}

/// Returns the text of the last user message.
pub(crate) fn user_text(inbound: &Inbound) -> String {
    let input = inbound.body.json().and_then(|body| body.get("input")?.as_array());
    input.map_or_else(String::new, |input| last_user_text(input))
}

/// Returns the plan of a request: by the scenario of its header, or else of the queue, or else of `text`.
pub(crate) fn choose_plan(inbound: &Inbound, text: &str, state: &SimState) -> Result<Plan, ScenarioError> {
    let scenario = match inbound.header("x-sim-scenario") {
        Some(words) => Scenario::parse(words)?,
        None => {
            let queued = state.overrides().scenarios.pop_front();
            queued.map_or_else(|| Scenario::in_text(text), Ok)?
        }
    };
    inbound.ticket.scenario(&scenario.to_text());
    Ok(scenario.plan(|word| word.once && state.overrides().skips_once(word, text)))
}

/// The reply to an accepted turn.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) script: Script,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Makes the steps 2 to 9 of §8. `generate` is false for a turn that only warms up a WebSocket (§4).
pub(crate) fn accept(inbound: &Inbound, plan: &Plan, generate: bool, state: &SimState) -> Result<Answer, Refusal> {
    let fault = plan.status.as_ref();
    faults::on_bearer(fault)?;
    let grant = auth::authenticate(&inbound.headers, state)?;
    faults::on_account(fault)?;
    let turn = checked(inbound, &grant, generate, state)?;
    let now = state.clock.unix_now();
    let quota = state.quota(now);
    state.overrides().used_up = plan.uses_up_the_quota().then(|| quota.exhausted_now());
    faults::on_turn(fault, &turn.model.facts.slug, &grant, quota, now)?;
    Ok(build_answer(&turn, inbound, plan, state))
}

/// §8 steps 3-7.
fn checked<'a>(
    inbound: &'a Inbound,
    grant: &'a Grant,
    generate: bool,
    state: &'a SimState,
) -> Result<Turn<'a>, Refusal> {
    let body = object(&inbound.body)?;
    let (model, input) = gateway::check(body, &inbound.headers, &state.catalogue, &grant.plan_type)?;
    let lite = is_lite(inbound, body);
    let turn = Turn { body, input, model, grant, lite, generate };
    tools::check(&turn)?;
    items::check(&turn)?;
    pairing::check(&turn)?;
    params::check(&turn)?;
    Ok(turn)
}

/// §8 step 3: a known encoding and a JSON object.
pub(crate) fn object(payload: &Payload) -> Result<&Map<String, Value>, Refusal> {
    match payload {
        Payload::Json(value) => value.as_object().ok_or_else(|| Refusal::detail("Request body must be a JSON object")),
        Payload::UnknownEncoding(name) => Err(Refusal::detail(format!("Unsupported content encoding: {name}"))),
        Payload::Malformed(problem) => Err(Refusal::detail(format!("Invalid JSON: {problem}"))),
        Payload::Empty | Payload::Form(_) | Payload::TooLarge | Payload::Incomplete => {
            Err(Refusal::detail("Invalid JSON: the body is empty or no JSON"))
        }
    }
}

/// §2.8, §4: a header, or its substitute in a WebSocket message.
fn is_lite(inbound: &Inbound, body: &Map<String, Value>) -> bool {
    let metadata = body.get("client_metadata");
    let stand_in = metadata.and_then(|m| m.get("ws_request_header_x_openai_internal_codex_responses_lite"));
    let header = inbound.header("x-openai-internal-codex-responses-lite");
    header == Some("true") || (inbound.method == Method::GET && stand_in == Some(&Value::from("true")))
}

/// §8 step 9.
fn build_answer(turn: &Turn<'_>, inbound: &Inbound, plan: &Plan, state: &SimState) -> Answer {
    let mut ids = ResponseIds::new(state.rng());
    let now = state.clock.unix_now();
    let (cache_key, cached) = cache(turn, inbound, state, &mut ids);
    let items = if turn.generate { outputs(turn, plan) } else { Vec::new() };
    let usage = Usage::count(input_tokens(turn), cached, &items);
    let response = echo::response(turn, &ids.item("resp"), now, &cache_key);
    let obfuscate = turn.at("stream_options", "include_obfuscation") != Some(&Value::Bool(false));
    let snapshot = QuotaSnapshot { quota: state.quota(now), plan_type: turn.grant.plan_type.clone(), now };
    let mut headers = snapshot.quota.headers(&snapshot.plan_type, now);
    let script = Script::new(response, items, usage, plan, obfuscate, snapshot, &mut ids);
    headers.push(("openai-model", turn.model.facts.slug.clone()));
    headers.extend(common_headers(inbound, turn.grant, state));
    Answer { script, headers }
}

/// Returns the headers that successful replies and upgrades share.
pub(crate) fn common_headers(inbound: &Inbound, grant: &Grant, state: &SimState) -> Vec<(&'static str, String)> {
    // §2.2: the same within one turn, in which the client sends it back.
    let turn_state = inbound.header("x-codex-turn-state").map_or_else(|| state.rng().token(24), str::to_owned);
    let mut headers = vec![("x-reasoning-included", "true".to_owned()), ("x-codex-turn-state", turn_state)];
    if let Some(version) = Version::of_client(&inbound.headers) {
        headers.push(("x-models-etag", state.catalogue.etag(version, &grant.plan_type)));
    }
    headers
}

fn stream_reply(answer: Answer, inbound: &Inbound, plan: &Plan, state: &SimState) -> Response<Body> {
    let (ticket, flush_log) = (inbound.ticket.clone(), inbound.connection.flush_log.clone());
    let mut reply =
        reply::stream(frames(answer.script, plan.framing.clone(), Arc::clone(&state.stalls), ticket, flush_log));
    answer.headers.iter().for_each(|(name, value)| reply::set(&mut reply, name, value));
    if plan.framing.compressed {
        reply.extensions_mut().insert(Compressed);
    }
    if plan.framing.content_type {
        reply::set(&mut reply, "content-type", "text/event-stream; charset=utf-8");
    }
    reply
}

/// Returns the cache key and the cached tokens. §2.6: without a session id the key is replaced by a new one and
/// nothing is cached; with one, the second request with the same key and session finds the tokens of the first.
fn cache(turn: &Turn<'_>, inbound: &Inbound, state: &SimState, ids: &mut ResponseIds) -> (String, u64) {
    let key = turn.body.get("prompt_cache_key").and_then(Value::as_str);
    let session = inbound.header("session-id").or_else(|| inbound.header("session_id"));
    let (Some(key), Some(session)) = (key, session) else {
        return (ids.rng().uuid(), 0);
    };
    let cached = state.prompt_cache().exchange(key, session, input_tokens(turn));
    (key.to_owned(), cached)
}
