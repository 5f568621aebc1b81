//! Compresses request bodies as the official client does (`docs/backend.md §2.3`).

use std::cell::RefCell;

use zstd::bulk::Compressor;

/// The compression level of the official client.
const LEVEL: i32 = 3;

/// The largest body whose compressor is reused. Larger ones free the memory that they allocated.
const MAX_REUSED_BYTES: usize = 256 * 1024;

/// The position of the window descriptor in a frame without content size: after the magic number and the frame header
/// descriptor (RFC 8878 section 3.1.1).
const WINDOW_DESCRIPTOR: usize = 5;

/// The window descriptor of the official client's frames: 2 MiB, the window of its level for a stream.
const WINDOW_OF_2_MIB: u8 = 0x58;

/// Returns `body` compressed, in a frame that begins as one of a stream.
///
/// It is made in one step, so zstd allocates and clears memory for the body and not for the window of a stream. Then it
/// would declare a window that is just large enough for the body; that of a stream is an upper bound, too, and what the
/// official client declares. As in a stream, the frame does not contain the size.
pub(crate) fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    let compressor = COMPRESSOR.take().map_or_else(|| Compressor::new(LEVEL), Ok);
    let mut compressor = compressor?;
    compressor.include_contentsize(false)?;
    let mut frame = compressor.compress(body)?;
    if let Some(descriptor) = frame.get_mut(WINDOW_DESCRIPTOR) {
        *descriptor = WINDOW_OF_2_MIB;
    }
    if body.len() <= MAX_REUSED_BYTES {
        COMPRESSOR.set(Some(compressor));
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of the captured frames.
    const BEGINNING: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];

    #[test]
    fn frames_of_every_size_begin_as_the_official_clients() {
        for size in [0, 1, 100, 1000, 20_000, 128 * 1024, 300_000, 3 << 20] {
            let body: Vec<u8> = (0..size).map(|at: u32| (at.wrapping_mul(at) >> 8) as u8).collect();
            let frame = compressed(&body).unwrap();
            assert_eq!(frame[..6], BEGINNING, "{size}");
            assert!(zstd::decode_all(&frame[..]).unwrap() == body, "{size}");
        }
    }

    #[test]
    fn the_declared_window_is_the_largest_that_is_used() {
        // A match at a distance of nearly 2 MiB.
        let noise: Vec<u8> =
            (0..2_000_000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u8).collect();
        let body = [&noise[..], &noise[..], &noise[..]].concat();
        let frame = compressed(&body).unwrap();
        let mut decoder = zstd::stream::Decoder::new(&frame[..]).unwrap();
        decoder.window_log_max(21).unwrap();
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut decoder, &mut read).unwrap();
        assert!(read == body);
    }
}
