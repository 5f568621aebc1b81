//! The client: hand-written HTTP/1.1, and a reader that compares the received text with the text that was sent.

use std::time::Instant;

use memchr::{memchr, memmem};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Outcome;
use crate::reply::{STAMP, STAMP_DIGITS};

/// A request, and how to read its answer.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    pub(crate) bytes: Vec<u8>,
    /// The JSON before each piece of text.
    pub(crate) key: &'static str,
}

/// The expected answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'a> {
    /// This text, in any pieces.
    Text(&'a str),
    /// This number of timestamps, each later than the one before.
    Stamps(usize),
    /// Only the first timestamp.
    Beginning,
}

/// A connection that is reused.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), read: Vec::new() })
    }

    /// Sends a request and reads the answer. Returns the latency of each timestamp in nanoseconds.
    pub(crate) async fn ask(
        &mut self,
        request: &ChatRequest,
        expected: Expected<'_>,
        epoch: Instant,
    ) -> Outcome<Vec<u64>> {
        self.stream.write_all(&request.bytes).await?;
        let mut reader = Reader { key: request.key, expected, at: 0, last: 0, latencies: Vec::new(), epoch };
        self.buffer.clear();
        self.read.clear();
        let mut body = self.head().await?;
        let mut begun = Vec::new();
        std::mem::swap(&mut begun, &mut self.buffer);
        let mut is_done = body.take(&begun, &mut self.read)?;
        loop {
            reader.take(&mut self.read, is_done)?;
            if is_done || matches!(expected, Expected::Beginning) && reader.at > 0 {
                return reader.finish();
            }
            begun.clear();
            begun.reserve(64 * 1024);
            if self.stream.read_buf(&mut begun).await? == 0 {
                return Err("the answer was cut off".into());
            }
            is_done = body.take(&begun, &mut self.read)?;
        }
    }

    /// Sends a request without reading the answer.
    pub(crate) async fn leave(&mut self, request: &ChatRequest) -> Outcome<()> {
        Ok(self.stream.write_all(&request.bytes).await?)
    }

    /// Reads the head of an answer; the beginning of the body stays in the buffer.
    async fn head(&mut self) -> Outcome<Body> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                self.buffer.drain(..end + 4);
                if !head.starts_with("http/1.1 200") {
                    return Err(format!("{head}\n{}", String::from_utf8_lossy(&self.buffer)).into());
                }
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                return Ok(match length {
                    Some(length) => Body::Length(length.trim().parse()?),
                    None => Body::Chunked(Chunk::Size(0)),
                });
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("no reply".into());
            }
        }
    }
}

/// How the body of an answer is delimited.
enum Body {
    Length(usize),
    Chunked(Chunk),
}

/// The position in a chunked body.
#[derive(Clone, Copy)]
enum Chunk {
    /// In the size, with its value so far.
    Size(usize),
    /// In the data, with the number of missing bytes, including the line end.
    Data(usize),
    /// In the line end after the last chunk, with the number of missing bytes.
    End(usize),
}

impl Body {
    /// Appends the decoded `bytes` to `out`. Returns `true` at the end of the body.
    fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Outcome<bool> {
        match self {
            Self::Length(missing) => {
                out.extend_from_slice(bytes);
                *missing = missing.checked_sub(bytes.len()).ok_or("longer than its content-length")?;
                Ok(*missing == 0)
            }
            Self::Chunked(chunk) => {
                while let Some(&byte) = bytes.first() {
                    match *chunk {
                        Chunk::Size(size) => {
                            bytes = &bytes[1..];
                            *chunk = match byte {
                                b'\r' => Chunk::Size(size),
                                b'\n' if size == 0 => Chunk::End(2),
                                b'\n' => Chunk::Data(size + 2),
                                _ => {
                                    let digit = char::from(byte).to_digit(16).ok_or("invalid chunk size")?;
                                    Chunk::Size(size * 16 + digit as usize)
                                }
                            };
                        }
                        Chunk::Data(missing) => {
                            let count = missing.min(bytes.len());
                            let text = count.min(missing.saturating_sub(2));
                            out.extend_from_slice(&bytes[..text]);
                            bytes = &bytes[count..];
                            *chunk = if count == missing { Chunk::Size(0) } else { Chunk::Data(missing - count) };
                        }
                        Chunk::End(missing) => {
                            bytes = &bytes[1..];
                            *chunk = Chunk::End(missing - 1);
                        }
                    }
                }
                Ok(matches!(chunk, Chunk::End(0)))
            }
        }
    }
}

/// Compares an answer line by line.
struct Reader<'a> {
    key: &'static str,
    expected: Expected<'a>,
    /// The progress: bytes of the text, or timestamps.
    at: usize,
    last: u64,
    latencies: Vec<u64>,
    epoch: Instant,
}

impl Reader<'_> {
    fn take(&mut self, read: &mut Vec<u8>, is_done: bool) -> Outcome<()> {
        let mut rest = &read[..];
        while let Some(end) = memchr(b'\n', rest) {
            self.line(&rest[..end])?;
            rest = &rest[end + 1..];
        }
        if is_done {
            self.line(rest)?;
            rest = &[];
        }
        let done = read.len() - rest.len();
        read.drain(..done);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Outcome<()> {
        let Some(at) = memmem::find(line, self.key.as_bytes()) else {
            if line.starts_with(b"data: {\"error\"") {
                return Err(String::from_utf8_lossy(line).into());
            }
            return Ok(());
        };
        let text = &line[at + self.key.len()..];
        // The texts of the benchmark need no escapes.
        let text = &text[..memchr(b'"', text).ok_or("unterminated text")?];
        match self.expected {
            Expected::Text(expected) => {
                if expected.as_bytes().get(self.at..self.at + text.len()) != Some(text) {
                    return Err(format!("wrong text after {} bytes", self.at).into());
                }
                self.at += text.len();
            }
            Expected::Stamps(_) | Expected::Beginning if text.is_empty() => {}
            Expected::Stamps(_) | Expected::Beginning => {
                let stamp = text.strip_prefix(STAMP.as_bytes()).filter(|stamp| stamp.len() == STAMP_DIGITS);
                let sent: u64 = std::str::from_utf8(stamp.ok_or("a delta without a timestamp")?)?.parse()?;
                if sent <= self.last {
                    return Err("a timestamp that is not later than the one before".into());
                }
                self.last = sent;
                self.at += 1;
                let now = u64::try_from(self.epoch.elapsed().as_nanos())?;
                self.latencies.push(now.saturating_sub(sent));
            }
        }
        Ok(())
    }

    fn finish(self) -> Outcome<Vec<u64>> {
        let wanted = match self.expected {
            Expected::Text(text) => text.len(),
            Expected::Stamps(count) => count,
            Expected::Beginning => 1,
        };
        if self.at != wanted {
            return Err(format!("received {} of {wanted}", self.at).into());
        }
        Ok(self.latencies)
    }
}
