use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::ErrorKind;
use codex_upstream::{
    ChunkStream, RetryPolicy, ScriptedReply, ScriptedUpstream, SendError, TimeoutPhase, Upstream, UpstreamError,
    Verdict, read_to_end, send_with_retry,
};
use futures_util::FutureExt as _;
use http::{Request, Response};

use crate::timer::TestTimer;

fn connect() -> UpstreamError {
    UpstreamError::Connect { host: "h".to_owned(), reason: "refused".to_owned() }
}

fn request() -> Request<Bytes> {
    Request::post("https://chatgpt.com/backend-api/codex/responses").body(Bytes::from_static(b"{}")).unwrap()
}

async fn run(script: &ScriptedUpstream, policy: RetryPolicy) -> (Result<Bytes, SendError>, Vec<Duration>) {
    let clock = TestTimer::new();
    let reply = send_with_retry(script, &request(), &policy, &clock).await;
    let body = match reply {
        Ok(reply) => Ok(read_to_end(reply.into_body(), 1024).await.unwrap()),
        Err(error) => Err(error),
    };
    (body, clock.slept())
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn delays_double_and_spread() {
    let policy = RetryPolicy { retries: 4, base: ms(200), budget: Duration::from_secs(20) };
    let rows = [
        (0, 0.5, None, Some(ms(200))),
        (1, 0.5, None, Some(ms(400))),
        (3, 0.5, None, Some(ms(1600))),
        (4, 0.5, None, None),
        (0, 0.0, None, Some(ms(180))),
        (0, 1.0, None, Some(ms(220))),
        (0, 9.0, None, Some(ms(220))),
        (0, 0.5, Some(ms(50)), Some(ms(200))),
        (0, 0.5, Some(ms(5000)), Some(ms(5000))),
        (0, 0.5, Some(Duration::from_secs(21)), None),
        (0, 0.5, Some(Duration::MAX), None),
    ];
    for (retry, jitter, after, expected) in rows {
        let delay = policy.delay(retry, jitter, after, Duration::ZERO);
        assert_eq!(delay.map(|delay| delay.as_millis()), expected.map(|delay| delay.as_millis()), "{retry} {after:?}");
    }
    assert_eq!(policy.delay(0, 0.5, None, Duration::from_millis(19_801)), None);
    let endless = RetryPolicy { retries: u32::MAX, base: Duration::MAX, budget: Duration::MAX };
    assert_eq!(endless.delay(90, 1.0, None, Duration::ZERO), Some(Duration::MAX));
}

#[tokio::test]
async fn failures_before_dispatch_and_broken_backends_are_retried() {
    let script = ScriptedUpstream::new()
        .error(connect())
        .reply(500, "")
        .reply(400, r#"{"detail":"Selected model is at capacity. Please try a different model."}"#)
        .reply(200, "fine");
    let (body, slept) = run(&script, RetryPolicy::default()).await;
    assert_eq!(body.unwrap(), "fine");
    assert_eq!(slept.iter().map(Duration::as_millis).collect::<Vec<_>>(), [200, 400, 800]);
    let requests = script.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|sent| sent.uri() == request().uri() && sent.body() == "{}"));
}

#[tokio::test]
async fn the_last_failure_is_the_answer() {
    let script = ScriptedUpstream::new().reply(500, "").reply(503, "").reply(502, "");
    let policy = RetryPolicy { retries: 2, ..RetryPolicy::default() };
    let (outcome, slept) = run(&script, policy).await;
    let SendError::Refused { failure, .. } = outcome.unwrap_err() else { panic!("not a refusal") };
    assert_eq!((failure.status, failure.error.kind()), (502, ErrorKind::Server));
    assert_eq!((script.requests().len(), slept.len()), (3, 2));
}

#[tokio::test]
async fn the_backends_delay_is_honoured_within_the_budget() {
    let script = || ScriptedUpstream::new().then(ScriptedReply::new(503).header("retry-after", "3")).reply(200, "fine");
    let (body, slept) = run(&script(), RetryPolicy::default()).await;
    assert_eq!((body.unwrap(), slept), (Bytes::from_static(b"fine"), vec![ms(3000)]));

    let (outcome, slept) = run(&script(), RetryPolicy { budget: ms(2999), ..RetryPolicy::default() }).await;
    let SendError::Refused { failure, .. } = outcome.unwrap_err() else { panic!("not a refusal") };
    assert_eq!((failure.error.retry_after(), slept), (Some(ms(3000)), vec![]));
}

#[tokio::test]
async fn nothing_else_is_sent_twice() {
    let host = || "h".to_owned();
    let reason = || "r".to_owned();
    let limit = r#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":1}}"#;
    let scripts = [
        ScriptedUpstream::new().reply(429, limit),
        ScriptedUpstream::new().then(ScriptedReply::new(429).header("retry-after", "1")),
        ScriptedUpstream::new().reply(401, ""),
        ScriptedUpstream::new().reply(400, r#"{"detail":"no"}"#),
        ScriptedUpstream::new().error(UpstreamError::Closed { host: host(), reason: reason() }),
        ScriptedUpstream::new().error(UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Head }),
        ScriptedUpstream::new().error(UpstreamError::Tls { host: host(), reason: reason() }),
        ScriptedUpstream::new().error(UpstreamError::InvalidRequest { reason: reason() }),
    ];
    for script in scripts {
        let script = script.reply(200, "must not be reached");
        let (outcome, slept) = run(&script, RetryPolicy::default()).await;
        assert!(outcome.is_err(), "{script:?}");
        assert_eq!((script.requests().len(), slept.len()), (1, 0), "{script:?}");
    }
}

