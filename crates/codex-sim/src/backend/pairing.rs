//! Checks between items: calls and their outputs, reasoning and what follows it (`wire.md` §2.7).

use std::collections::HashSet;

use serde_json::Value;

use crate::backend::refusal::Refusal;
use crate::backend::turn::{Turn, kind, role};

/// The types of a call and of its output, and what the messages call them.
const FAMILIES: [(&str, &str, &str); 3] = [
    ("function_call", "function_call_output", "function call"),
    ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ("tool_search_call", "tool_search_output", "tool search call"),
];

/// What may follow a reasoning item: anything else the model itself produced.
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

/// Checks that everything that belongs together is there.
pub(crate) fn check(turn: &Turn<'_>) -> Result<(), Refusal> {
    for (call, output, noun) in FAMILIES {
        outputs_have_calls(turn.input, call, output, noun)?;
        calls_have_outputs(turn.input, call, output, noun)?;
    }
    reasoning_is_followed(turn.input)
}

/// §2.7: an output before or without its call.
fn outputs_have_calls(input: &[Value], call: &str, output: &str, noun: &str) -> Result<(), Refusal> {
    let mut called = HashSet::new();
    for item in input {
        let id = call_id(item);
        if kind(item) == call {
            called.insert(id);
        } else if kind(item) == output && !called.contains(id) {
            let message = format!("No tool call found for {noun} output with call_id {id}.");
            return Err(Refusal::error(Some("input"), None, message));
        }
    }
    Ok(())
}

/// §2.7: a call nobody answered.
fn calls_have_outputs(input: &[Value], call: &str, output: &str, noun: &str) -> Result<(), Refusal> {
    let answered: HashSet<&str> = input.iter().filter(|item| kind(item) == output).map(call_id).collect();
    let open = input.iter().find(|item| kind(item) == call && !answered.contains(call_id(item)));
    open.map_or(Ok(()), |item| {
        let message = format!("No tool output found for {noun} {}.", call_id(item));
        Err(Refusal::error(Some("input"), None, message))
    })
}

/// §2.7: a reasoning item whose answer was left out.
fn reasoning_is_followed(input: &[Value]) -> Result<(), Refusal> {
    let follows = |next: Option<&Value>| {
        next.is_some_and(|next| {
            PRODUCED.contains(&kind(next)) || (kind(next) == "message" && role(next) == "assistant")
        })
    };
    let mut indexed = input.iter().enumerate();
    let alone = indexed.find(|(index, item)| kind(item) == "reasoning" && !follows(input.get(index + 1)));
    alone.map_or(Ok(()), |(index, item)| {
        let id = item.get("id").and_then(Value::as_str).map_or_else(|| format!("input[{index}]"), str::to_owned);
        let message = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
        Err(Refusal::error(Some("input"), None, message))
    })
}

fn call_id(item: &Value) -> &str {
    item.get("call_id").and_then(Value::as_str).unwrap_or_default()
}
