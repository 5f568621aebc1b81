//! Unary replies: one JSON object, with the refusals, scenarios and headers of a turn.

use std::io;
use std::sync::Arc;

use async_stream::stream;
use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::backend::auth;
use crate::backend::faults;
use crate::backend::responses;
use crate::exchange::compression::Compressed;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body, Dropped};
use crate::exchange::stalls::Stalls;
use crate::protocol::refusal::Refusal;
use crate::scenario::plan::{Plan, Point};
use crate::state::SimState;
use crate::tokens::grant::Grant;

/// A request that has passed every check.
pub(crate) struct Accepted {
    /// The model's slug.
    pub(crate) model: String,
    /// The reply.
    pub(crate) reply: Value,
}

/// Answers in the order of `docs/backend.md` §8. `check` checks the body and builds the reply; the scenario is read
/// from `text`.
pub(crate) async fn answer(
    inbound: &Inbound,
    text: &str,
    state: &SimState,
    check: impl FnOnce(&Grant) -> Result<Accepted, Refusal> + Send,
) -> Result<Response<Body>, Dropped> {
    let plan = match responses::choose_plan(inbound, text, state) {
        Ok(plan) => plan,
        Err(error) => return Ok(Refusal::detail(error.to_string()).into_response()),
    };
    if plan.framing.stall == Some(Point::Headers) {
        state.stalls.released(&inbound.ticket, plan.framing.stall_for).await;
    }
    if let Some(page) = faults::before_the_backend(plan.status.as_ref()) {
        return Ok(page);
    }
    Ok(accept(inbound, &plan, state, check).unwrap_or_else(Refusal::into_response))
}

fn accept(
    inbound: &Inbound,
    plan: &Plan,
    state: &SimState,
    check: impl FnOnce(&Grant) -> Result<Accepted, Refusal>,
) -> Result<Response<Body>, Refusal> {
    let fault = plan.status.as_ref();
    faults::on_bearer(fault)?;
    let grant = auth::authenticate(&inbound.headers, state)?;
    faults::on_account(fault)?;
    let accepted = check(&grant)?;
    let now = state.clock.unix_now();
    let quota = state.quota(now);
    state.overrides().used_up = plan.uses_up_the_quota().then(|| quota.exhausted_now());
    faults::on_turn(fault, &accepted.model, &grant, quota, now)?;
    let mut response = send_in_halves(accepted.reply.to_string(), plan, inbound, Arc::clone(&state.stalls));
    reply::set(&mut response, "content-type", "application/json");
    if plan.framing.compressed {
        response.extensions_mut().insert(Compressed);
    }
    let headers = quota.headers(&grant.plan_type, now);
    headers.iter().for_each(|(name, value)| reply::set(&mut response, name, value));
    Ok(response)
}

/// Sends the reply in two halves, between which a scenario may stall or cut it.
fn send_in_halves(json: String, plan: &Plan, inbound: &Inbound, stalls: Arc<Stalls>) -> Response<Body> {
    let (ticket, flush_log) = (inbound.ticket.clone(), inbound.connection.flush_log.clone());
    let (stall, cut) = (plan.framing.stall.is_some(), plan.framing.cut.is_some());
    let stall_for = plan.framing.stall_for;
    let json = Bytes::from(json);
    let middle = json.len() / 2;
    reply::stream(stream! {
        yield Ok(json.slice(..middle));
        if stall {
            stalls.released(&ticket, stall_for).await;
        }
        if cut {
            // The bytes before the cut must arrive.
            flush_log.settled().await;
            yield Err(io::Error::from(io::ErrorKind::ConnectionReset));
            return;
        }
        yield Ok(json.slice(middle..));
    })
}
