//! Turns over scripted WebSockets, on a clock that is wound by hand.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::UNIX_EPOCH;

use codex_translate::Chunk;
use codex_translate::backend::FaultReport;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::scripted::{ScriptedReply, ScriptedSocket, ScriptedUpstream};
use crate::upstream::read_to_end;
use crate::websocket::pool::MAX_CONNECTIONS;

#[derive(Clone)]
struct Hands(Arc<watch::Sender<Duration>>);

impl Hands {
    fn advance(&self, by: Duration) {
        self.0.send_modify(|time| *time += by);
    }
}

impl Timer for Hands {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + *self.0.borrow()
    }

    fn jitter(&self) -> f64 {
        0.5
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let mut hands = self.0.subscribe();
        let until = *hands.borrow() + time;
        async move { while *hands.borrow_and_update() < until && hands.changed().await.is_ok() {} }
    }
}

/// How long the backend may be silent: not a whole number of pings.
const SILENCE: Duration = Duration::from_secs(610);

struct SocketRig {
    script: Arc<ScriptedUpstream>,
    sockets: WebSocketUpstream<Arc<ScriptedUpstream>, Hands>,
    timer: Hands,
}

impl SocketRig {
    fn new(script: ScriptedUpstream) -> Self {
        let (script, timer) = (Arc::new(script), Hands(Arc::new(watch::Sender::new(Duration::ZERO))));
        let sockets = WebSocketUpstream::new(Arc::clone(&script), timer.clone(), SILENCE);
        Self { sockets, script, timer }
    }

    async fn send(&self, input: &[Value]) -> Result<Response<ChunkStream>, UpstreamError> {
        self.sockets.send(request("tok", input)).await
    }

    async fn failure(&self, input: &[Value]) -> UpstreamError {
        match self.send(input).await {
            Err(error) => error,
            Ok(reply) => panic!("answered with {}", reply.status()),
        }
    }

    /// Sends a turn and reads its reply to the end.
    async fn turn(&self, input: &[Value]) -> String {
        let reply = self.send(input).await.unwrap();
        assert_eq!(reply.status(), 200);
        String::from_utf8(read_to_end(reply.into_body(), 1 << 16).await.unwrap().to_vec()).unwrap()
    }

    /// The messages that were sent, as connection, previous response and number of input items.
    fn sent(&self) -> Vec<(usize, Option<String>, usize)> {
        let read = |(connection, text): (usize, Bytes)| {
            let message: Value = serde_json::from_slice(&text).unwrap();
            let previous = message["previous_response_id"].as_str().map(str::to_owned);
            (connection, previous, message["input"].as_array().unwrap().len())
        };
        self.script.messages().into_iter().map(read).collect()
    }
}

fn request(token: &str, input: &[Value]) -> Request<Bytes> {
    let body = json!({"type": "response.create", "model": "m", "input": input}).to_string();
    Request::get("https://chatgpt.com/backend-api/codex/responses")
        .header("authorization", format!("Bearer {token}"))
        .body(body.into())
        .unwrap()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

/// The messages of a response that says `text`.
fn said(id: &str, text: &str) -> Vec<String> {
    let item = assistant(text);
    [
        json!({"type": "codex.rate_limits", "plan_type": "plus"}),
        json!({"type": "response.metadata", "headers": {"OpenAI-Model": "m-1"}}),
        json!({"type": "response.created", "response": {"id": id}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"id": id, "output": []}}),
    ]
    .map(|message| message.to_string())
    .to_vec()
}

fn error(status: u16, code: &str) -> Vec<String> {
    vec![json!({"type": "error", "status": status, "error": {"code": code, "message": "why"}}).to_string()]
}

fn first() -> Vec<Value> {
    vec![user("hi")]
}

fn second() -> Vec<Value> {
    vec![user("hi"), assistant("hello"), user("and?")]
}

