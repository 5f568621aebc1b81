//! Undoes a request body's `content-encoding`, within a bound.

use std::io::{self, Read};

use brotli_decompressor::Decompressor as Brotli;
use bytes::Bytes;
use codex_translate::{Error, ErrorKind};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The largest window that a zstd body may allocate: 64 MiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 26;

/// The buffer between a brotli body and its decoder, in bytes.
const BROTLI_BUFFER: usize = 4096;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Deflate,
    Gzip,
    Zstd,
}

impl Encoding {
    /// Reads the encoding of a body; `None` if it has none.
    ///
    /// # Errors
    /// The encoding is unknown, or there are several (400).
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let texts: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()).collect();
        let mut codings = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
        let mut codings = codings.by_ref().filter(|coding| !matches!(*coding, "" | "identity"));
        let Some(coding) = codings.next() else { return Ok(None) };
        if let Some(second) = codings.next() {
            return Err(refused(format!(
                "unsupported content-encoding `{coding}, {second}`; encode the body only once"
            )));
        }
        match coding {
            "br" => Ok(Some(Self::Brotli)),
            "deflate" => Ok(Some(Self::Deflate)),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "zstd" => Ok(Some(Self::Zstd)),
            other => {
                Err(refused(format!("unsupported content-encoding `{other}`; use zstd, gzip, deflate, br or none")))
            }
        }
    }

    /// Recognises the encoding of a body that no header names. Two of them have no mark: what they decode to must begin
    /// as an object does.
    pub(crate) fn recognised(body: &[u8]) -> Option<Self> {
        let begins_an_object = |decoder: Box<dyn Read + '_>| {
            let mut start = Vec::new();
            // What follows may be damaged.
            let _ = decoder.take(16).read_to_end(&mut start);
            start.trim_ascii_start().starts_with(b"{")
        };
        match body {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ if is_json(body) => None,
            _ if is_zlib(body) && begins_an_object(Box::new(ZlibDecoder::new(body))) => Some(Self::Deflate),
            _ if begins_an_object(Box::new(DeflateDecoder::new(body))) => Some(Self::Deflate),
            _ if begins_an_object(Box::new(Brotli::new(body, BROTLI_BUFFER))) => Some(Self::Brotli),
            _ => None,
        }
    }

    /// Decodes a body into at most `limit_bytes`.
    ///
    /// # Errors
    /// The result is larger (413), or the body is damaged (400).
    pub(crate) fn decode(self, body: &[u8], limit_bytes: usize) -> Result<Bytes, Error> {
        let decoded = match self {
            Self::Brotli => read(Brotli::new(body, BROTLI_BUFFER), limit_bytes),
            Self::Gzip => read(MultiGzDecoder::new(body), limit_bytes),
            // The name means zlib (RFC 9110 §8.4.1.2); some clients omit the wrapper.
            Self::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), limit_bytes),
            Self::Deflate => read(DeflateDecoder::new(body), limit_bytes),
            Self::Zstd => zstd(body, limit_bytes),
        };
        match decoded {
            Ok(decoded) if decoded.len() > limit_bytes => Err(too_large(limit_bytes)),
            Ok(decoded) => Ok(decoded.into()),
            Err(_) if is_json(body) => {
                let message = "is JSON and not compressed; leave out the header `content-encoding`";
                Err(refused(format!("the request body {message}, which says `{}`", self.token())))
            }
            Err(error) => Err(refused(format!("the request body is not valid {}: {error}", self.name()))),
        }
    }

    /// Returns the word for it in a header (RFC 9110 §8.4.1).
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Deflate | Self::Gzip | Self::Zstd => self.name(),
        }
    }

    /// Returns its name in a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "brotli",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Returns whether a text begins as an object or a list of JSON does.
pub(crate) fn is_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start(), [b'{' | b'[', ..])
}

/// Returns the error for a body larger than the limit.
pub(crate) fn too_large(limit_bytes: usize) -> Error {
    let limit =
        if limit_bytes >= 1 << 20 { format!("{} MiB", limit_bytes >> 20) } else { format!("{limit_bytes} bytes") };
    Error::new(
        ErrorKind::TooLarge,
        format!("the request body is larger than {limit}; send less, such as smaller images"),
    )
}

