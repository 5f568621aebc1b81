//! TLS on this machine, with a CA of its own.

use std::pin::Pin;
use std::sync::LazyLock;

use btls::asn1::Asn1Time;
use btls::bn::BigNum;
use btls::ec::{EcGroup, EcKey};
use btls::hash::MessageDigest;
use btls::nid::Nid;
use btls::pkey::{PKey, Private};
use btls::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, select_next_proto};
use btls::x509::extension::{BasicConstraints, SubjectAlternativeName};
use btls::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_btls::SslStream;

/// Accepts a connection that speaks one of `protocols`, in ALPN's form.
pub(crate) async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    protocols: &'static [u8],
) -> Option<SslStream<S>> {
    let ssl = Ssl::new(acceptor(protocols).context()).unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).accept().await.ok()?;
    Some(stream)
}

/// The certificate of the CA that signs the server's.
pub(crate) fn ca_pem() -> Vec<u8> {
    CA.certificate.to_pem().unwrap()
}

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

static CA: LazyLock<Authority> = LazyLock::new(|| {
    let key = key();
    let certificate = certificate("test CA", &key, None);
    Authority { certificate, key }
});

static LEAF: LazyLock<(X509, PKey<Private>)> = LazyLock::new(|| {
    let key = key();
    (certificate("test leaf", &key, Some(&CA)), key)
});

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<&Authority>) -> X509 {
    let subject = {
        let mut builder = X509NameBuilder::new().unwrap();
        builder.append_entry_by_text("CN", name).unwrap();
        builder.build()
    };
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(if issuer.is_some() { 2 } else { 1 }).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    match issuer {
        None => {
            builder.set_issuer_name(&subject).unwrap();
            builder.append_extension(&BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
            builder.sign(key, MessageDigest::sha256()).unwrap();
        }
        Some(issuer) => {
            builder.set_issuer_name(issuer.certificate.subject_name()).unwrap();
            let names = SubjectAlternativeName::new()
                .dns("localhost")
                .dns("chatgpt.com")
                .ip("127.0.0.1")
                .ip("0.0.0.0")
                .build(&builder.x509v3_context(Some(&issuer.certificate), None))
                .unwrap();
            builder.append_extension(&names).unwrap();
            builder.sign(&issuer.key, MessageDigest::sha256()).unwrap();
        }
    }
    builder.build()
}

fn acceptor(protocols: &'static [u8]) -> SslAcceptor {
    let (certificate, key) = &*LEAF;
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_private_key(key).unwrap();
    builder.set_alpn_select_callback(move |_, offered| select_next_proto(protocols, offered).ok_or(AlpnError::NOACK));
    builder.build()
}
