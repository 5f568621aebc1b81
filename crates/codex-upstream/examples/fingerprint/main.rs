//! Compares, field by field, how this crate's client and a real Chromium open a connection:
//!
//! ```text
//! cargo run -p codex-upstream --example fingerprint -- [chromium]
//! ```
//!
//! Both call the same listener on this machine. It prints every field, those that differ with both values, and exits with 1 if any
//! does beyond the [`GAPS`] that are known to be out of reach. To match the next Chromium, run it, and change what
//! `Emulation::Chrome` is built from in `client.rs` until nothing new differs.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers: it stops where it cannot go on")]

use std::process::{Command, ExitCode, Stdio};

use bytes::Bytes;
use codex_upstream::{Client, ClientConfig, Upstream as _};
use http::Request;
use tokio::net::{TcpListener, TcpStream};

use crate::hello::Hello;
use crate::preface::Preface;

mod hello;
mod preface;
#[path = "../../tests/it/tls_server.rs"]
mod tls_server;

/// What Chromium 156 sends and no option of wreq reaches: the TLS library under it knows neither, or does not let its callers set it.
const GAPS: Gaps = Gaps {
    // trust_anchors: which of Chrome's roots the server may prove itself by (draft-ietf-tls-trust-anchor-ids).
    extensions: &[51764],
    // ML-DSA-44, -65 and -87 (draft-ietf-tls-mldsa), and a GREASE value before them.
    signatures: &[0x0904, 0x0905, 0x0906],
    greases: 1,
};

struct Gaps {
    extensions: &'static [u16],
    signatures: &'static [u16],
    greases: usize,
}

/// A page that fetches, as the client's requests are fetches: a browser weighs them less than a page.
const PAGE: &str = "<script>fetch('/x', {method: 'POST', body: '{}'})</script>";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let browser = std::env::args().nth(1).unwrap_or_else(|| "chromium".to_owned());
    let (browsers, ours) = (of_browser(&browser).await, of_client().await);
    println!("browser  JA4 {}  Akamai {}", browsers.hello.ja4(), browsers.preface.akamai());
    println!("client   JA4 {}  Akamai {}", ours.hello.ja4(), ours.preface.akamai());
    println!(
        "known gaps: extensions {:?}, signature algorithms {:04x?}, GREASE among these",
        GAPS.extensions, GAPS.signatures
    );
    let mut code = ExitCode::SUCCESS;
    for ((name, theirs), (_, ours)) in without_gaps(browsers).fields().iter().zip(&ours.fields()) {
        if theirs == ours {
            println!("= {name}: {theirs}");
        } else {
            println!("! {name}\n    browser {theirs}\n    client  {ours}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

struct Opening {
    hello: Hello,
    preface: Preface,
}

impl Opening {
    fn fields(&self) -> Vec<(&'static str, String)> {
        self.hello.fields().into_iter().chain(self.preface.fields()).collect()
    }
}

/// What the browser would send if it were held to what the client can.
fn without_gaps(mut opening: Opening) -> Opening {
    let hello = &mut opening.hello;
    hello.extensions.retain(|kind, _| !GAPS.extensions.contains(kind));
    hello.signatures.retain(|algorithm| !GAPS.signatures.contains(algorithm));
    hello.greases = hello.greases.saturating_sub(GAPS.greases);
    opening
}

async fn of_browser(program: &str) -> Opening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let profile = std::env::temp_dir().join(format!("codex-upstream-fingerprint-{}", std::process::id()));
    let mut browser = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("https://localhost:{port}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let opening = capture(&listener, 2).await;
    browser.kill().unwrap();
    browser.wait().unwrap();
    // What is left in the temporary directory is of no use to anybody.
    let _ = std::fs::remove_dir_all(profile);
    opening
}

async fn of_client() -> Opening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/x", listener.local_addr().unwrap().port());
    let config = ClientConfig { extra_roots_pem: vec![tls_server::ca_pem()], ..ClientConfig::default() };
    let client = Client::new(config).unwrap();
    let request = Request::post(url).body(Bytes::from_static(b"{}")).unwrap();
    let (opening, _) = tokio::join!(capture(&listener, 1), client.send(request));
    opening
}

/// Reads connections until one brings its request number `number`: browsers open some and think better of it.
async fn capture(listener: &TcpListener, number: usize) -> Opening {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Some(record) = first_record(&stream).await else { continue };
        let hello = Hello::read(record);
        let Some(mut stream) = tls_server::accept_tls(stream, b"\x02h2").await else { continue };
        if let Ok(preface) = Preface::read(&mut stream, number, PAGE).await {
            return Opening { hello, preface };
        }
    }
}

/// Looks at the first record without taking it away from the handshake.
async fn first_record(stream: &TcpStream) -> Option<Bytes> {
    let mut record = vec![0; 16 * 1024 + 5];
    loop {
        let read = stream.peek(&mut record).await.ok().filter(|read| *read > 0)?;
        let head: Option<[u8; 5]> = record[..read].get(..5).and_then(|head| head.try_into().ok());
        let whole = head.map(Hello::record_bytes);
        if let Some(whole) = whole.filter(|whole| *whole <= read) {
            return Some(Bytes::copy_from_slice(&record[..whole]));
        }
        tokio::task::yield_now().await;
    }
}
