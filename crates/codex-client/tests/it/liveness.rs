//! What a client sees of a silent turn, and when, with a paused clock.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use codex_auth::{MemoryStore, Secret, Tokens};
use codex_client::{Client, ReplyPart, Turn, TurnContext};
use codex_translate::dialect::AnyRequest;
use codex_translate::{Chunk, Error, EventBuffer, KeepaliveStyle, Options, ResponsesPipe};
use codex_upstream::{ChunkStream, Upstream, UpstreamError};
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{chat_with, responses};

const COMMENT: &str = ": keep-alive\n";

/// Replies of which each part arrives so many seconds after the one before; the first is the time of its head.
struct Paced(Mutex<VecDeque<Script>>);

type Script = Vec<(u64, String)>;

impl Upstream for Paced {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let mut script = self.0.lock().unwrap().pop_front().expect("a reply").into_iter();
        tokio::time::sleep(Duration::from_secs(script.next().unwrap().0)).await;
        let parts = stream::iter(script).then(|(pause, text)| async move {
            if pause > 0 {
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
            Ok(Chunk::Bytes(Bytes::from(text)))
        });
        Ok(Response::new(Box::pin(parts)))
    }

    fn forget_cookies(&self) {}
}

fn sse(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

fn event(kind: &str, number: u64, more: Value) -> String {
    let mut event = json!({"type": kind, "sequence_number": number});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sse(&event)
}

fn created(id: &str) -> String {
    let response = |status: &str| json!({"response": {"id": id, "status": status}});
    event("response.created", 0, response("in_progress")) + &event("response.in_progress", 1, response("in_progress"))
}

fn completed(number: u64) -> String {
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "annotations": [], "text": "Hi"}]});
    event("response.output_item.done", number, json!({"output_index": 0, "item": item}))
        + &event(
            "response.completed",
            number + 1,
            json!({"response": {"id": "r", "status": "completed", "output": []}}),
        )
}

fn failed(code: &str) -> String {
    event("response.failed", 2, json!({"response": {"id": "r", "error": {"code": code, "message": "m"}}}))
}

fn keepalive(number: u64) -> String {
    event("keepalive", number, json!({}))
}

/// Returns the turn of a request whose replies are scripted.
fn turn(request: impl Into<AnyRequest>, keepalive: KeepaliveStyle, replies: Vec<Vec<(u64, String)>>) -> Turn {
    let store = MemoryStore::with_tokens(Tokens::new(Secret::new("token".to_owned())));
    let upstream = Paced(Mutex::new(replies.into()));
    let client = Client::builder(store).upstream(upstream).base_url("http://127.0.0.1").build().unwrap();
    let options = Options { keepalive, ..Options::default() };
    client.prepare_for(request, &TurnContext { options: &options, ..client.context() }).unwrap()
}

/// Returns what the client gets, each piece with its time in seconds, as a server sends it: after the status.
async fn streamed(turn: Turn) -> Result<Vec<(u64, String)>, Error> {
    let start = Instant::now();
    let mut relay = turn.send().await?.into_sse();
    relay.first_output().await?;
    let mut pieces = vec![(start.elapsed().as_secs(), String::new())];
    while let Some(bytes) = relay.next().await {
        pieces.push((start.elapsed().as_secs(), String::from_utf8(bytes.to_vec()).unwrap()));
    }
    Ok(pieces)
}

