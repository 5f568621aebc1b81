//! Undoing a content-encoding never exceeds its limit, and returns what was encoded. The first byte selects the
//! encoding, the second the limit.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/codex-proxy-bin/src/request/decode.rs"]
#[allow(dead_code, reason = "the encoding comes from a header, which is not part of the input")]
mod decode;

use decode::Encoding;

fuzz_target!(|bytes: &[u8]| {
    let [encoding, limit, body @ ..] = bytes else { return };
    let encoding = [Encoding::Brotli, Encoding::Deflate, Encoding::Gzip, Encoding::Zstd][usize::from(*encoding) % 4];
    let limit = usize::from(*limit) * 64;
    match encoding.decode(body, limit) {
        Ok(decoded) => {
            assert!(decoded.len() <= limit);
            assert_eq!(encoding.decode(body, 1 << 20).expect("valid with a higher limit"), decoded);
        }
        Err(error) => assert!([400, 413].contains(&error.status_hint()), "{error}"),
    }
    for (encoding, encoded) in encoded(body) {
        assert_eq!(encoding.decode(&encoded, body.len()).expect("what was encoded"), body);
        if !body.is_empty() {
            assert_eq!(encoding.decode(&encoded, body.len() - 1).unwrap_err().status_hint(), 413);
        }
    }
});

/// Encodes `body` in every way for which there is an encoder. Not every raw deflate stream can be told from zlib.
fn encoded(body: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).and_then(|()| zlib.write_all(body)).and_then(|()| deflate.write_all(body)).expect("memory");
    let deflate = deflate.finish().expect("memory");
    let looks_like_zlib =
        matches!(deflate[..], [a, b, ..] if a & 0x0f == 8 && u16::from_be_bytes([a, b]).is_multiple_of(31));
    let mut all = vec![
        (Encoding::Gzip, gzip.finish().expect("memory")),
        (Encoding::Deflate, zlib.finish().expect("memory")),
        (Encoding::Zstd, zstd::encode_all(body, 1).expect("memory")),
    ];
    if !looks_like_zlib {
        all.push((Encoding::Deflate, deflate));
    }
    all
}
