//! `POST /v1/chat/completions`.

use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{ChatFold, ChatPipe, Effort, Error, ErrorKind, ReplyPlan, chat, to_responses};
use codex_upstream::Upstream;
use http::{Response, StatusCode};

use crate::app::App;
use crate::ids;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::turn::relay::{self, Relay};
use crate::turn::send::Turn;

/// Answers a chat request, with a stream or with one JSON body, as it asks.
///
/// # Errors
/// The request is invalid, or the turn failed before its first output.
pub(crate) async fn chat<U: Upstream>(
    app: &Arc<App<U>>,
    context: &RequestContext,
    body: Bytes,
) -> Result<Response<ReplyBody>, Error> {
    let (request, size) = (chat::ChatRequest::from_json(&body)?, body.len());
    // Keeps as few copies of a large request in memory as possible.
    drop(body);
    let model = app.named_model(request.model(), &context.options);
    let translated = to_responses(request, &model.profile, &model.options)?;
    let (plan, notices) = (translated.plan, model.noticed(translated.notices));
    let record = &context.record;
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    record.set_model(&model.profile.slug, model.is_known, effort, notices.len());
    let identity = ids::completion(app.clock.now());
    let turn = Turn::new(&app.client, &context.caller, translated.request, size);
    // The backend makes one choice per turn (docs/features.md C9).
    let choices = (0..plan.n).map(|choice| (turn.open(), ReplyPlan { choice, ..plan.clone() }));
    let mut response = if plan.stream {
        let turns = choices.map(|(pending, plan)| (pending, ChatPipe::new(&plan, &identity))).collect();
        reply::event_stream(Relay::await_first_output(turns, record.clone()).await?)
    } else {
        let turns = choices.map(|(pending, plan)| (pending, ChatFold::new(&plan, &identity))).collect();
        let completions = relay::collect(turns, record).await?;
        let merged = completions.into_iter().reduce(|mut whole, choice| {
            whole.merge(choice);
            whole
        });
        let completion = merged.ok_or_else(|| Error::new(ErrorKind::Internal, "the request has no choices"))?;
        reply::json(StatusCode::OK, &completion)
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}
