//! Measures the translation against a simple implementation in the same run: only the ratio matters.
//!
//! ```text
//! cargo bench -p codex-translate
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use codex_translate::bounds::MAX_EVENT_BYTES;
use codex_translate::{
    ChatFold, ChatPipe, Chunk, DecodeError, Decoder, EventReader, Flow, Fold as _, Options, Pipe as _, Profile,
    ReplyId, ReplyPlan, ResponsesPipe, chat, normalise, responses, to_responses,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::{Value, json};

/// The usual size of one read from a socket.
const READ_BYTES: usize = 16 * 1024;

const DELTAS: usize = 2_000;

fn frame(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

/// A text delta as the backend writes it, about 300 bytes (docs/backend.md §3.2).
fn delta(number: usize) -> String {
    frame(&json!({"type": "response.output_text.delta", "sequence_number": number,
        "item_id": "msg_0b51be2101d9d6220168d469589190819b945ffe7a83ece6cf", "output_index": 0, "content_index": 0,
        "delta": " and so on", "logprobs": [], "obfuscation": "1irxx2aXDjHEn"}))
}

/// Makes a whole reply of `events`, whose only item is `item` when completed.
fn reply(item: &Value, events: impl Iterator<Item = String>) -> Vec<u8> {
    let mut added = item.clone();
    for key in ["content", "arguments", "result"] {
        if let Some(value) = added.get_mut(key) {
            *value = if value.is_array() { json!([]) } else { json!("") };
        }
    }
    let response = json!({"id": "resp_1", "status": "in_progress", "model": "gpt-5.1", "output": []});
    let usage = json!({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3});
    let ended = json!({"id": "resp_1", "status": "completed", "model": "gpt-5.1", "output": [], "usage": usage});
    let head = [
        json!({"type": "response.created", "sequence_number": 0, "response": response}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": added}),
    ];
    let tail = [
        json!({"type": "response.output_item.done", "sequence_number": 9, "output_index": 0, "item": item}),
        json!({"type": "response.completed", "sequence_number": 10, "response": ended}),
    ];
    let texts = head.iter().map(frame).chain(events).chain(tail.iter().map(frame));
    texts.collect::<String>().into_bytes()
}

fn text_reply() -> Vec<u8> {
    let text = " and so on".repeat(DELTAS);
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]});
    reply(&item, (2..DELTAS + 2).map(delta))
}

/// Makes one call with 200 KiB of arguments, in deltas of 100 bytes.
fn call_reply() -> Vec<u8> {
    let piece = "x".repeat(100);
    let item = json!({"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "write",
        "arguments": piece.repeat(2_048)});
    let event = |number: usize| {
        frame(&json!({"type": "response.function_call_arguments.delta", "sequence_number": number, "item_id": "fc_1",
            "output_index": 0, "delta": piece}))
    };
    reply(&item, (2..2_050).map(event))
}

fn image_reply() -> Vec<u8> {
    let item = json!({"id": "ig_1", "type": "image_generation_call", "status": "completed", "output_format": "png",
        "result": "iVBORw0KGgo".repeat(8 * 1024 * 1024 / 11)});
    reply(&item, std::iter::empty())
}

/// Makes conversations of 1 MiB: ordinary text and code, and text with many escapes.
fn conversations() -> [(&'static str, Value); 4] {
    let line = "    let total = items.iter().map(|item| item.price * \"1.19\").sum(); // Mehrwertsteuer über alles\n";
    let messages = |count: usize, text: &str, size: usize| -> Value {
        let message = |number: usize| {
            let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
            json!({"role": role, "content": text.repeat(size / text.len())})
        };
        (0..count).map(message).collect()
    };
    [
        ("1,024 messages", messages(1024, line, 1000)),
        ("16,384 messages", messages(16_384, "w", 20)),
        ("one message", messages(1, line, 1024 * 1024)),
        ("1,024 messages of escapes", messages(1024, "w\n", 680)),
    ]
}

fn plan() -> ReplyPlan {
    ReplyPlan { stream: true, ..ReplyPlan::new("gpt-5.1") }
}

fn reply_id() -> ReplyId {
    ReplyId { id: "chatcmpl-1".to_owned(), created: 1 }
}

fn through_pipe(reply: &[u8]) -> Vec<u8> {
    let (mut reader, mut pipe, mut out) = (EventReader::new(), ChatPipe::new(&plan(), &reply_id()), Vec::new());
    for bytes in reply.chunks(READ_BYTES) {
        if pipe.feed(&mut reader, &Chunk::Bytes(bytes), &mut out).unwrap() == Flow::Done {
            break;
        }
    }
    let summary = pipe.finish(&mut out).unwrap();
    pipe.end(summary.usage.as_ref(), &mut out);
    out
}

/// The simple implementation: eventsource-stream, `Value` in, `Value` out.
fn plain_way(reply: &[u8]) -> Vec<u8> {
    let bytes: Vec<_> =
        reply.chunks(READ_BYTES).map(|bytes| Ok::<_, std::convert::Infallible>(bytes.to_vec())).collect();
    let events = stream::iter(bytes).eventsource().collect::<Vec<_>>().now_or_never().unwrap();
    let mut out = Vec::new();
    for event in events {
        let event: Value = serde_json::from_str(&event.unwrap().data).unwrap();
        let delta = match event["type"].as_str().unwrap() {
            "response.output_text.delta" => json!({"content": event["delta"]}),
            "response.function_call_arguments.delta" => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": event["delta"]}}]})
            }
            "response.output_item.done" if event["item"]["result"].is_string() => {
                json!({"images": [{"image_url": {"url": event["item"]["result"]}}]})
            }
            _ => continue,
        };
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.1",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]});
        out.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
    }
    out
}

