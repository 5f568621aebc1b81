//! The end that the caller set: stop strings and a limit of tokens, which the backend does not take (docs/features.md C7, C8).

use super::stop::{Search, Stops};
use super::tokens::TokenCount;
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::ReplyPlan;
use crate::usage::Usage;

/// Watches over what the model generates, and lets go of what stands before the end that the caller set.
///
/// Reasoning is not counted: the caller sees a summary of it at most.
#[derive(Clone, Debug)]
pub(crate) struct Cutter {
    stops: Stops,
    max_tokens: Option<u64>,
    generated: TokenCount,
    prompt_tokens: u64,
    scratch: String,
}

impl Cutter {
    /// The cutter of a reply, if the caller set an end.
    pub(crate) fn new(plan: &ReplyPlan) -> Option<Self> {
        if !plan.is_cut() {
            return None;
        }
        Some(Self {
            stops: Stops::new(&plan.stop),
            max_tokens: plan.max_tokens.map(u64::from),
            generated: TokenCount::default(),
            prompt_tokens: plan.prompt_tokens,
            scratch: String::new(),
        })
    }

    /// Takes the next text of the answer; the reply's end, if it is reached.
    pub(crate) fn content(&mut self, text: Text<'_>, mut emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        let mut emit = |text: &str| emit(Text::Plain(text));
        let (taken, cut) = self.within_limit(text);
        let found = self.stops.push(&self.scratch[..taken], &mut emit);
        if found == Search::Found {
            return Some(Finish::Stop);
        }
        if cut.is_some() {
            self.stops.flush(emit);
        }
        cut
    }

    /// Takes the next piece of anything else that the model generates, in which no stop string counts.
    pub(crate) fn other(&mut self, text: Text<'_>, mut emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        let (taken, cut) = self.within_limit(text);
        if taken > 0 {
            emit(Text::Plain(&self.scratch[..taken]));
        }
        cut
    }

    /// Something else comes between, or the reply ends: lets go of what was held back.
    pub(crate) fn flush(&mut self, mut emit: impl FnMut(Text<'_>)) {
        self.stops.flush(|text| emit(Text::Plain(text)));
        self.generated.separate();
    }

    /// How many characters are held back.
    pub(crate) fn held_chars(&self) -> u64 {
        self.stops.held().chars().count() as u64
    }

    /// What a reply that is cut now has cost, as far as that can be known on this side.
    pub(crate) fn usage(&self) -> Usage {
        let output_tokens = self.generated.total();
        Usage {
            input_tokens: self.prompt_tokens,
            output_tokens,
            total_tokens: self.prompt_tokens + output_tokens,
            estimated: true,
            ..Usage::default()
        }
    }

    /// Decodes `text` into `scratch`; how much of it is within the limit, and whether that is not all.
    fn within_limit(&mut self, text: Text<'_>) -> (usize, Option<Finish>) {
        self.scratch.clear();
        text.push_to(&mut self.scratch);
        let taken = self.generated.push_within(&self.scratch, self.max_tokens);
        (taken, (taken < self.scratch.len()).then_some(Finish::Length))
    }
}
