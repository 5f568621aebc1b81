//! The items of a reply's output, as far as they are known while it is read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::value::RawValue;

use crate::bounds::{MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
use crate::error::Error;
use crate::json::{Text, is_json};
use crate::reply::ending::{check_same, is_blank};
use crate::reply::match_items::{
    CallIndexes, KnownItem, call_key, match_items, saying_of_image, saying_of_texts, too_many_items,
};
use crate::responses::{CallKind, ItemBody, ItemKind, MessagePhase, OutputItem, TextKind};

/// The items by their index in the output.
#[derive(Clone, Debug, Default)]
pub(super) struct ChatItems {
    items: BTreeMap<u64, ChatItem>,
    call_indexes: CallIndexes,
    texts: usize,
    /// How much of them is stored.
    bytes: usize,
}

/// One item.
#[derive(Clone, Debug)]
pub(super) struct ChatItem {
    id: String,
    kind: ItemKind,
    pub(super) state: ItemState,
    /// Whether the backend has ended a text of it with another value than it had sent.
    is_revised: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ItemState {
    /// A message, reasoning, or another item: with texts, or with nothing that a chat reply shows.
    Texts {
        phase: MessagePhase,
        texts: BTreeMap<(TextKind, u64), Progress>,
    },
    Call(Call),
    Image {
        /// What stands for it, if it is shown.
        shown: Option<String>,
        /// Format and base64, if the reply is whole.
        image: Option<(String, String)>,
    },
}

/// How much of a text has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) said: Said,
    pub(super) annotations: usize,
    /// The annotations, if the reply is whole.
    pub(super) kept: Vec<Box<RawValue>>,
    /// How many characters of the answer precede this text.
    pub(super) offset: u64,
}

/// How much of a call has arrived.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) stage: CallStage,
    pub(super) id: String,
    pub(super) name: String,
    /// The index in the reply, once the call has a name.
    pub(super) index: u32,
    pub(super) said: Said,
}

/// A text as far as it has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    text: String,
    /// If the reply is whole, where each addition ends: tokens are counted in the same pieces again.
    ends: Vec<usize>,
}

/// The state of a call. Nothing is written before its name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallStage {
    /// `missed`: some of its arguments have arrived.
    Unnamed {
        missed: bool,
    },
    Open,
    /// The name arrived after some of the arguments: only the last event has all of them.
    Late,
    /// The call has ended without saying what its arguments are.
    Ended,
    /// The arguments are complete.
    Done,
}

impl ChatItems {
    /// Records an item as an event describes it, and returns the index at which it is known.
    ///
    /// # Errors
    /// There are too many items.
    pub(super) fn note(&mut self, index: u64, item: &OutputItem<'_>) -> Result<u64, Error> {
        let is_unnamed = self.items.get(&index).is_none_or(ChatItem::is_unnamed);
        let first = self.call_indexes.index_of(index, item, !is_unnamed)?;
        if first != index {
            // Its deltas may have come first.
            self.items.remove(&index);
        }
        let index = first;
        let known = known(&mut self.items, index, || ChatItem::new(item.kind()))?;
        if known.id.is_empty() {
            known.id = item.id.clone().into_owned();
        }
        // A delta that came before its item does not say of which kind the tool is.
        if let (ItemState::Call(call), ItemBody::Call { kind, .. }) = (&mut known.state, &item.body)
            && matches!(call.stage, CallStage::Unnamed { .. })
        {
            (known.kind, call.kind) = (ItemKind::Call(*kind), *kind);
        }
        // Newer backends may give the phase of a message only at its end.
        if let (ItemState::Texts { phase, texts }, ItemBody::Message { phase: said, .. }) =
            (&mut known.state, &item.body)
            && texts.is_empty()
        {
            *phase = *said;
        }
        Ok(index)
    }

