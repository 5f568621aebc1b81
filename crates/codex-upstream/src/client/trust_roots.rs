//! Root certificates in addition to Mozilla's.

use std::collections::HashSet;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Returns the certificates in a PEM file that are not among Mozilla's. The system's list is mostly the same, and
/// having the TLS library read it twice would take nearly half of the program's start.
///
/// # Errors
/// What is wrong with the file; a file without certificates is an error.
pub(crate) fn unknown_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let mut roots = roots.map_err(|error| error.to_string())?;
    if roots.is_empty() {
        return Err("it contains no certificate".to_owned());
    }
    let known: HashSet<&[u8]> = TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).collect();
    roots.retain(|root| !known.contains(root.as_ref()));
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn mozillas_roots_are_not_read_twice() {
        let pem = |der: &[u8]| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der))
        };
        let known: String = TLS_SERVER_ROOT_CERTS.iter().map(|root| pem(root)).collect();
        assert!(unknown_roots(known.as_bytes()).unwrap().is_empty());
        let unknown = unknown_roots((known + &pem(b"another")).as_bytes()).unwrap();
        assert_eq!(unknown, [CertificateDer::from_slice(b"another")]);
        assert!(unknown_roots(b"").is_err());
    }
}
