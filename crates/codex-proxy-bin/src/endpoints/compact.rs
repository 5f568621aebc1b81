//! `POST /v1/responses/compact`: replaces a conversation with fewer items.

use bytes::Bytes;
use codex_translate::{Effort, Error, Finish, Summary, dialect, responses};
use codex_upstream::{CompactionReply, TurnRequest, requests};
use http::{Response, StatusCode};

use crate::app::App;
use crate::endpoints::completed;
use crate::ids;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::turn::send::conversation;
use crate::turn::unary::{send_unary, unary_error, usage};

/// Compacts a conversation.
///
/// # Errors
/// The request is invalid, or the backend refused it.
pub(crate) async fn compact(app: &App, context: &RequestContext, body: &Bytes) -> Result<Response<ReplyBody>, Error> {
    let (whole, _permit) = completed(app, context, body)?;
    let request = responses::ResponsesRequest::from_json(&whole.body)?;
    drop(whole);
    let model = app.named_model(&request.model, &context.options);
    let translated = codex_translate::compact(request, &model.profile, &model.options)?;
    let notices = model.noticed(translated.notices);
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    context.record.set_model(&model.profile.slug, model.is_known, effort, notices.len());
    let compaction = compacted(app, context, translated.request).await?;
    context.record.complete(&Summary { finish: Finish::Stop, usage: usage(compaction.usage.as_ref()) });
    let mut response = reply::json(StatusCode::OK, &compaction);
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// Returns the compaction, with the members of the public API that older replies of the backend lack.
async fn compacted(
    app: &App,
    context: &RequestContext,
    mut request: responses::ResponsesRequest,
) -> Result<CompactionReply, Error> {
    let conversation = conversation(&app.client, &context.caller, &request);
    request.prompt_cache_key = Some(conversation.clone());
    let body = request.to_compaction_json();
    let turn = TurnRequest {
        model: &request.model,
        tier: request.service_tier.as_deref(),
        conversation_id: Some(&conversation),
        lite: request.is_lite(),
        body: &body,
    };
    let reply = send_unary(&app.client, |backend| requests::compaction(backend, &turn)).await?;
    let mut compaction = CompactionReply::parse(&reply).map_err(|error| unary_error(&error))?;
    let identity = ids::reply(&dialect::RESPONSES, app.clock.now());
    compaction.id.get_or_insert(identity.id);
    compaction.object.get_or_insert_with(|| "response.compaction".to_owned());
    compaction.created_at.get_or_insert_with(|| identity.created.into());
    Ok(compaction)
}
