//! What a connection remembers of its last response, for clients that send only the new input (docs/backend.md §4,
//! incremental mode).

use serde_json::value::RawValue;

/// The last response of a connection: its id, and the conversation up to its end.
#[derive(Debug, Default)]
pub(super) struct Memory {
    limit_bytes: usize,
    last: Option<(String, Vec<Box<RawValue>>)>,
}

impl Memory {
    /// Remembers nothing yet, and never more than `limit_bytes`.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, last: None }
    }

    /// Returns the conversation up to the end of the response `id`, if that was the last one.
    pub(super) fn of(&self, id: &str) -> Option<Vec<Box<RawValue>>> {
        self.last.as_ref().filter(|(last, _)| last == id).map(|(_, items)| items.clone())
    }

    /// Remembers the response `id`, which answered `input` with `output`, instead of the one before; nothing if it is
    /// too large.
    pub(super) fn keep(&mut self, id: &str, mut input: Vec<Box<RawValue>>, output: &[&RawValue]) {
        input.extend(output.iter().map(|item| (*item).to_owned()));
        let bytes: usize = input.iter().map(|item| item.get().len()).sum();
        self.last = (bytes <= self.limit_bytes).then(|| (id.to_owned(), input));
    }

    /// Forgets everything: a failed turn cannot be continued.
    pub(super) fn clear(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_response_is_remembered_unless_it_is_large() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let mut memory = Memory::new(4);
        memory.keep("a", vec![raw("1")], &[&raw("22")]);
        assert_eq!(memory.of("a").unwrap().len(), 2);
        memory.keep("b", vec![raw("1")], &[]);
        assert!(memory.of("a").is_none() && memory.of("b").is_some());
        memory.keep("c", vec![raw("12345")], &[]);
        assert!(memory.of("b").is_none() && memory.of("c").is_none());
        memory.keep("d", Vec::new(), &[]);
        memory.clear();
        assert!(memory.of("d").is_none());
    }
}
