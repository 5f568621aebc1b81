//! `POST /v1/responses`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{
    Effort, Error, EventSink, Flow, Notice, Options, Pipe, RawEvent, ReplyPlan, ResponsesFold, ResponsesPipe, Summary,
    Usage, normalise, responses,
};
use codex_upstream::Upstream;
use http::{Response, StatusCode};
use serde::Deserialize;

use crate::app::App;
use crate::ids;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::stored::{ExpandedRequest, Stored, StoredResponse};
use crate::turn::relay::{self, Relay};
use crate::turn::send::Turn;

/// Answers a Responses request, with a stream or with one JSON body, as it asks.
///
/// # Errors
/// The request is invalid, or the turn failed before its first output.
pub(crate) async fn responses<U: Upstream>(
    app: &Arc<App<U>>,
    context: &RequestContext,
    body: Bytes,
) -> Result<Response<ReplyBody>, Error> {
    let ExpandedRequest { body: whole, previous } = app.stored.expand(&context.caller.id, &body)?;
    // A large request is freed before its reply has ended.
    let options = Options { stores: app.stored.has_room_for(body.len()), ..context.options.clone() };
    let asked = Some(body).filter(|_| options.stores);
    let Prepared { mut plan, notices, turn } = prepare(app, context, &options, whole)?;
    plan.previous_response_id = previous;
    let keep = asked.and_then(|asked| Keep::of(app, context, &plan, asked));
    let record = &context.record;
    let identity = ids::response(app.clock.now());
    let mut response = if plan.stream {
        let pipe = Keeping { pipe: ResponsesPipe::new(&plan, &identity), keep };
        reply::event_stream(Relay::await_first_output(vec![(turn.open(), pipe)], record.clone()).await?)
    } else {
        let turns = vec![(turn.open(), ResponsesFold::new(&plan, &identity))];
        let response = relay::collect(turns, record).await?.pop();
        if let (Some(keep), Some(response)) = (keep, &response) {
            keep.response(response.json());
        }
        reply::json(StatusCode::OK, &response)
    };
    reply::add_notices(response.headers_mut(), &notices);
    Ok(response)
}

/// What to store of a turn once it is complete.
#[derive(Debug)]
pub(crate) struct Keep {
    stored: Arc<Stored>,
    caller: String,
    request: Bytes,
}

impl Keep {
    /// Returns what to store of the turn for `request`, if the plan says so.
    pub(crate) fn of<U: Upstream>(
        app: &App<U>,
        context: &RequestContext,
        plan: &ReplyPlan,
        request: Bytes,
    ) -> Option<Self> {
        let keep = || Self { stored: Arc::clone(&app.stored), caller: context.caller.id.clone(), request };
        plan.store.then(keep)
    }

    fn response(self, json: &str) {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        if let Ok(Named { id }) = serde_json::from_str(json) {
            self.stored.keep(&self.caller, &id, StoredResponse { request: self.request, response: json.to_owned() });
        }
    }
}

/// A streaming reply that is stored once it is complete.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) pipe: ResponsesPipe,
    pub(crate) keep: Option<Keep>,
}

impl<O: EventSink> Pipe<O> for Keeping {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        self.pipe.push(event, out)
    }

    fn fail(&mut self, error: Error) {
        Pipe::<O>::fail(&mut self.pipe, error);
    }

    fn finish(&mut self, out: &mut O) -> Result<Summary, Error> {
        let summary = self.pipe.finish(out)?;
        if let (Some(keep), Some(response)) = (self.keep.take(), self.pipe.response()) {
            keep.response(response);
        }
        Ok(summary)
    }

    fn end(&mut self, usage: Option<&Usage>, out: &mut O) {
        self.pipe.end(usage, out);
    }

    fn write_error(&mut self, error: &Error, out: &mut O) {
        self.pipe.write_error(error, out);
    }
}

/// A parsed Responses request.
#[derive(Debug)]
pub(crate) struct Prepared<U: Upstream> {
    /// The plan of the reply.
    pub(crate) plan: ReplyPlan,
    /// The notices of the translation.
    pub(crate) notices: Vec<Notice>,
    /// The turn; nothing is sent yet.
    pub(crate) turn: Turn<U>,
}

/// Parses a Responses request, and records what it asks for.
///
/// # Errors
/// The request is invalid.
pub(crate) fn prepare<U: Upstream>(
    app: &Arc<App<U>>,
    context: &RequestContext,
    options: &Options,
    body: Bytes,
) -> Result<Prepared<U>, Error> {
    let (request, size) = (responses::ResponsesRequest::from_json(&body)?, body.len());
    // As in the chat endpoint.
    drop(body);
    let model = app.named_model(&request.model, options);
    let translated = normalise(request, &model.profile, &model.options)?;
    let effort = translated.request.reasoning.effort.as_ref().map(Effort::as_str);
    let (slug, is_known) = (model.profile.slug.clone(), model.is_known);
    let notices = model.noticed(translated.notices);
    context.record.set_model(&slug, is_known, effort, notices.len());
    Ok(Prepared {
        plan: translated.plan,
        notices,
        turn: Turn::new(&app.client, &context.caller, translated.request, size),
    })
}
