//! `POST /backend-api/codex/responses/compact`: a conversation in, one encrypted item that stands for it out (`docs/backend.md` §2.1).

use std::sync::Arc;

use http::Response;
use serde_json::{Value, json};

use crate::auth::ledger::Grant;
use crate::backend::refusal::Refusal;
use crate::backend::responses::{object, user_text};
use crate::backend::turn::Turn;
use crate::backend::whole::{self, Passed};
use crate::backend::{detail, items, pairing, params, seal};
use crate::ids::ResponseIds;
use crate::inbound::Inbound;
use crate::recipe::usage::{Usage, input_tokens};
use crate::reply::{Body, Dropped};
use crate::world::World;

/// Answers one compaction.
pub(crate) async fn answer(inbound: &Inbound, world: &Arc<World>) -> Result<Response<Body>, Dropped> {
    whole::answer(inbound, &user_text(inbound), world, |grant| compacted(inbound, grant, world)).await
}

fn compacted(inbound: &Inbound, grant: &Grant, world: &World) -> Result<Passed, Refusal> {
    let body = object(&inbound.body)?;
    let (model, input) = detail::check_compaction(body, &inbound.headers, &world.catalogue, &grant.plan_type)?;
    let lite = inbound.header("x-openai-internal-codex-responses-lite") == Some("true");
    let turn = Turn { body, input, model, grant, lite, generate: true };
    items::check(&turn)?;
    pairing::check(&turn)?;
    params::check(&turn)?;
    Ok(Passed { model: model.facts.slug.clone(), reply: reply(&turn, world) })
}

/// As a live reply had it: the item alone, without the messages that the public API lists before it.
fn reply(turn: &Turn<'_>, world: &World) -> Value {
    let mut ids = ResponseIds::new(world.rng());
    json!({
        "id": ids.item("resp"),
        "object": "response.compaction",
        "created_at": world.unix_now(),
        "output": [{"id": ids.item("cmp"), "type": "compaction", "encrypted_content": summary(turn)}],
        "usage": Usage::count(input_tokens(turn), 0, &[]).to_json(),
    })
}

/// What stands for the conversation: only this account and this family of models can read it.
pub(crate) fn summary(turn: &Turn<'_>) -> String {
    let told = format!("{} items, the last: {}", turn.input.len(), turn.last_user_text());
    seal::seal(&turn.grant.account_id, turn.model.family(), &told)
}
