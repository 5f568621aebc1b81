//! What a connection remembers of its last response, for clients that send only the new input (docs/backend.md §4,
//! incremental mode).

use serde_json::value::RawValue;

use crate::request::budget::{BodyMemoryBudget, BudgetPermit};

/// The last response of a connection: its id, and the conversation up to its end.
#[derive(Debug, Default)]
pub(super) struct LastResponse {
    limit_bytes: usize,
    budget: BodyMemoryBudget,
    last: Option<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    id: String,
    items: Vec<Box<RawValue>>,
    bytes: usize,
    _permit: BudgetPermit,
}

impl LastResponse {
    /// Remembers nothing yet, and never more than `limit_bytes`.
    pub(super) fn new(limit_bytes: usize, budget: BodyMemoryBudget) -> Self {
        Self { limit_bytes, budget, last: None }
    }

    /// Returns the conversation up to the end of the response `id`, if that was the last one.
    pub(super) fn of(&self, id: &str) -> Option<Vec<Box<RawValue>>> {
        self.last.as_ref().filter(|last| last.id == id).map(|last| last.items.clone())
    }

    /// Returns the size of that conversation.
    pub(super) fn bytes_of(&self, id: &str) -> Option<usize> {
        self.last.as_ref().filter(|last| last.id == id).map(|last| last.bytes)
    }

    /// Remembers the response `id`, which answered `input` with `output`, instead of the one before; nothing if it is
    /// too large.
    pub(super) fn remember(&mut self, id: &str, mut input: Vec<Box<RawValue>>, output: &[&RawValue]) {
        input.extend(output.iter().map(|item| (*item).to_owned()));
        self.last = None;
        let bytes: usize = input.iter().map(|item| item.get().len()).sum();
        // Without the memory for it, the client has to send the whole conversation once more.
        if bytes <= self.limit_bytes
            && let Ok(permit) = self.budget.try_acquire(bytes)
        {
            self.last = Some(Remembered { id: id.to_owned(), items: input, bytes, _permit: permit });
        }
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
        let mut last = LastResponse::new(4, BodyMemoryBudget::default());
        last.remember("a", vec![raw("1")], &[&raw("22")]);
        assert_eq!(last.of("a").unwrap().len(), 2);
        last.remember("b", vec![raw("1")], &[]);
        assert!(last.of("a").is_none() && last.of("b").is_some());
        last.remember("c", vec![raw("12345")], &[]);
        assert!(last.of("b").is_none() && last.of("c").is_none());
        last.remember("d", Vec::new(), &[]);
        last.clear();
        assert!(last.of("d").is_none());
    }
}
