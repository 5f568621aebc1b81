//! Token limits without the tokenizer: by the number of bytes.

use crate::usage::BYTES_PER_TOKEN;

/// Estimates the tokens of text in pieces, however it is split.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenEstimate {
    bytes: u64,
}

impl TokenEstimate {
    /// Returns the tokens of the whole text.
    pub(crate) fn total(&self) -> u64 {
        self.bytes.div_ceil(BYTES_PER_TOKEN)
    }

    /// Accepts as much of the next piece as fits into `max` tokens in total; returns its length in bytes.
    pub(crate) fn push_within(&mut self, text: &str, max: Option<u64>) -> usize {
        let room = max.map_or(u64::MAX, |max| max.saturating_mul(BYTES_PER_TOKEN).saturating_sub(self.bytes));
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
        let taken = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.bytes += taken as u64;
        taken
    }

    /// Does nothing: a byte counts the same wherever it is.
    pub(crate) fn separate(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_four_bytes_a_token() {
        for (max, kept, tokens) in [(0, "", 0), (1, "abc", 1), (2, "abcöl u", 2), (9, "abcöl und", 3)] {
            let (mut estimate, text) = (TokenEstimate::default(), "abcöl und");
            assert_eq!(&text[..estimate.push_within(text, Some(max))], kept, "{max}");
            assert_eq!(estimate.total(), tokens, "{max}");
        }
        let mut unlimited = TokenEstimate::default();
        assert_eq!((unlimited.push_within("x", None), unlimited.push_within("yyyy", Some(2))), (1, 4));
        unlimited.separate();
        assert_eq!(unlimited.total(), 2);
    }
}
