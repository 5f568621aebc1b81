//! From events to bytes: framing, and the faults of framing (`docs/backend.md` §3.1).

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::exchange::flush_log::FlushLog;
use crate::exchange::stalls::Stalls;
use crate::recipe::event::Event;
use crate::recipe::script::Script;
use crate::request_log::Ticket;
use crate::scenario::plan::{Framing, Point};

/// The maximum number of pieces of a split frame; a large frame is split into larger pieces.
const MAX_PIECES: usize = 500;
/// The size of a piece of a split frame in bytes: prime and small, so pieces end within characters and tokens.
const PIECE: usize = 3;

/// Returns the bytes of `script`. An error among them makes the server reset the connection.
pub(crate) fn frames(
    script: Script,
    framing: Framing,
    stalls: Arc<Stalls>,
    ticket: Ticket,
    flush_log: FlushLog,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream! {
        if framing.no_events {
            return;
        }
        let mut writer = Writer::new(&framing);
        let (mut cut, mut stall) = (framing.cut, framing.stall);
        for event in script.events() {
            writer.count(&event);
            if stall.is_some_and(|point| writer.is_at(point, &event)) {
                stall = None;
                let mut released = pin!(stalls.released(&ticket, framing.stall_for));
                while !passed(released.as_mut(), framing.keepalive_every).await {
                    yield Ok(writer.keepalive());
                    ticket.event_sent();
                }
            }
            if cut.take_if(|point| writer.is_at(*point, &event)).is_some() {
                let frame = writer.frame(&event);
                yield Ok(frame.slice(..frame.len() / 2));
                // The bytes before the cut must arrive.
                flush_log.settled().await;
                yield Err(io::Error::from(io::ErrorKind::ConnectionReset));
                return;
            }
            if framing.no_terminal && event.is_terminal() {
                return;
            }
            if framing.no_item_done && event.kind == "response.output_item.done" {
                continue;
            }
            for extra in writer.extras(&event) {
                yield Ok(extra);
                ticket.event_sent();
            }
            if let Some(delay) = framing.delay {
                tokio::time::sleep(delay).await;
            }
            for piece in writer.pieces(&event) {
                yield Ok(piece);
                if framing.split {
                    // Each piece is a write of its own.
                    tokio::task::yield_now().await;
                }
            }
            ticket.event_sent();
        }
        if framing.trailing {
            yield Ok(writer.trailing());
        }
    }
}

/// Waits for the end of a stall. Returns `false` if a keepalive is due before it.
async fn passed(stall: Pin<&mut impl Future<Output = ()>>, keepalive: Option<Duration>) -> bool {
    match keepalive {
        Some(period) => timeout(period, stall).await.is_ok(),
        None => {
            stall.await;
            true
        }
    }
}

/// Returns the events in a piece of a reply without `split` and with plain line ends, as WebSocket messages. A
/// partial event, as before a cut, is left out.
pub(crate) fn messages(piece: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(piece);
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let data = |frame: &str| frame.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
    whole.split("\n\n").filter_map(data).filter(|data| data != "[DONE]").collect()
}

/// Numbers and frames events.
struct Writer {
    framing: Framing,
    sequence_number: u64,
    sent: u64,
    deltas: u64,
}

impl Writer {
    fn new(framing: &Framing) -> Self {
        Self { framing: framing.clone(), sequence_number: 0, sent: 0, deltas: 0 }
    }

    fn count(&mut self, event: &Event) {
        self.deltas += u64::from(event.is_delta());
    }

    /// Returns whether a fault at `point` happens before `event`.
    fn is_at(&self, point: Point, event: &Event) -> bool {
        match point {
            Point::Headers => false,
            Point::Events(count) => self.sent == count,
            Point::Output => event.kind == "response.output_item.added" || event.is_terminal(),
            Point::Middle => (event.is_delta() && self.deltas == 2) || event.is_terminal(),
        }
    }

    /// Returns the frames that the framing asks for before `event`.
    fn extras(&mut self, event: &Event) -> Vec<Bytes> {
        let mut extras = Vec::new();
        if self.framing.comments {
            let (end, sent) = (self.framing.line_end.text(), self.sent);
            extras.push(Bytes::from(format!(": comment {sent}{end}{end}id: {sent}{end}retry: 3000{end}{end}")));
        }
        if self.framing.keepalive && self.sent % 2 == 1 {
            extras.push(self.keepalive());
        }
        if self.framing.unknown && event.is_delta() {
            extras.push(
                self.frame(&Event::new("response.sparkle.delta", json!({"delta": "not for you", "glow": [1, 2]}))),
            );
        }
        extras
    }

    fn pieces(&mut self, event: &Event) -> Vec<Bytes> {
        let frame = self.frame(event);
        self.sent += 1;
        if !self.framing.split {
            return vec![frame];
        }
        let size = PIECE.max(frame.len().div_ceil(MAX_PIECES));
        (0..frame.len()).step_by(size).map(|at| frame.slice(at..frame.len().min(at + size))).collect()
    }

    fn frame(&mut self, event: &Event) -> Bytes {
        let event = self.modified(event);
        let json = event.to_json(self.sequence_number);
        self.sequence_number += u64::from(event.numbered);
        let end = self.framing.line_end.text();
        Bytes::from(format!("event: {}{end}data: {json}{end}{end}", event.kind))
    }

    /// Returns the event with the changes of `unknown` and `legacy-delta`.
    fn modified<'a>(&self, event: &'a Event) -> std::borrow::Cow<'a, Event> {
        let mut out = std::borrow::Cow::Borrowed(event);
        if self.framing.unknown {
            out.to_mut().fields.insert("x_unknown".to_owned(), json!({"nested": [null, true]}));
            if let Some(Value::Object(item)) = out.to_mut().fields.get_mut("item") {
                item.insert("x_unknown".to_owned(), json!("item"));
            }
        }
        if self.framing.legacy_delta && event.kind == "response.output_text.delta" {
            out.to_mut().kind = "response.text.delta".into();
        }
        out
    }

    fn keepalive(&mut self) -> Bytes {
        self.frame(&Event::new("keepalive", json!({})))
    }

    fn trailing(&mut self) -> Bytes {
        let keepalive = self.keepalive();
        let late =
            self.frame(&Event::new("response.output_text.delta", json!({"output_index": 0, "delta": "too late"})));
        let end = self.framing.line_end.text();
        Bytes::from([&keepalive[..], &late[..], format!("data: [DONE]{end}{end}").as_bytes()].concat())
    }
}
