//! Bytes in, bytes out: the two writers with their framing, for a reply that is streamed and for one that is gathered.
//!
//! The four types are used alike: `feed` what upstream sends until it is `Done` or upstream ends, then `finish`. What comes out
//! does not depend on how the bytes were split.

use super::bounds::MAX_EVENT_BYTES;
use super::chat::ChatStream;
use super::responses::{Response, ResponseStream};
use crate::chat::{Choice, ChunkEncoder, Completion};
use crate::error::Error;
use crate::json;
use crate::outcome::{Flow, ReplyId, Summary};
use crate::plan::ReplyPlan;
use crate::responses::{DeltaReader, Event};
use crate::sse::Decoder;
use crate::usage::Usage;

/// A streaming chat reply.
#[derive(Debug)]
pub struct ChatPipe {
    decoder: Decoder,
    deltas: DeltaReader,
    stream: ChatStream,
    encoder: ChunkEncoder,
    include_usage: bool,
}

impl ChatPipe {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self {
            decoder: Decoder::new(MAX_EVENT_BYTES),
            deltas: DeltaReader::default(),
            stream: ChatStream::new(plan),
            encoder: ChunkEncoder::new(reply_id, &plan.model, plan.choice),
            include_usage: plan.include_usage,
        }
    }

    /// Takes upstream bytes and appends what they mean to `out`.
    ///
    /// # Errors
    /// The turn failed. As long as nothing has gone out, answer with a status; after that, tell the client by
    /// [`encode_error`](Self::encode_error).
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error> {
        let Self { decoder, deltas, stream, encoder, .. } = self;
        let mut sink = encoder.sink(out);
        decoder
            .each(bytes, |frame| read(deltas, frame.data, |event| stream.push(event, &mut sink)))
            .inspect_err(|error| stream.fail(error.clone()))
    }

    /// Ends the choice: its finish.
    ///
    /// # Errors
    /// The reply is not whole: tell the client, as for [`feed`](Self::feed).
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error> {
        let summary = self.stream.finish()?;
        self.encoder.finish(summary.finish, out);
        Ok(summary)
    }

    /// Ends the reply once all its choices are: the usage, if the caller asked for it, and `[DONE]`.
    pub fn end(&self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.encoder.end(usage.filter(|_| self.include_usage), out);
    }

    /// Appends the event that tells the client of `error`, and the end.
    pub fn encode_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        ChunkEncoder::error(error, out);
    }
}

/// A chat reply that is gathered.
#[derive(Debug)]
pub struct ChatFold {
    decoder: Decoder,
    deltas: DeltaReader,
    stream: ChatStream,
    choice: Choice,
    reply_id: ReplyId,
    model: String,
}

impl ChatFold {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: ReplyId) -> Self {
        Self {
            decoder: Decoder::new(MAX_EVENT_BYTES),
            deltas: DeltaReader::default(),
            stream: ChatStream::new(plan),
            choice: Choice::new(plan.choice),
            reply_id,
            model: plan.model.clone(),
        }
    }

    /// Takes upstream bytes.
    ///
    /// # Errors
    /// The turn failed: answer with a status.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Flow, Error> {
        let Self { decoder, deltas, stream, choice, .. } = self;
        let mut push = |event: &Event<'_>| match stream.push(event, choice)? {
            Flow::Done => Ok(Flow::Done),
            Flow::Continue => choice.check_size().map(|()| Flow::Continue),
        };
        decoder.each(bytes, |frame| read(deltas, frame.data, &mut push)).inspect_err(|error| stream.fail(error.clone()))
    }

    /// The whole reply.
    ///
    /// # Errors
    /// The reply is not whole: answer with a status.
    pub fn finish(mut self) -> Result<(Completion, Summary), Error> {
        let summary = self.stream.finish()?;
        self.choice.finish(summary.finish);
        Ok((Completion::new(self.reply_id, self.model, self.choice, summary.usage), summary))
    }
}

/// A streaming reply of the Responses API.
#[derive(Debug)]
pub struct ResponsesPipe {
    decoder: Decoder,
    stream: ResponseStream,
}

impl ResponsesPipe {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: ReplyId) -> Self {
        Self { decoder: Decoder::new(MAX_EVENT_BYTES), stream: ResponseStream::new(plan, reply_id) }
    }

    /// Takes upstream bytes and appends what they mean to `out`.
    ///
    /// # Errors
    /// The turn failed. As long as nothing has gone out, answer with a status; after that, tell the client by
    /// [`encode_error`](Self::encode_error).
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error> {
        let Self { decoder, stream } = self;
        decoder.each(bytes, |frame| stream.push(frame.data, out)).inspect_err(|error| stream.fail(error.clone()))
    }

    /// Says how the reply ended; its last event is out already.
    ///
    /// # Errors
    /// The reply is not whole: tell the client, as for [`feed`](Self::feed).
    pub fn finish(&mut self) -> Result<Summary, Error> {
        self.stream.finish()
    }

    /// The whole response of a reply that has ended well, as its JSON; a program that keeps responses reads it here.
    pub fn response(&self) -> Option<&str> {
        self.stream.response()
    }

    /// Appends the event that tells the client of `error`.
    pub fn encode_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.stream.write_error(error, out);
    }
}

/// A reply of the Responses API that is gathered.
#[derive(Debug)]
pub struct ResponsesFold {
    decoder: Decoder,
    stream: ResponseStream,
}

impl ResponsesFold {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: ReplyId) -> Self {
        Self { decoder: Decoder::new(MAX_EVENT_BYTES), stream: ResponseStream::new(plan, reply_id) }
    }

    /// Takes upstream bytes.
    ///
    /// # Errors
    /// The turn failed: answer with a status.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Flow, Error> {
        let Self { decoder, stream } = self;
        decoder.each(bytes, |frame| stream.push(frame.data, &mut ())).inspect_err(|error| stream.fail(error.clone()))
    }

    /// The whole reply.
    ///
    /// # Errors
    /// The reply is not whole: answer with a status.
    pub fn finish(self) -> Result<(Response, Summary), Error> {
        let summary = self.stream.finish()?;
        Ok((self.stream.into_response()?, summary))
    }
}

/// Gives `take` the event that `json` is; a delta in the usual form is read by the short way.
fn read(
    deltas: &mut DeltaReader,
    json: &str,
    take: impl FnOnce(&Event<'_>) -> Result<Flow, Error>,
) -> Result<Flow, Error> {
    match deltas.read(json) {
        Some(delta) => take(&delta.event()),
        None => take(&Event::parse(&json::replaced(json))?),
    }
}
