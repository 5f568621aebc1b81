//! Random identifiers in the shapes the real backend uses (`docs/backend.md` §3.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const HEX: &[u8] = b"0123456789abcdef";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A SplitMix64 generator: fast, seedable, and good enough for identifiers and padding that protect nothing.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Returns a generator seeded with `seed`, or by the operating system without one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(|| getrandom::u64().expect("the operating system provides randomness")))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns an independent generator, with which a reply can draw without holding a lock.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        self.pick(HEX, digits)
    }

    pub(crate) fn alphanumeric(&mut self, characters: usize) -> String {
        self.pick(ALPHANUMERIC, characters)
    }

    /// Returns random padding as in the `obfuscation` key of delta events: 1 to 16 characters.
    pub(crate) fn obfuscation(&mut self) -> String {
        let length = (self.next() % 16 + 1) as usize;
        self.alphanumeric(length)
    }

    pub(crate) fn uuid(&mut self) -> String {
        let h = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..])
    }

    /// Returns `bytes` random bytes in unpadded base64url.
    pub(crate) fn token(&mut self, bytes: usize) -> String {
        let raw: Vec<u8> = (0..bytes).map(|_| (self.next() >> 56) as u8).collect();
        URL_SAFE_NO_PAD.encode(raw)
    }

    fn pick(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| alphabet[((self.next() >> 33) as usize) % alphabet.len()] as char).collect()
    }
}

/// The identifiers of one response, which share a prefix as the real ones do.
#[derive(Debug)]
pub(crate) struct ResponseIds {
    prefix: String,
    rng: Rng,
}

impl ResponseIds {
    /// Hex digits after the type prefix (`resp_`, `msg_`, …) in a real identifier.
    const DIGITS: usize = 50;
    const SHARED: usize = 26;

    pub(crate) fn new(mut rng: Rng) -> Self {
        Self { prefix: rng.hex(Self::SHARED), rng }
    }

    /// Returns an identifier such as `msg_` followed by 50 hex digits.
    pub(crate) fn item(&mut self, kind: &str) -> String {
        let tail = self.rng.hex(Self::DIGITS - Self::SHARED);
        format!("{kind}_{}{tail}", self.prefix)
    }

    /// Returns a call identifier: `call_` followed by 24 alphanumerics.
    pub(crate) fn call(&mut self) -> String {
        format!("call_{}", self.rng.alphanumeric(24))
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}