/// A [`ScriptedUpstream`] that counts how often its cookies were deleted.
#[derive(Debug, Default)]
struct Forgetful {
    script: ScriptedUpstream,
    forgot: AtomicUsize,
}

impl Upstream for Forgetful {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<ChunkStream>, UpstreamError>> + Send {
        self.script.send(request)
    }

    fn forget_cookies(&self) {
        self.forgot.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn after_a_challenge_the_cookies_are_deleted_and_the_request_is_sent_once_more() {
    let challenge = || ScriptedReply::new(403).header("cf-mitigated", "challenge");
    let send = async |script: ScriptedUpstream, policy: RetryPolicy| {
        let upstream = Arc::new(Forgetful { script, ..Forgetful::default() });
        let clock = TestTimer::new();
        let outcome = send_with_retry(&upstream, &request(), &policy, &clock).await;
        (outcome.is_ok(), upstream.script.requests().len(), upstream.forgot.load(Ordering::Relaxed))
    };
    let policy = RetryPolicy::default();
    assert_eq!(send(ScriptedUpstream::new().then(challenge()).reply(200, "fine"), policy).await, (true, 2, 1));
    let between = ScriptedUpstream::new().then(challenge()).reply(503, "").then(challenge()).reply(200, "too late");
    assert_eq!(send(between, policy).await, (false, 3, 1));
    assert_eq!(send(ScriptedUpstream::new().then(challenge()), RetryPolicy::NEVER).await, (false, 1, 0));
}

#[tokio::test]
async fn a_page_is_told_from_a_stream_that_is_not_declared() {
    let page = |reply: ScriptedReply| async move {
        let (outcome, _) = run(&ScriptedUpstream::new().then(reply), RetryPolicy::NEVER).await;
        let SendError::Refused { failure, .. } = outcome.unwrap_err() else { panic!("not a refusal") };
        failure.verdict()
    };
    assert_eq!(page(ScriptedReply::new(200).piece("").piece(" \n").piece("<html>")).await, Verdict::Challenge);
    assert_eq!(page(ScriptedReply::new(200).header("content-type", "text/html").piece("x")).await, Verdict::Challenge);

    let pieces = ["", "\r\n", " ", "data: 1", "\n\n", "<"];
    for declared in [false, true] {
        let reply = if declared {
            ScriptedReply::new(200).header("content-type", "text/event-stream")
        } else {
            ScriptedReply::new(200)
        };
        let reply = pieces.into_iter().fold(reply, ScriptedReply::piece);
        let (body, _) = run(&ScriptedUpstream::new().then(reply), RetryPolicy::NEVER).await;
        assert_eq!(body.unwrap(), pieces.concat());
    }
}

#[tokio::test]
async fn a_stream_that_is_not_declared_keeps_its_end() {
    let broken = UpstreamError::Body { host: "h".to_owned(), reason: "r".to_owned() };
    let scripts = [
        (ScriptedReply::new(200), Ok("")),
        (ScriptedReply::new(200).piece("\n").broken(broken.clone()).piece("not read"), Err(broken.clone())),
        (ScriptedReply::new(200).piece("one").broken(broken.clone()), Err(broken)),
    ];
    for (reply, expected) in scripts {
        let script = ScriptedUpstream::new().then(reply);
        let reply = send_with_retry(&script, &request(), &RetryPolicy::NEVER, &TestTimer::new()).await.unwrap();
        assert_eq!(read_to_end(reply.into_body(), 64).await, expected.map(Bytes::from));
    }
}

#[tokio::test]
async fn a_declared_stream_is_not_waited_for() {
    let silent = ScriptedReply::new(200).header("content-type", "text/event-stream; charset=utf-8").stalled();
    let script = ScriptedUpstream::new().then(silent);
    let clock = TestTimer::new();
    let request = request();
    let sending = send_with_retry(&script, &request, &RetryPolicy::NEVER, &clock);
    assert!(sending.now_or_never().unwrap().is_ok());
}

#[tokio::test]
async fn a_refusal_keeps_its_headers() {
    let script = ScriptedUpstream::new()
        .then(ScriptedReply::new(429).header("x-codex-plan-type", "plus").piece("{\"detail\":").piece("\"x\"}"));
    let (outcome, _) = run(&script, RetryPolicy::default()).await;
    let SendError::Refused { failure, headers } = outcome.unwrap_err() else { panic!("not a refusal") };
    assert_eq!((failure.error.message(), headers["x-codex-plan-type"].to_str().unwrap()), ("x", "plus"));
}

#[tokio::test]
async fn an_error_body_that_breaks_stalls_or_never_ends_is_judged_by_its_start() {
    let detail = r#"{"detail":"told"}"#;
    let broken = UpstreamError::Body { host: "h".to_owned(), reason: "r".to_owned() };
    let endless = (0..200).fold(ScriptedReply::new(400).piece("<html>"), |reply, _| reply.piece(vec![b' '; 1024]));
    let rows = [
        (ScriptedReply::new(400).piece(detail).broken(broken), "told"),
        (ScriptedReply::new(400).piece(detail).stalled(), "told"),
        (endless.stalled(), "the backend answered 400 Bad Request with a web page"),
    ];
    for (reply, message) in rows {
        let script = ScriptedUpstream::new().then(reply);
        // Every sleep ends at once here, including the one that bounds the wait for the body.
        let clock = TestTimer::with_limit(Duration::MAX);
        let outcome = send_with_retry(&script, &request(), &RetryPolicy::NEVER, &clock).await;
        let Err(SendError::Refused { failure, .. }) = outcome else { panic!("not a refusal") };
        assert_eq!(failure.error.message(), message);
    }
}
