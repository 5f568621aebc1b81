//! Code shared by the targets.
#![allow(dead_code, reason = "no target uses all of it")]

use std::collections::HashSet;
use std::fmt;

use codex_translate::{
    ChatFold, ChatPipe, Chunk, Error, Pipe as _, ReplyId, ReplyPlan, ResponsesFold, ResponsesPipe, Summary,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

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
    /// Whether a text of the stream is not the last value that the backend gave it.
    pub is_revised: bool,
}

impl Outcome {
    fn new(text: String, ended: Result<Summary, Error>) -> Self {
        let is_revised = ended.as_ref().is_ok_and(|summary| summary.revised > 0);
        Self { text, error: ended.err(), is_revised }
    }

    /// Returns whether the stream ended with other arguments of a call than it had: a body has the last ones.
    pub fn has_another_call(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.message().contains("other arguments"))
    }
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
    Outcome::new(String::from_utf8(out).expect("UTF-8"), ended)
}

pub fn chat_body<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    match feed_fold(ChatFold::new(plan, &reply_id()), chunks(pieces)) {
        Ok(body) => Outcome { text: serde_json::to_string(&body).expect("JSON"), error: None, is_revised: false },
        Err(error) => Outcome::new(String::new(), Err(error)),
    }
}

pub fn responses_stream<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut pipe = ResponsesPipe::new(plan, &reply_id());
    let mut out = Vec::new();
    let ended = feed_pipe(&mut pipe, chunks(pieces), &mut out);
    if let Err(error) = &ended {
        pipe.write_error(error, &mut out);
    }
    Outcome::new(String::from_utf8(out).expect("UTF-8"), ended)
}

pub fn responses_body<'a>(plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    match feed_fold(ResponsesFold::new(plan, &reply_id()), chunks(pieces)) {
        Ok(body) => Outcome { text: body.json().to_owned(), error: None, is_revised: false },
        Err(error) => Outcome::new(String::new(), Err(error)),
    }
}

/// A body fails as its stream does, unless it has the last arguments of a call, or the caller's limit has ended the
/// last value of another text.
pub fn same_end(stream: &Outcome, body: &Outcome, is_limited: bool) {
    if !is_limited && !stream.has_another_call() {
        assert_eq!(stream.error, body.error);
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

/// Reads headers, one a line, up to a blank line; returns them and the rest. Lines that are not headers are skipped.
pub fn headers(mut bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 1..]));
        bytes = rest;
        if line.trim_ascii().is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    (headers, bytes)
}

/// Returns whether an object in `json` has a key twice.
pub fn has_duplicate_keys(json: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Keys::deserialize(&mut reader).is_ok_and(|keys| keys.has_duplicates)
}

/// Visits a JSON value only for the keys of its objects.
struct Keys {
    has_duplicates: bool,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys { has_duplicates: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        let mut has_duplicates = false;
        while let Some(value) = list.next_element::<Keys>()? {
            has_duplicates |= value.has_duplicates;
        }
        Ok(Keys { has_duplicates })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let (mut has_duplicates, mut seen) = (false, HashSet::new());
        while let Some((key, value)) = map.next_entry::<String, Keys>()? {
            has_duplicates |= value.has_duplicates | !seen.insert(key);
        }
        Ok(Keys { has_duplicates })
    }
}
