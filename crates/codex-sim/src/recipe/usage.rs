//! Token counts, derived from the lengths of texts: consistent and repeatable, but not real.

use std::io;

use serde_json::{Value, json};

use crate::protocol::turn::Turn;
use crate::recipe::outputs::Output;

/// Bytes counted as one token.
const BYTES_PER_TOKEN: u64 = 4;

/// The counts of one reply. Input tokens include cached tokens, output tokens include reasoning tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    output: u64,
    reasoning: u64,
}

impl Usage {
    pub(crate) fn count(input: u64, cached: u64, outputs: &[Output]) -> Self {
        let (reasoning, spoken) = outputs.iter().map(Output::bytes).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        Self { input, cached: cached.min(input), output: 0, reasoning: 0 }.with_output(reasoning, spoken)
    }

    /// Returns the same input with this output, in bytes of reasoning and of everything else.
    pub(crate) fn with_output(self, reasoning: usize, spoken: usize) -> Self {
        let reasoning = tokens(reasoning as u64);
        Self { output: reasoning + tokens(spoken as u64), reasoning, ..self }
    }

    /// Returns the `usage` object, with the keys that newer replies add (`docs/backend.md` §3.2).
    pub(crate) fn to_json(self) -> Value {
        json!({
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
            "codex_rollout_budget_units": 1,
        })
    }
}

/// Returns the tokens of one generated image, which are counted separately.
pub(crate) fn image_usage() -> Value {
    json!({
        "input_tokens": 40,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 40},
        "output_tokens": 1_056,
        "output_tokens_details": {"image_tokens": 1_056, "text_tokens": 0},
        "total_tokens": 1_096,
    })
}

/// Returns the tokens of an image request with this prompt.
pub(crate) fn images_usage(prompt: &str, images: usize) -> Value {
    let (input, output) = (tokens(prompt.len() as u64), 515 * images as u64);
    json!({
        "input_tokens": input,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": input},
        "output_tokens": output,
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
        "total_tokens": input + output,
    })
}

/// Returns the input tokens of a request: instructions, input and tools.
pub(crate) fn input_tokens(turn: &Turn<'_>) -> u64 {
    let length = |key| turn.body.get(key).map_or(0, json_length);
    tokens(length("instructions") + length("input") + length("tools"))
}

fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

fn json_length(value: &Value) -> u64 {
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

struct Counter(u64);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
