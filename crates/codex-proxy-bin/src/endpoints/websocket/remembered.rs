//! What a connection remembers of its lanes' last responses, for clients that send only the new input (docs/backend.md
//! §4, incremental mode).

use std::collections::VecDeque;

use serde_json::value::RawValue;

use crate::endpoints::websocket::lanes::Lane;
use crate::request::budget::{BodyMemoryBudget, BudgetPermit};
use crate::stored::is_reasoning;

/// How many lanes have a response that is remembered.
const MAX_REMEMBERED: usize = 64;

/// How many responses are known to have ended.
const MAX_ENDED: usize = 64;

/// The input of a turn, until it is remembered with the response or released.
#[derive(Debug)]
pub(super) struct RetainedInput {
    items: Vec<Box<RawValue>>,
    bytes: usize,
}

impl RetainedInput {
    /// Leaves out the reasoning, which the backend could not read. Its memory is returned with the rest.
    pub(super) fn leave_reasoning_out(&mut self) {
        self.items.retain(|item| !is_reasoning(item.get()));
    }
}

/// The last response of each lane, with the conversation up to its end. Those idle longest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct RememberedResponses {
    limit_bytes: usize,
    budget: BodyMemoryBudget,
    /// The memory for everything that is remembered or retained.
    permit: Option<BudgetPermit>,
    bytes: usize,
    /// Longest idle first.
    responses: VecDeque<Remembered>,
    /// The ids of the responses that have ended, oldest first.
    ended: VecDeque<String>,
}

#[derive(Debug)]
struct Remembered {
    lane: Lane,
    id: String,
    items: Vec<Box<RawValue>>,
    bytes: usize,
}

impl RememberedResponses {
    /// Remembers nothing yet, and never more than `limit_bytes`.
    pub(super) fn new(limit_bytes: usize, budget: BodyMemoryBudget) -> Self {
        Self { limit_bytes, budget, ..Self::default() }
    }

    /// Returns the conversation up to the end of the response `id`, if it is the last one of a lane.
    pub(super) fn of(&mut self, id: &str) -> Option<Vec<Box<RawValue>>> {
        let at = self.responses.iter().position(|remembered| remembered.id == id)?;
        let remembered = self.responses.remove(at)?;
        let items = remembered.items.clone();
        self.responses.push_back(remembered);
        Some(items)
    }

    /// Returns whether the response `id` has ended, as far as that is still known.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.ended.iter().any(|ended| ended == id)
    }

    /// Takes memory for `items`; `None` if they are too large or there is none. The client then has to send the whole
    /// conversation once more.
    pub(super) fn retain(&mut self, items: Vec<Box<RawValue>>) -> Option<RetainedInput> {
        let bytes = size(&items);
        self.grow(bytes).then_some(RetainedInput { items, bytes })
    }

    /// Remembers the response `id` of `lane`, which answered `input` with `output`, instead of the one before; nothing
    /// if it is too large.
    pub(super) fn remember(&mut self, lane: &Lane, id: &str, input: Option<RetainedInput>, output: &[&RawValue]) {
        self.forget(lane);
        self.note_ended(Some(id.to_owned()));
        let Some(RetainedInput { mut items, bytes }) = input else { return };
        let more = output.iter().map(|item| item.get().len()).sum();
        if !self.grow(more) {
            self.shrink(bytes);
            return;
        }
        items.extend(output.iter().map(|item| (*item).to_owned()));
        self.responses.push_back(Remembered { lane: lane.clone(), id: id.to_owned(), items, bytes: bytes + more });
        if self.responses.len() > MAX_REMEMBERED {
            self.forget_oldest();
        }
    }

    /// Notes that a response has ended.
    pub(super) fn note_ended(&mut self, id: Option<String>) {
        self.ended.extend(id);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
    }

    /// Returns the memory of an input whose turn has failed. The lane's response stays, so the client can try again.
    pub(super) fn release(&mut self, input: Option<RetainedInput>) {
        self.shrink(input.map_or(0, |input| input.bytes));
    }

    fn forget(&mut self, lane: &Lane) {
        if let Some(at) = self.responses.iter().position(|remembered| remembered.lane == *lane)
            && let Some(remembered) = self.responses.remove(at)
        {
            self.shrink(remembered.bytes);
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.responses.pop_front();
        self.shrink(oldest.as_ref().map_or(0, |oldest| oldest.bytes));
        oldest.is_some()
    }

    /// Takes memory for `bytes` more, for which other responses are forgotten if necessary; false if there is none.
    fn grow(&mut self, bytes: usize) -> bool {
        loop {
            let total = self.bytes.saturating_add(bytes);
            if total <= self.limit_bytes && self.budget.try_extend(&mut self.permit, total).is_ok() {
                self.bytes = total;
                return true;
            }
            if !self.forget_oldest() {
                return false;
            }
        }
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(permit) = &mut self.permit {
            permit.shrink_to(self.bytes);
        }
    }
}