/// Returns the messages that the client of a WebSocket gets, each with its time in seconds, and an early failure.
async fn sent(mut turn: Turn) -> (Vec<(u64, String)>, Option<Error>) {
    let start = Instant::now();
    turn.hold = Duration::ZERO;
    let mut relay = turn.start().into_relay::<_, _, EventBuffer>((), ResponsesPipe::new);
    let mut messages = Vec::new();
    while let Some(part) = poll_fn(|cx| relay.try_poll_part(cx)).await {
        let now = start.elapsed().as_secs();
        match part {
            Ok(ReplyPart::Output(events)) => {
                messages.extend(events.iter().map(|event| (now, event.json().to_owned())));
            }
            Ok(ReplyPart::Keepalive) => messages.push((now, "ping".to_owned())),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

/// Returns the times and the types of events.
fn kinds(pieces: &[(u64, String)]) -> Vec<(u64, String)> {
    let kind = |line: &str| {
        let event: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok()?;
        event["type"].as_str().map(str::to_owned)
    };
    let of_piece = |(at, text): &(u64, String)| match text.as_str() {
        "" => vec![(*at, "head".to_owned())],
        COMMENT | "ping" => vec![(*at, text.clone())],
        text => text.lines().filter_map(kind).map(|kind| (*at, kind)).collect(),
    };
    pieces.iter().flat_map(of_piece).collect()
}

/// The numbers of all events: without gaps and repetitions.
fn assert_numbered(pieces: &[(u64, String)]) {
    let data = pieces.iter().flat_map(|(_, text)| text.lines());
    let events =
        data.filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ").unwrap_or(line)).ok());
    for (number, event) in events.enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
}

fn at(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
    rows.iter().map(|(at, kind)| (*at, (*kind).to_owned())).collect()
}

const END: [&str; 5] = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
];

/// The given events, and then those of the whole reply.
fn with_end(rows: &[(u64, &str)], end: u64) -> Vec<(u64, String)> {
    let last = ["response.output_item.done", "response.completed"];
    at(rows).into_iter().chain(END.into_iter().chain(last).map(|kind| (end, kind.to_owned()))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_events_go_out_when_the_hold_ends_and_comments_follow() {
    let script = vec![(0, String::new()), (0, created("r")), (41, completed(2))];
    let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Comment, vec![script])).await.unwrap();
    let begin = [(10, "head"), (10, "response.created"), (10, "response.in_progress"), (25, COMMENT), (40, COMMENT)];
    assert_eq!(kinds(&pieces), with_end(&begin, 41));
    assert_numbered(&pieces);
}

#[tokio::test(start_paused = true)]
async fn the_hold_is_counted_from_the_request_and_a_late_beginning_goes_out_at_once() {
    for (head, begin) in [(0, 8), (8, 0), (3, 9), (12, 0), (0, 14)] {
        let script = vec![(head, String::new()), (begin, created("r")), (30, completed(2))];
        let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Comment, vec![script])).await.unwrap();
        let created = kinds(&pieces).into_iter().find(|(_, kind)| kind == "response.created").unwrap();
        assert_eq!((pieces[0].0, created.0), (10, 10.max(head + begin)), "{head} {begin}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_official_client_gets_keepalives_as_events() {
    let script = vec![(0, String::new()), (0, created("r")), (41, completed(2))];
    let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Event, vec![script])).await.unwrap();
    let begin =
        [(10, "head"), (10, "response.created"), (10, "response.in_progress"), (25, "keepalive"), (40, "keepalive")];
    assert_eq!(kinds(&pieces), with_end(&begin, 41));
    assert_numbered(&pieces);
    assert_eq!(pieces[2].1, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":2}\n\n");
}

#[tokio::test(start_paused = true)]
async fn keepalives_of_the_backend_reach_the_official_client_and_are_silence_for_others() {
    let beats = (0..12).map(|beat| (3, keepalive(2 + beat)));
    let head = [(0, String::new()), (0, created("r"))];
    let script: Vec<_> = head.into_iter().chain(beats).chain([(3, completed(14))]).collect();
    let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Event, vec![script.clone()])).await.unwrap();
    let begin = [(10, "head"), (10, "response.created"), (10, "response.in_progress")];
    let beats = (4..=12).map(|beat| (3 * beat, "keepalive"));
    assert_eq!(kinds(&pieces), with_end(&begin.into_iter().chain(beats).collect::<Vec<_>>(), 39));
    assert_numbered(&pieces);

    let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Comment, vec![script])).await.unwrap();
    let begin = begin.into_iter().chain([(25, COMMENT)]);
    assert_eq!(kinds(&pieces), with_end(&begin.collect::<Vec<_>>(), 39));
    assert_numbered(&pieces);
}

