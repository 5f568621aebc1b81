//! What a client of a WebSocket hears of a turn that is silent.

use codex_auth::MemoryStore;
use codex_sim::Sim;
use codex_upstream::TransportChoice;

use crate::sockets::{Client, create};
use crate::support::{Harness, backend, tokens_of};

async fn start(transport: TransportChoice) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    Harness::start_by(transport, sim, store, None).await
}

#[tokio::test]
async fn the_first_events_do_not_wait_for_output() {
    let proxy = start(TransportChoice::Http).await;
    let mut client = Client::connect(&proxy).await;
    client.send(&create("[sim:stall=2] hi")).await;
    client.until("response.created").await;
    proxy.sim.requests_until(|requests| requests.iter().any(|request| request.waiting)).await;
    proxy.sim.control().release();
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn the_official_client_gets_the_backends_keepalives_as_events() {
    for transport in [TransportChoice::Http, TransportChoice::WebSocket] {
        let proxy = start(transport).await;
        for (headers, expected) in [(&[("originator", "codex-tui")][..], true), (&[], false)] {
            let mut client = Client::try_connect(&proxy, headers).await.unwrap();
            client.send(&create("[sim:text=Hello there][sim:keepalive] hi")).await;
            let events = client.turn().await;
            assert_eq!(events.iter().any(|event| event["type"] == "keepalive"), expected, "{transport:?} {headers:?}");
            // Only the backend's private events have no number.
            let numbers: Vec<_> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{transport:?} {events:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_before_the_first_event_is_an_error_and_an_overload_is_retried() {
    for transport in [TransportChoice::Http, TransportChoice::WebSocket] {
        let proxy = start(transport).await;
        let mut client = Client::connect(&proxy).await;
        client.send(&create("[sim:context-length] hi")).await;
        let error = client.event().await;
        assert_eq!((&error["type"], &error["error"]["code"]), (&"error".into(), &"context_length_exceeded".into()));
        client.send(&create("[sim:503-once] hi")).await;
        assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed", "{transport:?}");
    }
}
