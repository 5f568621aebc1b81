//! Framing, and its faults: cuts, silence, compression (`docs/backend.md` §3.1).

use std::io::Read as _;

use bytes::Bytes;
use codex_sim::RecordedRequest;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::peer::{Peer, Reply, read, turn};

const COMPLETED: &str = "response.completed";

#[tokio::test]
async fn faults_of_framing() {
    let peer = Peer::start().await;
    let whole = peer.say("same question").await.answer();
    let cut = peer.say("[sim:cut] same question").await;
    assert!(cut.broken);
    assert!(!cut.body.ends_with(b"\n\n") && whole.starts_with(&cut.answer()));
    let early = peer.say("[sim:cut=0] same question").await;
    assert!(early.broken && early.events().is_empty());
    let open = peer.say("[sim:no-terminal] same question").await;
    assert!(!open.broken);
    assert_eq!(open.last()["type"], "response.output_item.done");
    assert_eq!(open.answer(), whole);
    let split = peer.say("[sim:split] same question").await;
    assert_eq!((split.answer(), split.last()["type"].clone()), (whole.clone(), json!(COMPLETED)));
    let crlf = peer.say("[sim:crlf] same question").await;
    assert_eq!(crlf.text().matches('\n').count(), crlf.text().matches("\r\n").count());
    assert!(crlf.text().ends_with("\r\n\r\n"));
    let cr = peer.say("[sim:cr] same question").await;
    assert!(!cr.text().contains('\n') && cr.text().ends_with("\r\r"));
    let legacy = peer.say("[sim:legacy-delta] same question").await;
    assert_eq!(legacy.joined("response.text.delta"), whole);
    let bare = peer.say("[sim:no-item-done] same question").await;
    assert!(bare.items().is_empty() && bare.answer() == whole);
    assert!(peer.say("[sim:comments] hi").await.text().contains("\n: comment"));
}

