//! Tool calls and their outputs, paired: the backend refuses a call without an output and an output without a call
//! (docs/backend.md §2.7), and clients that prune their history or resume it leave both.
//!
//! * An output belongs to the earliest call before it that has its id and no output yet; it takes over the call's kind.
//! * A call whose id an earlier call has gets an id of its own, and so does its output.
//! * An output without a call becomes a message of the user that quotes it: a tool's words must not weigh like a developer's.
//! * A further output of a call that has one goes if it says the same as the last, and else becomes such a message too.
//! * A call without an output gets one that says so, after the calls that stand with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::json::to_raw;
use crate::notice::Notices;
use crate::responses::{Call, CallKind, Item, Message, Output, OutputContent, Part, Role};

/// What stands for the output of a call that has none.
const NO_OUTPUT: &str = "No output was recorded for this tool call.";

/// The longest id that the backend takes, in characters (docs/backend.md §2.7).
const MAX_CALL_ID_CHARS: usize = 64;

/// What becomes of the item at an index.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// A call under another id than its own.
    Rename {
        call_id: String,
    },
    /// An output that takes over its call's kind and id.
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
struct Calls {
    /// Those without an output, earliest first.
    open: VecDeque<OpenCall>,
    /// The index of the last output.
    answered: Option<usize>,
    /// How many ids have been tried for calls that repeat this one's.
    tried: u32,
    any: bool,
}

/// A call that waits for its output.
#[derive(Debug)]
struct OpenCall {
    index: usize,
    /// `None`: an item of a type that is not read here and that may go without.
    kind: Option<CallKind>,
    call_id: String,
}

/// Pairs the calls and outputs of `input`.
pub(super) fn pair(input: &mut Vec<Item>, notices: &mut Notices) {
    if !input.iter().any(|item| id_of(item).is_some()) {
        return;
    }
    let (verdicts, unanswered) = judge(input);
    let mut paired = Vec::with_capacity(input.len() + unanswered.len());
    let mut owed: Vec<Item> = Vec::new();
    for (index, (item, verdict)) in std::mem::take(input).into_iter().zip(verdicts).enumerate() {
        if !matches!(item, Item::Call(_)) {
            paired.append(&mut owed);
        }
        let item = carry_out(item, verdict, notices);
        if let (Some(Item::Call(call)), true) = (&item, unanswered.contains(&index)) {
            notices.repaired("input", "a tool call without an output got one that says so");
            owed.push(Item::Output(missing_output(call)));
        }
        paired.extend(item);
    }
    paired.append(&mut owed);
    *input = paired;
}

/// Decides on every item, and which calls have no output.
fn judge(input: &[Item]) -> (Vec<Verdict>, BTreeSet<usize>) {
    let taken: BTreeSet<&str> = input.iter().filter_map(id_of).collect();
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<&str, Calls> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(input.len());
    for (index, item) in input.iter().enumerate() {
        let verdict = match item {
            Item::Output(output) => answer(input, index, output, seen.get_mut(&*output.call_id)),
            Item::Call(_) | Item::Opaque(_) => match id_of(item).filter(|_| is_call(item)) {
                Some(call_id) => {
                    let calls = seen.entry(call_id).or_default();
                    let renamed = calls.any.then(|| free_id(call_id, &mut calls.tried, &taken, &given));
                    given.extend(renamed.clone());
                    let call_id = renamed.clone().unwrap_or_else(|| call_id.to_owned());
                    calls.open.push_back(OpenCall { index, kind: kind_of(item), call_id });
                    calls.any = true;
                    renamed.map_or(Verdict::Keep, |call_id| Verdict::Rename { call_id })
                }
                None => Verdict::Keep,
            },
            Item::Message(_) | Item::Reasoning(_) | Item::Verbatim(_) => Verdict::Keep,
        };
        verdicts.push(verdict);
    }
    let open = seen.into_values().flat_map(|calls| calls.open);
    let unanswered = open.filter(|call| call.kind.is_some()).map(|call| call.index).collect();
    (verdicts, unanswered)
}

/// Finds the call that an output belongs to.
fn answer(input: &[Item], index: usize, output: &Output, calls: Option<&mut Calls>) -> Verdict {
    let Some(calls) = calls else {
        return Verdict::Orphan;
    };
    if let Some(OpenCall { kind, call_id, .. }) = calls.open.pop_front() {
        calls.answered = Some(index);
        return Verdict::Paired { kind: kind.unwrap_or(output.kind), call_id };
    }
    match calls.answered.and_then(|index| input.get(index)) {
        Some(Item::Output(last)) if last.content == output.content => Verdict::Repeated,
        _ => Verdict::Orphan,
    }
}

/// Does to an item what was decided; `None` takes it out.
fn carry_out(item: Item, verdict: Verdict, notices: &mut Notices) -> Option<Item> {
    match (item, verdict) {
        (Item::Call(call), Verdict::Rename { call_id }) => {
            notices.repaired("input", "a tool call with the id of another got an id of its own");
            Some(Item::Call(Call { call_id, ..call }))
        }
        (Item::Opaque(mut call), Verdict::Rename { call_id }) => {
            notices.repaired("input", "a tool call with the id of another got an id of its own");
            if let (Some(id), Ok(raw)) = (call.members.iter_mut().find(|(key, _)| key == "call_id"), to_raw(&call_id)) {
                id.1 = raw;
            }
            Some(Item::Opaque(call))
        }
        (Item::Output(output), Verdict::Paired { kind, call_id }) => {
            Some(Item::Output(Output { kind, call_id, ..output }))
        }
        (Item::Output(output), Verdict::Orphan) => {
            notices.repaired("input", "a tool output without its call is sent as a message of the user");
            Some(Item::Message(quote(output)))
        }
        (Item::Output(_), Verdict::Repeated) => {
            notices.repaired("input", "a tool output that repeats another is left out");
            None
        }
        (item, _) => Some(item),
    }
}

/// An output without its call, as a message.
fn quote(output: Output) -> Message {
    let heading = format!("Output of the tool call {}, which is not part of this conversation:", output.call_id);
    let mut content = vec![Part::Text(heading.into())];
    match output.content {
        OutputContent::Text(text) => content.push(Part::Text(text)),
        OutputContent::Parts(parts) => content.extend(parts),
    }
    Message { role: Role::User, content, phase: None }
}

fn missing_output(call: &Call) -> Output {
    Output { kind: call.kind, call_id: call.call_id.clone(), content: OutputContent::Text(NO_OUTPUT.into()) }
}

/// An id made of `id` that no item of the request has. `tried` counts on, so that many calls of one id take linear time.
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

/// The id that pairs the item, where it has one.
fn id_of(item: &Item) -> Option<&str> {
    match item {
        Item::Call(call) => Some(&call.call_id),
        Item::Output(output) => Some(&output.call_id),
        Item::Opaque(opaque) => opaque.member("call_id").and_then(|raw| serde_json::from_str(raw.get()).ok()),
        Item::Message(_) | Item::Reasoning(_) | Item::Verbatim(_) => None,
    }
}

fn is_call(item: &Item) -> bool {
    kind_of(item).is_some() || item.opaque().is_some_and(|opaque| opaque.kind.ends_with("_call"))
}

/// The kind of a call that is read here.
fn kind_of(item: &Item) -> Option<CallKind> {
    match item {
        Item::Call(call) => Some(call.kind),
        Item::Message(_) | Item::Reasoning(_) | Item::Output(_) | Item::Opaque(_) | Item::Verbatim(_) => None,
    }
}
