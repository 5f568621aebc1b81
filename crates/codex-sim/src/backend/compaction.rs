//! `POST /backend-api/codex/responses/compact`: a conversation becomes one encrypted item (`docs/backend.md` §2.1).

use http::Response;
use serde_json::{Value, json};

use crate::backend::checks::gateway;
use crate::backend::checks::items;
use crate::backend::checks::pairing;
use crate::backend::checks::params;
use crate::backend::responses::{object, user_text};
use crate::backend::unary::{self, Accepted};
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{Body, Dropped};
use crate::ids::ResponseIds;
use crate::protocol::refusal::Refusal;
use crate::protocol::turn::Turn;
use crate::recipe::outputs::conversation_summary;
use crate::recipe::usage::{Usage, input_tokens};
use crate::state::SimState;
use crate::tokens::grant::Grant;

/// Answers one compaction.
pub(crate) async fn answer(inbound: &Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    unary::answer(inbound, &user_text(inbound), state, |grant| compacted(inbound, grant, state)).await
}

fn compacted(inbound: &Inbound, grant: &Grant, state: &SimState) -> Result<Accepted, Refusal> {
    let body = object(&inbound.body)?;
    let (model, input) = gateway::check_compaction(body, &inbound.headers, &state.catalogue, &grant.plan_type)?;
    let lite = inbound.header("x-openai-internal-codex-responses-lite") == Some("true");
    let turn = Turn { body, input, model, grant, lite, generate: true };
    items::check(&turn)?;
    pairing::check(&turn)?;
    params::check(&turn)?;
    Ok(Accepted { model: model.facts.slug.clone(), reply: reply(&turn, state) })
}

/// Returns the reply as seen live: the item alone, without the messages that the public API lists before it.
fn reply(turn: &Turn<'_>, state: &SimState) -> Value {
    let mut ids = ResponseIds::new(state.rng());
    json!({
        "id": ids.item("resp"),
        "object": "response.compaction",
        "created_at": state.clock.unix_now(),
        "output": [{"id": ids.item("cmp"), "type": "compaction", "encrypted_content": conversation_summary(turn)}],
        "usage": Usage::count(input_tokens(turn), 0, &[]).to_json(),
    })
}
