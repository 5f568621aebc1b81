//! What the server sees of a client that looks like Chrome, before any request.
//!
//! The expected values are written out here, by the numbers of the registries: that the library has a profile of the name
//! is not enough.

use std::collections::BTreeSet;

use bytes::{Buf as _, Bytes};
use codex_upstream::{Client, ClientConfig, Emulation, Upstream};
use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpListener;

use crate::server::{accept_tls, ca_pem};

/// The fields of a ClientHello (RFC 8446 section 4.1.2) that tell clients apart. GREASE values (RFC 8701) are counted
/// and left out, and extensions come in the order of their numbers: Chrome draws both afresh for every connection.
#[derive(Debug, PartialEq, Eq)]
struct Hello {
    ciphers: Vec<u16>,
    extensions: BTreeSet<u16>,
    groups: Vec<u16>,
    key_shares: Vec<u16>,
    signatures: Vec<u16>,
    protocols: Vec<u8>,
    greases: usize,
}

impl Hello {
    /// Reads the first record of a connection.
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut record).await.unwrap();
        let mut message = Bytes::from(record);
        assert_eq!((head[0], message.get_u8()), (22, 1), "not a ClientHello");
        assert_eq!(message.get_uint(3) as usize, message.remaining(), "more than one record");
        // The legacy version and the random number.
        message.advance(2 + 32);
        let session = usize::from(message.get_u8());
        message.advance(session);
        let mut hello = Self {
            ciphers: numbers(counted(&mut message)),
            extensions: BTreeSet::new(),
            groups: Vec::new(),
            key_shares: Vec::new(),
            signatures: Vec::new(),
            protocols: Vec::new(),
            greases: 0,
        };
        let compressions = usize::from(message.get_u8());
        message.advance(compressions);
        let mut extensions = counted(&mut message);
        while extensions.has_remaining() {
            let (kind, body) = (extensions.get_u16(), counted(&mut extensions));
            hello.extension(kind, body);
        }
        hello.greases += remove_greases(&mut hello.ciphers) + remove_greases(&mut hello.groups);
        hello.greases += remove_greases(&mut hello.key_shares);
        hello
    }

    fn extension(&mut self, kind: u16, mut body: Bytes) {
        if is_grease(kind) {
            self.greases += 1;
            return;
        }
        assert!(self.extensions.insert(kind), "extension {kind} twice");
        match kind {
            10 => self.groups = numbers(counted(&mut body)),
            13 => self.signatures = numbers(counted(&mut body)),
            16 => self.protocols = counted(&mut body).to_vec(),
            51 => {
                let mut shares = counted(&mut body);
                while shares.has_remaining() {
                    self.key_shares.push(shares.get_u16());
                    counted(&mut shares);
                }
            }
            _ => {}
        }
    }
}

/// Takes a part that begins with its length in two bytes.
fn counted(bytes: &mut Bytes) -> Bytes {
    let length = usize::from(bytes.get_u16());
    bytes.split_to(length)
}

fn numbers(mut bytes: Bytes) -> Vec<u16> {
    (0..bytes.len() / 2).map(|_| bytes.get_u16()).collect()
}

fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn remove_greases(numbers: &mut Vec<u16>) -> usize {
    let before = numbers.len();
    numbers.retain(|number| !is_grease(*number));
    before - numbers.len()
}

async fn hello(emulation: Emulation) -> Hello {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let capture = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        Hello::read(&mut stream).await
    });
    let client = Client::new(ClientConfig { emulation, ..ClientConfig::default() }).unwrap();
    // The captured connection is dropped without an answer.
    assert!(client.send(Request::get(url).body(Bytes::new()).unwrap()).await.is_err());
    capture.await.unwrap()
}

#[tokio::test]
async fn tls_opens_as_chrome_does() {
    let chrome = Hello {
        ciphers: vec![
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
            0x002f, 0x0035,
        ],
        // Among them certificate compression (27), ALPS under its new number (17613) and ECH (65037).
        extensions: BTreeSet::from([0, 5, 10, 11, 13, 16, 18, 23, 27, 35, 43, 45, 51, 17613, 65037, 65281]),
        // X25519MLKEM768, X25519, P-256, P-384.
        groups: vec![4588, 29, 23, 24],
        key_shares: vec![4588, 29],
        signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        protocols: b"\x02h2\x08http/1.1".to_vec(),
        // A cipher, a group, its key share, and the first and the last extension.
        greases: 5,
    };
    assert_eq!(hello(Emulation::default()).await, chrome);
    for emulation in [Emulation::Codex, Emulation::None] {
        let other = hello(emulation).await;
        assert_eq!(other.greases, 0, "{emulation:?}");
        assert_ne!(other.extensions, chrome.extensions, "{emulation:?}");
    }
}

/// One HTTP/2 frame (RFC 9113 section 4.1).
struct Frame {
    kind: u8,
    flags: u8,
    payload: Bytes,
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// Reads the client's preface and its first frames up to the headers of its request.
async fn opening_frames() -> Vec<Frame> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let capture = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = accept_tls(stream, b"\x02h2").await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Vec::new();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            frames.push(Frame { kind: head[3], flags: head[4], payload: Bytes::from(payload) });
            if head[3] == HEADERS {
                return frames;
            }
        }
    });
    let client = Client::new(ClientConfig { extra_roots_pem: vec![ca_pem()], ..ClientConfig::default() }).unwrap();
    let request = Request::get(url).header("user-agent", "x").body(Bytes::new()).unwrap();
    // The captured connection is dropped without an answer.
    assert!(client.send(request).await.is_err());
    capture.await.unwrap()
}

#[tokio::test]
async fn http2_opens_as_chrome_does() {
    let frames = opening_frames().await;
    let payload = |kind| frames.iter().find(|frame| frame.kind == kind).unwrap().payload.clone();
    let mut settings = payload(SETTINGS);
    let pairs: Vec<_> = (0..settings.len() / 6).map(|_| (settings.get_u16(), settings.get_u32())).collect();
    // Header table 64 KiB, no push, stream window 6 MiB, header list 256 KiB.
    assert_eq!(pairs, [(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)]);
    // To a connection window of 15 MiB from the initial 65,535 bytes.
    assert_eq!(payload(WINDOW_UPDATE).get_u32(), 15_663_105);

    const PRIORITY: u8 = 0x20;
    let headers = frames.last().unwrap();
    assert_eq!(headers.flags & PRIORITY, PRIORITY);
    let mut block = headers.payload.clone();
    // Exclusive, on no stream, with weight 220: what a page fetches, where the page itself has 256.
    assert_eq!((block.get_u32(), block.get_u8()), (1 << 31, 219));
    // HPACK's static table (RFC 7541 appendix A): :method GET, :authority with a value, :scheme https, :path /.
    assert_eq!((block.get_u8(), block.get_u8()), (0x82, 0x41));
    let value = usize::from(block.get_u8() & 0x7f);
    block.advance(value);
    assert_eq!((block.get_u8(), block.get_u8()), (0x87, 0x84));
}