fn framing(c: &mut Criterion) {
    let reply = text_reply();
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Elements(DELTAS as u64));
    group.bench_function("decoder, each", |b| {
        b.iter(|| {
            let (mut decoder, mut count) = (Decoder::new(MAX_EVENT_BYTES), 0);
            for bytes in reply.chunks(READ_BYTES) {
                let taken = decoder.each::<DecodeError>(bytes, |frame| {
                    count += black_box(frame).data.len();
                    Ok(Flow::Continue)
                });
                assert_eq!(taken, Ok(Flow::Continue));
            }
            count
        });
    });
    group.bench_function("decoder", |b| {
        b.iter(|| {
            let (mut decoder, mut count) = (Decoder::new(MAX_EVENT_BYTES), 0);
            for bytes in reply.chunks(READ_BYTES) {
                decoder.feed(bytes);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    count += black_box(frame).data.len();
                }
            }
            count
        });
    });
    group.bench_function("eventsource-stream", |b| {
        b.iter(|| {
            let bytes = reply.chunks(READ_BYTES).map(Ok::<_, std::convert::Infallible>);
            stream::iter(bytes).eventsource().map(|event| event.unwrap().data.len()).collect::<Vec<_>>().now_or_never()
        });
    });
    group.finish();
}

/// Translates one event to one chunk in the middle of a stream.
fn one_delta(c: &mut Criterion) {
    let mut group = c.benchmark_group("one text delta");
    let event = delta(7);
    let under_way = || {
        let mut reader = EventReader::new();
        let (mut pipe, mut out) = (ChatPipe::new(&plan(), &reply_id()), Vec::with_capacity(1024));
        let _ = pipe.feed(&mut reader, &Chunk::Bytes(&event), &mut out).unwrap();
        (reader, pipe, out)
    };
    group.bench_function("pipe", |b| {
        let (mut reader, mut pipe, mut out) = under_way();
        b.iter(|| {
            out.clear();
            let _ = pipe.feed(&mut reader, &Chunk::Bytes(&event), &mut out).unwrap();
            out.len()
        });
    });
    group.bench_function("plain way", |b| b.iter(|| plain_way(event.as_bytes()).len()));
    group.finish();
}

fn replies(c: &mut Criterion) {
    for (name, reply) in
        [("2,000 deltas", text_reply()), ("a call of 200 KiB", call_reply()), ("an image of 8 MiB", image_reply())]
    {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(reply.len() as u64)).sample_size(20);
        group.bench_function("chat stream", |b| b.iter(|| through_pipe(&reply)));
        group.bench_function("chat, whole", |b| {
            b.iter(|| {
                let (mut reader, mut fold) = (EventReader::new(), ChatFold::new(&plan(), &reply_id()));
                let mut chunks = reply.chunks(READ_BYTES).map(Chunk::Bytes);
                assert!(chunks.any(|chunk| fold.feed(&mut reader, &chunk).unwrap() == Flow::Done));
                fold.end().unwrap()
            });
        });
        group.bench_function("responses stream", |b| {
            b.iter(|| {
                let (mut reader, mut out) = (EventReader::new(), Vec::new());
                let mut pipe = ResponsesPipe::new(&plan(), &reply_id());
                let mut chunks = reply.chunks(READ_BYTES).map(Chunk::Bytes);
                assert!(chunks.any(|chunk| pipe.feed(&mut reader, &chunk, &mut out).unwrap() == Flow::Done));
                out
            });
        });
        // The simple implementation takes minutes for the image.
        if reply.len() < 1024 * 1024 {
            group.bench_function("plain way", |b| b.iter(|| plain_way(&reply)));
        }
        group.finish();
    }
}

fn requests(c: &mut Criterion) {
    for (name, messages) in conversations() {
        let chat = json!({"model": "gpt-5.1", "stream": true, "messages": messages}).to_string().into_bytes();
        let responses = json!({"model": "gpt-5.1", "stream": true, "input": messages}).to_string().into_bytes();
        let (profile, options) = (Profile::permissive("gpt-5.1"), Options::default());
        let mut group = c.benchmark_group(format!("a request of {name}"));
        group.throughput(Throughput::Bytes(chat.len() as u64)).sample_size(20);
        group.bench_function("to_responses", |b| {
            b.iter(|| {
                let request = chat::ChatRequest::from_json(&chat).unwrap();
                to_responses(request, &profile, &options).unwrap().request.to_json()
            });
        });
        group.bench_function("normalise", |b| {
            b.iter(|| {
                let request = responses::ResponsesRequest::from_json(&responses).unwrap();
                normalise(request, &profile, &options).unwrap().request.to_json()
            });
        });
        group.bench_function("plain way", |b| b.iter(|| plain_request(&chat)));
        group.finish();
    }
}

/// The simple implementation for a request: `Value` in, `Value` out.
fn plain_request(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap();
    let message = |message: &Value| {
        let kind = if message["role"] == "assistant" { "output_text" } else { "input_text" };
        json!({"type": "message", "role": message["role"], "content": [{"type": kind, "text": message["content"]}]})
    };
    let input: Vec<_> = request["messages"].as_array().unwrap().iter().map(message).collect();
    json!({"model": request["model"], "input": input, "stream": true, "store": false}).to_string()
}

criterion_group!(benches, framing, one_delta, replies, requests);
criterion_main!(benches);
