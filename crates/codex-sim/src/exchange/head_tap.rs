//! The names of HTTP/1.1 headers as they were spelled, which hyper does not keep.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes stored of a connection: more than the largest head. Of a longer body without a length, older bytes are
/// dropped.
const MAX_BYTES: usize = 256 * 1024;

/// What one connection has received since its last head.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadTap(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    /// The bytes of a body that are still to come, and are not stored.
    body_left: usize,
}

impl HeadTap {
    /// Returns the header names of the request with this first line, in order; none if its head is not found, as over
    /// HTTP/2.
    pub(crate) fn take_names(&self, method: &str, target: &str) -> Vec<String> {
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{method} {target} HTTP/1.1\r\n");
        let starts = |at: &usize| received.bytes[*at..].starts_with(line.as_bytes());
        let Some(start) = (0..received.bytes.len()).find(starts) else {
            return Vec::new();
        };
        let head = &received.bytes[start + line.len()..];
        let Some(length) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&head[..length]);
        let fields: Vec<(&str, &str)> = text.split("\r\n").filter_map(|line| line.split_once(':')).collect();
        let of_length = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let body: usize = of_length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
        let names = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
        let arrived = head.len() - length - 4;
        let (rest, left) = (body.min(arrived), body.saturating_sub(arrived));
        let end = received.bytes.len() - arrived + rest;
        received.bytes.drain(..end);
        received.body_left = left;
        names
    }

    fn push(&self, data: &[u8]) {
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // HTTP/2 has no such heads: nothing of the connection is stored.
        if received.bytes.is_empty() && data.starts_with(b"PRI * HTTP/2") {
            received.body_left = usize::MAX;
        }
        let of_body = data.len().min(received.body_left);
        received.body_left -= of_body;
        received.bytes.extend_from_slice(&data[of_body..]);
        if received.bytes.len() > 2 * MAX_BYTES {
            let surplus = received.bytes.len() - MAX_BYTES;
            received.bytes.drain(..surplus);
        }
    }
}

/// A stream that stores what is read in a [`HeadTap`].
#[derive(Debug)]
pub(crate) struct HeadTapStream<S> {
    inner: S,
    tap: HeadTap,
}

impl<S> HeadTapStream<S> {
    pub(crate) fn new(inner: S, tap: HeadTap) -> Self {
        Self { inner, tap }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTapStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.tap.push(&buf.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadTapStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_spelling_from_request_to_request() {
        let tap = HeadTap::default();
        let send = |text: &str| text.as_bytes().chunks(7).for_each(|piece| tap.push(piece));
        send("POST /a HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\nX-Odd: 1\r\n\r\nGET ");
        assert_eq!(tap.take_names("POST", "/a"), ["Host", "content-length", "X-Odd"]);
        send("/GET /b?c HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(tap.take_names("GET", "/b?c"), ["host"]);
        send("GET /c HTTP/1.1\r\n\r\n");
        assert_eq!(tap.take_names("GET", "/d"), Vec::<String>::new());
    }

    #[test]
    fn memory_is_bounded() {
        let tap = HeadTap::default();
        (0..100).for_each(|_| tap.push(&[0; 64 * 1024]));
        assert!(tap.0.lock().expect("not poisoned").bytes.len() <= 2 * MAX_BYTES);
        tap.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(tap.take_names("GET", "/"), ["Host"]);
    }
}
