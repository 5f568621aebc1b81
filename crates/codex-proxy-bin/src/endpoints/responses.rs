//! `POST /v1/responses`.

use std::sync::Arc;

use codex_auth::TokenStore;
use codex_translate::{Effort, Error, ResponsesFold, ResponsesPipe, normalise, responses};
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
    let request = responses::Request::from_json(body)?;
    let model = app.named_model(&request.model, &call.options);
    let translated = normalise(request, &model.profile, &model.options)?;
    let (plan, notices) = (translated.plan, model.noticed(translated.notices));
    let record = &call.record;
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    record.asks(&model.profile.slug, model.is_known, effort, notices.len());
    let identity = ids::response();
    let opening = Turn::new(app, call, translated.request).open();
    let mut response = if plan.stream {
        let turns = vec![(opening, ResponsesPipe::new(&plan, identity))];
        reply::event_stream(Relay::hold(turns, record).await?)
    } else {
        let turns = vec![(opening, ResponsesFold::new(&plan, identity))];
        reply::json(StatusCode::OK, &relay::collect(turns, record).await?.pop())
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}