#[tokio::test]
async fn quirks_around_the_text() {
    let peer = Peer::start().await;
    let alive = peer.say("[sim:keepalive] hi").await;
    assert!(alive.kinds().contains(&"keepalive".to_owned()));
    alive.assert_numbered();
    let unknown = peer.say("[sim:unknown] hi").await;
    assert_eq!(unknown.kinds()[..3], ["codex.response.metadata", "codex.rate_limits", "response.metadata"]);
    let numbers: Vec<Value> = unknown.events()[..4].iter().map(|event| event["sequence_number"].clone()).collect();
    assert_eq!(numbers, [Value::Null, Value::Null, json!(0), json!(1)]);
    let limits = &unknown.events()[1]["rate_limits"];
    assert_eq!((&limits["allowed"], &limits["primary"]["window_minutes"]), (&json!(true), &json!(300)));
    assert!(unknown.kinds().contains(&"response.sparkle.delta".to_owned()));
    assert!(unknown.items()[0]["x_unknown"].is_string());
    unknown.assert_numbered();
    let full = peer.say("[sim:full-output] hi").await;
    assert_eq!(full.last()["response"]["output"], json!(full.items()));
    let typed = peer.say("[sim:content-type] hi").await;
    assert_eq!(typed.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let trailing = peer.say("[sim:trailing] hi").await;
    assert!(trailing.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(trailing.last()["delta"], "too late");
    let lines = peer.say("[sim:line-separators]").await;
    assert!(lines.text().contains('\u{2028}') && lines.answer().contains('\u{2029}'));
}

#[tokio::test]
async fn sizes_are_as_requested() {
    let peer = Peer::start().await;
    let big = peer.say("[sim:big=5000]").await;
    let wanted: String = (1..=5000).map(|n| format!("{n} ")).collect();
    assert_eq!(big.answer(), wanted);
    let single = peer.say("[sim:single-delta=3000000]").await;
    let deltas: Vec<Value> =
        single.events().into_iter().filter(|e| e["type"] == "response.output_text.delta").collect();
    assert_eq!(deltas.len(), 1);
    assert_eq!(deltas[0]["delta"].as_str().map(str::len), Some(3_000_000));
}

/// Sends a turn and reads until `enough` is true of the text so far; then releases the reply and reads the rest.
async fn with_release(peer: &Peer, text: &str, enough: impl Fn(&str) -> bool) -> Reply {
    let request = peer.request(Method::POST, "/backend-api/codex/responses").body(Full::from(turn(text).to_string()));
    let mut response = peer.send(request.expect("a request")).await;
    let mut early = Vec::new();
    while !enough(&String::from_utf8_lossy(&early)) {
        let frame = response.body_mut().frame().await.expect("a frame").expect("no error");
        early.extend_from_slice(frame.data_ref().expect("data only"));
    }
    peer.sim.control().release();
    let mut reply = read(response).await;
    reply.body.splice(..0, early);
    reply
}

#[tokio::test]
async fn keepalives_break_the_silence_before_the_output() {
    let peer = Peer::start().await;
    let alive = |text: &str| text.matches("event: keepalive").count() >= 3;
    let reply = with_release(&peer, "[sim:stall=output][sim:keepalive=1] hi", alive).await;
    assert_eq!(reply.kinds()[..5], ["response.created", "response.in_progress", "keepalive", "keepalive", "keepalive"]);
    reply.assert_numbered();
    assert_eq!(reply.last()["type"], COMPLETED);
}

#[tokio::test]
async fn a_stall_before_the_output_sends_nothing_until_it_ends() {
    let peer = Peer::start().await;
    let reply = with_release(&peer, "[sim:stall=output] hi", |text| text.contains("response.in_progress")).await;
    assert_eq!(reply.last()["type"], COMPLETED);
    // By itself, too.
    for words in ["[sim:stall=output][sim:stall-for=1]", "[sim:stall=headers][sim:stall-for=1]"] {
        assert_eq!(peer.say(&format!("{words} hi")).await.last()["type"], COMPLETED, "{words}");
    }
    let idle = |requests: &[RecordedRequest]| requests.iter().all(|request| !request.waiting);
    assert!(idle(&peer.sim.requests()));
}

#[tokio::test]
async fn replies_are_compressed_as_the_request_accepts_them() {
    let peer = Peer::start().await;
    let whole = peer.say("same question").await.answer();
    let ask = async |accepted: &str, words: &str| {
        let body = turn(&format!("{words} same question")).to_string();
        let request = peer.request(Method::POST, "/backend-api/codex/responses").header("accept-encoding", accepted);
        read(peer.send(request.body(Full::from(body)).expect("a request")).await).await
    };
    for (accepted, coding) in [("zstd,gzip", "zstd"), ("gzip", "gzip"), ("zstd;q=0, gzip;q=0.5", "gzip")] {
        let reply = ask(accepted, "[sim:compressed]").await;
        assert_eq!(reply.header("content-encoding"), Some(coding), "{accepted}");
        let reply = Reply { body: decompressed(&reply), ..reply };
        assert_eq!((reply.answer(), reply.last()["type"].clone()), (whole.clone(), json!(COMPLETED)));
    }
    for plain in [ask("identity", "[sim:compressed]").await, ask("zstd", "").await] {
        assert_eq!((plain.header("content-encoding"), plain.answer()), (None, whole.clone()));
    }
    assert!(ask("zstd", "[sim:compressed][sim:cut]").await.broken);
}

#[tokio::test]
async fn every_reply_can_be_compressed() {
    let peer = Peer::start().await;
    peer.sim.control().compress_replies(true);
    for path in ["/backend-api/wham/usage", "/backend-api/codex/nowhere", "/nowhere"] {
        let request =
            peer.request(Method::GET, path).header("accept-encoding", "zstd,gzip").body(Full::<Bytes>::default());
        let reply = read(peer.send(request.expect("a request")).await).await;
        assert_eq!(reply.header("content-encoding"), Some("zstd"), "{path}");
        let json: Value = serde_json::from_slice(&decompressed(&reply)).expect("JSON");
        assert!(json.is_object(), "{path}");
    }
}

fn decompressed(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match reply.header("content-encoding") {
        Some("zstd") => zstd::stream::read::Decoder::new(&reply.body[..]).expect("zstd").read_to_end(&mut plain),
        _ => flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut plain),
    };
    read.expect("a whole body");
    plain
}
