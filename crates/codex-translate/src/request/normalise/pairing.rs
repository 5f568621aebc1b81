//! Pairs tool calls with their outputs. The backend rejects a call without an output and an output without a call
//! (docs/backend.md §2.7), and clients that prune or resume their history send both.
//!
//! * An output belongs to the earliest preceding call that has its id and no output yet, and gets the call's kind. If
//!   only a later call has its id, it is moved after that one.
//! * A call with the id of an earlier call gets a new id, and so does its output. If it has no output of its own and is
//!   the same call, it is dropped: it ran once.
//! * An output without a call becomes a user message that quotes it, because a tool must not have the authority of a
//!   developer.
//! * A further output of a call is dropped if it equals the last one, and otherwise becomes such a message.
//! * A call without an output gets a placeholder, after the calls next to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::json::to_raw;
use crate::notice::Notices;
use crate::paths::ItemSource;
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
    /// A call or an output that repeats another.
    Repeated,
    /// An output that precedes its call and is moved after it.
    Moved,
}

/// What follows a call without an output after it.
#[derive(Clone, Copy, Debug)]
enum Owed {
    Placeholder,
    /// The output at this index, which precedes the call.
    Output(usize),
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
    /// Whether an earlier call with the same id is the same.
    is_repeated: bool,
}

/// Pairs the calls and outputs of `input`.
pub(super) fn normalise_calls(input: &mut Vec<InputItem>, sources: &mut Vec<ItemSource>, notices: &mut Notices) {
    if !input.iter().any(|item| id_of(item).is_some()) {
        return;
    }
    let (pairings, owed_by) = decide(input);
    let mut paired = PairedItems::with_capacity(input.len() + owed_by.len());
    let mut moved: BTreeMap<usize, (ToolOutput, ItemSource)> = BTreeMap::new();
    let mut owed: Vec<(ToolOutput, ItemSource)> = Vec::new();
    for (index, (item, pairing)) in std::mem::take(input).into_iter().zip(pairings).enumerate() {
        let source = sources.get(index).copied().unwrap_or(ItemSource::ADDED);
        if kind_of(&item).is_none() {
            paired.append(&mut owed);
        }
        match (item, pairing) {
            (InputItem::Output(output), Pairing::Moved) => {
                moved.insert(index, (output, source));
            }
            (item, pairing) => {
                // Its heading precedes the content.
                let source = if pairing == Pairing::Orphan { source.by_index() } else { source };
                let item = apply(item, pairing, notices);
                if let (Some(call), Some(owes)) = (&item, owed_by.get(&index)) {
                    owed.extend(output_owed(call, *owes, &mut moved, notices));
                }
                if let Some(item) = item {
                    paired.push(item, source);
                }
            }
        }
    }
    paired.append(&mut owed);
    (*input, *sources) = (paired.items, paired.sources);
}

/// The items that were paired, and where they come from.
struct PairedItems {
    items: Vec<InputItem>,
    sources: Vec<ItemSource>,
}

impl PairedItems {
    fn with_capacity(count: usize) -> Self {
        Self { items: Vec::with_capacity(count), sources: Vec::with_capacity(count) }
    }

    fn push(&mut self, item: InputItem, source: ItemSource) {
        self.items.push(item);
        self.sources.push(source);
    }

    fn append(&mut self, outputs: &mut Vec<(ToolOutput, ItemSource)>) {
        outputs.drain(..).for_each(|(output, source)| self.push(InputItem::Output(output), source));
    }
}

