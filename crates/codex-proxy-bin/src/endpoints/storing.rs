//! Storing a turn once it is complete, whatever its dialect.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{Error, Flow, Pipe, RawEvent, ReplyPlan, Summary, Usage};
use serde::Deserialize;

use crate::app::App;
use crate::request::budget::BudgetPermit;
use crate::request::context::RequestContext;
use crate::stored::{ExpandedRequest, Stored, StoredResponse};

/// Returns the memory for a request of `bytes` that waits to be stored; `None` if it is not to be stored.
pub(crate) fn storing_permit(app: &App, bytes: usize) -> Option<BudgetPermit> {
    if !app.stored.has_room_for(bytes) {
        return None;
    }
    let permit = app.retained_budget.try_acquire(bytes);
    permit.inspect_err(|_| tracing::debug!("no memory to store a large request: too many wait to be stored")).ok()
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
    request: Bytes,
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
        permit: BudgetPermit,
    ) -> Option<Self> {
        let (stored, caller) = (Arc::clone(&app.stored), context.caller.id.clone());
        let store = || Self { stored, caller, request, _permit: permit };
        plan.store.then(store)
    }

    /// Stores the turn with its response.
    pub(crate) fn complete(self, json: &str) {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        if let Ok(Named { id }) = serde_json::from_str(json) {
            self.stored.insert(&self.caller, &id, StoredResponse { request: self.request, response: json.to_owned() });
        }
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
            store.complete(response);
        }
    }
}

impl<O, P: Pipe<O>> Pipe<O> for StoringPipe<P> {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        self.pipe.push(event, out)
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
