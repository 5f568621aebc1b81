//! Checks between items: calls and their outputs, reasoning and what follows it (`docs/backend.md` §2.7).

use std::collections::HashSet;

use serde_json::Value;

use crate::backend::checks::items::runs_at_the_server;
use crate::protocol::refusal::Refusal;
use crate::protocol::turn::{Turn, kind, role};

/// The types of calls and of their outputs, and their names in messages.
const FAMILIES: [(&[&str], &str, &str); 3] = [
    (&["function_call", "local_shell_call"], "function_call_output", "function call"),
    (&["custom_tool_call"], "custom_tool_call_output", "custom tool call"),
    (&["tool_search_call"], "tool_search_output", "tool search call"),
];

/// The items that may follow a reasoning item: anything else that the model produced.
const PRODUCED: [&str; 9] = [
    "reasoning",
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "tool_search_call",
    "web_search_call",
    "image_generation_call",
    "compaction",
    "compaction_summary",
];

/// Checks that calls and outputs, and reasoning and its answer, come in pairs.
pub(crate) fn check(turn: &Turn<'_>) -> Result<(), Refusal> {
    for (calls, output, noun) in FAMILIES {
        outputs_have_calls(turn.input, calls, output, noun)?;
        calls_have_outputs(turn.input, calls, output, noun)?;
    }
    reasoning_is_followed(turn.input)
}

/// §2.7: an output before its call, or without one.
fn outputs_have_calls(input: &[Value], calls: &[&str], output: &str, noun: &str) -> Result<(), Refusal> {
    let mut called = HashSet::new();
    for item in input.iter().filter(|item| is_paired(item)) {
        let id = call_id(item);
        if calls.contains(&kind(item)) {
            called.insert(id);
        } else if kind(item) == output && !called.contains(id) {
            let message = format!("No tool call found for {noun} output with call_id {id}.");
            return Err(Refusal::error(Some("input"), None, message));
        }
    }
    Ok(())
}

/// §2.7: a call without an output.
fn calls_have_outputs(input: &[Value], calls: &[&str], output: &str, noun: &str) -> Result<(), Refusal> {
    let answered: HashSet<&str> = input.iter().filter(|item| kind(item) == output).map(call_id).collect();
    let is_call = |item: &Value| calls.contains(&kind(item)) && is_paired(item);
    let open = input.iter().find(|item| is_call(item) && !answered.contains(call_id(item)));
    open.map_or(Ok(()), |item| {
        let message = format!("No tool output found for {noun} {}.", call_id(item));
        Err(Refusal::error(Some("input"), None, message))
    })
}

/// Returns whether an item takes part in the pairing: calls that ran at the server do not.
fn is_paired(item: &Value) -> bool {
    !item.as_object().is_some_and(runs_at_the_server)
}

/// §2.7: a reasoning item without its answer. It is accepted with encrypted content, as the official client sends it
/// when a stream was cut off (0.169.0) or a reply interrupted (0.171.0): at the end of the input, or followed by what
/// the user said instead.
fn reasoning_is_followed(input: &[Value]) -> Result<(), Refusal> {
    let follows = |index: usize| {
        let next = input[index + 1..].iter().find(|item| kind(item) != "configuration_update");
        next.is_none_or(|next| PRODUCED.contains(&kind(next)) || (kind(next) == "message" && role(next) == "assistant"))
    };
    let is_encrypted = |item: &Value| item.get("encrypted_content").is_some_and(Value::is_string);
    let mut indexed = input.iter().enumerate();
    let alone = indexed.find(|(index, item)| kind(item) == "reasoning" && !is_encrypted(item) && !follows(*index));
    alone.map_or(Ok(()), |(index, item)| {
        let id = item.get("id").and_then(Value::as_str).map_or_else(|| format!("input[{index}]"), str::to_owned);
        let message = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
        Err(Refusal::error(Some("input"), None, message))
    })
}

fn call_id(item: &Value) -> &str {
    item.get("call_id").and_then(Value::as_str).unwrap_or_default()
}
