//! The interface of all replies: events in, and a reply out, streamed or whole.
//!
//! ```text
//! Chunk ──▶ EventReader ──▶ RawEvent ──▶ Pipe::push ──▶ an output: server-sent events, or WebSocket messages
//!                                    └─▶ Fold::push ──▶ Fold::end: one body
//! ```

use super::source::{Chunk, EventReader};
use crate::error::Error;
use crate::outcome::{Flow, Summary};
use crate::responses::RawEvent;
use crate::usage::Usage;

/// Turns the events of one turn into a streamed reply, which is appended to an output `O`.
///
/// Call [`push`](Self::push) or [`feed`](Self::feed) until it returns [`Flow::Done`] or upstream ends, then
/// [`finish`](Self::finish). A reply of several turns has a pipe for each, and one of them ends it
/// ([`end`](Self::end)).
///
/// An error is never written by itself. While nothing else has been written, answer with a status; after that, use
/// [`write_error`](Self::write_error).
///
/// # Example
/// Both sources and both outputs have the same events:
///
/// ```
/// use codex_translate::{Chunk, EventBuffer, EventReader, Pipe, ReplyId, ReplyPlan, ResponsesPipe};
///
/// # fn main() -> Result<(), codex_translate::Error> {
/// let event = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[]}}"#;
/// let plan = ReplyPlan::new("gpt-5.5");
/// let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
///
/// // From server-sent events to server-sent events, …
/// let sse = format!("data: {event}\n\n");
/// let mut stream = Vec::new();
/// let mut pipe = ResponsesPipe::new(&plan, &reply_id);
/// let _done = pipe.feed(&mut EventReader::new(), &Chunk::Bytes(sse), &mut stream)?;
/// pipe.finish(&mut stream)?;
/// assert!(stream.starts_with(b"event: response.created\ndata: {"));
///
/// // … and from WebSocket messages to WebSocket messages.
/// let mut messages = EventBuffer::default();
/// let mut pipe = ResponsesPipe::new(&plan, &reply_id);
/// let _done = pipe.feed(&mut EventReader::new(), &Chunk::Message(event), &mut messages)?;
/// pipe.finish(&mut messages)?;
/// let kinds: Vec<_> = messages.iter().map(|event| event.kind()).collect();
/// assert_eq!(kinds, ["response.created", "response.completed"]);
/// # Ok(())
/// # }
/// ```
pub trait Pipe<O> {
    /// Processes the next event, and appends the result.
    ///
    /// # Errors
    /// The turn failed. Every later call fails in the same way.
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error>;

    /// Appends what the reply of the turn begins with, unless it has begun: where a reply has several turns, clients
    /// expect them to begin in order. By default nothing.
    fn begin(&mut self, out: &mut O) {
        let _ = out;
    }

    /// Ends the turn with `error`, because the backend's stream cannot be read any further. A turn that has ended does
    /// not change.
    fn fail(&mut self, error: Error);

    /// Ends the turn. Call it once, after [`Flow::Done`] or the end of the backend's stream.
    ///
    /// # Errors
    /// The turn failed, or was cut off.
    fn finish(&mut self, out: &mut O) -> Result<Summary, Error>;

    /// Ends the reply, whose turns used `usage` together. Call it once, after the last turn.
    fn end(&mut self, usage: Option<&Usage>, out: &mut O);

    /// Appends `error` as the last event of the reply.
    fn write_error(&mut self, error: &Error, out: &mut O);

