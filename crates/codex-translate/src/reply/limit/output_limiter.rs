//! The caller's limits: stop strings and a token limit, which the backend does not accept (docs/features.md C7, C8).

use super::TokenCount;
use super::stop::{Search, Stops};
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::ReplyPlan;
use crate::usage::Usage;

/// Watches what the model generates, and lets through what precedes the caller's limit.
///
/// Reasoning is not counted: the caller sees at most a summary of it.
#[derive(Clone, Debug)]
pub(crate) struct OutputLimiter {
    stops: Stops,
    max_tokens: Option<u64>,
    generated: TokenCount,
    prompt_tokens: u64,
    scratch: String,
}

impl OutputLimiter {
    /// Returns the limiter of a reply, if the caller set a limit.
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

    /// Accepts the next text of the answer. Returns the finish if the limit is reached.
    pub(crate) fn content(&mut self, text: Text<'_>, emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        self.content_after("", text, emit)
    }

    /// Accepts the next text of the answer after `inserted`, which was not generated, so it counts for stop strings
    /// only. Returns the finish if the limit is reached.
    pub(crate) fn content_after(
        &mut self,
        inserted: &str,
        text: Text<'_>,
        mut emit: impl FnMut(Text<'_>),
    ) -> Option<Finish> {
        let mut emit = |text: &str| emit(Text::Plain(text));
        if !inserted.is_empty() {
            self.generated.separate();
        }
        let (taken, cut) = self.within_limit(text);
        // Nothing is inserted before a text that is cut off as a whole.
        let pieces = if taken == 0 && cut.is_some() { ["", ""] } else { [inserted, &self.scratch[..taken]] };
        for piece in pieces {
            if self.stops.push(piece, &mut emit) == Search::Found {
                return Some(Finish::Stop);
            }
        }
        if cut.is_some() {
            self.stops.flush(emit);
        }
        cut
    }

    /// Accepts the next generated text that is not part of the answer; stop strings do not count in it.
    pub(crate) fn other(&mut self, text: Text<'_>, mut emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        let (taken, cut) = self.within_limit(text);
        if taken > 0 {
            emit(Text::Plain(&self.scratch[..taken]));
        }
        cut
    }

    /// Lets through what was held back, because something else follows or the reply ends.
    pub(crate) fn flush(&mut self, mut emit: impl FnMut(Text<'_>)) {
        self.stops.flush(|text| emit(Text::Plain(text)));
        self.generated.separate();
    }

    /// Returns how many characters are held back.
    pub(crate) fn held_chars(&self) -> u64 {
        self.stops.held().chars().count() as u64
    }

    /// Returns the usage of a reply that ends now, as far as it can be known here.
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

    /// Decodes `text` into `scratch`. Returns how much of it is within the limit, and the finish if that is not all.
    fn within_limit(&mut self, text: Text<'_>) -> (usize, Option<Finish>) {
        self.scratch.clear();
        text.push_to(&mut self.scratch);
        let taken = self.generated.push_within(&self.scratch, self.max_tokens);
        (taken, (taken < self.scratch.len()).then_some(Finish::Length))
    }
}
