//! Chat replies, streamed and whole.

use super::stream::ChatStream;
use crate::chat::{Choice, ChoiceMessage, ChunkEncoder, Completion};
use crate::error::Error;
use crate::outcome::{Flow, ReplyId, Summary};
use crate::plan::ReplyPlan;
use crate::reply::pipe::{Fold, Pipe};
use crate::responses::RawEvent;
use crate::usage::Usage;

/// A streaming chat reply, written as server-sent events.
///
/// # Example
/// ```
/// use codex_translate::{ChatPipe, Chunk, EventReader, Pipe, ReplyId, ReplyPlan};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
/// let mut pipe = ChatPipe::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let mut stream = Vec::new();
/// let _done = pipe.feed(&mut EventReader::new(), &Chunk::Bytes(events), &mut stream)?;
/// let summary = pipe.finish(&mut stream)?;
/// pipe.end(summary.usage.as_ref(), &mut stream);
/// assert!(stream.starts_with(b"data: {\"id\":\"chatcmpl-1\",") && stream.ends_with(b"data: [DONE]\n\n"));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatPipe {
    stream: ChatStream,
    encoder: ChunkEncoder,
    include_usage: bool,
}

impl ChatPipe {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self {
            stream: ChatStream::new(plan),
            encoder: ChunkEncoder::new(reply_id, &plan.model, plan.choice),
            include_usage: plan.include_usage,
        }
    }
}

impl Pipe<Vec<u8>> for ChatPipe {
    fn push(&mut self, event: RawEvent<'_>, out: &mut Vec<u8>) -> Result<Flow, Error> {
        self.stream.push(event, &mut self.encoder.sink(out))
    }

    /// Writes the role.
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.stream.writer.write_role(&mut self.encoder.sink(out));
    }

    fn fail(&mut self, error: Error) {
        self.stream.fail(error);
    }

    /// Ends the choice with its finish reason.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error> {
        let summary = self.stream.finish()?;
        self.encoder.finish(summary.finish, out);
        Ok(summary)
    }

    /// Ends the reply after all its choices, with the usage if the client asked for it, and `[DONE]`.
    fn end(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.encoder.end(usage.filter(|_| self.include_usage), out);
    }

    fn write_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.stream.fail(error.clone());
        ChunkEncoder::error(error, out);
    }
}

/// A whole chat reply.
///
/// # Example
/// ```
/// use codex_translate::{ChatFold, Chunk, EventReader, Fold, ReplyId, ReplyPlan};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
/// let mut fold = ChatFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _done = fold.feed(&mut EventReader::new(), &Chunk::Bytes(events))?;
/// assert_eq!(fold.end()?.text(), "Hey!");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatFold {
    stream: ChatStream,
    index: u32,
    message: ChoiceMessage,
    reply_id: ReplyId,
    model: String,
}

impl ChatFold {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self {
            stream: ChatStream::whole(plan),
            index: plan.choice,
            message: ChoiceMessage::default(),
            reply_id: reply_id.clone(),
            model: plan.model.clone(),
        }
    }
}

impl Fold for ChatFold {
    type Whole = Completion;

    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error> {
        let flow = self.stream.push(event, &mut ())?;
        if flow == Flow::Done {
            self.stream.write_whole(&mut self.message);
            self.message.check_size().inspect_err(|error| self.stream.refuse(error.clone()))?;
        }
        Ok(flow)
    }

    fn fail(&mut self, error: Error) {
        self.stream.fail(error);
    }

    fn finish(&mut self) -> Result<Summary, Error> {
        self.stream.finish()
    }

    fn end(self) -> Result<Completion, Error> {
        let Summary { finish, usage, .. } = self.stream.finish()?;
        let choice = Choice::new(self.index, self.message, finish);
        Ok(Completion::new(self.reply_id, self.model, choice, usage))
    }
}
