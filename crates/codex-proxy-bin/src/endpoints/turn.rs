//! The endpoints of turns, such as `POST /v1/chat/completions` and `POST /v1/responses`: for each dialect a reader, the
//! turn, and a writer.

use bytes::Bytes;
use codex_translate::{Dialect, Effort, Error, ErrorKind, Notice, Options, ReplyPlan, WholeReply};
use http::{Response, StatusCode};

use crate::app::App;
use crate::endpoints::storing::{self, StoreOnCompletion, StoringPipe};
use crate::ids;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::stored::ExpandedRequest;
use crate::turn::relay::{self, Relay};
use crate::turn::send::Turn;

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
    let (ExpandedRequest { body: whole, previous }, _permit) = if dialect.stores {
        let (whole, permit) = storing::completed(app, context, &body)?;
        (whole, Some(permit))
    } else {
        (ExpandedRequest { body: body.clone(), previous: None }, None)
    };
    // A large request is freed before its reply has ended.
    let asked =
        if dialect.stores { storing::storing_permit(app, body.len()) } else { None }.map(|permit| (body, permit));
    let options = Options { stores: asked.is_some(), ..context.options.clone() };
    let PreparedTurn { mut plan, notices, turn } = prepare(app, dialect, context, &options, whole)?;
    plan.previous_response_id = previous;
    let mut store = asked.and_then(|(asked, permit)| StoreOnCompletion::of(app, context, &plan, asked, permit));
    let record = &context.record;
    let reply_id = ids::reply(dialect, app.clock.now());
    let is_stream = plan.stream;
    // The backend makes one choice per turn (docs/features.md C9).
    let choices = (0..plan.n).map(|choice| (turn.open(), ReplyPlan { choice, ..plan.clone() }));
    let mut response = if is_stream {
        let mut writer = |plan: &ReplyPlan| StoringPipe { pipe: dialect.pipe(plan, &reply_id), store: store.take() };
        let turns = choices.map(|(pending, plan)| (pending, writer(&plan))).collect();
        let relay = Relay::await_first_output(turns, record.clone()).await?;
        reply::event_stream(relay.with_keepalive(dialect.keepalive))
    } else {
        let turns = choices.map(|(pending, plan)| (pending, dialect.fold(&plan, &reply_id))).collect();
        let replies = relay::collect(turns, record).await?;
        let reply = replies.into_iter().reduce(WholeReply::merged);
        let reply = reply.ok_or_else(|| Error::new(ErrorKind::Internal, "the request has no choices"))?;
        if let (Some(store), Some(json)) = (store, reply.stored_form()) {
            store.complete(json);
        }
        reply::json(StatusCode::OK, &reply)
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct PreparedTurn {
    /// The plan of the reply.
    pub(crate) plan: ReplyPlan,
    /// The notices of the translation.
    pub(crate) notices: Vec<Notice>,
    /// The turn; nothing is sent yet.
    pub(crate) turn: Turn,
}

/// Parses a request of `dialect`, and records what it asks for.
///
/// # Errors
/// The request is invalid.
pub(crate) fn prepare(
    app: &App,
    dialect: &Dialect,
    context: &RequestContext,
    options: &Options,
    body: Bytes,
) -> Result<PreparedTurn, Error> {
    let (request, size) = (dialect.read(&body)?, body.len());
    // Keeps as few copies of a large request in memory as possible.
    drop(body);
    let model = app.named_model(request.model(), options);
    let translated = request.translate(&model.profile, &model.options)?;
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    let (slug, is_known) = (model.profile.slug.clone(), model.is_known);
    let notices = model.noticed(translated.notices);
    context.record.set_model(&slug, is_known, effort, notices.len());
    Ok(PreparedTurn {
        plan: translated.plan,
        notices,
        turn: Turn::new(&app.client, &context.caller, translated.request, size),
    })
}
