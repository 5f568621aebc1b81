//! `GET` and `DELETE /v1/responses/{id}`, `GET …/input_items` and `POST …/cancel`: the stored responses.

use std::collections::HashMap;

use codex_translate::Error;
use http::request::Parts;
use http::{Method, Response, StatusCode};
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
    match asked {
        StoredQuery::Response if head.method == Method::DELETE => {
            stored.delete(caller, id);
            Ok(reply::json(StatusCode::OK, &json!({"id": id, "object": "response", "deleted": true})))
        }
        StoredQuery::Response => {
            Ok(reply::json(StatusCode::OK, &serde_json::from_str::<&RawValue>(&kept.response).ok()))
        }
        StoredQuery::InputItems => {
            let items = stored.input_of(caller, id)?;
            let items = items.iter().enumerate().map(|(place, item)| listed(id, place, item)).collect();
            page(items, head.uri.query().unwrap_or_default()).map(|page| reply::json(StatusCode::OK, &page))
        }
        StoredQuery::Cancel => {
            Err(Error::invalid("response_id", "the response is complete; only background responses can be cancelled"))
        }
    }
}

/// Returns an item as the API lists it: with its type, an id, and text as a content part.
fn listed(response: &str, place: usize, item: &RawValue) -> Map<String, Value> {
    let mut item: Map<String, Value> = serde_json::from_str(item.get()).unwrap_or_default();
    item.entry("type").or_insert_with(|| "message".into());
    item.entry("id").or_insert_with(|| format!("msg_{}_{place}", response.trim_start_matches("resp_")).into());
    if let Some(text) = item.get("content").and_then(Value::as_str) {
        let kind = if item.get("role").is_some_and(|role| role == "assistant") { "output_text" } else { "input_text" };
        item["content"] = json!([{"type": kind, "text": text}]);
    }
    item
}

/// Returns the page of `items` that a query asks for; `items` are oldest first.
fn page(mut items: Vec<Map<String, Value>>, query: &str) -> Result<Value, Error> {
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let limit = match query.get("limit").map(|limit| limit.parse()) {
        None => PAGE,
        Some(Ok(limit @ 1..=LONGEST_PAGE)) => limit,
        Some(_) => return Err(Error::invalid("limit", format!("`limit` must be a number from 1 to {LONGEST_PAGE}"))),
    };
    match query.get("order").map(AsRef::as_ref) {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(Error::invalid("order", "`order` must be `asc` or `desc`")),
    }
    if let Some(after) = query.get("after") {
        let Some(place) = items.iter().position(|item| item["id"] == **after) else {
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