#[tokio::test]
async fn a_reply_has_the_events_and_headers_that_it_has_over_http() {
    let rig = SocketRig::new(
        ScriptedUpstream::new().socket(
            ScriptedSocket::new()
                .header("x-models-etag", "e")
                .header("connection", "upgrade")
                .answer(said("resp_1", "hello")),
        ),
    );
    let reply = rig.send(&first()).await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    assert_eq!(
        (&reply.headers()["x-models-etag"], &reply.headers()["openai-model"]),
        (&"e".parse().unwrap(), &"m-1".parse().unwrap())
    );
    let chunks: Vec<_> = reply.into_body().map(Result::unwrap).collect().await;
    let messages: Vec<_> = said("resp_1", "hello").into_iter().map(|text| Chunk::Message(Bytes::from(text))).collect();
    assert_eq!(chunks, messages);
    assert_eq!(rig.script.connects()[0].headers()["authorization"], "Bearer tok");
}

#[tokio::test]
async fn a_continued_turn_sends_only_the_new_input_on_the_same_connection() {
    let conversation = ScriptedSocket::new()
        .answer(said("resp_1", "hello"))
        .answer(said("resp_2", "well"))
        .answer(said("resp_3", "other"));
    let rig = SocketRig::new(ScriptedUpstream::new().socket(conversation));
    rig.turn(&first()).await;
    rig.turn(&second()).await;
    rig.turn(&[user("something else")]).await;
    let expected = [(0, None, 1), (0, Some("resp_1".to_owned()), 1), (0, None, 1)];
    assert_eq!(rig.sent(), expected);
}

#[tokio::test]
async fn concurrent_turns_have_their_own_connections_and_each_can_be_continued() {
    let conversation =
        |id: &str, text: &str| ScriptedSocket::new().answer(said(id, text)).answer(said("resp_9", "end"));
    let script =
        ScriptedUpstream::new().socket(conversation("resp_a", "hello")).socket(conversation("resp_b", "hullo"));
    let rig = SocketRig::new(script);
    let (one, two) = (rig.send(&first()).await.unwrap(), rig.send(&first()).await.unwrap());
    for reply in [one, two] {
        read_to_end(reply.into_body(), 1 << 16).await.unwrap();
    }
    rig.turn(&[user("hi"), assistant("hullo"), user("and?")]).await;
    rig.turn(&second()).await;
    let went_on = &rig.sent()[2..];
    assert_eq!(went_on, [(1, Some("resp_b".to_owned()), 1), (0, Some("resp_a".to_owned()), 1)]);
}

#[tokio::test]
async fn another_token_has_another_connection() {
    let script = ScriptedUpstream::new();
    let script = script.socket(ScriptedSocket::new().answer(said("resp_1", "hello")));
    let rig = SocketRig::new(script.socket(ScriptedSocket::new().answer(said("resp_2", "hello"))));
    rig.turn(&first()).await;
    rig.sockets.send(request("fresh", &second())).await.unwrap();
    assert_eq!(rig.sent(), [(0, None, 1), (1, None, 3)]);
}

