//! The output of a reply, as far as it has come.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::responses::{CallKind, Channel, word};
use crate::splice::{Edits, members};
use crate::text::Text;
use crate::to_chat::{MAX_ITEM_PARTS, MAX_OUTPUT_ITEMS};

/// The largest output that is kept to be put together at the end: a few of the largest images.
pub const MAX_OUTPUT_BYTES: usize = 128 * 1024 * 1024;

/// The items of a reply. Their places are without gaps, whatever upstream's indexes are.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    items: Vec<Item>,
    /// Upstream's index to the place in `items`.
    places: BTreeMap<u64, usize>,
    bytes: usize,
}

/// One item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// The item as it was last written, under the caller's names.
    json: String,
    pub(super) stage: Stage,
    pub(super) parts: Vec<Part>,
    /// What a tool is called with, as far as it has come.
    pub(super) payload: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call(CallKind),
    Other,
}

/// How far an item, a part or a payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Open,
    /// The whole text was said; the part around it is still open.
    TextDone,
    Done,
}

/// One text of an item.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) channel: Channel,
    pub(super) index: u64,
    pub(super) stage: Stage,
    pub(super) text: Body,
}

/// A text as it stands between the quotes of a JSON string.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    escaped: Vec<u8>,
    /// The length of the text itself.
    pub(super) bytes: usize,
    pub(super) stage: Stage,
}

impl Output {
    /// The place of the item that upstream has at `index`, if it is known.
    pub(super) fn place(&self, index: u64) -> Option<usize> {
        self.places.get(&index).copied()
    }

    /// Adds the item that upstream has at `index`; one that is known is left as it is.
    ///
    /// # Errors
    /// There are too many items, or the JSON is no item.
    pub(super) fn add(&mut self, index: u64, json: String) -> Result<usize, Error> {
        let place = self.items.len();
        match self.places.entry(index) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(_) if place >= MAX_OUTPUT_ITEMS => {
                Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_ITEMS} output items")))
            }
            Entry::Vacant(new) => {
                let item = Item::new(json)?;
                self.bytes += item.json.len();
                new.insert(place);
                self.items.push(item);
                Ok(place)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn item(&mut self, place: usize) -> &mut Item {
        &mut self.items[place]
    }

    /// Adds a part to the item at `place`; false if it was there.
    ///
    /// # Errors
    /// The item has too many parts.
    pub(super) fn add_part(&mut self, place: usize, channel: Channel, index: u64) -> Result<bool, Error> {
        let item = &mut self.items[place];
        if item.part(channel, index).is_some() {
            return Ok(false);
        }
        if item.parts.len() >= MAX_ITEM_PARTS {
            return Err(Error::protocol(format!("an item of the reply has more than {MAX_ITEM_PARTS} texts")));
        }
        item.parts.push(Part { channel, index, stage: Stage::Open, text: Body::default() });
        Ok(true)
    }

    /// Adds to the text of a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn say(&mut self, place: usize, channel: Channel, index: u64, text: Text<'_>) -> Result<(), Error> {
        let added = self.items[place].part(channel, index).map_or(0, |part| part.text.push(text));
        self.grow(added)
    }

    /// Adds to what the call at `place` is called with.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn call_with(&mut self, place: usize, text: Text<'_>) -> Result<(), Error> {
        let added = self.items[place].payload.push(text);
        self.grow(added)
    }

    /// Ends the item at `place` as it is in `json`.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn finish(&mut self, place: usize, json: String) -> Result<(), Error> {
        let item = &mut self.items[place];
        let kept = item.parts.iter().map(|part| part.text.escaped.len()).sum::<usize>() + item.payload.escaped.len();
        self.bytes = self.bytes.saturating_sub(kept + item.json.len());
        item.parts.clear();
        item.payload = Body { stage: Stage::Done, ..Body::default() };
        item.stage = Stage::Done;
        item.json = json;
        let added = item.json.len();
        self.grow(added)
    }

    /// The items as a JSON array.
    pub(super) fn to_json(&self) -> String {
        let items: Vec<_> = self.items.iter().map(|item| item.json.as_str()).collect();
        format!("[{}]", items.join(","))
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes <= MAX_OUTPUT_BYTES {
            return Ok(());
        }
        Err(Error::protocol(format!("the reply is larger than {} MiB", MAX_OUTPUT_BYTES >> 20)))
    }
}

