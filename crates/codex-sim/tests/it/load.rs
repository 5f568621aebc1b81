//! Many clients at once, and clients that disconnect.

use bytes::Bytes;
use codex_sim::{Outcome, RecordedRequest};
use futures_util::future::join_all;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::peer::{HttpClient, Peer, read, turn};

const CLIENTS: usize = 200;

fn request(peer: &Peer, text: &str) -> Request<Full<Bytes>> {
    let request = peer.request(Method::POST, "/backend-api/codex/responses");
    request.body(Full::from(turn(text).to_string())).expect("a request")
}

fn http2() -> HttpClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

fn all_are(outcome: Outcome) -> impl Fn(&[RecordedRequest]) -> bool {
    move |requests| requests.len() == CLIENTS && requests.iter().all(|request| request.outcome == outcome)
}

/// Over HTTP/1.1 on a connection each, over HTTP/2 on a single one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_streams_do_not_mix() {
    for client in [Client::builder(TokioExecutor::new()).build_http(), http2()] {
        let peer = Peer::start().await;
        let one = async |number: usize| {
            let text = format!("question {number:03}");
            read(client.request(request(&peer, &text)).await.expect("a reply")).await
        };
        let replies = join_all((0..CLIENTS).map(one)).await;
        for (number, reply) in replies.iter().enumerate() {
            assert!(reply.answer().contains(&format!("question {number:03}")));
            assert_eq!(reply.last()["type"], "response.completed");
        }
        peer.sim.requests_until(all_are(Outcome::Completed)).await;
    }
}

/// Both for clients that wait for headers and for clients in the middle of a stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_disconnects_are_all_noticed() {
    for client in [Client::builder(TokioExecutor::new()).build_http(), http2()] {
        let peer = Peer::start().await;
        let waiting =
            |requests: &[RecordedRequest]| requests.len() == CLIENTS && requests.iter().all(|request| request.waiting);
        let half = CLIENTS / 2;
        let before: Vec<_> =
            (0..half).map(|_| tokio::spawn(client.request(request(&peer, "[sim:stall=headers] hi")))).collect();
        let midway: Vec<Response<Incoming>> = join_all(
            (0..half).map(|_| async { client.request(request(&peer, "[sim:stall=3] hi")).await.expect("a reply") }),
        )
        .await;
        peer.sim.requests_until(waiting).await;
        before.into_iter().for_each(|task| task.abort());
        drop(midway);
        let requests = peer.sim.requests_until(all_are(Outcome::Disconnected)).await;
        assert!(requests.iter().all(|request| !request.waiting));
        let headers = requests.iter().filter(|request| request.status.is_none()).count();
        assert_eq!((headers, requests.iter().filter(|request| request.events_sent == 3).count()), (half, half));
    }
}

/// One release continues all of them: none misses it between being recorded as waiting and waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_release_continues_all_waiting_replies() {
    let peer = Peer::start().await;
    let ask = |number: usize| {
        let text = if number.is_multiple_of(2) { "[sim:stall] hi" } else { "[sim:stall=headers] hi" };
        let reply = peer.client.request(request(&peer, text));
        async { read(reply.await.expect("a reply")).await }
    };
    let releasing = async {
        peer.sim.requests_until(|requests| requests.len() == 40 && requests.iter().all(|r| r.waiting)).await;
        peer.sim.control().release();
    };
    let (replies, ()) = tokio::join!(join_all((0..40).map(ask)), releasing);
    assert!(replies.iter().all(|reply| reply.last()["type"] == "response.completed"));
}

/// A stream is built as it is read: a client that reads nothing is sent little, however long the reply is.
#[tokio::test]
async fn a_client_that_does_not_read_slows_down_its_stream() {
    let peer = Peer::start().await;
    let response = peer.send(request(&peer, "[sim:big=500000] hi")).await;
    // Meanwhile another client is served to the end.
    assert_eq!(peer.say("hi").await.last()["type"], "response.completed");
    let slow = peer.sim.requests().remove(0);
    assert_eq!(slow.outcome, Outcome::InFlight);
    let mut body = response.into_body();
    let first = body.frame().await.expect("a frame").expect("unbroken");
    assert!(first.data_ref().is_some_and(|data| data.starts_with(b"event: response.created")));
    drop(body);
    let requests = peer.sim.requests_until(|requests| requests[0].outcome != Outcome::InFlight).await;
    assert_eq!(requests[0].outcome, Outcome::Disconnected);
    assert!(requests[0].bytes_sent < 50_000_000, "the whole reply has more than twice as many");
}