    /// Stops holding back the first events of the turn, and appends those that are held back. From then on a failure
    /// is part of the reply. By default nothing is held back.
    ///
    /// # Errors
    /// The turn failed.
    fn release(&mut self, out: &mut O) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }

    /// Appends an event that shows that the turn is alive; returns false if the client reads no such events, as by
    /// default. Call it only after [`release`](Self::release).
    fn write_keepalive(&mut self, out: &mut O) -> bool {
        let _ = out;
        false
    }

    /// Ends the turn at once because its client wants no more of it, for a `reason` such as `interrupted`; drop
    /// upstream. By default the reply is cut off: only replies of the Responses API have such an end.
    ///
    /// # Errors
    /// The reply cannot end in this way, or has already ended with an error.
    fn interrupt(&mut self, reason: &str, out: &mut O) -> Result<Summary, Error> {
        let _ = (reason, out);
        Err(Error::truncated())
    }

    /// Reads a chunk, and pushes each event that it completes.
    ///
    /// # Errors
    /// The turn failed, or its events cannot be read.
    fn feed(&mut self, reader: &mut EventReader, chunk: &Chunk<impl AsRef<[u8]>>, out: &mut O) -> Result<Flow, Error>
    where
        Self: Sized,
    {
        let fed = reader.read(chunk, |event| self.push(event, out));
        fed.inspect_err(|error| self.fail(error.clone()))
    }

    /// Returns the JSON of the whole reply once it has ended without an error, if replies of its dialect can be stored.
    fn stored_form(&self) -> Option<&str> {
        None
    }
}

impl<O, P: Pipe<O> + ?Sized> Pipe<O> for Box<P> {
    fn push(&mut self, event: RawEvent<'_>, out: &mut O) -> Result<Flow, Error> {
        (**self).push(event, out)
    }

    fn begin(&mut self, out: &mut O) {
        (**self).begin(out);
    }

    fn fail(&mut self, error: Error) {
        (**self).fail(error);
    }

    fn finish(&mut self, out: &mut O) -> Result<Summary, Error> {
        (**self).finish(out)
    }

    fn end(&mut self, usage: Option<&Usage>, out: &mut O) {
        (**self).end(usage, out);
    }

    fn write_error(&mut self, error: &Error, out: &mut O) {
        (**self).write_error(error, out);
    }

    fn release(&mut self, out: &mut O) -> Result<(), Error> {
        (**self).release(out)
    }

    fn write_keepalive(&mut self, out: &mut O) -> bool {
        (**self).write_keepalive(out)
    }

    fn stored_form(&self) -> Option<&str> {
        (**self).stored_form()
    }

    fn interrupt(&mut self, reason: &str, out: &mut O) -> Result<Summary, Error> {
        (**self).interrupt(reason, out)
    }
}

/// Turns the events of one turn into one whole reply.
///
/// Call [`push`](Self::push) or [`feed`](Self::feed) until it returns [`Flow::Done`] or upstream ends, then
/// [`finish`](Self::finish) and [`end`](Self::end), as for a [`Pipe`]. An error becomes a status.
///
/// # Example
/// ```
/// use codex_translate::{ChatFold, Chunk, EventReader, Fold, ReplyId, ReplyPlan};
///
/// # fn main() -> Result<(), codex_translate::Error> {
/// let event = r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#;
/// let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
/// let mut fold = ChatFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _done = fold.feed(&mut EventReader::new(), &Chunk::Message(event))?;
/// assert_eq!(fold.finish()?.finish.as_str(), "stop");
/// let body = serde_json::to_string(&fold.end()?).expect("JSON");
/// assert!(body.starts_with(r#"{"id":"chatcmpl-1","object":"chat.completion""#));
/// # Ok(())
/// # }
/// ```
pub trait Fold: Sized {
    /// The whole reply.
    type Whole;

    /// Processes the next event.
    ///
    /// # Errors
    /// The turn failed. Every later call fails in the same way.
    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error>;

    /// Ends the turn with `error`, because the backend's stream cannot be read any further. A turn that has ended does
    /// not change.
    fn fail(&mut self, error: Error);

    /// Ends the turn. Call it once, after [`Flow::Done`] or the end of the backend's stream.
    ///
    /// # Errors
    /// The turn failed, or was cut off.
    fn finish(&mut self) -> Result<Summary, Error>;

    /// Ends the reply and returns it.
    ///
    /// # Errors
    /// The same as for [`finish`](Self::finish).
    fn end(self) -> Result<Self::Whole, Error>;

    /// Reads a chunk, and pushes each event that it completes.
    ///
    /// # Errors
    /// The turn failed, or its events cannot be read.
    fn feed(&mut self, reader: &mut EventReader, chunk: &Chunk<impl AsRef<[u8]>>) -> Result<Flow, Error> {
        let fed = reader.read(chunk, |event| self.push(event));
        fed.inspect_err(|error| self.fail(error.clone()))
    }
}
