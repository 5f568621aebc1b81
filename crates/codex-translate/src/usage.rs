//! The tokens that a turn used, as the backend reports them and as clients read them.

use std::ops::AddAssign;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;

/// Roughly how many bytes of text make a token, where tokens are not counted: about as many as in English prose and in
/// code. Such a count is marked as an estimate.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

/// The tokens that a turn used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request, including those from the cache (docs/backend.md §2.6).
    pub input_tokens: u64,
    /// Tokens of the request that were in the prompt cache.
    pub cached_tokens: u64,
    /// Tokens of the request that were written to the prompt cache, if the backend reports it.
    pub cache_write_tokens: Option<u64>,
    /// Tokens of the reply, including those of the reasoning.
    pub output_tokens: u64,
    /// Tokens of the reasoning.
    pub reasoning_tokens: u64,
    /// All tokens.
    pub total_tokens: u64,
    /// Whether this crate counted, because the reply was cut off before the backend reported its count. The tokens of
    /// the request, and without the feature `tokens` also those of the reply, are then estimated as four bytes each.
    pub estimated: bool,
}

impl Usage {
    /// Parses the `usage` of a response object; `None` if it has an unknown form.
    pub(crate) fn read(raw: &RawValue) -> Option<Self> {
        let wire: UsageBody = serde_json::from_str(raw.get()).ok()?;
        let input = wire.input_tokens_details.unwrap_or_default();
        let output = wire.output_tokens_details.unwrap_or_default();
        Some(Self {
            input_tokens: wire.input_tokens,
            cached_tokens: input.cached_tokens.unwrap_or(0),
            cache_write_tokens: input.cache_write_tokens,
            output_tokens: wire.output_tokens,
            reasoning_tokens: output.reasoning_tokens.unwrap_or(0),
            total_tokens: wire.total_tokens.unwrap_or_else(|| wire.input_tokens.saturating_add(wire.output_tokens)),
            estimated: false,
        })
    }
}

/// Adds the usage of several choices.
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let add = |a: &mut u64, b: u64| *a = a.saturating_add(b);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.cached_tokens, other.cached_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.reasoning_tokens, other.reasoning_tokens);
        add(&mut self.total_tokens, other.total_tokens);
        if let Some(written) = other.cache_write_tokens {
            add(self.cache_write_tokens.get_or_insert(0), written);
        }
        self.estimated = self.estimated || other.estimated;
    }
}

#[derive(Deserialize)]
struct UsageBody {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

/// Serialises as the `usage` of Chat Completions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatUsage(pub(crate) Usage);

impl Serialize for ChatUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usage = &self.0;
        let mut out = serializer.serialize_struct("Usage", 6)?;
        out.serialize_field("prompt_tokens", &usage.input_tokens)?;
        out.serialize_field("completion_tokens", &usage.output_tokens)?;
        out.serialize_field("total_tokens", &usage.total_tokens)?;
        out.serialize_field("prompt_tokens_details", &PromptDetails(usage))?;
        out.serialize_field("completion_tokens_details", &CompletionDetails(usage))?;
        if usage.estimated {
            out.serialize_field("estimated", &true)?;
        }
        out.end()
    }
}

struct PromptDetails<'a>(&'a Usage);

impl Serialize for PromptDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("PromptTokensDetails", 2)?;
        out.serialize_field("cached_tokens", &self.0.cached_tokens)?;
        if let Some(written) = self.0.cache_write_tokens {
            out.serialize_field("cache_write_tokens", &written)?;
        }
        out.end()
    }
}

struct CompletionDetails<'a>(&'a Usage);

impl Serialize for CompletionDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("CompletionTokensDetails", 1)?;
        out.serialize_field("reasoning_tokens", &self.0.reasoning_tokens)?;
        out.end()
    }
}

/// Serialises as the `usage` of Responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponsesUsage(pub(crate) Usage);

impl Serialize for ResponsesUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usage = &self.0;
        let mut out = serializer.serialize_struct("ResponseUsage", 6)?;
        out.serialize_field("input_tokens", &usage.input_tokens)?;
        out.serialize_field("input_tokens_details", &PromptDetails(usage))?;
        out.serialize_field("output_tokens", &usage.output_tokens)?;
        out.serialize_field("output_tokens_details", &CompletionDetails(usage))?;
        out.serialize_field("total_tokens", &usage.total_tokens)?;
        if usage.estimated {
            out.serialize_field("estimated", &true)?;
        }
        out.end()
    }
}
