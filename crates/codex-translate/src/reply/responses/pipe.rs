//! Responses replies, streamed and whole.

use super::response::Response;
use super::stream::ResponseStream;
use crate::error::Error;
use crate::outcome::{Flow, ReplyId, Summary};
use crate::plan::ReplyPlan;
use crate::reply::pipe::{Fold, Pipe};
use crate::reply::sink::EventSink;
use crate::responses::RawEvent;
use crate::usage::Usage;

/// A streamed reply of the Responses API, written to any [`EventSink`].
///
/// # Example
/// ```
/// use codex_translate::{Chunk, EventReader, Pipe, ReplyId, ReplyPlan, ResponsesPipe};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
/// let mut pipe = ResponsesPipe::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let mut stream = Vec::new();
/// let _done = pipe.feed(&mut EventReader::new(), &Chunk::Bytes(events), &mut stream)?;
/// pipe.finish(&mut stream)?;
/// assert!(stream.starts_with(b"event: response.created\ndata: {"));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Debug)]
pub struct ResponsesPipe {
    stream: ResponseStream,
}

impl ResponsesPipe {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self { stream: ResponseStream::new(plan, reply_id) }
    }

    /// Returns the stream, which can also end in other ways.
    pub fn stream(&mut self) -> &mut ResponseStream {
        &mut self.stream
    }
}

impl<O: EventSink> Pipe<O> for ResponsesPipe {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        self.stream.push(event, out)
    }

    fn fail(&mut self, error: Error) {
        self.stream.fail(error);
    }

    /// Returns how the reply ended; its last event has already been written.
    fn finish(&mut self, _: &mut O) -> Result<Summary, Error> {
        self.stream.finish()
    }

    /// Does nothing: the last event of the turn ends the reply.
    fn end(&mut self, _: Option<&Usage>, _: &mut O) {}

    fn write_error(&mut self, error: &Error, out: &mut O) {
        self.stream.write_error(error, out);
    }

    fn release(&mut self, out: &mut O) -> Result<(), Error> {
        self.stream.release(out)
    }

    fn write_keepalive(&mut self, out: &mut O) -> bool {
        self.stream.write_keepalive(out)
    }

    fn stored_form(&self) -> Option<&str> {
        self.stream.response()
    }

    fn interrupt(&mut self, reason: &str, out: &mut O) -> Result<Summary, Error> {
        self.stream.interrupt(reason, out)
    }
}

/// A whole reply of the Responses API.
///
/// # Example
/// ```
/// use codex_translate::{Chunk, EventReader, Fold, ReplyId, ReplyPlan, ResponsesFold};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
/// let mut fold = ResponsesFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _done = fold.feed(&mut EventReader::new(), &Chunk::Bytes(events))?;
/// assert!(fold.end()?.json().contains(r#""text":"Hey!""#));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Debug)]
pub struct ResponsesFold {
    stream: ResponseStream,
}

impl ResponsesFold {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self { stream: ResponseStream::whole(plan, reply_id) }
    }
}

impl Fold for ResponsesFold {
    type Whole = Response;

    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error> {
        self.stream.push(event, &mut ())
    }

    fn fail(&mut self, error: Error) {
        self.stream.fail(error);
    }

    fn finish(&mut self) -> Result<Summary, Error> {
        self.stream.finish()
    }

    fn end(self) -> Result<Response, Error> {
        self.stream.into_response()
    }
}
