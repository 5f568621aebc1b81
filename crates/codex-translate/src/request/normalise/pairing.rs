//! Pairs tool calls with their outputs. The backend rejects a call without an output and an output without a call
//! (docs/backend.md §2.7), and clients that prune or resume their history send both.
//!
//! * An output belongs to the earliest preceding call that has its id and no output yet, and gets the call's kind.
//! * A call with the id of an earlier call gets a new id, and so does its output.
//! * An output without a call becomes a user message that quotes it, because a tool must not have the authority of a
//!   developer.
//! * A further output of a call is dropped if it equals the last one, and otherwise becomes such a message.
//! * A call without an output gets a placeholder, after the calls next to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::json::to_raw;
use crate::notice::Notices;
use crate::responses::{
    CallKind, ContentPart, InputItem, InputMessage, InputToolCall, OutputContent, Role, ToolOutput,
};

/// The placeholder output.
const NO_OUTPUT: &str = "No output was recorded for this tool call.";

/// The longest id that the backend accepts, in characters (docs/backend.md §2.7).
const MAX_CALL_ID_CHARS: usize = 64;

/// What becomes of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pairing {
    Keep,
    /// A call that gets another id.
    Rename {
        call_id: String,
    },
    /// An output that gets its call's kind and id.
    Paired {
        kind: CallKind,
        call_id: String,
    },
    /// An output without a call.
    Orphan,
    /// An output that repeats another.
    Repeated,
}

/// The calls of one id so far.
#[derive(Debug, Default)]
struct CallsById {
    /// Those without an output, earliest first.
    open: VecDeque<OpenCall>,
    /// The index of the last output.
    answered: Option<usize>,
    /// How many ids have been tried for calls that repeat this id.
    tried: u32,
    any: bool,
}

/// A call without an output so far.
#[derive(Debug)]
struct OpenCall {
    index: usize,
    /// `None` for an item of a type that this crate does not read and that needs no output.
    kind: Option<CallKind>,
    call_id: String,
}

/// Pairs the calls and outputs of `input`.
pub(super) fn normalise_calls(input: &mut Vec<InputItem>, notices: &mut Notices) {
    if !input.iter().any(|item| id_of(item).is_some()) {
        return;
    }
    let (pairings, unanswered) = decide(input);
    let mut paired = Vec::with_capacity(input.len() + unanswered.len());
    let mut owed: Vec<InputItem> = Vec::new();
    for (index, (item, pairing)) in std::mem::take(input).into_iter().zip(pairings).enumerate() {
        if !matches!(item, InputItem::Call(_)) {
            paired.append(&mut owed);
        }
        let item = apply(item, pairing, notices);
        if let (Some(InputItem::Call(call)), true) = (&item, unanswered.contains(&index)) {
            notices.repaired("input", "added a placeholder output to a tool call without one");
            owed.push(InputItem::Output(missing_output(call)));
        }
        paired.extend(item);
    }
    paired.append(&mut owed);
    *input = paired;
}

/// Decides what becomes of each item, and which calls have no output.
fn decide(input: &[InputItem]) -> (Vec<Pairing>, BTreeSet<usize>) {
    let taken: BTreeSet<&str> = input.iter().filter_map(id_of).collect();
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<&str, CallsById> = BTreeMap::new();
    let mut pairings = Vec::with_capacity(input.len());
    for (index, item) in input.iter().enumerate() {
        let pairing = match item {
            InputItem::Output(output) => answer(input, index, output, seen.get_mut(&*output.call_id)),
            InputItem::Call(_) | InputItem::Opaque(_) => match id_of(item).filter(|_| is_call(item)) {
                Some(call_id) => {
                    let calls = seen.entry(call_id).or_default();
                    let renamed = calls.any.then(|| free_id(call_id, &mut calls.tried, &taken, &given));
                    given.extend(renamed.clone());
                    let call_id = renamed.clone().unwrap_or_else(|| call_id.to_owned());
                    calls.open.push_back(OpenCall { index, kind: kind_of(item), call_id });
                    calls.any = true;
                    renamed.map_or(Pairing::Keep, |call_id| Pairing::Rename { call_id })
                }
                None => Pairing::Keep,
            },
            InputItem::Message(_) | InputItem::Reasoning(_) | InputItem::Verbatim(_) => Pairing::Keep,
        };
        pairings.push(pairing);
    }
    let open = seen.into_values().flat_map(|calls| calls.open);
    let unanswered = open.filter(|call| call.kind.is_some()).map(|call| call.index).collect();
    (pairings, unanswered)
}

