//! Token limits, counted with the models' tokenizer.
//!
//! The tokenizer is created when the first request needs it.

use super::tokenizer::tokenizer;

/// Text without a boundary is counted in pieces of this size; each boundary between pieces can change the count by one.
const MAX_PENDING_BYTES: usize = 4096;

/// Counts the tokens of text in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenCount {
    /// The tokens of all text before `pending`.
    settled: u64,
    /// The end of the text, whose tokens the next piece may change.
    pending: String,
}

impl TokenCount {
    /// Returns the tokens of the whole text.
    pub(crate) fn total(&self) -> u64 {
        self.settled + count(&self.pending)
    }

    /// Accepts as much of the next piece as fits into `max` tokens in total; returns its length in bytes.
    pub(crate) fn push_within(&mut self, text: &str, max: Option<u64>) -> usize {
        let before = self.pending.len();
        self.pending.push_str(text);
        let taken = match max {
            Some(max) => self.pending_within(max.saturating_sub(self.settled)).max(before) - before,
            None => text.len(),
        };
        self.pending.truncate(before + taken);
        self.settle();
        taken
    }

    /// Ends the text so far: no token spans it and the next piece.
    pub(crate) fn separate(&mut self) {
        self.settled = self.total();
        self.pending.clear();
    }

    /// Returns how many bytes of `pending` are at most `max` tokens.
    fn pending_within(&self, max: u64) -> usize {
        let tokens = tokenizer().encode_ordinary(&self.pending);
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if tokens.len() <= max {
            return self.pending.len();
        }
        // The tokens are the tokenizer's own, so it knows their bytes.
        let bytes = tokenizer().decode_bytes(&tokens[..max]).map_or(0, |bytes| bytes.len());
        // A token may end inside a character.
        (0..=bytes).rev().find(|at| self.pending.is_char_boundary(*at)).unwrap_or(0)
    }

    /// Counts what later text cannot change: the tokenizer always splits before a space between two other characters.
    fn settle(&mut self) {
        let bytes = self.pending.as_bytes();
        let is_border = |at: &usize| {
            bytes[*at] == b' '
                && bytes.get(at + 1).is_some_and(|next| !next.is_ascii_whitespace() && next.is_ascii())
                && !bytes[at - 1].is_ascii_whitespace()
                && bytes[at - 1].is_ascii()
        };
        let border = (1..bytes.len()).rev().find(is_border);
        let border = border.or_else(|| (bytes.len() > MAX_PENDING_BYTES).then_some(bytes.len()));
        if let Some(at) = border {
            let rest = self.pending.split_off(at);
            self.settled += count(&self.pending);
            self.pending = rest;
        }
    }
}

fn count(text: &str) -> u64 {
    if text.is_empty() { 0 } else { tokenizer().encode_ordinary(text).len() as u64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_count_is_the_models_own() {
        for (text, tokens) in [("", 0), ("Hello, world!", 4), ("antidisestablishmentarianism", 6), ("日本語", 2)] {
            let mut counted = TokenCount::default();
            counted.push_within(text, None);
            assert_eq!(counted.total(), tokens, "{text}");
        }
    }

    #[test]
    fn text_is_cut_at_the_limit() {
        for (max, kept) in [(0, ""), (1, "one"), (2, "one two"), (3, "one two three"), (9, "one two three")] {
            let mut counted = TokenCount::default();
            let text = "one two three";
            assert_eq!(&text[..counted.push_within(text, Some(max))], kept);
        }
    }

    #[test]
    fn a_long_text_without_borders_is_counted_in_bounded_memory() {
        let mut counted = TokenCount::default();
        for _ in 0..10_000 {
            counted.push_within("0123456789", None);
            assert!(counted.pending.len() <= MAX_PENDING_BYTES + 10);
        }
        let exact = count(&"0123456789".repeat(10_000));
        assert!(counted.total().abs_diff(exact) <= 100_000 / MAX_PENDING_BYTES as u64 + 1);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec("[ a-c\n.é1]{0,6}", 0..12)) {
            let mut counted = TokenCount::default();
            for piece in &pieces {
                counted.push_within(piece, None);
            }
            prop_assert_eq!(counted.total(), count(&pieces.concat()));
        }
    }
}
