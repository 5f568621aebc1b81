//! Which items are the same, whatever they are called.
//!
//! The output of `response.completed` may be complete, partial or empty (docs/backend.md §3.3), and an item's position
//! in it need not be its `output_index`. A gateway may give an item a new id, or say it again at another index.
//!
//! * A call is its `call_id`, which the client answers, with its name: the same tool with the same `call_id` is the
//!   same call.
//! * Other items are matched by id.
//! * What is left in the last event is matched by what it says, or by what of it was said.
//! * What says nothing, or has no id, is the next item of its type.
//!
//! What is left then is new: two calls with different `call_id`s, and two texts with different ids, stay two.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::bounds::MAX_OUTPUT_ITEMS;
use crate::error::Error;
use crate::json::Text;
use crate::responses::{ItemBody, OutputItem, TextKind};

/// How an item is identified. What it does not have is empty.
#[derive(Clone, Debug)]
pub(crate) struct KnownItem<'a> {
    pub(crate) id: Cow<'a, str>,
    /// What identifies a call, as [`call_key`] returns it.
    pub(crate) call: String,
    pub(crate) type_name: Cow<'a, str>,
    /// What it says, if that has to be known.
    saying: String,
}

/// The indexes of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallIndexes {
    /// By [`call_key`].
    first: BTreeMap<String, u64>,
    /// The first index of a call that is said again at another.
    repeats: BTreeMap<u64, u64>,
}

impl CallIndexes {
    /// Returns the index at which the item that an event has at `index` is known. `is_taken`: another event has said
    /// which item that index has.
    ///
    /// # Errors
    /// There are too many calls.
    pub(crate) fn index_of(&mut self, index: u64, item: &OutputItem<'_>, is_taken: bool) -> Result<u64, Error> {
        let index = self.first_of(index);
        let ItemBody::Call { call_id: Some(call_id), name: Some(name), .. } = &item.body else { return Ok(index) };
        if is_taken {
            return Ok(index);
        }
        if self.repeats.len() >= MAX_OUTPUT_ITEMS {
            return Err(too_many_items());
        }
        let first = *self.first.entry(call_key(call_id, name)).or_insert(index);
        if first != index {
            self.repeats.insert(index, first);
        }
        Ok(first)
    }

    /// Returns the first index of the call at `index`.
    pub(crate) fn first_of(&self, index: u64) -> u64 {
        self.repeats.get(&index).copied().unwrap_or(index)
    }

    /// Returns whether a call that has another index is said again at this one.
    pub(crate) fn is_repeat(&self, index: u64) -> bool {
        self.repeats.contains_key(&index)
    }
}

/// Returns the index of each item of `output`; `known` are the items of earlier events, by ascending index. `saying`
/// returns what the item at an index says, as [`saying_of`] does.
///
/// # Errors
/// No index is left for an unknown item, or `saying` fails.
pub(crate) fn match_items<'a>(
    known: impl Iterator<Item = (u64, KnownItem<'a>)>,
    saying: impl Fn(u64) -> Result<String, Error>,
    output: &[OutputItem<'_>],
) -> Result<Vec<u64>, Error> {
    let (indexes, mut known): (Vec<u64>, Vec<KnownItem<'_>>) = known.unzip();
    let mut items: Vec<_> = output.iter().map(KnownItem::of).collect();
    let mut aligned = align_by_id(&known, &items);
    if aligned.contains(&None) {
        for (item, index) in known.iter_mut().zip(&indexes) {
            item.saying = saying(*index)?;
        }
        for (item, body) in items.iter_mut().zip(output) {
            item.saying = saying_of(body);
        }
        align_the_rest(&known, &items, &mut aligned);
    }
    let mut next = indexes.last().map_or(Some(0), |last| last.checked_add(1));
    let index = |at: Option<usize>| match at {
        Some(at) => Ok(indexes[at]),
        None => {
            let index = next.ok_or_else(|| Error::protocol("an index of the reply is too large"))?;
            next = index.checked_add(1);
            Ok(index)
        }
    };
    aligned.into_iter().map(index).collect()
}

/// Returns what an item says: its texts, or its image. It is empty for other items.
pub(crate) fn saying_of(item: &OutputItem<'_>) -> String {
    match &item.body {
        ItemBody::Image { result: Some(result), .. } => saying_of_image(*result),
        ItemBody::Message { .. }
        | ItemBody::Reasoning { .. }
        | ItemBody::Call { .. }
        | ItemBody::Image { result: None, .. }
        | ItemBody::WebSearch { .. }
        | ItemBody::Other(_) => saying_of_texts(item.texts()),
    }
}

/// Returns what stands for an image: it can be large, and a stream does not keep it.
pub(crate) fn saying_of_image(base64: Text<'_>) -> String {
    let base64 = base64.decode();
    let mut hasher = DefaultHasher::new();
    base64.hash(&mut hasher);
    format!("{} {}", base64.len(), hasher.finish())
}

/// Returns what an item with these texts says.
pub(crate) fn saying_of_texts<'a>(texts: impl IntoIterator<Item = (TextKind, u64, Text<'a>)>) -> String {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by_key(|(text_kind, part, _)| (*text_kind, *part));
    let mut saying = String::new();
    texts.into_iter().for_each(|(_, _, text)| text.push_to(&mut saying));
    saying
}

