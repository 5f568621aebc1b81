//! TLS: a private CA generated at start, and one server certificate for the loopback names.

use std::pin::Pin;

use btls::asn1::Asn1Time;
use btls::bn::{BigNum, MsbOption};
use btls::ec::{EcGroup, EcKey};
use btls::error::ErrorStack;
use btls::hash::MessageDigest;
use btls::nid::Nid;
use btls::pkey::{PKey, Private};
use btls::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, select_next_proto};
use btls::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use btls::x509::{X509, X509Builder, X509Name, X509NameBuilder};
use tokio::net::TcpStream;
use tokio_btls::SslStream;

/// ALPN protocol list in wire format, in order of preference.
const ALPN: &[u8] = b"\x02h2\x08http/1.1";
const VALID_DAYS: u32 = 825;

/// The TLS acceptor, and the CA that clients must trust.
pub(crate) struct Tls {
    acceptor: SslAcceptor,
    ca_pem: String,
}

impl Tls {
    /// Generates a CA and a server certificate for the loopback names.
    pub(crate) fn generate() -> Result<Self, ErrorStack> {
        let (ca, ca_key) = authority()?;
        let (leaf, leaf_key) = leaf(&ca, &ca_key)?;
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
        builder.set_certificate(&leaf)?;
        builder.set_private_key(&leaf_key)?;
        builder.set_alpn_select_callback(|_, offered| select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK));
        let pem = ca.to_pem()?;
        Ok(Self { acceptor: builder.build(), ca_pem: String::from_utf8_lossy(&pem).into_owned() })
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<SslStream<TcpStream>, btls::ssl::Error> {
        let ssl = Ssl::new(self.acceptor.context())?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).accept().await?;
        Ok(stream)
    }
}

fn authority() -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = ec_key()?;
    let subject = name("codex-sim private CA")?;
    let mut builder = certificate(&subject, &subject, &key)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?.as_ref())?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?.as_ref())?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(&identifier)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

fn leaf(ca: &X509, ca_key: &PKey<Private>) -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = ec_key()?;
    let mut builder = certificate(&name("localhost")?, &name("codex-sim private CA")?, &key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?.as_ref())?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?.as_ref())?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?.as_ref())?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        // The names of the real services, for tests that reach the simulator under them through a proxy.
        .dns("chatgpt.com")
        .dns("auth.openai.com")
        .ip("127.0.0.1")
        .ip("::1")
        // This machine under an address that is not a loopback address, so clients use a proxy for it.
        .ip("0.0.0.0")
        .build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(&names)?;
    let issuer = AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(&issuer)?;
    builder.sign(ca_key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

fn certificate(subject: &X509Name, issuer: &X509Name, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509::builder()?;
    // Zero-based: 2 is X.509 version 3 (RFC 5280 §4.1.2.1).
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let (from, to) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(VALID_DAYS)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    Ok(builder)
}

fn name(common_name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_text("CN", common_name)?;
    Ok(builder.build())
}

fn ec_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}
