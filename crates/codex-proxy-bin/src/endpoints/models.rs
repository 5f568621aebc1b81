//! `GET /v1/models` and `GET /v1/models/{id}`.

use codex_translate::{Dialect, Error, ErrorKind};
use codex_upstream::{CatalogueSnapshot, ModelAliases};
use http::header::ETAG;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;
use serde_json::value::to_raw_value;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::ids;
use crate::reply::{self, ReplyBody};

/// Lists the account's models. `client_version` in the query identifies the Codex CLI.
pub(crate) fn models(dialect: &Dialect, snapshot: &CatalogueSnapshot, query: Option<&str>) -> Response<ReplyBody> {
    let catalogue = &snapshot.catalogue;
    let mut list = dialect.models(catalogue.listed().map(|model| (model.slug.as_str(), model.facts())));
    // The backend's own list, in addition to OpenAI's (docs/backend.md §5.1).
    if form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(key, _)| key == "client_version") {
        list.insert(
            "models".to_owned(),
            catalogue.models().iter().map(|model| Value::Object((*model.raw).clone())).collect(),
        );
    }
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
    dialect: &Dialect,
    snapshot: &CatalogueSnapshot,
    aliases: &ModelAliases,
    id: &str,
) -> Result<Response<ReplyBody>, Error> {
    let catalogue = &snapshot.catalogue;
    match catalogue.find(&catalogue.resolve(id, aliases).slug) {
        Some(model) => Ok(reply::json(StatusCode::OK, &dialect.model(id, model.facts()))),
        None => {
            let names: Vec<_> = catalogue.listed().map(|model| model.slug.as_str()).collect();
            let message = format!("the model `{id}` does not exist; available are {}", names.join(", "));
            Err(Error::new(ErrorKind::ModelNotFound, message).with_param("model"))
        }
    }
}