/// Returns what identifies a call: its `call_id` and its tool. It is empty for an item that has no `call_id`.
pub(crate) fn call_key(call_id: &str, name: &str) -> String {
    if call_id.is_empty() { String::new() } else { format!("{name} {call_id}") }
}

/// Makes the error for a reply with too many items.
pub(crate) fn too_many_items() -> Error {
    Error::protocol(format!("the reply has more than {MAX_OUTPUT_ITEMS} output items"))
}

impl<'a> KnownItem<'a> {
    pub(crate) fn new(id: Cow<'a, str>, call: String, type_name: Cow<'a, str>) -> Self {
        Self { id, call, type_name, saying: String::new() }
    }

    fn of(item: &'a OutputItem<'_>) -> Self {
        let call = if let ItemBody::Call { call_id: Some(call_id), name, .. } = &item.body {
            call_key(call_id, name.as_deref().unwrap_or_default())
        } else {
            String::new()
        };
        Self::new((&*item.id).into(), call, item.type_name().into())
    }

    fn call(&self) -> Option<&str> {
        given(&self.call)
    }

    fn id(&self) -> Option<&str> {
        given(&self.id)
    }

    fn saying(&self) -> Option<&str> {
        given(&self.saying)
    }

    fn type_name(&self) -> Option<&str> {
        given(&self.type_name)
    }

    /// Returns the type of an item that nothing else identifies.
    fn type_alone(&self) -> Option<&str> {
        self.type_name().filter(|_| self.call.is_empty() && (self.id.is_empty() || self.saying.is_empty()))
    }
}

/// Returns the position in `known` of each item of `output` that says which one it is. No position occurs twice.
fn align_by_id(known: &[KnownItem<'_>], output: &[KnownItem<'_>]) -> Vec<Option<usize>> {
    let mut aligned = vec![None; output.len()];
    align_by(known, output, &mut aligned, KnownItem::call, KnownItem::call);
    align_by(known, output, &mut aligned, KnownItem::id, KnownItem::id);
    aligned
}

/// Adds the position of each other item of `output`; `None` is left for one that no event has mentioned.
fn align_the_rest(known: &[KnownItem<'_>], output: &[KnownItem<'_>], aligned: &mut [Option<usize>]) {
    align_by(known, output, aligned, KnownItem::saying, KnownItem::saying);
    align_continued(known, output, aligned);
    align_by(known, output, aligned, KnownItem::type_alone, KnownItem::type_name);
    align_by(known, output, aligned, KnownItem::type_name, KnownItem::type_alone);
}

/// A word by which an item is matched, if it has it.
type Key<'a> = for<'i> fn(&'i KnownItem<'a>) -> Option<&'i str>;

