//! Feeds a stream in pieces, and decodes it with a second implementation. The fuzz targets use this file, too.
#![allow(dead_code, reason = "no fuzz target uses all of it")]

use codex_translate::{Chunk, DecodeError, Decoder, Error, EventReader, Flow, Fold, Pipe, Summary};
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};

/// An event's type and data.
pub(crate) type Seen = (String, String);

/// Decodes pieces up to the first error, and checks that both methods of the decoder agree.
pub(crate) fn decode<'a>(
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]> + Clone,
) -> (Vec<Seen>, Option<DecodeError>) {
    let general = decode_generally(limit, pieces.clone());
    let (mut decoder, mut seen) = (Decoder::new(limit), Vec::new());
    let take = |piece: &[u8]| {
        decoder.each::<DecodeError>(piece, |frame| {
            seen.push((frame.event.to_owned(), frame.data.to_owned()));
            Ok(Flow::Continue)
        })
    };
    let error = pieces.into_iter().map(take).find_map(Result::err);
    assert_eq!((&seen, error), (&general.0, general.1), "the quick way");
    general
}

fn decode_generally<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<DecodeError>) {
    let (mut decoder, mut seen) = (Decoder::new(limit), Vec::new());
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => seen.push((frame.event.to_owned(), frame.data.to_owned())),
                Ok(None) => break,
                Err(error) => return (seen, Some(error)),
            }
        }
    }
    (seen, None)
}

/// Decodes the same text with the second implementation, which misreads a byte order mark or a carriage return at the
/// end of the text.
pub(crate) fn oracle(text: &str) -> Vec<Seen> {
    // An empty line at the beginning has no effect.
    let mut text = format!("\n{}", text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.ends_with('\r') {
        text.push('\n');
    }
    let bytes = stream::iter([Ok::<_, std::convert::Infallible>(text.into_bytes())]);
    let events = bytes.eventsource().collect::<Vec<_>>().now_or_never().expect("the bytes are there");
    events.into_iter().map(|event| event.expect("UTF-8")).map(|event| (event.event, event.data)).collect()
}

/// Feeds a pipe until it is done, and ends the turn.
pub(crate) fn feed_pipe<O>(
    pipe: &mut impl Pipe<O>,
    chunks: impl IntoIterator<Item = Chunk<impl AsRef<[u8]>>>,
    out: &mut O,
) -> Result<Summary, Error> {
    let mut reader = EventReader::new();
    for chunk in chunks {
        if pipe.feed(&mut reader, &chunk, out)? == Flow::Done {
            break;
        }
    }
    pipe.finish(out)
}

/// Feeds a fold until it is done, and returns the whole reply.
pub(crate) fn feed_fold<F: Fold>(
    mut fold: F,
    chunks: impl IntoIterator<Item = Chunk<impl AsRef<[u8]>>>,
) -> Result<F::Whole, Error> {
    let mut reader = EventReader::new();
    for chunk in chunks {
        if fold.feed(&mut reader, &chunk)? == Flow::Done {
            break;
        }
    }
    fold.finish()?;
    fold.end()
}
