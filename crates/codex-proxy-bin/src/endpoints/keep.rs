//! Storing a turn once it is complete, whatever its dialect.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{Error, Flow, Pipe, RawEvent, ReplyPlan, Summary, Usage};
use codex_upstream::Upstream;
use serde::Deserialize;

use crate::app::App;
use crate::request::context::RequestContext;
use crate::stored::{Stored, StoredResponse};

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

    /// Stores the turn with its response.
    pub(crate) fn response(self, json: &str) {
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
pub(crate) struct Keeping<P> {
    pub(crate) pipe: P,
    pub(crate) keep: Option<Keep>,
}

impl<O, P: Pipe<O>> Pipe<O> for Keeping<P> {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        self.pipe.push(event, out)
    }

    fn fail(&mut self, error: Error) {
        self.pipe.fail(error);
    }

    fn finish(&mut self, out: &mut O) -> Result<Summary, Error> {
        let summary = self.pipe.finish(out)?;
        if let (Some(keep), Some(response)) = (self.keep.take(), self.pipe.stored_form()) {
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