#[tokio::test(start_paused = true)]
async fn a_chat_client_gets_comments_whoever_it_is() {
    for style in [KeepaliveStyle::Comment, KeepaliveStyle::Event] {
        let script = vec![(0, String::new()), (0, created("r")), (20, keepalive(2)), (25, completed(3))];
        let request = chat_with("hi", json!({"stream": true}));
        let pieces = streamed(turn(request, style, vec![script])).await.unwrap();
        let (head, end) = pieces.split_at(3);
        let expected = [(10, String::new()), (15, COMMENT.to_owned()), (30, COMMENT.to_owned())];
        assert_eq!(head[..2], expected[..2]);
        assert!(end.last().unwrap().1.ends_with("data: [DONE]\n\n"), "{pieces:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_during_the_hold_is_an_error_and_a_later_one_is_an_event() {
    for (begin, failure) in [(0, 9), (9, 0), (4, 5)] {
        let script = vec![(0, String::new()), (begin, created("r")), (failure, failed("context_length_exceeded"))];
        let error = streamed(turn(responses("hi"), KeepaliveStyle::Comment, vec![script])).await.unwrap_err();
        assert_eq!(error.code(), Some("context_length_exceeded"));
    }
    for (begin, failure) in [(0, 11), (11, 1), (20, 0)] {
        let script = vec![(0, String::new()), (begin, created("r")), (failure, failed("context_length_exceeded"))];
        let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Comment, vec![script])).await.unwrap();
        let (_, last) = pieces.last().unwrap();
        assert!(last.contains("response.failed") && last.contains("context_length_exceeded"), "{last}");
        assert_eq!(pieces.iter().filter(|(_, text)| text.contains("event: response.created")).count(), 1);
        assert_numbered(&pieces);
    }
    let script = vec![(0, String::new()), (0, created("r")), (11, failed("server_is_overloaded"))];
    let request = chat_with("hi", json!({"stream": true}));
    let pieces = streamed(turn(request, KeepaliveStyle::Comment, vec![script])).await.unwrap();
    assert!(pieces.last().unwrap().1.starts_with("data: {\"error\":"), "{pieces:?}");
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_retried_as_long_as_the_client_has_seen_no_event_of_the_turn() {
    let overloaded = |begin: u64, failure: u64| {
        vec![(0, String::new()), (begin, created("r1")), (failure, failed("server_is_overloaded"))]
    };
    let fine = || vec![(0, String::new()), (0, created("r2") + &completed(2))];
    for (begin, failure) in [(0, 0), (0, 9), (20, 0)] {
        let replies = vec![overloaded(begin, failure), fine()];
        let pieces = streamed(turn(responses("hi"), KeepaliveStyle::Comment, replies)).await.unwrap();
        assert!(pieces.iter().all(|(_, text)| !text.contains("r1")), "{pieces:?}");
        assert!(pieces.last().unwrap().1.contains("response.completed"), "{pieces:?}");
    }
    let (messages, failure) =
        sent(turn(responses("hi"), KeepaliveStyle::Comment, vec![overloaded(5, 0), fine()])).await;
    assert!(failure.is_none() && messages.iter().all(|(_, text)| !text.contains("r1")), "{messages:?}");
}

#[tokio::test(start_paused = true)]
async fn on_a_websocket_the_first_events_go_out_at_once() {
    let script = || vec![(1, String::new()), (1, created("r")), (22, completed(2))];
    let (messages, failure) = sent(turn(responses("hi"), KeepaliveStyle::Comment, vec![script()])).await;
    let begin = [(2, "response.created"), (2, "response.in_progress"), (17, "ping")];
    assert!(failure.is_none());
    assert_eq!(kinds(&messages), with_end(&begin, 24));
    assert_numbered(&messages);

    let (messages, _) = sent(turn(responses("hi"), KeepaliveStyle::Event, vec![script()])).await;
    let begin = [(2, "response.created"), (2, "response.in_progress"), (17, "keepalive")];
    assert_eq!(kinds(&messages), with_end(&begin, 24));
    assert_numbered(&messages);
}

#[tokio::test(start_paused = true)]
async fn on_a_websocket_a_failure_is_an_error_until_the_turn_has_begun() {
    let code = "context_length_exceeded";
    let script = vec![(16, String::new()), (15, failed(code))];
    let (messages, failure) = sent(turn(responses("hi"), KeepaliveStyle::Event, vec![script])).await;
    assert_eq!(kinds(&messages), at(&[(15, "keepalive"), (30, "keepalive")]));
    assert_eq!(failure.unwrap().code(), Some(code));

    let script = vec![(16, String::new()), (0, created("r")), (1, failed(code))];
    let (messages, failure) = sent(turn(responses("hi"), KeepaliveStyle::Event, vec![script])).await;
    let expected = [(15, "keepalive"), (16, "response.created"), (16, "response.in_progress"), (17, "response.failed")];
    assert_eq!(kinds(&messages), at(&expected));
    assert!(failure.is_none() && messages.last().unwrap().1.contains(code));
    assert_numbered(&messages);
}

/// openai-python's `.stream()` raises if the choices begin in another order.
#[tokio::test(start_paused = true)]
async fn the_choices_of_a_stream_begin_in_order_and_none_is_held() {
    for pauses in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2], [2, 1, 3], [3, 1, 2]] {
        let replies = pauses.map(|pause| vec![(pause, String::new()), (0, created("r") + &completed(2))]);
        let request = chat_with("hi", json!({"n": 3, "stream": true}));
        let pieces = streamed(turn(request, KeepaliveStyle::Comment, replies.into())).await.unwrap();
        let (mut roles, mut texts) = (Vec::new(), Vec::new());
        for (at, text) in &pieces {
            for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
                let choice: Value = serde_json::from_str::<Value>(data).unwrap()["choices"][0].take();
                let index = choice["index"].as_u64().unwrap();
                match (choice["delta"]["role"].as_str(), choice["delta"]["content"].as_str()) {
                    (Some(_), _) => roles.push(index),
                    (None, Some("Hi")) => texts.push((*at, index)),
                    (None, _) => {}
                }
                assert!(roles.contains(&index), "{text}");
            }
        }
        assert_eq!(roles, [0, 1, 2], "{pauses:?}");
        assert_eq!(texts.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3], "{pauses:?}");
    }
}
