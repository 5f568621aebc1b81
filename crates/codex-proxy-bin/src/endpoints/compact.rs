//! `POST /v1/responses/compact`: replaces a conversation with fewer items.

use bytes::Bytes;
use codex_translate::{Error, responses};
use http::{Response, StatusCode};

use crate::app::App;
use crate::endpoints::completed;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;

/// Compacts a conversation.
///
/// # Errors
/// The request is invalid, or the backend refused it.
pub(crate) async fn compact(app: &App, context: &RequestContext, body: &Bytes) -> Result<Response<ReplyBody>, Error> {
    let (whole, _permit) = completed(app, context, body)?;
    let request = responses::ResponsesRequest::from_json_of(whole.origin(context.sender), &whole.body)?;
    drop(whole);
    let runtime = app.runtime.current();
    let turn = app.client.prepare_compaction(request, &context.turn(&context.options, &runtime.aliases))?;
    context.record.set_model(turn.info());
    let compaction = turn.send_observed(&context.record).await?;
    let mut response = reply::json(StatusCode::OK, &compaction.reply);
    reply::add_notices(response.headers_mut(), &compaction.notices);
    Ok(response)
}
