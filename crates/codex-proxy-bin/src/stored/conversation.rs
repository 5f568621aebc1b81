//! Completes the conversation of a request that refers to stored responses.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::responses::{ItemForm, ItemHead, completes, is_same_item};
use codex_translate::{BodyOrigin, Error, ErrorKind, ItemOrigin, Sender};
use serde_json::value::{RawValue, to_raw_value};

use super::items::{Item, is_reasoning, items};
use super::response::StoredResponse;
use super::store::Stored;

/// A request whose conversation is complete.
#[derive(Debug)]
pub(crate) struct ExpandedRequest {
    /// The body, without `previous_response_id` and with the items instead of references to them.
    pub(crate) body: Bytes,
    /// Where the items of its input come from; `None` if they are as they were sent.
    pub(crate) origins: Option<Vec<ItemOrigin>>,
    /// Whether the conversation before it had some of its items.
    pub(super) has_repeats: bool,
    /// The same without the conversation before it: what is stored with the response.
    pub(crate) own: Bytes,
    /// The response that it continues.
    pub(crate) previous: Option<Arc<StoredResponse>>,
}

impl ExpandedRequest {
    /// Returns a request that is complete as it was sent.
    pub(crate) fn unchanged(body: Bytes) -> Self {
        Self { own: body.clone(), body, origins: None, has_repeats: false, previous: None }
    }

    /// Returns where its body comes from.
    pub(crate) fn origin(&self, sender: Sender) -> BodyOrigin<'_> {
        BodyOrigin { sender, items: self.origins.as_deref(), has_repeats: self.has_repeats }
    }
}

/// The items of a request's input, complete.
#[derive(Debug)]
pub(crate) struct CompletedItems<'a> {
    pub(crate) items: Vec<Item<'a>>,
    /// Whether items were left out that the conversation before them has.
    pub(crate) has_repeats: bool,
}

/// The conversation that a request continues.
#[derive(Debug)]
pub(crate) struct Continued {
    /// The id of its last response.
    id: String,
    /// That response, if it is stored.
    pub(crate) response: Option<Arc<StoredResponse>>,
    pub(crate) items: Vec<Box<RawValue>>,
}

impl Stored {
    /// Completes a request: adds the conversation up to the end of the response that it continues, and replaces
    /// references with the items. A reference to an item that is not stored stays; most requests refer to nothing, and
    /// are not changed.
    ///
    /// # Errors
    /// The response that it continues is not stored, or an item that it refers to in addition: the client has to send
    /// the whole conversation. Or the whole is larger than `limit_bytes`.
    pub(crate) fn expand(&self, caller: &str, body: &Bytes, limit_bytes: usize) -> Result<ExpandedRequest, Error> {
        let as_it_is = || ExpandedRequest::unchanged(body.clone());
        if !self.may_complete(body) {
            return Ok(as_it_is());
        }
        // Errors in the body are reported by the endpoint that parses it.
        let Ok(mut members) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(body) else {
            return Ok(as_it_is());
        };
        let previous: Option<String> = members
            .remove("previous_response_id")
            .filter(|id| id.get() != "null")
            .map(|id| serde_json::from_str(id.get()))
            .transpose()
            .map_err(|_| Error::invalid("previous_response_id", "`previous_response_id` must be a string"))?;
        let continued = previous.map(|id| self.continued(caller, id, limit_bytes)).transpose()?;
        let new = match members.remove("input").filter(|input| input.get() != "null").map(items) {
            None => Vec::new(),
            Some(Ok(new)) => new,
            Some(Err(_)) => return Ok(as_it_is()),
        };
        let completed = self.completed(caller, continued.as_ref(), &new, limit_bytes)?;
        if continued.is_none() && completed.is_none() {
            return Ok(as_it_is());
        }
        let CompletedItems { items: own, has_repeats } = completed.unwrap_or_else(|| CompletedItems::unchanged(new));
        let before = continued.iter().flat_map(|continued| &continued.items).map(|item| (&**item, ItemOrigin::Stored));
        let whole = before.chain(own.iter().map(|item| (&*item.json, item.origin)));
        let (whole, origins): (Vec<_>, Vec<_>) = whole.unzip();
        let (whole, own) = (to_raw_value(&whole).map_err(unwritable)?, own_body(&own)?);
        members.insert(Cow::Borrowed("input"), &whole);
        let body = serde_json::to_vec(&members).map_err(unwritable)?.into();
        Ok(ExpandedRequest {
            body,
            origins: Some(origins),
            has_repeats,
            own,
            previous: continued.and_then(|continued| continued.response),
        })
    }

