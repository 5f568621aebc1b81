//! `GET` and `DELETE /v1/responses/{id}`, `GET …/input_items` and `POST …/cancel`: the stored responses.

use std::borrow::Cow;

use bytes::Bytes;
use codex_translate::params::INCLUDABLE;
use codex_translate::{Error, ErrorKind, EventBuffer, EventSink as _, StoredReply, without_encrypted_reasoning};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::request::context::RequestContext;
use crate::route::StoredQuery;

/// The default number of items in a page of input, and the maximum.
const PAGE: usize = 20;
const LONGEST_PAGE: usize = 100;

/// Answers a query about a stored response of the caller.
///
/// # Errors
/// The request is invalid. A response that is not stored is not an error here, but a reply with 404.
pub(crate) fn stored(
    app: &App,
    context: &RequestContext,
    asked: StoredQuery,
    id: &str,
    head: &Parts,
) -> Result<Response<ReplyBody>, Error> {
    let (stored, caller) = (&app.stored, &*context.caller.id);
    let Some(kept) = stored.get(caller, id) else { return Ok(reply::response_not_found(id)) };
    let query = Query::of(head.uri.query().unwrap_or_default());
    match asked {
        StoredQuery::Response if head.method == Method::DELETE => {
            stored.delete(caller, id);
            Ok(reply::json(StatusCode::OK, &json!({"id": id, "object": "response", "deleted": true})))
        }
        StoredQuery::Response => {
            let encrypted_reasoning = query.includes_encrypted_reasoning()? || kept.encrypted_reasoning;
            let response = StoredReply::new(kept.json());
            match query.stream()? {
                None => {
                    let json = RawValue::from_string(response.to_json(encrypted_reasoning)?);
                    json.map(|json| reply::json(StatusCode::OK, &json)).map_err(unreadable)
                }
                Some(after) => {
                    let events = events(&response, encrypted_reasoning, after)?;
                    Ok(reply::event_stream(Full::new(Bytes::from(events))))
                }
            }
        }
        StoredQuery::InputItems => {
            let encrypted_reasoning = query.includes_encrypted_reasoning()? || kept.encrypted_reasoning;
            let items = kept.whole_input();
            let items = items.into_iter().map(|(id, item)| listed(id, item, encrypted_reasoning));
            query.page(items.collect::<Result<_, _>>()?).map(|page| reply::json(StatusCode::OK, &page))
        }
        StoredQuery::Cancel => {
            Err(Error::invalid("response_id", "the response is complete; only background responses can be cancelled"))
        }
    }
}

/// Returns an item as the API lists it: with its type, an id, and text as a content part.
fn listed(id: String, item: &str, encrypted_reasoning: bool) -> Result<Map<String, Value>, Error> {
    let item = if encrypted_reasoning { item.to_owned() } else { without_encrypted_reasoning(item)? };
    let mut item: Map<String, Value> = serde_json::from_str(&item).map_err(unreadable)?;
    item.entry("type").or_insert_with(|| "message".into());
    item.insert("id".to_owned(), id.into());
    if let Some(text) = item.get("content").and_then(Value::as_str) {
        let kind = if item.get("role").is_some_and(|role| role == "assistant") { "output_text" } else { "input_text" };
        item["content"] = json!([{"type": kind, "text": text}]);
    }
    Ok(item)
}

/// Returns the events of a response, those after the number `after`, as server-sent events.
///
/// # Errors
/// The response has no event with that number (400).
fn events(response: &StoredReply<'_>, encrypted_reasoning: bool, after: Option<usize>) -> Result<Vec<u8>, Error> {
    let mut events = EventBuffer::default();
    response.write_events(encrypted_reasoning, &mut events)?;
    let count = events.iter().count();
    if let Some(after) = after.filter(|after| *after >= count) {
        let message = format!("`starting_after` is {after}, but the last event has the number {}", count - 1);
        return Err(Error::invalid("starting_after", message));
    }
    let mut bytes = Vec::new();
    for event in events.iter().skip(after.map_or(0, |after| after + 1)) {
        bytes.event(&event.kind(), &[event.json()]);
    }
    Ok(bytes)
}

/// The parameters of a query.
struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    fn of(query: &'a str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// Returns the last value of a parameter.
    fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Returns whether the reply is a stream, and the number of the event after which it begins.
    ///
    /// # Errors
    /// A value is invalid, or the number is given without a stream (400).
    fn stream(&self) -> Result<Option<Option<usize>>, Error> {
        let stream = match self.last("stream") {
            None | Some("false" | "0" | "") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(Error::invalid("stream", "`stream` must be `true` or `false`")),
        };
        let after = match self.last("starting_after").filter(|after| !after.is_empty()) {
            None => None,
            Some(_) if !stream => {
                return Err(Error::invalid("starting_after", "`starting_after` is only valid with `stream=true`"));
            }
            Some(after) => Some(after.parse().map_err(|_| {
                Error::invalid("starting_after", "`starting_after` must be the number of an event, 0 or more")
            })?),
        };
        Ok(stream.then_some(after))
    }

    /// Returns whether encrypted reasoning is asked for. The other values change nothing: a reply has what is stored.
    ///
    /// # Errors
    /// A value of `include` is not known (400).
    fn includes_encrypted_reasoning(&self) -> Result<bool, Error> {
        // SDKs write lists as `include[]=`, `include[0]=` or `include=`, and some with commas.
        let is_include = |key: &str| key == "include" || key.starts_with("include[") && key.ends_with(']');
        let values = self.0.iter().filter(|(key, _)| is_include(key)).flat_map(|(_, value)| value.split(','));
        let mut includes = false;
        for value in values.map(str::trim).filter(|value| !value.is_empty()) {
            if !INCLUDABLE.contains(&value) {
                let message = format!("`include` has the unknown value `{value}`; known are {}", INCLUDABLE.join(", "));
                return Err(Error::invalid("include", message));
            }
            includes |= value == "reasoning.encrypted_content";
        }
        Ok(includes)
    }

    /// Returns the page of `items` that the query asks for; `items` are oldest first.
    fn page(&self, mut items: Vec<Map<String, Value>>) -> Result<Value, Error> {
        let limit = match self.last("limit").map(str::parse) {
            None => PAGE,
            Some(Ok(limit @ 1..=LONGEST_PAGE)) => limit,
            Some(_) => {
                return Err(Error::invalid("limit", format!("`limit` must be a number from 1 to {LONGEST_PAGE}")));
            }
        };
        match self.last("order") {
            None | Some("desc") => items.reverse(),
            Some("asc") => {}
            Some(_) => return Err(Error::invalid("order", "`order` must be `asc` or `desc`")),
        }
        if let Some(after) = self.last("after") {
            let Some(place) = items.iter().position(|item| item["id"] == *after) else {
                return Err(Error::invalid("after", "no item has the id in `after`"));
            };
            items.drain(..=place);
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        let id = |item: Option<&Map<String, Value>>| item.map(|item| item["id"].clone());
        let (first_id, last_id) = (id(items.first()), id(items.last()));
        Ok(json!({"object": "list", "data": items, "first_id": first_id, "last_id": last_id, "has_more": has_more}))
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot read the stored response: {error}"))
}
