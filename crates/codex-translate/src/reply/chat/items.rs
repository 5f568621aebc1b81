//! What is known of the items of a reply's output while it is read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::bounds::{MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
use crate::error::Error;
use crate::reply::align::{Known, indexes_of};
use crate::responses::{CallKind, ItemBody, ItemKind, MessagePhase, OutputItem, TextKind};

/// The items by their index in the output. None of their texts is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    items: BTreeMap<u64, Item>,
    texts: usize,
}

/// One item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    id: String,
    kind: ItemKind,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Messages, reasoning, and whatever else has a text or nothing that a chat reply shows.
    Texts {
        phase: MessagePhase,
        texts: BTreeMap<(TextKind, u64), Progress>,
    },
    Call(Call),
    Image {
        shown: bool,
    },
}

/// How much of a text has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) bytes: usize,
    pub(super) annotations: usize,
    /// How many characters of the answer stand before this text.
    pub(super) offset: u64,
}

/// How much of a call has come. Nothing is written before its name is known, and a reply with a call that is not `Done` is not
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `missed`: some of what it is called with has come already.
    Unnamed {
        missed: bool,
    },
    Open {
        index: u32,
        bytes: usize,
    },
    /// The name has come after some of what it is called with: only its end says all of it.
    Late {
        index: u32,
    },
    Done {
        index: u32,
        bytes: usize,
    },
}

impl Items {
    /// Takes note of an item as an event has it.
    ///
    /// # Errors
    /// There are too many items.
    pub(super) fn note(&mut self, index: u64, item: &OutputItem<'_>) -> Result<(), Error> {
        let known = known(&mut self.items, index, || Item::new(item.kind()))?;
        if known.id.is_empty() {
            known.id = item.id.clone().into_owned();
        }
        // Newer backends may say only at the end what a message was.
        if let (State::Texts { phase, texts }, ItemBody::Message { phase: said, .. }) = (&mut known.state, &item.body)
            && texts.is_empty()
        {
            *phase = *said;
        }
        Ok(())
    }

    /// Where a text stands, and for whom it is; an item that was not announced is what its text says it is. `offset` is asked
    /// when the text begins.
    ///
    /// # Errors
    /// There is too much of something, or the item can have no text.
    pub(super) fn text(
        &mut self,
        index: u64,
        channel: TextKind,
        part: u64,
        offset: impl FnOnce(MessagePhase) -> u64,
    ) -> Result<(MessagePhase, &mut Progress), Error> {
        let Self { items, texts: count } = self;
        let item = known(items, index, || Item::new(ItemKind::of_text(channel)))?;
        let State::Texts { phase, texts } = &mut item.state else {
            return Err(Error::protocol(format!(
                "output item {index} of the reply has a text although it is no message"
            )));
        };
        match texts.entry((channel, part)) {
            Entry::Occupied(progress) => Ok((*phase, progress.into_mut())),
            Entry::Vacant(place) if *count < MAX_OUTPUT_TEXTS => {
                *count += 1;
                Ok((*phase, place.insert(Progress { offset: offset(*phase), ..Progress::default() })))
            }
            Entry::Vacant(_) => Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_TEXTS} texts"))),
        }
    }

    /// The call at `index`; what was not announced is a call without a name.
    ///
    /// # Errors
    /// There are too many items, or the item is no call.
    pub(super) fn call(&mut self, index: u64) -> Result<&mut Call, Error> {
        match &mut known(&mut self.items, index, || Item::new(ItemKind::Call(CallKind::Function)))?.state {
            State::Call(call) => Ok(call),
            State::Texts { .. } | State::Image { .. } => {
                Err(Error::protocol(format!("output item {index} of the reply is called although it is no tool call")))
            }
        }
    }

    /// Notes that the image at `index` is shown; false if it was before.
    pub(super) fn show_image(&mut self, index: u64) -> bool {
        match self.items.get_mut(&index).map(|item| &mut item.state) {
            Some(State::Image { shown }) => !std::mem::replace(shown, true),
            Some(State::Texts { .. } | State::Call(_)) | None => false,
        }
    }

    /// Whether a call has not come to its end.
    pub(super) fn has_cut_call(&self) -> bool {
        self.items.values().any(|item| matches!(item.state, State::Call(call) if !matches!(call, Call::Done { .. })))
    }

    /// For each item of a terminal event's output its index.
    ///
    /// # Errors
    /// There is no index left for an item that was not known.
    pub(super) fn indexes_of(&self, output: &[OutputItem<'_>]) -> Result<Vec<u64>, Error> {
        let known = self.items.iter().map(|(index, item)| (*index, Known { id: &item.id, kind: item.kind }));
        indexes_of(known, output)
    }
}

/// The item at `index`, which is `new` if it was not known.
fn known(items: &mut BTreeMap<u64, Item>, index: u64, new: impl FnOnce() -> Item) -> Result<&mut Item, Error> {
    let room = items.len() < MAX_OUTPUT_ITEMS;
    match items.entry(index) {
        Entry::Occupied(item) => Ok(item.into_mut()),
        Entry::Vacant(place) if room => Ok(place.insert(new())),
        Entry::Vacant(_) => Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_ITEMS} output items"))),
    }
}

impl Item {
    fn new(kind: ItemKind) -> Self {
        let state = match kind {
            ItemKind::Call(_) => State::Call(Call::Unnamed { missed: false }),
            ItemKind::Image => State::Image { shown: false },
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Other => {
                State::Texts { phase: MessagePhase::Answer, texts: BTreeMap::new() }
            }
        };
        Self { id: String::new(), kind, state }
    }
}