impl Item {
    fn new(json: String) -> Result<Self, Error> {
        let [kind, id] = members(&json, ["type", "id"])?;
        let kind = match &*word(kind).unwrap_or_default() {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            other => CallKind::of_item(other).map_or(Kind::Other, Kind::Call),
        };
        let id = word(id).unwrap_or_default().into_owned();
        Ok(Self { id, kind, json, stage: Stage::Open, parts: Vec::new(), payload: Body::default() })
    }

    pub(super) fn part(&mut self, channel: Channel, index: u64) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.channel == channel && part.index == index)
    }

    /// Whether the item is a call of which not everything has come.
    pub(super) fn is_cut_call(&self) -> bool {
        matches!(self.kind, Kind::Call(_)) && self.stage != Stage::Done && self.payload.stage == Stage::Open
    }

    /// The item put together from its deltas, as it is at its end.
    ///
    /// # Errors
    /// A defect of this crate: the item was read before.
    pub(super) fn put_together(&self, status: &str) -> Result<String, Error> {
        let [status_now, content, summary, arguments, input] =
            members(&self.json, ["status", "content", "summary", "arguments", "input"])?;
        let mut edits = Edits::new(&self.json);
        let texts = |channels: &[Channel]| {
            let parts = self.parts.iter().filter(|part| channels.contains(&part.channel));
            format!("[{}]", parts.map(Part::to_json).collect::<Vec<_>>().join(","))
        };
        match self.kind {
            Kind::Message => edits.set("content", content, texts(&[Channel::Text, Channel::Refusal])),
            Kind::Reasoning => edits.set("summary", summary, texts(&[Channel::Summary])),
            Kind::Call(CallKind::Function) => edits.set("arguments", arguments, self.payload.to_json()),
            Kind::Call(CallKind::Custom) => edits.set("input", input, self.payload.to_json()),
            Kind::Other => {}
        }
        // Reasoning has no status (wire.md §3.3).
        if self.kind != Kind::Reasoning {
            edits.set("status", status_now, format!("\"{status}\""));
        }
        Ok(edits.text())
    }
}

impl Part {
    /// The part as it is at its end.
    pub(super) fn to_json(&self) -> String {
        let text = self.text.to_json();
        match self.channel {
            Channel::Text => format!("{{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":{text}}}"),
            Channel::Refusal => format!("{{\"type\":\"refusal\",\"refusal\":{text}}}"),
            Channel::Summary => format!("{{\"type\":\"summary_text\",\"text\":{text}}}"),
            Channel::Reasoning => format!("{{\"type\":\"reasoning_text\",\"text\":{text}}}"),
        }
    }
}

impl Body {
    /// Adds to the text; how many bytes more are kept.
    fn push(&mut self, text: Text<'_>) -> usize {
        let before = self.escaped.len();
        text.write_escaped(&mut self.escaped);
        self.bytes += text.decoded_len();
        self.escaped.len() - before
    }

    /// The text as a JSON string.
    pub(super) fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(self.escaped.len() + 2);
        json.push(b'"');
        json.extend_from_slice(&self.escaped);
        json.push(b'"');
        // Only whole strings were put in.
        String::from_utf8(json).unwrap_or_else(|_| "\"\"".to_owned())
    }
}

/// An item as it is when it begins: without its text, its payload or its result.
///
/// # Errors
/// It is not an object.
pub(super) fn beginning_of(done: &str) -> Result<String, Error> {
    let [kind, status, content, summary, arguments, input, result] =
        members(done, ["type", "status", "content", "summary", "arguments", "input", "result"])?;
    let mut edits = Edits::new(done);
    let mut begin = |key: &str, found: Option<&RawValue>, value: &'static str| {
        if found.is_some() {
            edits.set(key, found, value);
        }
    };
    if word(kind).as_deref() != Some("reasoning") {
        begin("status", status, "\"in_progress\"");
    }
    begin("content", content, "[]");
    begin("summary", summary, "[]");
    begin("arguments", arguments, "\"\"");
    begin("input", input, "\"\"");
    begin("result", result, "null");
    Ok(edits.text())
}

/// The item that a delta belongs to and that upstream has not announced.
pub(super) fn unannounced(channel: Channel, id: Option<&str>, place: usize) -> String {
    let (prefix, rest) = match channel {
        Channel::Text | Channel::Refusal => {
            ("msg", "\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],\"role\":\"assistant\"")
        }
        Channel::Summary | Channel::Reasoning => ("rs", "\"type\":\"reasoning\",\"summary\":[]"),
    };
    let id = id.map_or_else(|| format!("{prefix}_{place}"), str::to_owned);
    format!("{{\"id\":{},{rest}}}", Text::Plain(&id).to_json())
}