/// Matches items that have the same key, in their order, and were not matched before.
fn align_by<'k, 'o>(
    known: &[KnownItem<'k>],
    output: &[KnownItem<'o>],
    aligned: &mut [Option<usize>],
    known_key: Key<'k>,
    output_key: Key<'o>,
) {
    let mut taken = vec![false; known.len()];
    aligned.iter().flatten().for_each(|at| taken[*at] = true);
    let mut free: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, item) in known.iter().enumerate().rev().filter(|(at, _)| !taken[*at]) {
        if let Some(key) = known_key(item) {
            free.entry(key).or_default().push(at);
        }
    }
    for (item, place) in output.iter().zip(aligned).filter(|(_, place)| place.is_none()) {
        *place = output_key(item).and_then(|key| free.get_mut(key)).and_then(Vec::pop);
    }
}

/// Matches the next item of a type with one that continues what it said: some of its text did not arrive before.
fn align_continued(known: &[KnownItem<'_>], output: &[KnownItem<'_>], aligned: &mut [Option<usize>]) {
    let taken: BTreeSet<usize> = aligned.iter().flatten().copied().collect();
    let mut free: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (at, item) in known.iter().enumerate().filter(|(at, item)| !taken.contains(at) && !item.saying.is_empty()) {
        free.entry(&item.type_name).or_default().push_back(at);
    }
    for (item, place) in output.iter().zip(aligned).filter(|(_, place)| place.is_none()) {
        let Some(next) = free.get_mut(&*item.type_name) else { continue };
        if next.front().is_some_and(|at| item.saying.starts_with(&known[*at].saying)) {
            *place = next.pop_front();
        }
    }
}

fn given(word: &str) -> Option<&str> {
    Some(word).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items written as `type id call saying`, with `-` for what they do not have, unless it is at the end.
    fn items<'a>(words: &'a [&str]) -> Vec<KnownItem<'a>> {
        let item = |item: &&'a str| {
            let mut words = item.split(' ');
            let mut next = || Cow::Borrowed(words.next().filter(|word| *word != "-").unwrap_or_default());
            let (type_name, id, call) = (next(), next(), next().into_owned());
            KnownItem { saying: next().into_owned(), ..KnownItem::new(id, call, type_name) }
        };
        words.iter().map(item).collect()
    }

    #[track_caller]
    fn check(known: &[&str], output: &[&str], expected: &[Option<usize>]) {
        let (known, output) = (items(known), items(output));
        let mut aligned = align_by_id(&known, &output);
        align_the_rest(&known, &output, &mut aligned);
        assert_eq!(aligned, expected);
    }

    #[test]
    fn an_id_decides() {
        check(&["rs a", "msg b", "msg c"], &["msg c"], &[Some(2)]);
        check(&["rs a", "msg b"], &["rs a", "msg b"], &[Some(0), Some(1)]);
        check(&["msg b"], &["rs a", "msg b", "msg c"], &[None, Some(0), None]);
        check(&["msg b"], &["msg b", "msg b"], &[Some(0), None]);
        check(&["msg b", "msg b"], &["msg b", "msg b"], &[Some(0), Some(1)]);
        check(&[], &["msg b"], &[None]);
    }

    #[test]
    fn without_a_known_id_the_type_decides() {
        check(&["rs", "msg", "msg"], &["msg", "rs", "msg", "msg"], &[Some(1), Some(0), Some(2), None]);
        check(&["msg", "msg c"], &["msg b", "msg c"], &[Some(0), Some(1)]);
        check(&["msg b", "msg c"], &["msg", "msg b"], &[Some(1), Some(0)]);
        check(&["rs a", "msg b", "msg c"], &["rs x", "msg y", "msg z"], &[Some(0), Some(1), Some(2)]);
        check(&["ws a"], &["cmp x", "ws y"], &[None, Some(0)]);
    }

    #[test]
    fn what_is_said_decides_where_the_ids_do_not() {
        check(&["msg a - A", "msg b - B"], &["msg x - B", "msg y - A"], &[Some(1), Some(0)]);
        check(&["msg a - A", "msg b - B"], &["msg - - B"], &[Some(1)]);
        check(&["msg a - A"], &["msg x - B"], &[None]);
        check(&["msg a - A"], &["msg x - A", "msg y - A"], &[Some(0), None]);
        check(&["msg a"], &["msg x - A"], &[Some(0)]);
        check(&["msg - - A"], &["msg x - AB"], &[Some(0)]);
        check(&["image a - A"], &["image x - B"], &[None]);
    }

    #[test]
    fn a_call_is_its_call_id() {
        check(&["call a 1", "call b 2"], &["call x 2", "call y 1"], &[Some(1), Some(0)]);
        check(&["call a 1", "call b 2"], &["call b 1", "call a 2"], &[Some(0), Some(1)]);
        check(&["call a 1"], &["call x 2"], &[None]);
        check(&["call a", "call b 2"], &["call x 1", "call x 2"], &[Some(0), Some(1)]);
        check(&["call a 1"], &["call x"], &[Some(0)]);
    }
}
