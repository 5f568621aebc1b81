//! Code shared by the targets.
#![allow(dead_code, reason = "no target uses all of it")]

use codex_translate::{ChatFold, ChatPipe, Chunk, Error, ReplyId, Pipe as _, ReplyPlan, ResponsesFold, ResponsesPipe};

#[path = "../../../crates/codex-translate/tests/it/feeding.rs"]
pub mod feeding;
#[path = "../../../crates/codex-translate/tests/it/invariants.rs"]
pub mod invariants;

use feeding::{feed_fold, feed_pipe};

/// What a client gets: the stream or the body, and the error.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub text: String,
    pub error: Option<Error>,
}

pub fn reply_id() -> ReplyId {
    ReplyId { id: "chatcmpl-1".to_owned(), created: 1 }
}

pub fn chat_stream<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut pipe = ChatPipe::new(plan, &reply_id());
    let mut out = Vec::new();
    let ended = feed_pipe(&mut pipe, chunks(pieces), &mut out);
    if let Ok(summary) = &ended {
        pipe.end(summary.usage.as_ref(), &mut out);
    }
    Outcome { text: String::from_utf8(out).expect("UTF-8"), error: ended.err() }
}

pub fn chat_body<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    match feed_fold(ChatFold::new(plan, &reply_id()), chunks(pieces)) {
        Ok(body) => Outcome { text: serde_json::to_string(&body).expect("JSON"), error: None },
        Err(error) => Outcome { text: String::new(), error: Some(error) },
    }
}

pub fn responses_stream<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut pipe = ResponsesPipe::new(plan, &reply_id());
    let mut out = Vec::new();
    let ended = feed_pipe(&mut pipe, chunks(pieces), &mut out);
    if let Err(error) = &ended {
        pipe.write_error(error, &mut out);
    }
    Outcome { text: String::from_utf8(out).expect("UTF-8"), error: ended.err() }
}

pub fn responses_body<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    match feed_fold(ResponsesFold::new(plan, &reply_id()), chunks(pieces)) {
        Ok(body) => Outcome { text: body.json().to_owned(), error: None },
        Err(error) => Outcome { text: String::new(), error: Some(error) },
    }
}

fn chunks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Chunk<&'a [u8]>> {
    pieces.into_iter().map(Chunk::Bytes)
}

/// Splits `bytes` into pieces whose sizes depend on the content.
pub fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut size = hash(bytes);
    while !bytes.is_empty() {
        size = size.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (piece, rest) = bytes.split_at(((size >> 33) % 64 + 1).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Returns a hash of `bytes`.
pub fn hash(bytes: &[u8]) -> usize {
    bytes.iter().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)))
}
