//! What a connection remembers of its last response, for clients that send only the new input (docs/backend.md §4,
//! incremental mode).

use serde_json::value::RawValue;

use crate::request::budget::{BodyMemoryBudget, BudgetPermit};

/// The input of a turn, until it is remembered with the response.
pub(super) struct RetainedInput {
    items: Vec<Box<RawValue>>,
    bytes: usize,
    permit: BudgetPermit,
}

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
    _permits: [BudgetPermit; 2],
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

    /// Returns `items` with the memory for them; `None` if they are too large or there is none. The client then has to
    /// send the whole conversation once more.
    pub(super) fn retain(&self, items: Vec<Box<RawValue>>) -> Option<RetainedInput> {
        let bytes = items.iter().map(|item| item.get().len()).sum();
        let permit = self.budget.try_acquire(bytes).ok().filter(|_| bytes <= self.limit_bytes)?;
        Some(RetainedInput { items, bytes, permit })
    }

    /// Remembers the response `id`, which answered `input` with `output`, instead of the one before; nothing if it is
    /// too large.
    pub(super) fn remember(&mut self, id: &str, input: RetainedInput, output: &[&RawValue]) {
        self.last = None;
        let RetainedInput { mut items, bytes, permit } = input;
        let more: usize = output.iter().map(|item| item.get().len()).sum();
        if bytes + more <= self.limit_bytes
            && let Ok(more) = self.budget.try_acquire(more)
        {
            items.extend(output.iter().map(|item| (*item).to_owned()));
            self.last = Some(Remembered { id: id.to_owned(), items, _permits: [permit, more] });
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
        let remember = |last: &mut LastResponse, id: &str, input: Vec<Box<RawValue>>, output: &[&RawValue]| {
            let input = last.retain(input).unwrap();
            last.remember(id, input, output);
        };
        remember(&mut last, "a", vec![raw("1")], &[&raw("22")]);
        assert_eq!(last.of("a").unwrap().len(), 2);
        remember(&mut last, "b", vec![raw("1")], &[]);
        assert!(last.of("a").is_none() && last.of("b").is_some());
        remember(&mut last, "c", vec![raw("1234")], &[&raw("5")]);
        assert!(last.of("b").is_none() && last.of("c").is_none());
        assert!(last.retain(vec![raw("12345")]).is_none());
        remember(&mut last, "d", Vec::new(), &[]);
        last.clear();
        assert!(last.of("d").is_none());
    }
}
