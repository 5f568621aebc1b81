//! A WebSocket for tests, without a connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::Sink;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::UpstreamError;
use crate::lock::lock;
use crate::socket::{IncomingMessage, OutgoingMessage};
use crate::upstream::Upgrade;

/// A text, and the number of the connection that it was sent on.
pub(super) type SentText = (usize, Bytes);

/// A WebSocket of a [`ScriptedUpstream`](crate::ScriptedUpstream): a list of messages for each text that it receives.
///
/// Without a remaining answer it sends nothing. Pings are answered unless [`without_pongs`](Self::without_pongs) is
/// set.
///
/// ```
/// use codex_upstream::{ScriptedSocket, ScriptedUpstream};
///
/// let socket = ScriptedSocket::new().answer([r#"{"type":"response.created"}"#]).closed(1011);
/// let upstream = ScriptedUpstream::new().socket(socket);
/// # drop(upstream);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScriptedSocket {
    headers: HeaderMap,
    answers: VecDeque<Vec<IncomingMessage>>,
    is_deaf: bool,
}

impl ScriptedSocket {
    /// Creates a socket without answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to the answer to the upgrade.
    ///
    /// # Panics
    /// If the name has upper-case letters, or name or value is not valid in a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Adds the answer to one text.
    #[must_use]
    pub fn answer(mut self, messages: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        self.answers.push_back(messages.into_iter().map(|text| IncomingMessage::Text(text.into())).collect());
        self
    }

    /// Closes the connection with `code` after the last answer, or as the answer if there is none.
    #[must_use]
    pub fn closed(mut self, code: u16) -> Self {
        let closed = IncomingMessage::Closed { code, reason: String::new() };
        match self.answers.back_mut() {
            Some(answer) => answer.push(closed),
            None => self.answers.push_back(vec![closed]),
        }
        self
    }

    /// Leaves pings unanswered.
    #[must_use]
    pub fn without_pongs(mut self) -> Self {
        self.is_deaf = true;
        self
    }

    pub(super) fn opened(self, number: usize, messages: Arc<Mutex<Vec<SentText>>>) -> Upgrade {
        let Self { headers, answers, is_deaf } = self;
        let socket = ScriptedConnection {
            answers,
            is_deaf,
            number,
            messages,
            to_say: VecDeque::new(),
            reader: None,
            is_over: false,
        };
        Upgrade::Opened { headers, socket: Box::pin(socket) }
    }
}

struct ScriptedConnection {
    answers: VecDeque<Vec<IncomingMessage>>,
    is_deaf: bool,
    number: usize,
    messages: Arc<Mutex<Vec<SentText>>>,
    to_say: VecDeque<IncomingMessage>,
    reader: Option<Waker>,
    is_over: bool,
}

impl Stream for ScriptedConnection {
    type Item = Result<IncomingMessage, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.to_say.pop_front() {
            Some(message) => {
                self.is_over = matches!(message, IncomingMessage::Closed { .. });
                Poll::Ready(Some(Ok(message)))
            }
            None => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<OutgoingMessage> for ScriptedConnection {
    type Error = UpstreamError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: OutgoingMessage) -> Result<(), UpstreamError> {
        match message {
            OutgoingMessage::Ping if self.is_deaf => {}
            OutgoingMessage::Ping => self.to_say.push_back(IncomingMessage::Pong),
            OutgoingMessage::Text(text) => {
                let number = self.number;
                lock(&self.messages).push((number, text));
                let answer = self.answers.pop_front().unwrap_or_default();
                self.to_say.extend(answer);
            }
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }
}
