//! wreq, set up: a fork of reqwest over BoringSSL whose handshake and HTTP/2 preface can be shaped.
//!
//! What is taken from its browser profiles is the TLS options and the HTTP/2 settings, never the headers: the requests carry
//! the Codex client's identity, and a browser's `user-agent`, `sec-ch-ua` and `accept-language` beside it would contradict it.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;
use wreq::http2::Http2Options;
use wreq::tls::trust::{CertStore, Certificate};
use wreq::tls::{TlsOptions, TlsVersion};
use wreq::{ClientBuilder, IntoEmulation as _};
use wreq_util::{Emulation as BrowserProfile, Platform, Profile};

use super::{CloudflareCookies, root_cause};
use crate::config::{ClientConfig, ClientError, Emulation};
use crate::upstream::UpstreamError;

/// The newest Chrome of wreq-util. `examples/fingerprint` compares it with a real one.
const CHROME: Profile = Profile::Chrome149;

/// How many streams that were reset within the last second are remembered on a connection.
const MAX_RESET_STREAMS: usize = 16 * 1024;

/// The library's client. It is made when it is first asked for, since Mozilla's roots take longer to read than all else that
/// is done at the program's start, and not everything that is done with a client needs them.
pub(super) struct Library(LazyLock<Made, Box<dyn FnOnce() -> Made + Send>>);

/// The client, or why there is none.
type Made = Result<wreq::Client, String>;

impl Library {
    /// Sets up all in which the configuration can be at fault.
    pub(super) fn new(config: &ClientConfig, cookies: &Arc<CloudflareCookies>) -> Result<Self, ClientError> {
        let builder = prepare(config, cookies)?;
        let extra = extra_roots(&config.extra_roots_pem)?;
        let make = move || with_roots(builder, extra).map_err(|error| root_cause(&error));
        Ok(Self(LazyLock::new(Box::new(make))))
    }

    /// The client, to ask `host` with.
    pub(super) fn client(&self, host: &str) -> Result<&wreq::Client, UpstreamError> {
        self.0.as_ref().map_err(|reason| UpstreamError::Tls { host: host.to_owned(), reason: reason.clone() })
    }
}

/// Builds the client with Mozilla's roots and `extra` ones. It has the former if it is told of none.
fn with_roots(mut builder: ClientBuilder, extra: Vec<Certificate>) -> wreq::Result<wreq::Client> {
    if !extra.is_empty() {
        let roots = CertStore::builder().add_der_certs(TLS_SERVER_ROOT_CERTS);
        builder =
            builder.tls_cert_store(extra.into_iter().fold(roots, |roots, root| roots.add_der_cert(root)).build()?);
    }
    builder.build()
}

fn prepare(config: &ClientConfig, cookies: &Arc<CloudflareCookies>) -> Result<ClientBuilder, ClientError> {
    let mut builder = wreq::Client::builder()
        .no_proxy()
        .redirect(wreq::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .cookie_provider(Arc::clone(cookies));
    if let Some(address) = config.proxy.address()? {
        let unusable = |_| ClientError::Proxy { setting: "the proxy", reason: "its address cannot be used" };
        let exceptions = wreq::NoProxy::from_string(&config.proxy.exceptions());
        builder = builder.proxy(wreq::Proxy::https(address.as_str()).map_err(unusable)?.no_proxy(exceptions));
    }
    Ok(match config.emulation {
        Emulation::Chrome => {
            let chrome = BrowserProfile::builder().profile(CHROME).platform(Platform::Linux).headers(false).build();
            let mut chrome = chrome.into_emulation();
            chrome.http2_options = Some(patient(chrome.http2_options.unwrap_or_default()));
            builder.emulation(chrome)
        }
        Emulation::Codex => builder.tls_options(rustls_like()).http2_options(patient(hyper_like())),
        Emulation::None => builder.http2_options(patient(Http2Options::default())),
    })
}

/// The handshake of the official client 0.169.0, which is rustls's, as far as BoringSSL can be told; `examples/fingerprint`
/// compares the two. rustls puts the extensions in a new order each time; BoringSSL, told to do the same, adds a padding
/// extension whenever an empty one comes last, which rustls never sends, so they keep their order here.
fn rustls_like() -> TlsOptions {
    TlsOptions::builder()
        .grease_enabled(false)
        .enable_ocsp_stapling(true)
        .min_tls_version(TlsVersion::TLS_1_2)
        .max_tls_version(TlsVersion::TLS_1_3)
        .curves_list("X25519MLKEM768:X25519:P-256:P-384")
        .sigalgs_list(concat!(
            "ecdsa_secp384r1_sha384:ecdsa_secp256r1_sha256:ecdsa_secp521r1_sha512:ed25519:",
            "rsa_pss_rsae_sha512:rsa_pss_rsae_sha384:rsa_pss_rsae_sha256:",
            "rsa_pkcs1_sha512:rsa_pkcs1_sha384:rsa_pkcs1_sha256",
        ))
        .preserve_tls13_cipher_list(true)
        .cipher_list(concat!(
            "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ))
        .build()
}

/// Bears with what the backend had sent on a stream before it learnt that the stream was reset (RFC 9113 §5.1). The library
/// remembers 50 such streams, for a second; it closes the connection, and all replies on it, when data has come for a thousand
/// others in the connection's life. Clients that hang up would take everybody else's replies with them.
fn patient(mut options: Http2Options) -> Http2Options {
    options.max_concurrent_reset_streams = Some(MAX_RESET_STREAMS);
    options
}

/// The HTTP/2 settings of reqwest over hyper: windows of 2 and 5 MiB, no push.
fn hyper_like() -> Http2Options {
    Http2Options::builder()
        .initial_window_size(2 * 1024 * 1024)
        .initial_connection_window_size(5 * 1024 * 1024)
        .max_frame_size(16 * 1024)
        .max_header_list_size(16 * 1024)
        .enable_push(false)
        .build()
}

/// The certificates in `files`, each of which must hold at least one, without those that are among Mozilla's: what the system
/// trusts is mostly the same list, and to read it twice would be nearly half of the program's start.
fn extra_roots(files: &[Vec<u8>]) -> Result<Vec<Certificate>, ClientError> {
    let known: HashSet<&[u8]> = TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).collect();
    let mut roots = Vec::new();
    for (index, pem) in files.iter().enumerate() {
        let refuse = |reason| ClientError::Certificate { number: index + 1, reason };
        let mut is_empty = true;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            is_empty = false;
            if !known.contains(certificate.as_ref()) {
                roots.push(Certificate::from_der(certificate).map_err(|error| refuse(root_cause(&error)))?);
            }
        }
        if is_empty {
            return Err(refuse("it holds no certificate".to_owned()));
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn what_mozilla_vouches_for_is_not_read_twice() {
        let pem = |der: &[u8]| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der))
        };
        let known: String = TLS_SERVER_ROOT_CERTS.iter().map(|root| pem(root)).collect();
        assert!(extra_roots(&[known.into_bytes()]).unwrap().is_empty());
    }
}