/// Reads one byte more than the limit, which shows that the limit is exceeded.
fn read(decoder: impl Read, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    decoder.take(limit_bytes as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}

fn zstd(body: &[u8], limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    read(decoder, limit_bytes)
}

/// Returns whether a body begins like zlib (RFC 1950 §2.2): the method is 8, and the first two bytes are a multiple of
/// 31.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"{\"model\": \"gpt-5.5\", \"input\": \"hello hello hello hello hello hello hello\"}";

    /// A body as Google's encoder writes it; the tree has only a decoder.
    fn brotli(body: &[u8]) -> Vec<u8> {
        // One uncompressed meta-block (RFC 7932 §9.2): window 16, not last, length in four nibbles; then the end.
        let length = u32::try_from(body.len() - 1).unwrap();
        let header = (length << 4) | (1 << 20);
        let mut out = header.to_le_bytes()[..3].to_vec();
        out.extend_from_slice(body);
        out.push(0x03);
        out
    }

    pub(crate) fn encoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Brotli => brotli(body),
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(body, 3).unwrap(),
        }
    }

    pub(crate) const ALL: [Encoding; 4] = [Encoding::Brotli, Encoding::Deflate, Encoding::Gzip, Encoding::Zstd];

    fn of(values: &[&str]) -> Result<Option<Encoding>, Error> {
        let headers = values.iter().map(|value| (CONTENT_ENCODING, value.parse().unwrap())).collect();
        Encoding::from_headers(&headers)
    }

    #[test]
    fn one_encoding_is_accepted_and_several_are_rejected() {
        for (values, expected) in [
            (&["GZIP"][..], Some(Encoding::Gzip)),
            (&["x-gzip"], Some(Encoding::Gzip)),
            (&["br"], Some(Encoding::Brotli)),
            (&["identity, zstd"], Some(Encoding::Zstd)),
            (&["deflate", "identity"], Some(Encoding::Deflate)),
            (&["identity"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(of(values).unwrap(), expected, "{values:?}");
        }
        for values in [&["gzip, gzip"][..], &["gzip", "br"], &["compress"]] {
            let error = of(values).unwrap_err();
            assert_eq!(error.status_hint(), 400, "{values:?}");
        }
    }

    #[test]
    fn every_encoding_is_decoded_up_to_the_limit() {
        for encoding in ALL {
            let body = encoded(encoding, TEXT);
            assert_eq!(encoding.decode(&body, TEXT.len()).unwrap(), TEXT, "{encoding:?}");
            assert_eq!(encoding.decode(&body, TEXT.len() - 1).unwrap_err().status_hint(), 413, "{encoding:?}");
        }
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        assert_eq!(Encoding::Deflate.decode(&raw.finish().unwrap(), 1 << 20).unwrap(), TEXT);
        // Members and frames may follow each other (RFC 1952 §2.2, RFC 8878 §3).
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let twice = [encoded(encoding, b"a"), encoded(encoding, b"b")].concat();
            assert_eq!(encoding.decode(&twice, 2).unwrap(), "ab", "{encoding:?}");
        }
    }

    #[test]
    fn a_truncated_or_mislabelled_body_is_a_400() {
        for encoding in ALL {
            let body = encoded(encoding, TEXT);
            for at in 1..body.len() {
                let error = encoding.decode(&body[..at], 1 << 20).unwrap_err();
                assert_eq!(error.status_hint(), 400, "{encoding:?} cut at {at}");
            }
            let error = encoding.decode(b" {\"model\"", 1 << 20).unwrap_err();
            assert!(error.status_hint() == 400 && error.message().contains("not compressed"), "{encoding:?} {error}");
        }
    }

    #[test]
    fn a_decompression_bomb_is_rejected() {
        let zeros = vec![0; 8 << 20];
        for encoding in [Encoding::Deflate, Encoding::Gzip, Encoding::Zstd] {
            assert_eq!(encoding.decode(&encoded(encoding, &zeros), 1 << 20).unwrap_err().status_hint(), 413);
        }
    }

    #[test]
    fn a_zstd_window_larger_than_the_limit_is_rejected() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(TEXT).unwrap();
        let error = Encoding::Zstd.decode(&encoder.finish().unwrap(), 1 << 20).unwrap_err();
        assert_eq!(error.status_hint(), 400);
    }
}
