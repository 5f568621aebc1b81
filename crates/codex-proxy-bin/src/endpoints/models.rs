//! `GET /v1/models` and `GET /v1/models/{id}`.

use codex_translate::{Error, ErrorKind};
use codex_upstream::{CatalogueSnapshot, ModelAliases};
use http::header::ETAG;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::ids;
use crate::reply::{self, ReplyBody};

/// OpenAI's list, together with the backend's own for the Codex CLI (docs/backend.md §5.1).
#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<&'a Map<String, Value>>>,
}

/// One model in OpenAI's shape.
#[derive(Serialize)]
struct ModelEntry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> ModelEntry<'a> {
    fn called(id: &'a str) -> Self {
        // The backend does not report when a model was made; clients only sort by it.
        Self { id, object: "model", created: 0, owned_by: "openai" }
    }
}

/// Lists the account's models. `client_version` in the query identifies the Codex CLI.
pub(crate) fn models(snapshot: &CatalogueSnapshot, query: Option<&str>) -> Response<ReplyBody> {
    let catalogue = &snapshot.catalogue;
    let codex = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(key, _)| key == "client_version");
    let list = ModelList {
        object: "list",
        data: catalogue.listed().map(|model| ModelEntry::called(&model.slug)).collect(),
        models: codex.then(|| catalogue.models().iter().map(|model| &*model.raw).collect()),
    };
    let list = to_raw_value(&list);
    let mut response = reply::json(StatusCode::OK, &list.as_ref().ok());
    // The Codex CLI caches the list with its tag (docs/backend.md §5.1).
    let tag = list.ok().map(|list| format!("\"{}\"", ids::hex(&Sha256::digest(list.get())[..8])));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Returns one model, by any name that a request may use; unlisted models, too.
///
/// # Errors
/// There is no such model; the message lists the models that exist.
pub(crate) fn model(
    snapshot: &CatalogueSnapshot,
    aliases: &ModelAliases,
    id: &str,
) -> Result<Response<ReplyBody>, Error> {
    let catalogue = &snapshot.catalogue;
    match catalogue.find(&catalogue.resolve(id, aliases).slug) {
        Some(_) => Ok(reply::json(StatusCode::OK, &ModelEntry::called(id))),
        None => {
            let names: Vec<_> = catalogue.listed().map(|model| model.slug.as_str()).collect();
            let message = format!("the model `{id}` does not exist; available are {}", names.join(", "));
            Err(Error::new(ErrorKind::ModelNotFound, message).with_param("model"))
        }
    }
}
