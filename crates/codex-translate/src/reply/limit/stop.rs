//! Stop strings, found even if they are split across deltas.

/// Searches text in pieces for any of several strings with the algorithm of Knuth, Morris and Pratt, which looks at
/// each byte once per string, however long the strings are.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    patterns: Vec<Pattern>,
    /// The end of the text that may begin a stop string, and so is held back. At most as long as the longest string.
    held: String,
}

#[derive(Clone, Debug)]
struct Pattern {
    bytes: Vec<u8>,
    /// For each length of a prefix less one: the length of the longest proper prefix that is also its suffix.
    borders: Vec<usize>,
    /// How many bytes of the string the text ends in.
    matched: usize,
}

/// The outcome of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// No string was found.
    Open,
    /// A string was found; the text before it was let through, and nothing follows.
    Found,
}

impl Stops {
    /// Searches for `strings`, none of which is empty.
    pub(crate) fn new(strings: &[String]) -> Self {
        Self { patterns: strings.iter().map(|string| Pattern::new(string)).collect(), held: String::new() }
    }

    /// Accepts the next piece, and lets through what precedes any string.
    pub(crate) fn push(&mut self, text: &str, mut emit: impl FnMut(&str)) -> Search {
        self.held.push_str(text);
        let start = self.held.len() - text.len();
        for (at, byte) in text.bytes().enumerate() {
            // If several end here, the longest one: it begins first.
            let found = self.patterns.iter_mut().filter_map(|pattern| pattern.step(byte)).max();
            if let Some(len) = found {
                // A string begins at a character's boundary, so this is one.
                emit_some(self.held.get(..start + at + 1 - len), &mut emit);
                self.held.clear();
                return Search::Found;
            }
        }
        let kept = self.patterns.iter().map(|pattern| pattern.matched).max().unwrap_or(0);
        let free = self.held.len() - kept;
        emit_some(self.held.get(..free), &mut emit);
        self.held.drain(..free);
        Search::Open
    }

    /// Returns what is held back.
    pub(crate) fn held(&self) -> &str {
        &self.held
    }

    /// Lets through what was held back, because no more text follows or something else comes between.
    pub(crate) fn flush(&mut self, mut emit: impl FnMut(&str)) {
        emit_some(Some(&self.held), &mut emit);
        self.held.clear();
        for pattern in &mut self.patterns {
            pattern.matched = 0;
        }
    }
}

impl Pattern {
    fn new(string: &str) -> Self {
        let bytes = string.as_bytes().to_vec();
        let mut borders = vec![0; bytes.len()];
        let mut matched = 0;
        for at in 1..bytes.len() {
            while matched > 0 && bytes[at] != bytes[matched] {
                matched = borders[matched - 1];
            }
            matched += usize::from(bytes[at] == bytes[matched]);
            borders[at] = matched;
        }
        Self { bytes, borders, matched: 0 }
    }

    /// Accepts the next byte; returns the string's length if it ends there.
    fn step(&mut self, byte: u8) -> Option<usize> {
        while self.matched > 0 && self.bytes.get(self.matched) != Some(&byte) {
            self.matched = self.borders[self.matched - 1];
        }
        self.matched += usize::from(self.bytes.get(self.matched) == Some(&byte));
        (self.matched == self.bytes.len()).then_some(self.matched)
    }
}

fn emit_some(text: Option<&str>, emit: &mut impl FnMut(&str)) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        emit(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, Search) {
        let stops: Vec<_> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let (mut search, mut out) = (Stops::new(&stops), String::new());
        for piece in pieces {
            if search.push(piece, |text| out.push_str(text)) == Search::Found {
                return (out, Search::Found);
            }
        }
        search.flush(|text| out.push_str(text));
        (out, Search::Open)
    }

    /// The naive search: the string that ends first, and the longest of those.
    fn oracle(stops: &[&str], text: &str) -> (String, Search) {
        let ends = |stop: &&str| Some((text.find(*stop)? + stop.len(), std::cmp::Reverse(stop.len())));
        match stops.iter().filter_map(ends).min() {
            Some((end, len)) => (text[..end - len.0].to_owned(), Search::Found),
            None => (text.to_owned(), Search::Open),
        }
    }

    #[test]
    fn strings_are_found_across_pieces() {
        assert_eq!(run(&["END"], &["abE", "N", "Dxyz"]), ("ab".into(), Search::Found));
        assert_eq!(run(&["END"], &["abE", "Nd"]), ("abENd".into(), Search::Open));
        assert_eq!(run(&["aab"], &["aa", "ab"]), ("a".into(), Search::Found));
        assert_eq!(run(&["\n\n", "é"], &["a\n", "bè", "é"]), ("a\nbè".into(), Search::Found));
        assert_eq!(run(&["bc", "abc"], &["xa", "bc"]), ("x".into(), Search::Found));
        assert_eq!(run(&[], &["x"]), ("x".into(), Search::Open));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
            pieces in prop::collection::vec("[abé]{0,5}", 0..8),
        ) {
            let stops: Vec<_> = stops.iter().map(String::as_str).collect();
            let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&stops, &pieces), oracle(&stops, &pieces.concat()));
        }
    }
}
