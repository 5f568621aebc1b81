//! The hot paths, to be run under valgrind by `scripts/instructions`.
//!
//! ```text
//! codex-instructions CASE TIMES
//! ```
//!
//! does a case so many times and says nothing. What one time costs is the difference between two runs, so that neither the
//! start of the process nor the making of the input counts.

mod input;

use std::error::Error;
use std::hint::black_box;

use codex_translate::{
    ChatPipe, Chunk, DecodeError, Decoder, EventBuffer, EventReader, Flow, MAX_EVENT_BYTES, Options, Pipe, Profile,
    ReplyId, ReplyPlan, ResponsesPipe, chat, to_responses,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one read of a socket usually brings.
const READ_BYTES: usize = 16 * 1024;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().ok_or("which case?")?;
    let times: usize = arguments.next().ok_or("how many times?")?.parse()?;
    match case.as_str() {
        "framing" => repeat(times, &input::text_reply(), framing),
        "chat-stream" => repeat(times, &input::text_reply(), chat_stream),
        "chat-stream-calls" => repeat(times, &input::call_reply(), chat_stream),
        "responses-stream" => repeat(times, &input::text_reply(), responses_stream),
        "responses-messages" => repeat(times, &input::text_messages(), responses_messages),
        "request" => repeat(times, &input::request(), request),
        _ => Err(format!("there is no case `{case}`").into()),
    }
}

fn repeat(times: usize, input: &[u8], case: fn(&[u8]) -> Outcome<usize>) -> Outcome<()> {
    for _ in 0..times {
        let size = black_box(case(black_box(input))?);
        if size == 0 {
            return Err("nothing came out".into());
        }
    }
    Ok(())
}

/// The frames of a reply.
fn framing(reply: &[u8]) -> Outcome<usize> {
    let (mut decoder, mut size) = (Decoder::new(MAX_EVENT_BYTES), 0);
    for bytes in reply.chunks(READ_BYTES) {
        let _continues = decoder.each::<DecodeError>(bytes, |frame| {
            size += black_box(frame).data.len();
            Ok(Flow::Continue)
        })?;
    }
    Ok(size)
}

/// A reply as a stream of chat chunks.
fn chat_stream(reply: &[u8]) -> Outcome<usize> {
    streamed(ChatPipe::new(&plan(), &reply_id()), Vec::len, Vec::clear, reply.chunks(READ_BYTES).map(Chunk::Bytes))
}

/// A reply as a stream of the Responses API.
fn responses_stream(reply: &[u8]) -> Outcome<usize> {
    let pipe = ResponsesPipe::new(&plan(), &reply_id());
    streamed::<Vec<u8>, _>(pipe, Vec::len, Vec::clear, reply.chunks(READ_BYTES).map(Chunk::Bytes))
}

/// The messages of a WebSocket, a line each, as those of another.
fn responses_messages(reply: &[u8]) -> Outcome<usize> {
    let pipe = ResponsesPipe::new(&plan(), &reply_id());
    let messages = reply.split(|byte| *byte == b'\n').map(Chunk::Message);
    streamed(pipe, EventBuffer::bytes, |out| *out = EventBuffer::default(), messages)
}

/// The bytes of a streamed reply, which is taken away after each chunk.
fn streamed<'a, O: Default, P: Pipe<O>>(
    mut pipe: P,
    bytes: fn(&O) -> usize,
    take: fn(&mut O),
    chunks: impl Iterator<Item = Chunk<&'a [u8]>>,
) -> Outcome<usize> {
    let (mut reader, mut out, mut size) = (EventReader::new(), O::default(), 0);
    for chunk in chunks {
        let flow = pipe.feed(&mut reader, &chunk, &mut out)?;
        size += bytes(black_box(&out));
        take(&mut out);
        if flow == Flow::Done {
            pipe.finish(&mut out)?;
            return Ok(size + bytes(&out));
        }
    }
    Err("the reply has no end".into())
}

/// A chat request as the backend takes it.
fn request(body: &[u8]) -> Outcome<usize> {
    let request = chat::ChatRequest::from_json(body)?;
    Ok(to_responses(request, &Profile::permissive("gpt-5.5"), &Options::default())?.request.to_json().len())
}

fn plan() -> ReplyPlan {
    ReplyPlan { stream: true, ..ReplyPlan::new("gpt-5.5") }
}

fn reply_id() -> ReplyId {
    ReplyId { id: "chatcmpl-1".to_owned(), created: 1 }
}