    /// Returns the phase and the progress of a text. An item that was not announced gets the kind of its text. `offset`
    /// is called when the text begins.
    ///
    /// # Errors
    /// There are too many items or texts, or the item cannot have a text.
    pub(super) fn text(
        &mut self,
        index: u64,
        text_kind: TextKind,
        part: u64,
        offset: impl FnOnce(MessagePhase) -> u64,
    ) -> Result<(MessagePhase, &mut Progress), Error> {
        let Self { items, texts: count, .. } = self;
        let item = known(items, index, || ChatItem::new(ItemKind::of_text(text_kind)))?;
        let ItemState::Texts { phase, texts } = &mut item.state else {
            return Err(Error::protocol(format!(
                "an event for a text refers to output item {index}, which is not a message"
            )));
        };
        match texts.entry((text_kind, part)) {
            Entry::Occupied(progress) => Ok((*phase, progress.into_mut())),
            Entry::Vacant(place) if *count < MAX_OUTPUT_TEXTS => {
                *count += 1;
                Ok((*phase, place.insert(Progress { offset: offset(*phase), ..Progress::default() })))
            }
            Entry::Vacant(_) => Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_TEXTS} texts"))),
        }
    }

    /// Returns the call at `index`; an item that was not announced is a call without a name.
    ///
    /// # Errors
    /// There are too many items, or the item is not a call.
    pub(super) fn call(&mut self, index: u64) -> Result<&mut Call, Error> {
        let index = self.call_indexes.first_of(index);
        match &mut known(&mut self.items, index, || ChatItem::new(ItemKind::Call(CallKind::Function)))?.state {
            ItemState::Call(call) => Ok(call),
            ItemState::Texts { .. } | ItemState::Image { .. } => Err(Error::protocol(format!(
                "an event for tool-call arguments refers to output item {index}, which is not a tool call"
            ))),
        }
    }

    /// Returns whether a call that has another index is said again at this one.
    pub(super) fn is_repeat(&self, index: u64) -> bool {
        self.call_indexes.is_repeat(index)
    }

    /// Records that the image at `index` is shown; returns false if it was shown before.
    pub(super) fn show_image(&mut self, index: u64, base64: Text<'_>) -> bool {
        match self.items.get_mut(&index).map(|item| &mut item.state) {
            Some(ItemState::Image { shown: shown @ None, .. }) => {
                *shown = Some(saying_of_image(base64));
                true
            }
            Some(ItemState::Image { .. } | ItemState::Texts { .. } | ItemState::Call(_)) | None => false,
        }
    }

    /// Stores the image at `index`.
    ///
    /// # Errors
    /// Too much is stored.
    pub(super) fn keep_image(&mut self, index: u64, format: &str, base64: Text<'_>) -> Result<(), Error> {
        let Some(ItemState::Image { image, .. }) = self.items.get_mut(&index).map(|item| &mut item.state) else {
            return Ok(());
        };
        let base64 = base64.decode().into_owned();
        let added = base64.len();
        *image = Some((format.to_owned(), base64));
        self.grow(added)
    }

    /// Counts what was stored.
    ///
    /// # Errors
    /// It is too much.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes <= MAX_OUTPUT_BYTES {
            return Ok(());
        }
        Err(Error::protocol(format!("the reply is larger than {} MiB", MAX_OUTPUT_BYTES >> 20)))
    }

    /// Records that the item at `index` has ended with another text than it had.
    pub(super) fn revise(&mut self, index: u64) {
        if let Some(item) = self.items.get_mut(&index) {
            item.is_revised = true;
        }
    }

    /// Returns how many items have ended with another text than they had.
    pub(super) fn revised(&self) -> usize {
        self.items.values().filter(|item| item.is_revised).count()
    }

    /// Returns whether a call is incomplete.
    pub(super) fn has_cut_call(&self) -> bool {
        self.items.values().any(|item| matches!(&item.state, ItemState::Call(call) if call.is_cut()))
    }

    /// Returns the indexes of the calls.
    pub(super) fn calls(&self) -> Vec<u64> {
        let calls = self.items.iter().filter(|(_, item)| matches!(item.state, ItemState::Call(_)));
        calls.map(|(index, _)| *index).collect()
    }

    /// Returns whether an item has a text of a kind that `is_shown`, is a call, or shows an image.
    pub(super) fn has_content(&self, is_shown: impl Fn(TextKind) -> bool) -> bool {
        self.items.values().any(|item| match &item.state {
            ItemState::Texts { texts, .. } => {
                texts.iter().any(|((kind, _), text)| is_shown(*kind) && !text.said.as_str().is_empty())
            }
            ItemState::Call(call) => !matches!(call.stage, CallStage::Unnamed { .. }),
            ItemState::Image { shown, .. } => shown.is_some(),
        })
    }

    /// Takes the items, by ascending index.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u64, ChatItem)> + use<> {
        std::mem::take(&mut self.items).into_iter()
    }

    /// Returns the index of each item in the output of a terminal event.
    ///
    /// # Errors
    /// No index is left for an unknown item.
    pub(super) fn match_items(&self, output: &[OutputItem<'_>]) -> Result<Vec<u64>, Error> {
        let known = self.items.iter().map(|(index, item)| (*index, item.identity()));
        match_items(known, |index| Ok(self.items.get(&index).map_or_else(String::new, ChatItem::saying)), output)
    }
}

