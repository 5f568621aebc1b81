//! Matches the items in the output of a terminal event with those of earlier events.
//!
//! The output of `response.completed` may be complete, partial or empty (docs/backend.md §3.3), and an item's position
//! in it need not be its `output_index`. Items are matched by id; an item without an id is the next of its kind.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::responses::{ItemKind, OutputItem};

/// How an item is identified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownItem<'a> {
    /// Empty if it has none.
    pub(crate) id: &'a str,
    pub(crate) kind: ItemKind,
}

/// Returns the index of each item of `output`; `known` are the items of earlier events, by ascending index.
///
/// # Errors
/// No index is left for an unknown item.
pub(crate) fn match_items<'a>(
    known: impl Iterator<Item = (u64, KnownItem<'a>)>,
    output: &[OutputItem<'_>],
) -> Result<Vec<u64>, Error> {
    let (indexes, known): (Vec<u64>, Vec<KnownItem<'_>>) = known.unzip();
    let output: Vec<_> = output.iter().map(|item| KnownItem { id: &item.id, kind: item.kind() }).collect();
    let mut next = indexes.last().map_or(Some(0), |last| last.checked_add(1));
    let index = |at: Option<usize>| match at {
        Some(at) => Ok(indexes[at]),
        None => {
            let index = next.ok_or_else(|| Error::protocol("an index of the reply is too large"))?;
            next = index.checked_add(1);
            Ok(index)
        }
    };
    align(&known, &output).into_iter().map(index).collect()
}

/// Returns the position in `known` of each item of `output`, or `None` for one that no event has mentioned. No position
/// occurs twice.
fn align(known: &[KnownItem<'_>], output: &[KnownItem<'_>]) -> Vec<Option<usize>> {
    let ids: BTreeMap<&str, usize> =
        (0..).zip(known).filter(|(_, item)| !item.id.is_empty()).map(|(at, item)| (item.id, at)).collect();
    let mut taken = vec![false; known.len()];
    let mut take = |at: &usize| !std::mem::replace(&mut taken[*at], true);
    let mut aligned: Vec<Option<usize>> =
        output.iter().map(|item| ids.get(item.id).copied().filter(|at| take(at))).collect();

    // The rest is matched by kind, if one of the two has no id: two different ids are two items.
    let mut free: BTreeMap<(ItemKind, bool), Vec<usize>> = BTreeMap::new();
    for (at, item) in known.iter().enumerate().rev().filter(|(at, _)| !taken[*at]) {
        free.entry((item.kind, item.id.is_empty())).or_default().push(at);
    }
    for (item, place) in output.iter().zip(&mut aligned).filter(|(_, place)| place.is_none()) {
        *place = free.get_mut(&(item.kind, true)).and_then(Vec::pop);
        if place.is_none() && item.id.is_empty() {
            *place = free.get_mut(&(item.kind, false)).and_then(Vec::pop);
        }
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items written as `kind` or `kind id`.
    fn items<'a>(words: &'a [&str]) -> Vec<KnownItem<'a>> {
        let item = |word: &&'a str| {
            let (kind, id) = word.split_once(' ').unwrap_or((word, ""));
            let kind = if kind == "msg" { ItemKind::Message } else { ItemKind::Reasoning };
            KnownItem { id, kind }
        };
        words.iter().map(item).collect()
    }

    #[track_caller]
    fn check(known: &[&str], output: &[&str], expected: &[Option<usize>]) {
        assert_eq!(align(&items(known), &items(output)), expected);
    }

    #[test]
    fn an_id_decides() {
        check(&["rs a", "msg b", "msg c"], &["msg c"], &[Some(2)]);
        check(&["rs a", "msg b"], &["rs a", "msg b"], &[Some(0), Some(1)]);
        check(&["msg b"], &["rs a", "msg b", "msg c"], &[None, Some(0), None]);
        check(&["msg b"], &["msg b", "msg b"], &[Some(0), None]);
        check(&[], &["msg b"], &[None]);
    }

    #[test]
    fn without_an_id_the_kind_decides() {
        check(&["rs", "msg", "msg"], &["msg", "rs", "msg", "msg"], &[Some(1), Some(0), Some(2), None]);
        check(&["msg", "msg c"], &["msg b", "msg c"], &[Some(0), Some(1)]);
        check(&["msg b", "msg c"], &["msg", "msg b"], &[Some(1), Some(0)]);
        check(&["msg b"], &["msg c"], &[None]);
    }
}
