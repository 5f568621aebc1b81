//! `POST /v1/responses`.

use std::sync::Arc;

use codex_auth::TokenStore;
use codex_translate::{Effort, Error, Notice, ReplyPlan, ResponsesFold, ResponsesPipe, normalise, responses};
use codex_upstream::Upstream;
use http::{Response, StatusCode};

use crate::app::{App, Call};
use crate::ids;
use crate::relay::{self, Relay};
use crate::reply::{self, Body};
use crate::turn::Turn;

/// Answers a Responses request, in a stream or whole, as it asks.
///
/// # Errors
/// The request is wrong, or the turn failed before its first output.
pub(crate) async fn responses<U: Upstream, S: TokenStore>(
    app: &Arc<App<U, S>>,
    call: &Call,
    body: &[u8],
) -> Result<Response<Body>, Error> {
    let Prepared { plan, notices, turn } = prepare(app, call, body)?;
    let record = &call.record;
    let identity = ids::response();
    let mut response = if plan.stream {
        let turns = vec![(turn.open(), ResponsesPipe::new(&plan, identity))];
        reply::event_stream(Relay::hold(turns, record).await?)
    } else {
        let turns = vec![(turn.open(), ResponsesFold::new(&plan, identity))];
        reply::json(StatusCode::OK, &relay::collect(turns, record).await?.pop())
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// A Responses request that was read.
#[derive(Debug)]
pub(crate) struct Prepared<U: Upstream, S: TokenStore> {
    /// What the reply is to be.
    pub(crate) plan: ReplyPlan,
    /// What was changed.
    pub(crate) notices: Vec<Notice>,
    /// The turn, of which nothing is sent yet.
    pub(crate) turn: Turn<U, S>,
}

/// Reads a Responses request, and notes what it asks for.
///
/// # Errors
/// The request is wrong.
pub(crate) fn prepare<U: Upstream, S: TokenStore>(
    app: &Arc<App<U, S>>,
    call: &Call,
    body: &[u8],
) -> Result<Prepared<U, S>, Error> {
    let request = responses::Request::from_json(body)?;
    let model = app.named_model(&request.model, &call.options);
    let translated = normalise(request, &model.profile, &model.options)?;
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    let (slug, is_known) = (model.profile.slug.clone(), model.is_known);
    let notices = model.noticed(translated.notices);
    call.record.asks(&slug, is_known, effort, notices.len());
    Ok(Prepared { plan: translated.plan, notices, turn: Turn::new(app, call, translated.request) })
}