/// Returns the item at `index`; an unknown one is created by `new`.
fn known(
    items: &mut BTreeMap<u64, ChatItem>,
    index: u64,
    new: impl FnOnce() -> ChatItem,
) -> Result<&mut ChatItem, Error> {
    let room = items.len() < MAX_OUTPUT_ITEMS;
    match items.entry(index) {
        Entry::Occupied(item) => Ok(item.into_mut()),
        Entry::Vacant(place) if room => Ok(place.insert(new())),
        Entry::Vacant(_) => Err(too_many_items()),
    }
}

impl Said {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn as_text(&self) -> Text<'_> {
        Text::Plain(&self.text)
    }

    /// Adds to the text; returns how many bytes were stored.
    pub(super) fn push(&mut self, text: Text<'_>, is_whole: bool) -> usize {
        let before = self.text.len();
        text.push_to(&mut self.text);
        if is_whole {
            self.ends.push(self.text.len());
        }
        self.text.len() - before
    }

    /// Replaces the text; returns how many bytes were stored.
    pub(super) fn replace(&mut self, text: Text<'_>) -> usize {
        *self = Self::default();
        self.push(text, true)
    }

    /// Returns the additions to the text of a whole reply.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Text<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| Text::Plain(&self.text[start..*end]))
    }
}

impl Call {
    /// Checks that other arguments at its end are the same JSON as those that were said.
    ///
    /// # Errors
    /// They are another value.
    pub(super) fn check_same(&self, arguments: Text<'_>) -> Result<(), Error> {
        check_same(self.kind, self.said.as_text(), arguments)
    }

    /// Returns whether this is a function that has been called without arguments.
    pub(super) fn is_bare(&self) -> bool {
        self.kind == CallKind::Function
            && matches!(self.stage, CallStage::Ended | CallStage::Done)
            && is_blank(self.said.as_text())
    }

    fn is_cut(&self) -> bool {
        match self.stage {
            CallStage::Unnamed { .. } | CallStage::Open | CallStage::Late => true,
            CallStage::Ended => self.kind == CallKind::Function && !is_json(self.said.as_str()),
            CallStage::Done => false,
        }
    }
}

impl ChatItem {
    fn new(kind: ItemKind) -> Self {
        let state = match kind {
            ItemKind::Call(kind) => ItemState::Call(Call {
                kind,
                stage: CallStage::Unnamed { missed: false },
                id: String::new(),
                name: String::new(),
                index: 0,
                said: Said::default(),
            }),
            ItemKind::Image => ItemState::Image { shown: None, image: None },
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Other => {
                ItemState::Texts { phase: MessagePhase::Answer, texts: BTreeMap::new() }
            }
        };
        Self { id: String::new(), kind, state, is_revised: false }
    }

    fn is_unnamed(&self) -> bool {
        matches!(&self.state, ItemState::Call(Call { stage: CallStage::Unnamed { .. }, .. }))
    }

    fn identity(&self) -> KnownItem<'_> {
        let call = match &self.state {
            ItemState::Call(call) => call_key(&call.id, &call.name),
            ItemState::Texts { .. } | ItemState::Image { .. } => String::new(),
        };
        KnownItem::new((&*self.id).into(), call, self.kind.as_str().into())
    }

    /// Returns what the item says. That of a text with another end is not known: its end is not stored.
    fn saying(&self) -> String {
        match &self.state {
            ItemState::Texts { .. } if self.is_revised => String::new(),
            ItemState::Texts { texts, .. } => {
                saying_of_texts(texts.iter().map(|((text_kind, part), text)| (*text_kind, *part, text.said.as_text())))
            }
            ItemState::Call(_) => String::new(),
            ItemState::Image { shown, .. } => shown.clone().unwrap_or_default(),
        }
    }
}
