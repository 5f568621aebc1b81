//! The fields of a ClientHello (RFC 8446 section 4.1.2) that tell clients apart.

use std::collections::BTreeMap;

use btls::hash::{MessageDigest, hash};
use bytes::{Buf as _, Bytes};

/// Extensions by the numbers of IANA's registry.
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const COMPRESS_CERTIFICATE: u16 = 27;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const APPLICATION_SETTINGS: u16 = 17613;
    pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 65037;
    /// What Chrome fills with random bytes, or with what depends on the peer.
    pub(super) const VARYING: [u16; 3] = [SERVER_NAME, KEY_SHARE, ENCRYPTED_CLIENT_HELLO];
}

/// A ClientHello. GREASE values (RFC 8701) are counted and left out; Chrome draws them, and the order of its
/// extensions, afresh for every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) ciphers: Vec<u16>,
    /// The contents of each extension, by its number.
    pub(crate) extensions: BTreeMap<u16, Bytes>,
    pub(crate) groups: Vec<u16>,
    pub(crate) key_shares: Vec<u16>,
    pub(crate) signatures: Vec<u16>,
    /// In ALPN's form.
    pub(crate) protocols: Bytes,
    pub(crate) greases: usize,
}

impl Hello {
    /// How many bytes the first record of a connection has, by the first five of them.
    pub(crate) fn record_bytes(head: [u8; 5]) -> usize {
        5 + usize::from(u16::from_be_bytes([head[3], head[4]]))
    }

    /// Reads the first record of a connection.
    ///
    /// # Panics
    /// When it is not one whole ClientHello.
    pub(crate) fn read(record: Bytes) -> Self {
        let mut message = record;
        assert_eq!(message.get_u8(), 22, "not a handshake record");
        message.advance(4);
        assert_eq!(message.get_u8(), 1, "not a ClientHello");
        assert_eq!(message.get_uint(3) as usize, message.remaining(), "more than one record");
        // The legacy version and the random number.
        message.advance(2 + 32);
        let session = usize::from(message.get_u8());
        message.advance(session);
        let mut hello = Self {
            ciphers: numbers(counted(&mut message)),
            extensions: BTreeMap::new(),
            groups: Vec::new(),
            key_shares: Vec::new(),
            signatures: Vec::new(),
            protocols: Bytes::new(),
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
        hello.greases += remove_greases(&mut hello.key_shares) + remove_greases(&mut hello.signatures);
        hello
    }

    fn extension(&mut self, kind: u16, body: Bytes) {
        if is_grease(kind) {
            self.greases += 1;
            return;
        }
        let mut rest = body.clone();
        match kind {
            extension::SUPPORTED_GROUPS => self.groups = numbers(counted(&mut rest)),
            extension::SIGNATURE_ALGORITHMS => self.signatures = numbers(counted(&mut rest)),
            extension::ALPN => self.protocols = counted(&mut rest),
            extension::KEY_SHARE => {
                let mut shares = counted(&mut rest);
                while shares.has_remaining() {
                    self.key_shares.push(shares.get_u16());
                    counted(&mut shares);
                }
            }
            _ => {}
        }
        assert!(self.extensions.insert(kind, body).is_none(), "extension {kind} twice");
    }

    /// The fields in a form that can be compared and shown, the varying parts left out.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let body = |kind| self.extensions.get(&kind).map_or_else(|| "absent".to_owned(), |body| hex(body));
        let mut versions = self.extensions.get(&extension::SUPPORTED_VERSIONS).cloned().unwrap_or_default();
        versions.advance(versions.len().min(1));
        let mut versions = numbers(versions);
        remove_greases(&mut versions);
        let known = [
            extension::SUPPORTED_GROUPS,
            extension::SIGNATURE_ALGORITHMS,
            extension::ALPN,
            extension::COMPRESS_CERTIFICATE,
            extension::SUPPORTED_VERSIONS,
            extension::APPLICATION_SETTINGS,
        ];
        let others = self.extensions.iter().filter(|(kind, _)| !known.contains(kind));
        let others = others.filter(|(kind, _)| !extension::VARYING.contains(kind));
        let others: Vec<_> = others.map(|(kind, body)| format!("{kind}={}", hex(body))).collect();
        let ech = self.extensions.get(&extension::ENCRYPTED_CLIENT_HELLO).cloned().unwrap_or_default();
        vec![
            ("cipher suites", listed(&self.ciphers)),
            ("extensions", self.extensions.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            ("groups", listed(&self.groups)),
            ("key shares", listed(&self.key_shares)),
            ("signature algorithms", listed(&self.signatures)),
            ("ALPN", String::from_utf8_lossy(&self.protocols).escape_debug().to_string()),
            ("ALPS", body(extension::APPLICATION_SETTINGS)),
            ("certificate compression", body(extension::COMPRESS_CERTIFICATE)),
            ("versions", listed(&versions)),
            // Outer, KDF and AEAD; what follows is random.
            ("ECH suite", hex(&ech[..ech.len().min(5)])),
            ("other extensions", others.join(" ")),
            ("GREASE values", self.greases.to_string()),
            ("JA4", self.ja4()),
        ]
    }

    /// FoxIO's JA4: `t13d1516h2_…_…`.
    pub(crate) fn ja4(&self) -> String {
        let sorted = |mut numbers: Vec<u16>| {
            numbers.sort_unstable();
            numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
        };
        let named = if self.extensions.contains_key(&extension::SERVER_NAME) { 'd' } else { 'i' };
        let first = self.protocols.get(1..1 + usize::from(*self.protocols.first().unwrap_or(&0))).unwrap_or(b"00");
        let ends = [first.first(), first.last()].map(|end| char::from(*end.unwrap_or(&b'0')));
        let hashed = self.extensions.keys().copied();
        let hashed = hashed.filter(|kind| ![extension::SERVER_NAME, extension::ALPN].contains(kind)).collect();
        let signatures: Vec<_> = self.signatures.iter().map(|number| format!("{number:04x}")).collect();
        format!(
            "t13{named}{:02}{:02}{}{}_{}_{}",
            self.ciphers.len(),
            self.extensions.len(),
            ends[0],
            ends[1],
            sha256_start(&sorted(self.ciphers.clone())),
            sha256_start(&format!("{}_{}", sorted(hashed), signatures.join(","))),
        )
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256_start(text: &str) -> String {
    hex(&hash(MessageDigest::sha256(), text.as_bytes()).unwrap()[..6])
}

fn listed(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(" ")
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
