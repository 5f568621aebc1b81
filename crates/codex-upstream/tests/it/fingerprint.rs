//! What the server sees of a client that looks like Chrome, before any request.
//!
//! The expected values are written out here, by the numbers of the registries: a profile of that name in the library
//! proves nothing. `examples/fingerprint` compares them with those of a real browser.

use std::collections::BTreeSet;

use bytes::Bytes;
use codex_upstream::{Emulation, HttpUpstream, HttpUpstreamConfig, Upstream};
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::hello::Hello;
use crate::preface::Preface;
use crate::tls_server::{accept_tls, ca_pem};

async fn hello(emulation: Emulation) -> Hello {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let capture = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let mut record = head.to_vec();
        record.resize(Hello::record_bytes(head), 0);
        stream.read_exact(&mut record[5..]).await.unwrap();
        Hello::read(Bytes::from(record))
    });
    let client = HttpUpstream::new(HttpUpstreamConfig { emulation, ..HttpUpstreamConfig::default() }).unwrap();
    // The captured connection is dropped without an answer.
    assert!(client.send(Request::get(url).body(Bytes::new()).unwrap()).await.is_err());
    capture.await.unwrap()
}

#[tokio::test]
async fn tls_opens_as_chrome_does() {
    let chrome = hello(Emulation::default()).await;
    let ciphers = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
        0x0035,
    ];
    assert_eq!(chrome.ciphers, ciphers);
    // Among them certificate compression (27), ALPS under its new number (17613) and ECH (65037).
    let extensions = BTreeSet::from([0, 5, 10, 11, 13, 16, 18, 23, 27, 35, 43, 45, 51, 17613, 65037, 65281]);
    assert_eq!(chrome.extensions.keys().copied().collect::<BTreeSet<_>>(), extensions);
    // X25519MLKEM768, X25519, P-256, P-384.
    assert_eq!((chrome.groups.as_slice(), chrome.key_shares.as_slice()), (&[4588, 29, 23, 24][..], &[4588, 29][..]));
    assert_eq!(chrome.signatures, [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
    assert_eq!(chrome.protocols, "\x02h2\x08http/1.1");
    // A cipher, a group, its key share, and the first and the last extension.
    assert_eq!(chrome.greases, 5);
    assert_eq!(chrome.ja4(), "t13d1516h2_8daaf6152771_d8a2da3f94cd");
    let codex = hello(Emulation::Codex).await;
    assert_eq!((codex.greases, codex.ja4().as_str()), (0, "t13d0912h2_f91f431d341e_96c9e114d904"));
    let plain = hello(Emulation::None).await;
    assert_eq!(plain.greases, 0);
    assert_ne!(plain.ja4(), codex.ja4());
}

#[tokio::test]
async fn http2_opens_as_chrome_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let capture = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = accept_tls(stream, b"\x02h2").await.unwrap();
        Preface::read(&mut stream, 1, "").await.unwrap()
    });
    let client =
        HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: vec![ca_pem()], ..HttpUpstreamConfig::default() })
            .unwrap();
    let request = Request::get(url).header("user-agent", "x").body(Bytes::new()).unwrap();
    // The captured connection is dropped without an answer.
    assert!(client.send(request).await.is_err());
    let preface = capture.await.unwrap();
    // Header table 64 KiB, no push, stream window 6 MiB, header list 256 KiB.
    assert_eq!(preface.settings, [(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)]);
    // To a connection window of 15 MiB from the initial 65,535 bytes.
    assert_eq!(preface.window, 15_663_105);
    // Exclusive, on no stream, with weight 220: what a page fetches, where the page itself has 256.
    assert_eq!(preface.priority, Some((true, 0, 220)));
    assert_eq!(preface.pseudo_headers, "masp");
    let akamai = "1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p 52d84b11737d980aef856699f885ca86";
    assert_eq!(preface.akamai(), akamai);
}