fn size(items: &[Box<RawValue>]) -> usize {
    items.iter().map(|item| item.get().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn lane(name: &str) -> Lane {
        Lane::read(Some(&raw(&format!("\"{name}\"")))).unwrap()
    }

    fn remember(remembered: &mut RememberedResponses, lane: &Lane, id: &str, input: &[&str], output: &[&str]) {
        let input = remembered.retain(input.iter().map(|text| raw(text)).collect());
        let output: Vec<_> = output.iter().map(|text| raw(text)).collect();
        remembered.remember(lane, id, input, &output.iter().map(|item| &**item).collect::<Vec<_>>());
    }

    #[test]
    fn only_the_last_response_of_a_lane_is_remembered_unless_it_is_large() {
        let unnamed = Lane::default();
        let mut responses = RememberedResponses::new(4, BodyMemoryBudget::default());
        remember(&mut responses, &unnamed, "a", &["1"], &["22"]);
        assert_eq!(responses.of("a").unwrap().len(), 2);
        remember(&mut responses, &unnamed, "b", &["1"], &[]);
        assert!(responses.of("a").is_none() && responses.of("b").is_some());
        assert!(responses.has_ended("a") && !responses.has_ended("c"));
        remember(&mut responses, &unnamed, "c", &["1234"], &["5"]);
        assert!(responses.of("b").is_none() && responses.of("c").is_none());
        assert!(responses.retain(vec![raw("12345")]).is_none());
        remember(&mut responses, &unnamed, "d", &[], &[]);
        let failed = responses.retain(vec![raw("12")]);
        responses.release(failed);
        assert!(responses.of("d").is_some(), "a failed turn forgets nothing");
        assert_eq!(responses.bytes, 0);
    }

    #[test]
    fn the_lane_that_was_idle_longest_is_forgotten_first() {
        let mut responses = RememberedResponses::new(3, BodyMemoryBudget::default());
        for name in ["a", "b", "c"] {
            remember(&mut responses, &lane(name), name, &["1"], &[]);
        }
        assert!(responses.of("a").is_some(), "and it is in use again");
        let failed = responses.retain(vec![raw("1")]);
        assert!(responses.of("b").is_none() && responses.of("a").is_some() && responses.of("c").is_some());
        responses.release(failed);
        assert_eq!(responses.bytes, 2);
        for number in 0..2 * MAX_REMEMBERED {
            remember(&mut responses, &lane(&number.to_string()), "x", &[], &[]);
        }
        assert_eq!((responses.responses.len(), responses.ended.len()), (MAX_REMEMBERED, MAX_ENDED));
    }

    #[test]
    fn the_memory_is_that_of_all_lanes_together() {
        let budget = BodyMemoryBudget::default();
        let _rest = budget.try_acquire(507 << 20).unwrap();
        let mut responses = RememberedResponses::new(usize::MAX, budget.clone());
        let large = format!("\"{}\"", "x".repeat(2 << 20));
        for name in ["a", "b", "c"] {
            remember(&mut responses, &lane(name), name, &[&large], &[]);
        }
        assert!(responses.of("a").is_none() && responses.of("b").is_some() && responses.of("c").is_some());
        drop(responses);
        assert!(budget.try_acquire(5 << 20).is_ok());
    }
}
