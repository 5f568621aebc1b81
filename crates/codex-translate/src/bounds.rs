//! How much of one request or reply is held in memory, whatever a client or the backend sends.
//!
//! The texts of a reply are stored also if it is streamed, because the backend repeats them at their end, and a
//! Responses client expects the whole output in the last event. The images of a chat stream are not stored.
//!
//! ```
//! use codex_translate::bounds::{MAX_COMPLETION_BYTES, MAX_EVENT_BYTES};
//!
//! // What a chat turn holds of its reply at most, if the reply is not streamed: one event, and the body or its parts.
//! assert_eq!((MAX_EVENT_BYTES + MAX_COMPLETION_BYTES) >> 20, 160);
//! ```
//!
//! | Constant | Value | Beyond it |
//! |---|---|---|
//! | [`MAX_EVENT_BYTES`] | 32 MiB | the turn fails |
//! | [`MAX_OUTPUT_ITEMS`] | 10000 | the turn fails |
//! | [`MAX_OUTPUT_TEXTS`] | 20000 | the turn fails |
//! | [`MAX_OUTPUT_BYTES`] | 128 MiB | the turn fails |
//! | [`MAX_COMPLETION_BYTES`] | 128 MiB | the turn fails if the chat reply is not streamed |
//! | [`MAX_COMMENTARY_BYTES`] | 1 MiB | the commentary is treated as the answer |
//! | [`MAX_EARLY_BYTES`] | 256 KiB | the stream begins, so a later failure is not a status |
//! | [`MAX_NOTICES`] | 64 | further notices are only counted |

/// The largest event. An image is one event, and the backend's own limit is 16 MiB (docs/backend.md §2.9, §3.1).
pub const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// The maximum number of items in the output of one reply; the largest known has a few dozen.
pub const MAX_OUTPUT_ITEMS: usize = 10_000;

/// The maximum number of texts in all items of one reply.
pub const MAX_OUTPUT_TEXTS: usize = 20_000;

/// The largest output that is stored while a reply is read: a few of the largest images.
pub const MAX_OUTPUT_BYTES: usize = 128 * 1024 * 1024;

/// The largest chat reply that is not streamed: a few of the largest images.
pub const MAX_COMPLETION_BYTES: usize = 128 * 1024 * 1024;

/// How much commentary, with the reasoning after it, is stored until it is known whether an answer follows.
pub const MAX_COMMENTARY_BYTES: usize = 1024 * 1024;

/// How much is stored of the events before the first output. Two of them repeat the whole request.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// The maximum number of notices of one request. The last one counts those beyond.
pub const MAX_NOTICES: usize = 64;

#[cfg(test)]
mod tests {
    /// The product that a constant is written as, in the unit of the table.
    fn displayed(product: &str) -> String {
        let factors = product.split(" * ").map(|factor| factor.replace('_', "").parse::<usize>().unwrap());
        match factors.collect::<Vec<_>>()[..] {
            [number] => number.to_string(),
            [number, 1024, 1024] => format!("{number} MiB"),
            [1024, 1024] => "1 MiB".to_owned(),
            [number, 1024] => format!("{number} KiB"),
            _ => panic!("no unit for {product}"),
        }
    }

    #[test]
    fn the_table_lists_every_constant_with_its_value() {
        let source = include_str!("bounds.rs");
        let rows: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`] | "))
            .map(|(name, rest)| (name, rest.split(" | ").next().unwrap().to_owned()))
            .collect();
        let constants: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": usize = "))
            .map(|(name, product)| (name, displayed(product)))
            .collect();
        assert!(!constants.is_empty());
        assert_eq!(rows, constants);
    }
}