#[tokio::test]
async fn after_a_forgotten_response_the_whole_input_is_sent_once() {
    let forgetful =
        ScriptedSocket::new().answer(said("resp_1", "hello")).answer(error(400, "previous_response_not_found"));
    let rig = SocketRig::new(
        ScriptedUpstream::new().socket(forgetful).socket(ScriptedSocket::new().answer(said("resp_2", "well"))),
    );
    rig.turn(&first()).await;
    rig.turn(&second()).await;
    assert_eq!(rig.sent(), [(0, None, 1), (0, Some("resp_1".to_owned()), 1), (1, None, 3)]);

    // The same answer to a whole input is final.
    let strange = ScriptedSocket::new().answer(error(400, "previous_response_not_found"));
    let rig = SocketRig::new(ScriptedUpstream::new().socket(strange));
    assert_eq!(rig.send(&first()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_connection_at_its_age_limit_is_replaced_once() {
    let ended = || ScriptedSocket::new().answer(error(400, "websocket_connection_limit_reached"));
    let rig = SocketRig::new(
        ScriptedUpstream::new().socket(ended()).socket(ScriptedSocket::new().answer(said("resp_1", "hello"))),
    );
    rig.turn(&first()).await;
    assert_eq!(rig.sent(), [(0, None, 1), (1, None, 1)]);
    let rig = SocketRig::new(ScriptedUpstream::new().socket(ended()).socket(ended()));
    assert_eq!(rig.send(&first()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn an_error_before_the_response_is_the_status_and_ends_the_connection() {
    let script = ScriptedUpstream::new().socket(ScriptedSocket::new().answer(error(429, "usage_limit_reached")));
    let rig = SocketRig::new(script.socket(ScriptedSocket::new().answer(said("resp_1", "hello"))));
    let reply = rig.send(&first()).await.unwrap();
    assert_eq!(reply.status(), 429);
    let report = FaultReport::parse(&read_to_end(reply.into_body(), 99).await.unwrap());
    assert_eq!((report.code.as_deref(), report.message.as_str()), (Some("usage_limit_reached"), "why"));
    rig.turn(&first()).await;
    assert_eq!(rig.sent(), [(0, None, 1), (1, None, 1)]);
}

#[tokio::test]
async fn a_close_within_a_response_is_a_cut_whatever_its_code() {
    for code in [1000, 1001, 1011] {
        let started = said("resp_1", "hello")[..4].to_vec();
        let rig = SocketRig::new(ScriptedUpstream::new().socket(ScriptedSocket::new().answer(started).closed(code)));
        let mut body = rig.send(&first()).await.unwrap().into_body();
        let mut last = None;
        while let Some(item) = body.next().await {
            last = Some(item);
        }
        let Some(Err(UpstreamError::Body { reason, .. })) = last else { panic!("{last:?}") };
        assert!(reason.contains(&code.to_string()), "{reason}");
    }
}

#[tokio::test]
async fn a_close_instead_of_an_answer_leaves_the_turn_to_http_which_gives_the_reason() {
    for (code, is_refusal) in [(1000, true), (1009, true), (1011, false)] {
        let rig = SocketRig::new(ScriptedUpstream::new().socket(ScriptedSocket::new().closed(code)));
        let error = rig.failure(&first()).await;
        assert_eq!(matches!(error, UpstreamError::Unanswered { .. }), is_refusal, "{error}");
        assert!(is_refusal || matches!(error, UpstreamError::Closed { .. }), "{error}");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
        assert!(rig.sockets.is_worth_trying() && !error.is_transient() || !is_refusal, "{error}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced() {
    let closed = ScriptedSocket::new().answer(said("resp_1", "hello")).closed(1001);
    // Seen only when it is used.
    let late = ScriptedSocket::new().answer(said("resp_1", "hello")).answer(Vec::<String>::new()).closed(1001);
    for (conversation, sent) in [(closed, 2), (late, 3)] {
        let rig = SocketRig::new(
            ScriptedUpstream::new().socket(conversation).socket(ScriptedSocket::new().answer(said("resp_2", "x"))),
        );
        rig.turn(&first()).await;
        rig.turn(&second()).await;
        assert_eq!((rig.sent().len(), rig.sent().last()), (sent, Some(&(1, None, 3))));
    }
}

#[tokio::test]
async fn connections_are_replaced_before_the_backend_closes_them() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    // Five minutes without a turn, and fifty-five in all.
    for (waits, connections) in
        [(vec![minutes(4)], 1), (vec![minutes(5)], 2), (vec![minutes(4); 13], 1), (vec![minutes(4); 14], 2)]
    {
        let socket = || (0..20).fold(ScriptedSocket::new(), |socket, _| socket.answer(said("resp_1", "hello")));
        let rig = SocketRig::new(ScriptedUpstream::new().socket(socket()).socket(socket()));
        rig.turn(&first()).await;
        for wait in &waits {
            rig.timer.advance(*wait);
            rig.turn(&first()).await;
        }
        assert_eq!(rig.script.connects().len(), connections, "{waits:?}");
    }
}

#[tokio::test]
async fn a_dropped_reply_closes_its_connection() {
    let socket = || ScriptedSocket::new().answer(said("resp_1", "hello"));
    let rig = SocketRig::new(ScriptedUpstream::new().socket(socket()).socket(socket()));
    let mut body = rig.send(&first()).await.unwrap().into_body();
    body.next().await.unwrap().unwrap();
    drop(body);
    rig.turn(&first()).await;
    assert_eq!(rig.sent(), [(0, None, 1), (1, None, 1)]);
}

#[tokio::test]
async fn what_a_refused_upgrade_means_depends_on_its_status() {
    let json = |status| ScriptedReply::new(status).header("content-type", "application/json").piece("{}");
    for status in [401, 402, 403, 429] {
        let rig = SocketRig::new(ScriptedUpstream::new().refused(json(status)));
        assert_eq!(rig.send(&first()).await.unwrap().status(), status);
        assert!(rig.sockets.is_worth_trying(), "{status}");
    }
    let challenged = ScriptedUpstream::new().refused(ScriptedReply::new(403).header("cf-mitigated", "challenge"));
    assert_eq!(SocketRig::new(challenged).send(&first()).await.unwrap().status(), 403);
    for (status, passing) in
        [(403, true), (502, true), (504, true), (426, false), (404, false), (200, false), (501, false)]
    {
        let rig = SocketRig::new(ScriptedUpstream::new().refused(ScriptedReply::new(status)));
        let error = rig.failure(&first()).await;
        assert!(
            matches!(error, UpstreamError::WebSocketUnavailable { is_transient, .. } if is_transient == passing),
            "{status}: {error}"
        );
        assert!(error.before_dispatch() && !rig.sockets.is_worth_trying());
        rig.timer.advance(COOLDOWN);
        assert_eq!(rig.sockets.is_worth_trying(), passing, "{status}");
    }
}

/// Lets everything else run as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_silent_backend_times_out_as_over_http() {
    let rig = Arc::new(SocketRig::new(ScriptedUpstream::new().socket(ScriptedSocket::new())));
    let turn = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.send(&first()).await.map(drop) }
    });
    let mut waited = Duration::ZERO;
    while !turn.is_finished() {
        settle().await;
        rig.timer.advance(connection::PING_INTERVAL);
        waited += connection::PING_INTERVAL;
        settle().await;
    }
    assert!(matches!(turn.await.unwrap(), Err(UpstreamError::Timeout { phase: TimeoutPhase::Head, .. })));
    assert!(waited >= SILENCE && waited < SILENCE + 3 * connection::PING_INTERVAL, "{waited:?}");
}

#[tokio::test]
async fn idle_connections_are_pinged_and_unresponsive_ones_are_closed() {
    for is_deaf in [false, true] {
        let socket = ScriptedSocket::new().answer(said("resp_1", "hello")).answer(said("resp_2", "well"));
        let socket = if is_deaf { socket.without_pongs() } else { socket };
        let rig = SocketRig::new(
            ScriptedUpstream::new().socket(socket).socket(ScriptedSocket::new().answer(said("resp_3", "x"))),
        );
        rig.turn(&first()).await;
        let mut keeping = std::pin::pin!(rig.sockets.keep_alive());
        for _ in 0..4 {
            let polled = poll_fn(|cx| Poll::Ready(keeping.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
            rig.timer.advance(connection::PING_INTERVAL);
        }
        rig.turn(&second()).await;
        assert_eq!(rig.sent().last().unwrap().0, usize::from(is_deaf), "{is_deaf}");
    }
}

#[tokio::test]
async fn a_turn_that_waits_for_a_connection_gets_that_of_one_that_ends() {
    let mut script = ScriptedUpstream::new();
    for number in 0..=MAX_CONNECTIONS {
        script = script.socket(ScriptedSocket::new().answer(said(&format!("resp_{number}"), "hello")));
    }
    let rig = SocketRig::new(script);
    let mut running = Vec::new();
    for number in 0..MAX_CONNECTIONS {
        running.push(rig.sockets.send(request(&number.to_string(), &first())).await.unwrap());
    }
    let mut one_more = pin!(rig.sockets.send(request("more", &first())));
    assert!(one_more.as_mut().now_or_never().is_none(), "there are as many as there may be");
    read_to_end(running.pop().unwrap().into_body(), 1 << 16).await.unwrap();
    // tokio limits how much a task does between yields.
    tokio::task::yield_now().await;
    assert_eq!(one_more.now_or_never().expect("there is one again").unwrap().status(), 200);
}

/// A turn that is in the middle of its second item, and what the backend answers to an interrupt.
fn interruptible(answer: &[Value]) -> ScriptedSocket {
    let mut started = said("resp_1", "hello");
    started.pop();
    started.push(
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message"}}).to_string(),
    );
    ScriptedSocket::new().answer(started).answer(answer.iter().map(Value::to_string)).answer(said("resp_2", "well"))
}

/// Reads what has arrived of a turn, interrupts it, and returns the types of the events after that.
async fn interrupted(rig: &SocketRig) -> Vec<String> {
    let reply = rig.send(&first()).await.unwrap();
    let interrupt = reply.extensions().get::<TurnInterrupt>().unwrap().clone();
    let mut body = reply.into_body();
    for _ in 0..6 {
        body.next().await.unwrap().unwrap();
    }
    interrupt.request();
    let mut rest = std::pin::pin!(
        body.map(|chunk| {
            let event: Value = serde_json::from_slice(chunk.unwrap().as_ref()).unwrap();
            event["type"].as_str().unwrap().to_owned()
        })
        .collect()
    );
    let rest: Option<Vec<_>> = rest.as_mut().now_or_never();
    rest.expect("the turn has ended")
}

#[tokio::test]
async fn an_interrupted_turn_ends_as_the_backend_ends_it_and_the_connection_goes_on() {
    let answer = [
        json!({"type": "response.interrupt.accepted", "response_id": "resp_1"}),
        json!({"type": "response.incomplete", "response": {"id": "resp_1",
            "incomplete_details": {"reason": "interrupted"}}}),
    ];
    let rig = SocketRig::new(ScriptedUpstream::new().socket(interruptible(&answer)));
    assert_eq!(interrupted(&rig).await, ["response.interrupt.accepted", "response.incomplete"]);
    let (_, message) = rig.script.messages().pop().unwrap();
    let expected = json!({"type": "response.interrupt", "response_id": "resp_1", "mode": "discard_partial_items"});
    assert_eq!(serde_json::from_slice::<Value>(&message).unwrap(), expected);
    rig.turn(&second()).await;
    let (connection, message) = rig.script.messages().pop().unwrap();
    let message: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!((connection, &message["previous_response_id"]), (0, &json!("resp_1")));
}

#[tokio::test]
async fn a_turn_that_cannot_be_interrupted_is_dropped_with_its_connection() {
    let refusal = json!({"type": "response.interrupt.failed", "response_id": "resp_1",
        "error": {"code": "interrupt_not_supported"}});
    let socket = interruptible(&[refusal, json!({"type": "response.completed", "response": {"id": "resp_1"}})]);
    let next = ScriptedSocket::new().answer(said("resp_2", "well"));
    let rig = SocketRig::new(ScriptedUpstream::new().socket(socket).socket(next));
    assert!(interrupted(&rig).await.is_empty());
    rig.turn(&second()).await;
    assert_eq!(rig.script.messages().pop().unwrap().0, 1, "on another connection");
}

#[tokio::test]
async fn the_end_of_an_interrupted_turn_is_not_awaited_for_long() {
    let rig = SocketRig::new(ScriptedUpstream::new().socket(interruptible(&[])));
    let reply = rig.send(&first()).await.unwrap();
    let interrupt = reply.extensions().get::<TurnInterrupt>().unwrap().clone();
    let mut body = reply.into_body();
    for _ in 0..6 {
        body.next().await.unwrap().unwrap();
    }
    interrupt.request();
    assert!(body.next().now_or_never().is_none());
    rig.timer.advance(Duration::from_secs(5));
    assert!(matches!(body.next().now_or_never(), Some(None)));
}
