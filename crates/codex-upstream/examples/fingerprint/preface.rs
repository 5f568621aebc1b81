//! What an HTTP/2 client sends before and with its first requests (RFC 9113).

use btls::hash::{MessageDigest, hash};
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::hello::hex;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The opening of a connection, and the frames of its requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Preface {
    /// In the order in which they were sent, GREASE left out.
    pub(crate) settings: Vec<(u16, u32)>,
    /// By how much the connection's window is opened.
    pub(crate) window: u32,
    /// Exclusive, dependency and weight of the last request.
    pub(crate) priority: Option<(bool, u32, u16)>,
    /// The first request's pseudo-headers by their first letters; later ones are abbreviated.
    pub(crate) pseudo_headers: String,
}

impl Preface {
    /// Reads up to the headers of request number `number`, counted from 1, and answers those before it with `page`.
    ///
    /// # Errors
    /// The client went away.
    ///
    /// # Panics
    /// When it does not speak HTTP/2.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        number: usize,
        page: &str,
    ) -> std::io::Result<Self> {
        let mut opening = [0; 24];
        stream.read_exact(&mut opening).await?;
        assert_eq!(&opening, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        write_frame(stream, SETTINGS, 0, 0, b"").await?;
        let mut preface = Self::default();
        let mut requests = 0;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await?;
            let mut payload = Bytes::from(payload);
            let stream_id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match (head[3], head[4]) {
                (SETTINGS, 0) if requests == 0 => {
                    let pairs = (0..payload.len() / 6).map(|_| (payload.get_u16(), payload.get_u32()));
                    preface.settings = pairs.filter(|(id, _)| id & 0x0f0f != 0x0a0a).collect();
                    write_frame(stream, SETTINGS, 1, 0, b"").await?;
                }
                (WINDOW_UPDATE, _) if requests == 0 && stream_id == 0 => preface.window = payload.get_u32(),
                (HEADERS, flags) => {
                    requests += 1;
                    preface.request(flags, payload);
                    if requests == number {
                        return Ok(preface);
                    }
                    answer(stream, stream_id, page).await?;
                }
                _ => {}
            }
        }
    }

    fn request(&mut self, flags: u8, mut payload: Bytes) {
        assert_eq!(flags & PADDED, 0, "padded headers");
        if flags & PRIORITY != 0 {
            let dependency = payload.get_u32();
            self.priority = Some((dependency >> 31 == 1, dependency & 0x7fff_ffff, u16::from(payload.get_u8()) + 1));
        }
        if !self.pseudo_headers.is_empty() {
            return;
        }
        // HPACK (RFC 7541): the names of pseudo-headers are in the static table, so no string has to be decoded.
        while let Some(name) = pseudo_header(&mut payload) {
            self.pseudo_headers.push(name);
        }
    }

    /// The fields in a form that can be compared and shown.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let priority = self.priority.map_or_else(|| "none".to_owned(), |priority| format!("{priority:?}"));
        vec![
            ("SETTINGS", self.settings_text()),
            ("WINDOW_UPDATE", self.window.to_string()),
            ("priority of a fetch", priority),
            ("pseudo-headers", self.pseudo_headers.clone()),
            ("Akamai HTTP/2", self.akamai()),
        ]
    }

    /// Akamai's fingerprint and its MD5: settings, window, priority frames (no client sends any now), pseudo-headers.
    pub(crate) fn akamai(&self) -> String {
        let order: Vec<_> = self.pseudo_headers.chars().map(String::from).collect();
        let text = format!("{}|{}|0|{}", self.settings_text(), self.window, order.join(","));
        format!("{text} {}", hex(&hash(MessageDigest::md5(), text.as_bytes()).unwrap()))
    }

    fn settings_text(&self) -> String {
        self.settings.iter().map(|(id, value)| format!("{id}:{value}")).collect::<Vec<_>>().join(";")
    }
}

/// Takes one pseudo-header off a header block; `None` when another header comes.
fn pseudo_header(block: &mut Bytes) -> Option<char> {
    let first = *block.first()?;
    let (index, is_literal) = match first {
        0x80.. => (first & 0x7f, false),
        0x40..=0x7f => (first & 0x3f, true),
        // The size of the dynamic table, which may come first.
        0x20..=0x3f => {
            integer(block, 5);
            return pseudo_header(block);
        }
        _ => (first & 0x0f, true),
    };
    let name = match index {
        1 => 'a',
        2 | 3 => 'm',
        4 | 5 => 'p',
        6 | 7 => 's',
        _ => return None,
    };
    block.advance(1);
    if is_literal {
        let length = integer(block, 7);
        block.advance(length);
    }
    Some(name)
}

/// Reads an integer with a prefix of `bits` bits (RFC 7541 section 5.1).
fn integer(block: &mut Bytes, bits: u8) -> usize {
    let limit = (1 << bits) - 1;
    let mut value = usize::from(block.get_u8() & limit);
    if value == usize::from(limit) {
        for shift in (0..).step_by(7) {
            let byte = block.get_u8();
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    value
}

/// Answers with a 200 and an HTML page.
async fn answer(stream: &mut (impl AsyncWrite + Unpin), id: u32, page: &str) -> std::io::Result<()> {
    const END_HEADERS: u8 = 0x4;
    const END_STREAM: u8 = 0x1;
    // `:status: 200`, then `content-type` as a literal.
    write_frame(stream, HEADERS, END_HEADERS, id, b"\x88\x5f\x09text/html").await?;
    write_frame(stream, 0, END_STREAM, id, page.as_bytes()).await
}

async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> std::io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}
