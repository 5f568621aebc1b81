use btls::x509::X509;
use bytes::Bytes;
use codex_upstream::{Emulation, HttpUpstream, HttpUpstreamConfig, HttpUpstreamError, Upstream, UpstreamError};
use http::{Request, Version};
use tokio::net::TcpListener;

use crate::server::{BOTH, HTTP1, Server, Wire, whole};
use crate::tls_server::ca_pem;

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn trusting(emulation: Emulation) -> HttpUpstream {
    HttpUpstream::new(HttpUpstreamConfig {
        emulation,
        extra_roots_pem: vec![ca_pem()],
        ..HttpUpstreamConfig::default()
    })
    .unwrap()
}

#[tokio::test]
async fn every_emulation_negotiates_http2_and_falls_back() {
    for emulation in [Emulation::Chrome, Emulation::Codex, Emulation::None] {
        for (wire, version) in [(BOTH, Version::HTTP_2), (HTTP1, Version::HTTP_11)] {
            let server = Server::start(wire, |_| whole(200, "ok")).await;
            let client = trusting(emulation);
            for _ in 0..2 {
                let reply = client.send(get(&server.https_url("/"))).await.unwrap();
                assert_eq!((reply.status().as_u16(), reply.version()), (200, version), "{emulation:?}");
            }
            let by_address = format!("https://127.0.0.1:{}/", server.address.port());
            assert_eq!(client.send(get(&by_address)).await.unwrap().status(), 200);
            assert!(server.requests().iter().all(|request| request.version() == version));
        }
    }
}

#[tokio::test]
async fn a_host_that_the_extra_roots_vouch_for_is_asked_over_one_connection() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let client = trusting(Emulation::Chrome);
    for _ in 0..3 {
        client.clone().send(get(&server.https_url("/"))).await.unwrap();
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 3));
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let error = HttpUpstream::new(HttpUpstreamConfig::default())
        .unwrap()
        .send(get(&server.https_url("/")))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, UpstreamError::Tls { .. }), "{error:?}");
    assert!(error.before_dispatch());
    let told = error.to_string();
    assert!(told.contains("localhost") && told.contains("CERTIFICATE_VERIFY_FAILED"), "{told}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_trusted_authority_does_not_excuse_a_wrong_name() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let url = format!("https://127.0.0.2:{}/", server.address.port());
    let error = trusting(Emulation::Chrome).send(get(&url)).await.err().unwrap();
    // Where the second loopback address does not reach the listener, there is no handshake to judge.
    assert!(matches!(error, UpstreamError::Tls { .. } | UpstreamError::Connect { .. }), "{error:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_reported_as_such() {
    let server = Server::start(Wire::Plain, |_| whole(200, "ok")).await;
    let error = trusting(Emulation::Chrome).send(get(&server.https_url("/"))).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Tls { .. }), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = trusting(Emulation::Chrome).send(get(&url)).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Connect { .. }), "{error:?}");
}

#[test]
fn errors_name_bad_certificates_by_position() {
    let good = ca_pem();
    let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for bad in [Vec::new(), b"not a certificate".to_vec(), damaged] {
        let config = HttpUpstreamConfig { extra_roots_pem: vec![good.clone(), bad], ..HttpUpstreamConfig::default() };
        let error = HttpUpstream::new(config).unwrap_err();
        assert!(matches!(error, HttpUpstreamError::Certificate { number: 2, .. }), "{error:?}");
        assert!(matches!(error, HttpUpstreamError::Certificate { number: 2, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_may_hold_several_certificates() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    // As in the list of a system: Mozilla's own, and what an administrator has added.
    let known = X509::from_der(&webpki_root_certs::TLS_SERVER_ROOT_CERTS[0]).unwrap().to_pem().unwrap();
    let several = [b"comment\n".to_vec(), known, ca_pem(), ca_pem()].concat();
    let config = HttpUpstreamConfig { extra_roots_pem: vec![several], ..HttpUpstreamConfig::default() };
    let reply = HttpUpstream::new(config).unwrap().send(get(&server.https_url("/"))).await.unwrap();
    assert_eq!(reply.status(), 200);
}
