//! An upstream for tests, without sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codex_translate::Chunk;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::error::UpstreamError;
use crate::lock::lock;
use crate::upstream::Upgrade;
use crate::upstream::{ChunkStream, Upstream};

mod socket;

pub use socket::ScriptedSocket;
use socket::SentText;

/// An [`Upstream`] that plays back replies in order and records the requests.
///
/// A request without a remaining reply fails with [`UpstreamError::InvalidRequest`].
///
/// # Example
/// ```
/// use bytes::Bytes;
/// use codex_upstream::{ScriptedReply, ScriptedUpstream, Upstream as _, UpstreamError, read_to_end};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), UpstreamError> {
/// let cut = UpstreamError::Closed { host: "example.com".to_owned(), reason: "reset".to_owned() };
/// let upstream = ScriptedUpstream::new()
///     .reply(503, "overloaded")
///     .then(ScriptedReply::new(200).header("content-type", "text/event-stream").piece("data: {").broken(cut.clone()));
///
/// let request = || http::Request::new(Bytes::from_static(b"{}"));
/// assert_eq!(upstream.send(request()).await?.status(), 503);
/// let reply = upstream.send(request()).await?;
/// assert_eq!(read_to_end(reply.into_body(), 1024).await, Err(cut));
/// assert_eq!(upstream.requests().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct ScriptedUpstream {
    replies: Mutex<VecDeque<Result<ScriptedReply, UpstreamError>>>,
    requests: Mutex<Vec<Request<Bytes>>>,
    upgrades: Mutex<VecDeque<Result<ScriptedSocket, ScriptedReply>>>,
    messages: Arc<Mutex<Vec<SentText>>>,
    connects: Mutex<Vec<Request<()>>>,
}

/// One reply of a [`ScriptedUpstream`].
///
/// ```
/// use codex_upstream::ScriptedReply;
///
/// let quota = ScriptedReply::new(200).header("x-codex-primary-used-percent", "40").piece("data: ").piece("{}\n\n");
/// let silent = ScriptedReply::new(200).stalled();
/// # drop((quota, silent));
/// ```
#[derive(Debug, Clone)]
pub struct ScriptedReply {
    status: StatusCode,
    headers: http::HeaderMap,
    pieces: Vec<Result<Bytes, UpstreamError>>,
    stalls: bool,
}

impl ScriptedReply {
    /// Creates a reply without headers and body. An invalid status becomes 500.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: http::HeaderMap::new(),
            pieces: Vec::new(),
            stalls: false,
        }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If the name has upper-case letters, or name or value is not valid in a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Adds a separate piece of the body.
    #[must_use]
    pub fn piece(mut self, piece: impl Into<Bytes>) -> Self {
        self.pieces.push(Ok(piece.into()));
        self
    }

    /// Cuts the body off here.
    #[must_use]
    pub fn broken(mut self, error: UpstreamError) -> Self {
        self.pieces.push(Err(error));
        self
    }

    /// Keeps the body open forever after its last piece.
    #[must_use]
    pub fn stalled(mut self) -> Self {
        self.stalls = true;
        self
    }
}

impl ScriptedReply {
    fn into_response(self) -> Response<ChunkStream> {
        let pieces = stream::iter(self.pieces).map(|piece| piece.map(Chunk::Bytes));
        let body: ChunkStream = if self.stalls { Box::pin(pieces.chain(stream::pending())) } else { Box::pin(pieces) };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl ScriptedUpstream {
    /// Creates an upstream without replies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reply with a status and a body.
    #[must_use]
    pub fn reply(self, status: u16, body: impl Into<Bytes>) -> Self {
        self.then(ScriptedReply::new(status).piece(body))
    }

    /// Adds a reply.
    #[must_use]
    pub fn then(self, reply: ScriptedReply) -> Self {
        self.push(Ok(reply));
        self
    }

    /// Adds a failure without a reply.
    #[must_use]
    pub fn error(self, error: UpstreamError) -> Self {
        self.push(Err(error));
        self
    }

    /// Adds a reply or a failure, also while requests are running.
    pub fn push(&self, outcome: Result<ScriptedReply, UpstreamError>) {
        lock(&self.replies).push_back(outcome);
    }

    /// Adds a WebSocket. An upgrade without a remaining one is refused with 426.
    #[must_use]
    pub fn socket(self, socket: ScriptedSocket) -> Self {
        lock(&self.upgrades).push_back(Ok(socket));
        self
    }

    /// Adds a refusal of an upgrade.
    #[must_use]
    pub fn refused(self, reply: ScriptedReply) -> Self {
        lock(&self.upgrades).push_back(Err(reply));
        self
    }

    /// Returns the upgrade requests so far.
    #[must_use]
    pub fn connects(&self) -> Vec<Request<()>> {
        lock(&self.connects).clone()
    }

    /// Returns the texts sent on WebSockets so far, each with the number of its connection, from 0.
    #[must_use]
    pub fn messages(&self) -> Vec<(usize, Bytes)> {
        lock(&self.messages).clone()
    }

    /// Returns the requests so far, in the order in which they were sent.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.requests).clone()
    }
}

impl Upstream for ScriptedUpstream {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        lock(&self.requests).push(request);
        let next = lock(&self.replies).pop_front();
        let reply = next.unwrap_or_else(|| {
            Err(UpstreamError::InvalidRequest { reason: "the script has no reply left; add one".to_owned() })
        })?;
        Ok(reply.into_response())
    }

    async fn connect(&self, request: Request<()>) -> Result<Upgrade, UpstreamError> {
        let number = {
            let mut connects = lock(&self.connects);
            connects.push(request);
            connects.len() - 1
        };
        let next = lock(&self.upgrades).pop_front();
        Ok(match next {
            Some(Ok(socket)) => socket.opened(number, Arc::clone(&self.messages)),
            Some(Err(refusal)) => Upgrade::Refused(refusal.into_response()),
            None => Upgrade::unavailable(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::read_to_end;

    #[tokio::test]
    async fn plays_back_in_order_and_then_fails() {
        let script = ScriptedUpstream::new().reply(200, "one").then(ScriptedReply::new(201).header("x-a", "b"));
        let send = |path: &'static str| script.send(Request::get(path).body(Bytes::new()).unwrap());
        let first = send("/1").await.unwrap();
        assert_eq!(read_to_end(first.into_body(), 16).await.unwrap(), "one");
        assert_eq!(send("/2").await.unwrap().headers()["x-a"], "b");
        assert!(matches!(send("/3").await, Err(UpstreamError::InvalidRequest { .. })));
        let paths: Vec<_> = script.requests().iter().map(|request| request.uri().path().to_owned()).collect();
        assert_eq!(paths, ["/1", "/2", "/3"]);
    }
}
