//! The items of a reply's output, as far as they are known while it is read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::bounds::{MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
use crate::error::Error;
use crate::reply::match_items::{KnownItem, match_items};
use crate::responses::{CallKind, ItemBody, ItemKind, MessagePhase, OutputItem, TextKind};

/// The items by their index in the output. Their texts are not stored.
#[derive(Clone, Debug, Default)]
pub(super) struct ChatItems {
    items: BTreeMap<u64, ChatItem>,
    texts: usize,
}

/// One item.
#[derive(Clone, Debug)]
pub(super) struct ChatItem {
    id: String,
    kind: ItemKind,
    state: ItemState,
}

#[derive(Clone, Debug)]
enum ItemState {
    /// A message, reasoning, or another item: with texts, or with nothing that a chat reply shows.
    Texts {
        phase: MessagePhase,
        texts: BTreeMap<(TextKind, u64), Progress>,
    },
    Call(Call),
    Image {
        shown: bool,
    },
}

/// How much of a text has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) bytes: usize,
    pub(super) annotations: usize,
    /// How many characters of the answer precede this text.
    pub(super) offset: u64,
}

/// How much of a call has arrived. Nothing is written before its name is known, and a reply with a call that is not
/// `Done` is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `missed`: some of its arguments have arrived.
    Unnamed {
        missed: bool,
    },
    Open {
        index: u32,
        bytes: usize,
    },
    /// The name arrived after some of the arguments: only the last event has all of them.
    Late {
        index: u32,
    },
    Done {
        index: u32,
        bytes: usize,
    },
}

impl ChatItems {
    /// Records an item as an event describes it.
    ///
    /// # Errors
    /// There are too many items.
    pub(super) fn note(&mut self, index: u64, item: &OutputItem<'_>) -> Result<(), Error> {
        let known = known(&mut self.items, index, || ChatItem::new(item.kind()))?;
        if known.id.is_empty() {
            known.id = item.id.clone().into_owned();
        }
        // Newer backends may give the phase of a message only at its end.
        if let (ItemState::Texts { phase, texts }, ItemBody::Message { phase: said, .. }) =
            (&mut known.state, &item.body)
            && texts.is_empty()
        {
            *phase = *said;
        }
        Ok(())
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
        let Self { items, texts: count } = self;
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
        match &mut known(&mut self.items, index, || ChatItem::new(ItemKind::Call(CallKind::Function)))?.state {
            ItemState::Call(call) => Ok(call),
            ItemState::Texts { .. } | ItemState::Image { .. } => Err(Error::protocol(format!(
                "an event for tool-call arguments refers to output item {index}, which is not a tool call"
            ))),
        }
    }

    /// Records that the image at `index` is shown; returns false if it was shown before.
    pub(super) fn show_image(&mut self, index: u64) -> bool {
        match self.items.get_mut(&index).map(|item| &mut item.state) {
            Some(ItemState::Image { shown }) => !std::mem::replace(shown, true),
            Some(ItemState::Texts { .. } | ItemState::Call(_)) | None => false,
        }
    }

    /// Returns whether a call is incomplete.
    pub(super) fn has_cut_call(&self) -> bool {
        self.items
            .values()
            .any(|item| matches!(item.state, ItemState::Call(call) if !matches!(call, Call::Done { .. })))
    }

    /// Returns the index of each item in the output of a terminal event.
    ///
    /// # Errors
    /// No index is left for an unknown item.
    pub(super) fn match_items(&self, output: &[OutputItem<'_>]) -> Result<Vec<u64>, Error> {
        let known = self.items.iter().map(|(index, item)| (*index, KnownItem { id: &item.id, kind: item.kind }));
        match_items(known, output)
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
        Entry::Vacant(_) => Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_ITEMS} output items"))),
    }
}

impl ChatItem {
    fn new(kind: ItemKind) -> Self {
        let state = match kind {
            ItemKind::Call(_) => ItemState::Call(Call::Unnamed { missed: false }),
            ItemKind::Image => ItemState::Image { shown: false },
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Other => {
                ItemState::Texts { phase: MessagePhase::Answer, texts: BTreeMap::new() }
            }
        };
        Self { id: String::new(), kind, state }
    }
}
