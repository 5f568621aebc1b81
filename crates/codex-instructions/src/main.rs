//! The hot paths, which `scripts/instructions` runs under valgrind.
//!
//! ```text
//! codex-instructions CASE TIMES
//! ```
//!
//! runs a case that many times without output. The cost of one run is the difference between two calls, so neither
//! the start of the process nor the generation of the input counts.

mod input;

use std::error::Error;
use std::hint::black_box;

use codex_translate::bounds::MAX_EVENT_BYTES;
use codex_translate::{
    ChatPipe, Chunk, DecodeError, Decoder, EventBuffer, EventReader, Flow, Options, Pipe, Profile, ReplyId, ReplyPlan,
    ResponsesPipe, chat, to_responses,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The usual size of one read from a socket.
const READ_BYTES: usize = 16 * 1024;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().ok_or("usage: codex-instructions CASE TIMES")?;
    let times: usize = arguments.next().ok_or("usage: codex-instructions CASE TIMES")?.parse()?;
    match case.as_str() {
        "framing" => repeat(times, &input::text_reply(), framing),
        "chat-stream" => repeat(times, &input::text_reply(), chat_stream),
        "chat-stream-calls" => repeat(times, &input::call_reply(), chat_stream),
        "responses-stream" => repeat(times, &input::text_reply(), responses_stream),
        "responses-messages" => repeat(times, &input::text_messages(), responses_messages),
        "request" => repeat(times, &input::request(), request),
        _ => Err(format!("unknown case `{case}`").into()),
    }
}

fn repeat(times: usize, input: &[u8], case: fn(&[u8]) -> Outcome<usize>) -> Outcome<()> {
    for _ in 0..times {
        let size = black_box(case(black_box(input))?);
        if size == 0 {
            return Err("no output".into());
        }
    }
    Ok(())
}

/// Decodes the frames of a reply.
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

/// Translates a reply to a stream of chat chunks.
fn chat_stream(reply: &[u8]) -> Outcome<usize> {
    streamed(ChatPipe::new(&plan(), &reply_id()), Vec::len, Vec::clear, reply.chunks(READ_BYTES).map(Chunk::Bytes))
}

/// Translates a reply to a stream of the Responses API.
fn responses_stream(reply: &[u8]) -> Outcome<usize> {
    let pipe = ResponsesPipe::new(&plan(), &reply_id());
    streamed::<Vec<u8>, _>(pipe, Vec::len, Vec::clear, reply.chunks(READ_BYTES).map(Chunk::Bytes))
}

/// The messages of a WebSocket, a line each, as those of another.
fn responses_messages(reply: &[u8]) -> Outcome<usize> {
    let pipe = ResponsesPipe::new(&plan(), &reply_id());
    let messages = reply.split(|byte| *byte == b'\n').map(Chunk::Message);
    // As much as a reply hands on at a time when messages arrive faster than they leave.
    let take = |out: &mut EventBuffer| {
        if out.bytes() >= READ_BYTES {
            *out = EventBuffer::default();
        }
    };
    streamed(pipe, EventBuffer::bytes, take, messages)
}

/// The bytes of a streamed reply, whose buffer is emptied after each chunk.
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
    Err("the reply does not end".into())
}

/// Translates a chat request to the backend's form.
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
