//! Compares, field by field, how this crate's client opens a connection with how a real Chromium, or the official
//! client, does:
//!
//! ```text
//! cargo run -p codex-upstream --example fingerprint -- chrome [chromium]
//! cargo run -p codex-upstream --example fingerprint -- codex [clients/codex-cli/node_modules/.bin/codex]
//! ```
//!
//! Both call the same listener on this machine. It prints every field, those that differ with both values, and exits
//! with 1 if any does beyond the gaps that are known to be out of reach. To match the next version, run it, and change
//! what the `Emulation` is built from in `client.rs` until nothing new differs.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers: it stops where it cannot go on")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bytes::Bytes;
use codex_upstream::{Emulation, HttpUpstream, HttpUpstreamConfig, Upstream as _};
use http::Request;
use tokio::net::{TcpListener, TcpStream};

use crate::hello::Hello;
use crate::preface::Preface;

mod hello;
mod preface;
#[path = "../../tests/it/tls_server.rs"]
mod tls_server;

/// What Chromium 156 sends and no option of wreq reaches: the TLS library under it knows neither, or does not let its
/// callers set it.
const CHROMES: Gaps = Gaps {
    // trust_anchors: which of Chrome's roots the server may prove itself by (draft-ietf-tls-trust-anchor-ids).
    extensions: &[51764],
    // ML-DSA-44, -65 and -87 (draft-ietf-tls-mldsa), and a GREASE value before them.
    signatures: &[0x0904, 0x0905, 0x0906],
    greases: 1,
    ..NO_GAPS
};

/// What the official client 0.169.0 sends and no option of wreq reaches. That BoringSSL has an extension where rustls
/// has the cipher suite 0x00ff is allowed for in both fields.
const CODEXS: Gaps =
    Gaps { signatures: &[0x0904, 0x0905, 0x0906], ciphers: &[0x00ff], extra_extensions: &[65281], ..NO_GAPS };

const NO_GAPS: Gaps = Gaps { ciphers: &[], extensions: &[], signatures: &[], extra_extensions: &[], greases: 0 };

#[derive(Debug)]
struct Gaps {
    ciphers: &'static [u16],
    extensions: &'static [u16],
    signatures: &'static [u16],
    /// What ours sends and theirs does not.
    extra_extensions: &'static [u16],
    greases: usize,
}

/// A page that fetches, as the client's requests are fetches: a browser weighs them less than a page.
const PAGE: &str = "<script>fetch('/x', {method: 'POST', body: '{}'})</script>";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (kind, program) = (arguments.next(), arguments.next());
    let (theirs, emulation, gaps) = match kind.as_deref() {
        None | Some("chrome") => {
            let program = program.unwrap_or_else(|| "chromium".to_owned());
            (opened_by(|port, directory| chromium(&program, port, directory), 2).await, Emulation::Chrome, CHROMES)
        }
        Some("codex") => {
            let program = program.unwrap_or_else(|| "clients/codex-cli/node_modules/.bin/codex".to_owned());
            (opened_by(|port, directory| codex(&program, port, directory), 1).await, Emulation::Codex, CODEXS)
        }
        Some(other) => panic!("{other} is neither chrome nor codex"),
    };
    let mut ours = of_client(emulation).await;
    println!("theirs  JA4 {}  Akamai {}", theirs.hello.ja4(), theirs.preface.akamai());
    println!("ours    JA4 {}  Akamai {}", ours.hello.ja4(), ours.preface.akamai());
    println!("known gaps: {gaps:04x?}");
    ours.hello.extensions.retain(|kind, _| !gaps.extra_extensions.contains(kind));
    let mut code = ExitCode::SUCCESS;
    for ((name, theirs), (_, ours)) in without(&gaps, theirs).fields().iter().zip(&ours.fields()) {
        if theirs == ours {
            println!("= {name}: {theirs}");
        } else {
            println!("! {name}\n    theirs {theirs}\n    ours   {ours}");
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

/// What they would send if they were held to what our client can.
fn without(gaps: &Gaps, mut opening: Opening) -> Opening {
    let hello = &mut opening.hello;
    hello.ciphers.retain(|cipher| !gaps.ciphers.contains(cipher));
    hello.extensions.retain(|kind, _| !gaps.extensions.contains(kind));
    hello.signatures.retain(|algorithm| !gaps.signatures.contains(algorithm));
    hello.greases = hello.greases.saturating_sub(gaps.greases);
    opening
}

/// Captures the request number `number` of a program, which is started with a port to call and a directory to work in.
async fn opened_by(command: impl FnOnce(u16, &Path) -> Command, number: usize) -> Opening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut program = command(listener.local_addr().unwrap().port(), directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let opening = capture(&listener, number).await;
    program.kill().unwrap();
    program.wait().unwrap();
    opening
}

fn chromium(program: &str, port: u16, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors"])
        .arg(format!("--user-data-dir={}", directory.display()))
        .arg(format!("https://localhost:{port}/"));
    command
}

fn codex(program: &str, port: u16, directory: &Path) -> Command {
    let ca = directory.join("ca.pem");
    std::fs::write(&ca, tls_server::ca_pem()).unwrap();
    let provider = format!(
        "model_providers.here={{name=\"here\",base_url=\"https://localhost:{port}/v1\",wire_api=\"responses\",supports_websockets=false}}"
    );
    let mut command = Command::new(program);
    command
        .args([
            "exec",
            "--skip-git-repo-check",
            "-c",
            &provider,
            "-c",
            "model_provider=\"here\"",
            "-c",
            "model=\"gpt-5.5\"",
            "hello",
        ])
        .env("CODEX_HOME", directory)
        .env("CODEX_CA_CERTIFICATE", ca);
    command
}

async fn of_client(emulation: Emulation) -> Opening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/x", listener.local_addr().unwrap().port());
    let extra_roots_pem = vec![tls_server::ca_pem()];
    let client =
        HttpUpstream::new(HttpUpstreamConfig { emulation, extra_roots_pem, ..HttpUpstreamConfig::default() }).unwrap();
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
