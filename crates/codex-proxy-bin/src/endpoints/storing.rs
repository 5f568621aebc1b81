//! Storing a turn once it is complete, whatever its dialect.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use codex_client::LateNotice;
use codex_translate::{Error, Flow, Notice, NoticeKind, Pipe, RawEvent, ReplyPlan, Storage, Summary, Usage};
use serde::Deserialize;

use crate::app::App;
use crate::request::budget::BudgetPermit;
use crate::request::context::RequestContext;
use crate::stored::{ExpandedRequest, NewResponse, Stored, StoredResponse};

/// What is decided about storing the response to a request before it is sent.
#[derive(Debug)]
pub(crate) struct StoringDecision {
    /// What the response may say about it.
    pub(crate) storage: Storage,
    /// The memory for the request while it waits for its response, if that can be stored.
    permit: Option<BudgetPermit>,
}

impl StoringDecision {
    /// Decides about the response to a request with a body of `bytes` that continues `previous`.
    pub(crate) fn of(app: &App, bytes: usize, previous: Option<&StoredResponse>) -> Self {
        if !app.stored.is_in_use() {
            return Self::never();
        }
        let room = app.stored.room_for(bytes, previous);
        let permit = room.and_then(|room| {
            let permit = app.retained_budget.try_acquire(bytes);
            permit.map(|permit| (room, permit)).map_err(|_| "too many large requests wait to be stored".to_owned())
        });
        match permit {
            Ok((room, permit)) => Self { storage: Storage::UpTo(room), permit: Some(permit) },
            Err(why) => Self { storage: Storage::Refused(why), permit: None },
        }
    }

    /// Decides that nothing is stored.
    pub(crate) fn never() -> Self {
        Self { storage: Storage::Never, permit: None }
    }
}

/// Completes a request that continues a stored response or refers to one's items. Hold the permit until it is sent.
///
/// # Errors
/// The response is not stored, the whole is too large (413), or there is no memory for it (503).
pub(crate) fn completed(
    app: &App,
    context: &RequestContext,
    body: &Bytes,
) -> Result<(ExpandedRequest, BudgetPermit), Error> {
    let limit_bytes = app.runtime.current().limits.body_bytes;
    let whole = app.stored.expand(&context.caller.id, body, limit_bytes)?;
    let permit = app.body_budget.try_grow(body.len(), whole.body.len())?;
    Ok((whole, permit))
}

/// What to store of a turn once it is complete.
#[derive(Debug)]
pub(crate) struct StoreOnCompletion {
    stored: Arc<Stored>,
    caller: String,
    /// The body of the request, without the conversation before it.
    request: Bytes,
    previous: Option<Arc<StoredResponse>>,
    encrypted_reasoning: bool,
    /// What the backend made of the request.
    late: LateNotice,
    /// The memory for the request while it waits for its response.
    _permit: BudgetPermit,
}

impl StoreOnCompletion {
    /// Returns what to store of the turn for `request`, if the plan says so.
    pub(crate) fn of(
        app: &App,
        context: &RequestContext,
        plan: &ReplyPlan,
        request: Bytes,
        previous: Option<Arc<StoredResponse>>,
        decision: StoringDecision,
    ) -> Option<Self> {
        let permit = decision.permit.filter(|_| plan.store)?;
        let (stored, caller) = (Arc::clone(&app.stored), context.caller.id.clone());
        let encrypted_reasoning = plan.encrypted_reasoning;
        let late = LateNotice::default();
        Some(Self { stored, caller, request, previous, encrypted_reasoning, late, _permit: permit })
    }

    /// Stores also what `late` says of the request once the reply is complete.
    pub(crate) fn noting(self, late: &LateNotice) -> Self {
        Self { late: late.clone(), ..self }
    }

    /// Stores the turn with its response.
    ///
    /// # Errors
    /// It is too large to be stored, which the response also says.
    pub(crate) fn complete(self, json: &str) -> Result<(), Notice> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        let Ok(Named { id }) = serde_json::from_str(json) else { return Ok(()) };
        let response = NewResponse {
            id: &id,
            request: &self.request,
            response: json.to_owned(),
            previous: self.previous,
            encrypted_reasoning: self.encrypted_reasoning,
            is_reasoning_refused: self.late.get().is_some(),
        };
        if self.stored.insert(&self.caller, response) {
            return Ok(());
        }
        let (parameter, detail) = ("store".to_owned(), self.stored.too_large());
        Err(Notice { parameter, kind: NoticeKind::Dropped, detail })
    }
}

/// A streaming reply that is stored once it is complete.
#[derive(Debug)]
pub(crate) struct StoringPipe<P> {
    pub(crate) pipe: P,
    pub(crate) store: Option<StoreOnCompletion>,
}

impl<P> StoringPipe<P> {
    fn store_response<O>(&mut self)
    where
        P: Pipe<O>,
    {
        if let (Some(store), Some(response)) = (self.store.take(), self.pipe.stored_form()) {
            // Its last event has said so.
            if let Err(notice) = store.complete(response) {
                tracing::debug!(%notice, "the response is not stored");
            }
        }
    }
}

impl<O, P: Pipe<O>> Pipe<O> for StoringPipe<P> {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        self.pipe.push(event, out)
    }

    fn begin(&mut self, out: &mut O) {
        self.pipe.begin(out);
    }

    fn fail(&mut self, error: Error) {
        self.pipe.fail(error);
    }

    fn finish(&mut self, out: &mut O) -> Result<Summary, Error> {
        let summary = self.pipe.finish(out)?;
        Self::store_response::<O>(self);
        Ok(summary)
    }

    fn interrupt(&mut self, reason: &str, out: &mut O) -> Result<Summary, Error> {
        let summary = self.pipe.interrupt(reason, out)?;
        Self::store_response::<O>(self);
        Ok(summary)
    }

    fn end(&mut self, usage: Option<&Usage>, out: &mut O) {
        self.pipe.end(usage, out);
    }

    fn write_error(&mut self, error: &Error, out: &mut O) {
        self.pipe.write_error(error, out);
    }

    fn release(&mut self, out: &mut O) -> Result<(), Error> {
        self.pipe.release(out)
    }

    fn write_keepalive(&mut self, out: &mut O) -> bool {
        self.pipe.write_keepalive(out)
    }
}
