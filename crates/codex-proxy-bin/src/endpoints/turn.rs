//! The endpoints of turns, such as `POST /v1/chat/completions` and `POST /v1/responses`: for each dialect a reader, the
//! turn, and a writer.

use bytes::Bytes;
use codex_client::Turn;
use codex_translate::{BodyOrigin, Dialect, Error, Options};
use http::{Response, StatusCode};

use crate::app::App;
use crate::endpoints::storing::{self, StoreOnCompletion, StoringDecision, StoringPipe};
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::stored::ExpandedRequest;

/// Answers a request of `dialect`, with a stream or with one JSON body, as it asks.
///
/// # Errors
/// The request is invalid, or the turn failed before its first output.
pub(crate) async fn turn(
    app: &App,
    dialect: &Dialect,
    context: &RequestContext,
    body: Bytes,
) -> Result<Response<ReplyBody>, Error> {
    let (mut request, decision, _permit) = if dialect.stores {
        let (whole, permit) = storing::completed(app, context, &body)?;
        let decision = StoringDecision::of(app, whole.own.len(), whole.previous.as_deref());
        (whole, decision, Some(permit))
    } else {
        (ExpandedRequest::unchanged(body.clone()), StoringDecision::never(), None)
    };
    // A large request is freed before its reply has ended.
    drop(body);
    let options = Options { storage: decision.storage.clone(), ..context.options.clone() };
    let whole = std::mem::take(&mut request.body);
    let mut turn = prepare(app, dialect, context, &options, request.origin(context.sender), whole)?;
    let ExpandedRequest { own, previous, .. } = request;
    turn.plan.previous_response_id = previous.as_ref().map(|response| response.id().to_owned());
    let store = StoreOnCompletion::of(app, context, &turn.plan, own, previous, decision);
    let record = &context.record;
    if turn.plan.stream {
        record.set_stream();
    }
    let reply = turn.send().await?;
    let mut store = store.map(|store| store.noting(reply.late_notice()));
    let mut notices = reply.notices().to_vec();
    let mut response = if reply.is_stream() {
        let mut relay = reply.into_relay(record.clone(), |plan, reply_id| StoringPipe {
            pipe: dialect.pipe(plan, reply_id),
            store: store.take(),
        });
        relay.first_output().await?;
        reply::event_stream(relay)
    } else {
        let whole = reply.collect_observed(record).await?;
        if let (Some(store), Some(json)) = (store, whole.stored_form()) {
            notices.extend(store.complete(json).err());
        }
        reply::json(StatusCode::OK, &whole)
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// Parses a request of `dialect`, and records what it asks for. Nothing is sent yet.
///
/// # Errors
/// The request is invalid.
pub(crate) fn prepare(
    app: &App,
    dialect: &Dialect,
    context: &RequestContext,
    options: &Options,
    origin: BodyOrigin<'_>,
    body: Bytes,
) -> Result<Turn, Error> {
    let request = dialect.read_of(origin, &body)?;
    // Keeps as few copies of a large request in memory as possible.
    drop(body);
    let runtime = app.runtime.current();
    let turn = app.client.prepare_for(request, &context.turn(options, &runtime.aliases))?;
    context.record.set_model(&turn.info);
    Ok(turn)
}
