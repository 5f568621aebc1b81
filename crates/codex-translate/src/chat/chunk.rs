//! The chunks of a chat stream, as server-sent events.

use serde::Serialize as _;

use super::delta::{Delta, DeltaSink};
use crate::error::Error;
use crate::json::write_string;
use crate::outcome::{Finish, ReplyId};
use crate::usage::{ChatUsage, Usage};

/// The last event of a stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes the chunks of one choice.
///
/// No event has an `id` or lacks data, and every event has `choices`, as clients require (docs/clients/quirks.md, rules
/// 1 to 6).
#[derive(Clone, Debug)]
pub(crate) struct ChunkEncoder {
    /// The beginning of a chunk, through `"delta":`.
    head: Vec<u8>,
    /// The length of `head` through `"choices":[`.
    before_choice: usize,
}

impl ChunkEncoder {
    pub(crate) fn new(reply_id: &ReplyId, model: &str, choice: u32) -> Self {
        let mut head = b"data: {\"id\":".to_vec();
        write_string(&reply_id.id, &mut head);
        let created = format!(",\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":", reply_id.created);
        head.extend_from_slice(created.as_bytes());
        write_string(model, &mut head);
        head.extend_from_slice(b",\"system_fingerprint\":null,\"choices\":[");
        let before_choice = head.len();
        head.extend_from_slice(format!("{{\"index\":{choice},\"delta\":").as_bytes());
        Self { head, before_choice }
    }

    /// Returns a sink that writes each delta as a chunk.
    pub(crate) fn sink<'a>(&'a self, out: &'a mut Vec<u8>) -> ChunkSink<'a> {
        ChunkSink { encoder: self, out }
    }

    /// Writes the chunk with the finish reason.
    pub(crate) fn finish(&self, finish: Finish, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(finish.as_str().as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
    }

    /// Writes the usage chunk, if any, and the end of the stream.
    pub(crate) fn end(&self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        if let Some(usage) = usage {
            out.extend_from_slice(&self.head[..self.before_choice]);
            out.extend_from_slice(b"],\"usage\":");
            // Writing numbers to memory cannot fail.
            let _ = ChatUsage(*usage).serialize(&mut serde_json::Serializer::new(&mut *out));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE);
    }

    /// Writes the event that SDKs raise as an error, and the end (docs/clients/quirks.md, rule 6).
    pub(crate) fn error(error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.to_json());
        out.extend_from_slice(b"\n\n");
        out.extend_from_slice(DONE);
    }
}

/// Writes deltas as chunks to a buffer.
#[derive(Debug)]
pub(crate) struct ChunkSink<'a> {
    encoder: &'a ChunkEncoder,
    out: &'a mut Vec<u8>,
}

impl DeltaSink for ChunkSink<'_> {
    fn delta(&mut self, delta: Delta<'_>) {
        self.out.extend_from_slice(&self.encoder.head);
        delta.write(self.out);
        self.out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }
}
