//! Completes the conversation of a request that refers to stored responses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use codex_translate::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::store::{Stored, StoredResponse};

/// The longest chain of responses, each of which continues the one before; this bounds a cycle.
const MAX_TURNS: usize = 10_000;

/// A request's members, as their original text.
type RequestMembers = BTreeMap<String, Box<RawValue>>;

/// A request whose conversation is complete.
#[derive(Debug)]
pub(crate) struct ExpandedRequest {
    /// The body, without `previous_response_id` and with the items instead of references to them.
    pub(crate) body: Bytes,
    /// The response that it continues.
    pub(crate) previous: Option<String>,
}

/// The members that identify an item.
#[derive(Deserialize)]
struct ItemRef<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// The members of a response that are read.
#[derive(Deserialize)]
struct StoredOutput {
    #[serde(default)]
    output: Vec<Box<RawValue>>,
}

/// The members of a stored request that are read.
#[derive(Deserialize)]
struct StoredInput {
    #[serde(default)]
    previous_response_id: Option<String>,
    #[serde(default)]
    input: Option<Box<RawValue>>,
}

/// A text as the message item that it stands for.
#[derive(Serialize)]
struct UserMessage<'a> {
    r#type: &'static str,
    role: &'static str,
    content: &'a RawValue,
}

impl Stored {
    /// Completes a request: adds the conversation up to the end of the response that it continues, and replaces
    /// references with the items. A reference to an item that is not stored stays; most requests refer to nothing, and
    /// are not changed.
    ///
    /// # Errors
    /// The response that it continues is not stored: the client has to send the whole conversation. Or the whole is
    /// larger than `limit_bytes`.
    pub(crate) fn expand(&self, caller: &str, body: &Bytes, limit_bytes: usize) -> Result<ExpandedRequest, Error> {
        let as_it_is = || ExpandedRequest { body: body.clone(), previous: None };
        if !self.may_complete(body) {
            return Ok(as_it_is());
        }
        // Errors in the body are reported by the endpoint that parses it.
        let Ok(mut members) = serde_json::from_slice::<RequestMembers>(body) else { return Ok(as_it_is()) };
        let previous = members.remove("previous_response_id").filter(|id| id.get() != "null");
        let previous: Option<String> = previous
            .map(|id| serde_json::from_str(id.get()))
            .transpose()
            .map_err(|_| Error::invalid("previous_response_id", "`previous_response_id` must be a string"))?;
        let mut input = match &previous {
            Some(id) => self.conversation(caller, id, limit_bytes)?,
            None => Vec::new(),
        };
        if let Some(new) = members.remove("input").filter(|input| input.get() != "null") {
            let Ok(new) = items(&new) else { return Ok(as_it_is()) };
            input.extend(new);
        }
        let input = self.with_items(caller, input, limit_bytes)?;
        if previous.is_some() || !input.is_empty() {
            members.insert("input".to_owned(), to_raw_value(&input).map_err(unwritable)?);
        }
        Ok(ExpandedRequest { body: serde_json::to_vec(&members).map_err(unwritable)?.into(), previous })
    }