    /// Returns the conversation up to the end of the response `id`.
    ///
    /// # Errors
    /// That response is not stored, or all of it is larger than `limit_bytes`.
    pub(crate) fn continued(&self, caller: &str, id: String, limit_bytes: usize) -> Result<Continued, Error> {
        let response = self.get(caller, &id).ok_or_else(|| not_found(&id))?;
        let mut bytes = 0;
        let mut items = Vec::new();
        for item in response.conversation() {
            bytes += item.len();
            check_size(bytes, limit_bytes)?;
            items.push(RawValue::from_string(item.to_owned()).map_err(unwritable)?);
        }
        Ok(Continued { id, response: Some(response), items })
    }

    /// Returns the items of a request's input, complete: references are replaced with the items, items that the
    /// conversation before it has are left out, and reasoning gets its encrypted form back. `None` if nothing changes.
    ///
    /// # Errors
    /// A request that continues a response refers to an item that is not stored. Or all of it is larger than
    /// `limit_bytes`.
    pub(crate) fn completed<'a>(
        &self,
        caller: &str,
        continued: Option<&Continued>,
        new: &[Item<'a>],
        limit_bytes: usize,
    ) -> Result<Option<CompletedItems<'a>>, Error> {
        let heads: Vec<_> = new.iter().map(|item| ItemHead::read(item.json.get())).collect();
        if !self.is_in_use() || heads.iter().all(|head| head.id.is_none()) {
            return Ok(None);
        }
        let known = continued.map(Continued::known).unwrap_or_default();
        let given = heads.iter().filter(|head| head.form != ItemForm::Reference);
        let mut seen: HashSet<_> = given.filter_map(|head| head.id.as_deref()).collect();
        let mut bytes = continued.map_or(0, |continued| continued.items.iter().map(|item| item.get().len()).sum());
        let (mut completed, mut is_changed, mut has_repeats) = (Vec::new(), false, false);
        for (item, head) in new.iter().zip(&heads) {
            let Some(id) = head.id.as_deref() else {
                completed.push(item.clone());
                continue;
            };
            let is_there = match (known.get(id), head.form) {
                (Some(known), ItemForm::Whole) => {
                    let is_same = is_same_item(known, item.json.get());
                    // A client can give several items the same id.
                    let is_there = is_same || head.is_of_tool;
                    // A client may mean the same again.
                    has_repeats |= is_there && is_same == head.is_of_client;
                    is_there
                }
                (Some(known), ItemForm::Partial | ItemForm::Reference) => completes(item.json.get(), known),
                (None, form) => form == ItemForm::Reference && !seen.insert(id),
            };
            if is_there {
                is_changed = true;
                continue;
            }
            let found = if head.form == ItemForm::Whole { None } else { self.item(caller, id) };
            let found = found.filter(|found| completes(item.json.get(), found.get()));
            match (found, continued) {
                (Some(found), _) => {
                    is_changed = true;
                    let origin = match item.origin {
                        ItemOrigin::Sent(index) => ItemOrigin::Referred(index),
                        other @ (ItemOrigin::Text | ItemOrigin::Referred(_) | ItemOrigin::Stored) => other,
                    };
                    completed.push(Item { json: Cow::Owned(found), origin });
                }
                (None, Some(continued)) if head.form == ItemForm::Reference => {
                    return Err(item_not_found(&continued.id, id));
                }
                (None, _) => completed.push(item.clone()),
            }
            bytes += completed.last().map_or(0, |item| item.json.get().len());
            check_size(bytes, limit_bytes)?;
        }
        if completed.is_empty() && heads.iter().all(|head| head.form == ItemForm::Whole) {
            // Without any of it, nothing would be asked.
            return Ok(None);
        }
        Ok(is_changed.then_some(CompletedItems { items: completed, has_repeats }))
    }

    /// Returns whether a request may grow by what is stored; the words can also appear in what the user says.
    pub(crate) fn may_complete(&self, body: &[u8]) -> bool {
        self.is_in_use()
            && ["\"previous_response_id\"", "\"id\""]
                .iter()
                .any(|word| memchr::memmem::find(body, word.as_bytes()).is_some())
    }
}