/// Finds the call that an output belongs to.
fn answer(input: &[InputItem], index: usize, output: &ToolOutput, calls: Option<&mut CallsById>) -> Pairing {
    let Some(calls) = calls else {
        return Pairing::Orphan;
    };
    if let Some(OpenCall { kind, call_id, .. }) = calls.open.pop_front() {
        calls.answered = Some(index);
        return Pairing::Paired { kind: kind.unwrap_or(output.kind), call_id };
    }
    match calls.answered.and_then(|index| input.get(index)) {
        Some(InputItem::Output(last)) if last.content == output.content => Pairing::Repeated,
        _ => Pairing::Orphan,
    }
}

/// Applies a decision to its item; `None` drops the item.
fn apply(item: InputItem, pairing: Pairing, notices: &mut Notices) -> Option<InputItem> {
    match (item, pairing) {
        (InputItem::Call(call), Pairing::Rename { call_id }) => {
            notices.repaired("input", "replaced the id of a tool call that repeats another's");
            Some(InputItem::Call(InputToolCall { call_id, ..call }))
        }
        (InputItem::Opaque(mut call), Pairing::Rename { call_id }) => {
            notices.repaired("input", "replaced the id of a tool call that repeats another's");
            if let (Some(id), Ok(raw)) = (call.members.iter_mut().find(|(key, _)| key == "call_id"), to_raw(&call_id)) {
                id.1 = raw;
            }
            Some(InputItem::Opaque(call))
        }
        (InputItem::Output(output), Pairing::Paired { kind, call_id }) => {
            Some(InputItem::Output(ToolOutput { kind, call_id, ..output }))
        }
        (InputItem::Output(output), Pairing::Orphan) => {
            notices.repaired("input", "sent a tool output without a call as a user message");
            Some(InputItem::Message(quote(output)))
        }
        (InputItem::Output(_), Pairing::Repeated) => {
            notices.repaired("input", "dropped a repeated tool output");
            None
        }
        (item, _) => Some(item),
    }
}

/// Quotes an output without a call in a message.
fn quote(output: ToolOutput) -> InputMessage {
    let heading = format!("Output of the tool call {}, which is not part of this conversation:", output.call_id);
    let mut content = vec![ContentPart::Text(heading.into())];
    match output.content {
        OutputContent::Text(text) => content.push(ContentPart::Text(text)),
        OutputContent::Parts(parts) => content.extend(parts),
    }
    InputMessage { role: Role::User, content, phase: None }
}

fn missing_output(call: &InputToolCall) -> ToolOutput {
    ToolOutput { kind: call.kind, call_id: call.call_id.clone(), content: OutputContent::Text(NO_OUTPUT.into()) }
}

/// Makes an id from `id` that no item of the request has. `tried` is not reset, so many calls with one id take linear
/// time.
fn free_id(id: &str, tried: &mut u32, taken: &BTreeSet<&str>, given: &BTreeSet<String>) -> String {
    loop {
        *tried += 1;
        let suffix = format!("_{}", *tried + 1);
        let kept: String = id.chars().take(MAX_CALL_ID_CHARS - suffix.len()).collect();
        let candidate = kept + &suffix;
        if !taken.contains(&*candidate) && !given.contains(&candidate) {
            return candidate;
        }
    }
}

/// Returns the id that pairs the item, if it has one.
fn id_of(item: &InputItem) -> Option<&str> {
    match item {
        InputItem::Call(call) => Some(&call.call_id),
        InputItem::Output(output) => Some(&output.call_id),
        InputItem::Opaque(opaque) => opaque.member("call_id").and_then(|raw| serde_json::from_str(raw.get()).ok()),
        InputItem::Message(_) | InputItem::Reasoning(_) | InputItem::Verbatim(_) => None,
    }
}

fn is_call(item: &InputItem) -> bool {
    kind_of(item).is_some() || item.opaque().is_some_and(|opaque| opaque.kind.ends_with("_call"))
}

/// Returns the kind of a call that this crate reads.
fn kind_of(item: &InputItem) -> Option<CallKind> {
    match item {
        InputItem::Call(call) => Some(call.kind),
        InputItem::Message(_)
        | InputItem::Reasoning(_)
        | InputItem::Output(_)
        | InputItem::Opaque(_)
        | InputItem::Verbatim(_) => None,
    }
}