/// Decides what becomes of each item, and which calls have no output after them.
fn decide(input: &[InputItem]) -> (Vec<Pairing>, BTreeMap<usize, Owed>) {
    let taken: BTreeSet<&str> = input.iter().filter_map(id_of).collect();
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<&str, CallsById> = BTreeMap::new();
    let mut contents = BTreeSet::new();
    let mut early: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    let mut pairings = Vec::with_capacity(input.len());
    for (index, item) in input.iter().enumerate() {
        let pairing = match item {
            InputItem::Output(output) => {
                let calls = seen.get_mut(&*output.call_id);
                if calls.is_none() {
                    early.entry(&output.call_id).or_default().push_back(index);
                }
                answer(input, index, output, calls)
            }
            InputItem::Call(_) | InputItem::Opaque(_) => match item.call_id() {
                Some(call_id) => {
                    let calls = seen.entry(call_id).or_default();
                    let renamed = calls.any.then(|| free_id(call_id, &mut calls.tried, &taken, &given));
                    given.extend(renamed.clone());
                    calls.open.push_back(OpenCall {
                        index,
                        kind: kind_of(item),
                        call_id: renamed.clone().unwrap_or_else(|| call_id.to_owned()),
                        is_repeated: !contents.insert((call_id, content_of(item))),
                    });
                    calls.any = true;
                    renamed.map_or(Pairing::Keep, |call_id| Pairing::Rename { call_id })
                }
                None => Pairing::Keep,
            },
            InputItem::Message(_) | InputItem::Reasoning(_) | InputItem::Verbatim(_) => Pairing::Keep,
        };
        pairings.push(pairing);
    }
    let mut owed_by = BTreeMap::new();
    for (call_id, call) in seen.into_iter().flat_map(|(id, calls)| calls.open.into_iter().map(move |call| (id, call))) {
        if let Some(output) = early.get_mut(call_id).and_then(VecDeque::pop_front) {
            pairings[output] = Pairing::Moved;
            owed_by.insert(call.index, Owed::Output(output));
        } else if call.is_repeated {
            pairings[call.index] = Pairing::Repeated;
        } else if call.kind.is_some() {
            owed_by.insert(call.index, Owed::Placeholder);
        }
    }
    (pairings, owed_by)
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
        (InputItem::Call(_) | InputItem::Opaque(_), Pairing::Repeated) => {
            notices.repaired("input", "dropped a repeated tool call");
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

/// Returns the output that follows a call.
fn output_owed(
    call: &InputItem,
    owed: Owed,
    moved: &mut BTreeMap<usize, (ToolOutput, ItemSource)>,
    notices: &mut Notices,
) -> Option<(ToolOutput, ItemSource)> {
    let call_id = call.call_id()?.to_owned();
    match owed {
        Owed::Output(index) => {
            notices.repaired("input", "moved a tool output after its call");
            let (output, source) = moved.remove(&index)?;
            Some((ToolOutput { kind: kind_of(call).unwrap_or(output.kind), call_id, ..output }, source))
        }
        Owed::Placeholder => {
            notices.repaired("input", "added a placeholder output to a tool call without one");
            let output = ToolOutput { kind: kind_of(call)?, call_id, content: OutputContent::Text(NO_OUTPUT.into()) };
            Some((output, ItemSource::ADDED))
        }
    }
}

/// Returns what a call says: two calls with one id that say the same are one.
fn content_of(call: &InputItem) -> (Cow<'_, str>, &str) {
    match call {
        InputItem::Call(call) => (Cow::Borrowed(&call.name), &call.input),
        InputItem::Opaque(item) => {
            let said =
                item.members.iter().filter(|(key, _)| key != "status").map(|(key, raw)| format!("{key}:{}", raw.get()));
            (Cow::Owned(said.collect()), "")
        }
        InputItem::Message(_) | InputItem::Reasoning(_) | InputItem::Output(_) | InputItem::Verbatim(_) => {
            (Cow::Borrowed(""), "")
        }
    }
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

/// Returns the kind of the output of a call that must have one. That of a local shell is a function's (docs/backend.md
/// §2.7).
fn kind_of(item: &InputItem) -> Option<CallKind> {
    match item {
        InputItem::Call(call) => Some(call.kind),
        InputItem::Opaque(item) => (item.kind == "local_shell_call").then_some(CallKind::Function),
        InputItem::Message(_) | InputItem::Reasoning(_) | InputItem::Output(_) | InputItem::Verbatim(_) => None,
    }
}