    /// Returns the conversation up to the end of the response `id`.
    ///
    /// # Errors
    /// That response, or one before it, is not stored, or all of it is larger than `limit_bytes`.
    pub(crate) fn conversation(&self, caller: &str, id: &str, limit_bytes: usize) -> Result<Vec<Box<RawValue>>, Error> {
        let mut bytes = 0;
        let mut turns = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            let entry = self.get(caller, &id).filter(|_| turns.len() < MAX_TURNS).ok_or_else(|| not_found(&id))?;
            let (input, previous) = asked(&entry);
            let output = output(&entry);
            bytes += input.iter().chain(&output).map(|item| item.get().len()).sum::<usize>();
            check_size(bytes, limit_bytes)?;
            turns.push((input, output));
            next = previous;
        }
        let items = turns.into_iter().rev().flat_map(|(input, output)| input.into_iter().chain(output)).collect();
        self.with_items(caller, items, limit_bytes)
    }

    /// Returns the input of the response `id`: the conversation before it, and its own input.
    ///
    /// # Errors
    /// A response of the conversation is not stored.
    pub(crate) fn input_of(&self, caller: &str, id: &str) -> Result<Vec<Box<RawValue>>, Error> {
        let entry = self.get(caller, id).ok_or_else(|| not_found(id))?;
        let (input, previous) = asked(&entry);
        // The limit is that of requests.
        let conversation = |id: String| self.conversation(caller, &id, usize::MAX);
        let mut items = previous.map_or_else(|| Ok(Vec::new()), conversation)?;
        items.extend(self.with_items(caller, input, usize::MAX)?);
        Ok(items)
    }

    /// Replaces references to stored items with the items. One item may be referred to many times.
    ///
    /// # Errors
    /// All of them are larger than `limit_bytes`.
    pub(crate) fn with_items(
        &self,
        caller: &str,
        items: Vec<Box<RawValue>>,
        limit_bytes: usize,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        let mut bytes = 0;
        let whole = |item: Box<RawValue>| {
            let item = match reference(&item) {
                Some(id) => self.item(caller, &id).unwrap_or(item),
                None => item,
            };
            bytes += item.get().len();
            check_size(bytes, limit_bytes)?;
            Ok(item)
        };
        items.into_iter().map(whole).collect()
    }

    /// Returns whether a request may grow by what is stored; the words can also appear in what the user says.
    pub(crate) fn may_complete(&self, body: &[u8]) -> bool {
        self.is_in_use()
            && ["\"previous_response_id\"", "\"item_reference\""]
                .iter()
                .any(|word| memchr::memmem::find(body, word.as_bytes()).is_some())
    }

    /// Returns the item `id` of a stored response.
    fn item(&self, caller: &str, id: &str) -> Option<Box<RawValue>> {
        let is_it = |item: &RawValue| {
            serde_json::from_str(item.get()).is_ok_and(|ItemRef { id: found, .. }| found.as_deref() == Some(id))
        };
        self.find(caller, id, |entry| output(entry).into_iter().find(|item| is_it(item)))
    }
}

/// Returns the id of the item that this one refers to.
fn reference(item: &RawValue) -> Option<String> {
    let ItemRef { r#type, id } = serde_json::from_str(item.get()).ok()?;
    (r#type.as_deref() == Some("item_reference")).then_some(id?.into_owned())
}

fn asked(entry: &StoredResponse) -> (Vec<Box<RawValue>>, Option<String>) {
    // It was parsed when it arrived.
    let Ok(StoredInput { previous_response_id, input }) = serde_json::from_slice(&entry.request) else {
        return Default::default();
    };
    (input.and_then(|input| items(&input).ok()).unwrap_or_default(), previous_response_id)
}

fn output(entry: &StoredResponse) -> Vec<Box<RawValue>> {
    serde_json::from_str(&entry.response).map_or_else(|_| Vec::new(), |StoredOutput { output }| output)
}

/// Returns the items of an input; a text is the user's message.
///
/// # Errors
/// The input is neither a text nor a list.
pub(crate) fn items(input: &RawValue) -> Result<Vec<Box<RawValue>>, Error> {
    if input.get().starts_with('"') {
        let message = UserMessage { r#type: "message", role: "user", content: input };
        return to_raw_value(&message).map(|message| vec![message]).map_err(unwritable);
    }
    serde_json::from_str(input.get())
        .map_err(|_| Error::invalid("input", "`input` must be a string or an array of items"))
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
fn not_found(id: &str) -> Error {
    let message = format!("Previous response with id '{id}' not found.");
    Error::invalid("previous_response_id", message).with_code("previous_response_not_found")
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot write the request: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_grows_to_the_limit_of_one_that_is_sent_whole() {
        let stored = Stored::new(1 << 20);
        let item = json!({"id": "item_1", "type": "message", "role": "assistant", "content": "x".repeat(1000)});
        let request = Bytes::from(json!({"model": "m", "input": "y".repeat(1000)}).to_string());
        let response = json!({"id": "resp_1", "output": [item]}).to_string();
        stored.insert("", "resp_1", StoredResponse { request, response });
        let references = vec![json!({"type": "item_reference", "id": "item_1"}); 10];
        for body in
            [json!({"model": "m", "input": references}), json!({"model": "m", "previous_response_id": "resp_1"})]
        {
            let body = Bytes::from(body.to_string());
            assert!(stored.may_complete(&body));
            let error = stored.expand("", &body, 1500).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(stored.expand("", &body, 20_000).unwrap().body.len() > 2000);
        }
    }
}
