//! The limit: the minimal program that converts the backend's events to chat chunks.
//!
//! It knows one type of event, searches it for the text without parsing the rest, checks nothing, and makes one write
//! per read. No real proxy can be that simple, but none should be much slower.

use bytes::{Buf as _, BufMut as _, BytesMut};
use memchr::memchr;
use memchr::memmem::{self, Finder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Outcome, request};

/// The usual read size of programs with a buffer for each stream.
const READ_BYTES: usize = 16 * 1024;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const BEFORE: &[u8] = b"data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5.5\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
const AFTER: &[u8] = b"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const DELTA: &[u8] = b"\"delta\":\"";
const END: &[u8] = b"data: [DONE]\n\n";

/// Serves until the process is killed.
pub(crate) async fn serve(port: u16, upstream: u16) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The client may disconnect.
            let _ = connection(stream, upstream).await;
        });
    }
}

/// Serves a client's connection over one to upstream.
async fn connection(mut client: TcpStream, upstream: u16) -> Outcome<()> {
    client.set_nodelay(true)?;
    let mut read = Vec::new();
    let mut kept = None;
    while let Some(request) = request::read(&mut client, &mut read).await? {
        let mut upstream = match kept.take() {
            Some(upstream) => upstream,
            None => {
                let upstream = TcpStream::connect(("127.0.0.1", upstream)).await?;
                upstream.set_nodelay(true)?;
                upstream
            }
        };
        let is_stream = memmem::find(&request, b"\"stream\":true").is_some();
        upstream.write_all(&request).await?;
        if is_stream {
            relay(&mut upstream, &mut client).await?
        } else {
            gather(&mut upstream, &mut client).await?
        }
        kept = Some(upstream);
    }
    Ok(())
}

async fn relay(upstream: &mut TcpStream, client: &mut TcpStream) -> Outcome<()> {
    let mut out = HEAD.to_vec();
    let mut events = Events::new();
    while events.read(upstream).await? {
        // Reserves ten bytes for the chunk's size, which is filled in at the end.
        let start = out.len();
        out.extend_from_slice(b"00000000\r\n");
        events.each(|text| {
            out.extend_from_slice(BEFORE);
            out.extend_from_slice(text);
            out.extend_from_slice(AFTER);
        });
        if events.is_done {
            out.extend_from_slice(END);
        }
        let size = out.len() - start - 10;
        if size == 0 {
            out.truncate(start);
        } else {
            out[start..start + 8].copy_from_slice(format!("{size:08x}").as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if events.is_done {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        if !out.is_empty() {
            client.write_all(&out).await?;
            out.clear();
        }
    }
    Ok(())
}

async fn gather(upstream: &mut TcpStream, client: &mut TcpStream) -> Outcome<()> {
    let mut events = Events::new();
    let mut body = b"{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"gpt-5.5\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"".to_vec();
    while events.read(upstream).await? {
        events.each(|text| body.extend_from_slice(text));
    }
    body.extend_from_slice(b"\"},\"finish_reason\":\"stop\"}]}");
    let mut out =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    out.extend_from_slice(&body);
    client.write_all(&out).await?;
    Ok(())
}

/// The events of a reply. Everything else, such as the sizes of HTTP chunks, is a line that is ignored.
struct Events {
    buffer: BytesMut,
    delta: Finder<'static>,
    is_done: bool,
}

impl Events {
    fn new() -> Self {
        Self { buffer: BytesMut::new(), delta: Finder::new(DELTA), is_done: false }
    }

    /// Reads once. Returns `false` at the end of the reply.
    async fn read(&mut self, upstream: &mut TcpStream) -> Outcome<bool> {
        if self.is_done && self.buffer.ends_with(b"0\r\n\r\n") {
            return Ok(false);
        }
        // An idle stream has no buffer.
        upstream.readable().await?;
        self.buffer.reserve(READ_BYTES);
        match upstream.read_buf(&mut (&mut self.buffer).limit(READ_BYTES)).await? {
            0 => Err("upstream disconnected".into()),
            _ => Ok(true),
        }
    }

    /// Calls `take` with the text of each complete line.
    fn each(&mut self, mut take: impl FnMut(&[u8])) {
        let mut done = 0;
        while let Some(end) = memchr(b'\n', &self.buffer[done..]).filter(|_| !self.is_done) {
            let line = &self.buffer[done..done + end];
            done += end + 1;
            if !line.starts_with(b"data: ") {
                continue;
            }
            if let Some(at) = self.delta.find(line) {
                let text = &line[at + DELTA.len()..];
                take(&text[..memchr(b'"', text).unwrap_or(text.len())]);
            } else {
                self.is_done = line.starts_with(b"data: {\"type\":\"response.completed\"");
            }
        }
        if done == self.buffer.len() {
            self.buffer = BytesMut::new();
        } else {
            self.buffer.advance(done);
        }
    }
}