impl StoredResponse {
    /// Returns the items of the conversation up to the end of the response. Reasoning that the backend could not read
    /// is left out: it would refuse every further turn at first.
    fn conversation(&self) -> impl Iterator<Item = &str> {
        let chain = self.chain();
        let refused = chain.iter().rposition(|link| link.is_reasoning_refused);
        chain.into_iter().enumerate().flat_map(move |(place, link)| {
            let (input, output) = (refused >= Some(place), refused > Some(place));
            let input = link.input.iter().map(move |item| (item, input));
            let items = input.chain(link.output.iter().map(move |item| (item, output)));
            items.filter(|(item, is_refused)| !(*is_refused && is_reasoning(item))).map(|(item, _)| item)
        })
    }

    /// Returns the input of the response, with the ids of its items: the conversation before it, and its own. An id
    /// that occurs again has its place added, because pages of the items begin after an id.
    pub(crate) fn whole_input(&self) -> Vec<(String, &str)> {
        let mut items = Vec::new();
        for link in self.chain() {
            let input = link.input.iter().enumerate();
            items.extend(input.map(|(at, item)| (link.input_id(at, &ItemHead::read(item)), item)));
            if !std::ptr::eq(link, self) {
                let id = |item| ItemHead::read(item).id.map(Cow::into_owned).unwrap_or_default();
                items.extend(link.output.iter().map(|item| (id(item), item)));
            }
        }
        let mut seen = HashSet::new();
        for (at, (id, _)) in items.iter_mut().enumerate() {
            if !seen.insert(id.clone()) {
                *id = format!("{id}_{at}");
            }
        }
        items
    }
}

impl<'a> CompletedItems<'a> {
    /// Returns items that are complete as they were sent.
    pub(crate) fn unchanged(items: Vec<Item<'a>>) -> Self {
        Self { items, has_repeats: false }
    }
}

impl Continued {
    /// Makes the conversation of a response that is not stored.
    pub(crate) fn of_items(id: String, items: Vec<Box<RawValue>>) -> Self {
        Self { id, response: None, items }
    }

    /// Returns the items by their ids.
    fn known(&self) -> HashMap<Cow<'_, str>, &str> {
        let own = |item| Some((ItemHead::read(item).id?, item));
        let Some(response) = &self.response else {
            return self.items.iter().filter_map(|item| own(item.get())).collect();
        };
        // Not those of the conversation, from which reasoning may have been left out.
        let mut known = HashMap::new();
        for link in response.chain() {
            let input = link.input.iter().enumerate();
            known.extend(input.map(|(at, item)| (Cow::Owned(link.input_id(at, &ItemHead::read(item))), item)));
            known.extend(link.output.iter().filter_map(own));
        }
        known
    }
}

/// Returns the body to store of a request with these items of its own.
///
/// # Errors
/// It cannot be written.
pub(crate) fn own_body(items: &[Item<'_>]) -> Result<Bytes, Error> {
    let items: Vec<_> = items.iter().map(|item| &item.json).collect();
    serde_json::to_vec(&BTreeMap::from([("input", items)])).map(Bytes::from).map_err(unwritable)
}

/// Checks the size of a completed request: the limit is that of a request that is sent whole.
fn check_size(bytes: usize, limit_bytes: usize) -> Result<(), Error> {
    if bytes <= limit_bytes {
        return Ok(());
    }
    let message = format!("the conversation is larger than {} MiB; continue a shorter one", limit_bytes >> 20);
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// Returns the error for a response that is not stored, in OpenAI's words.
pub(crate) fn not_found(id: &str) -> Error {
    let message = format!("Previous response with id '{id}' not found.");
    Error::invalid("previous_response_id", message).with_code("previous_response_not_found")
}

/// Returns the error for an item that a request refers to in addition to the response that it continues. It is the one
/// upon which clients send the whole conversation.
fn item_not_found(response: &str, item: &str) -> Error {
    let message = format!("Previous response with id '{response}' not found with the item '{item}'.");
    Error::invalid("previous_response_id", message).with_code("previous_response_not_found")
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot write the request: {error}"))
}
