//! The description at `/openapi.json` covers every endpoint, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use codex_proxy::internal::{endpoints, paths_without_key};
use codex_translate::{Error, ErrorKind};
use http::Method;
use serde_json::Value;

use crate::support::{Harness, backend};

/// The description of one method of one path.
struct Operation {
    path: String,
    method: Method,
    said: Value,
}

impl Operation {
    fn is_described(&self, status: u16) -> bool {
        self.said["responses"].get(status.to_string()).is_some()
    }

    /// Returns the bodies that are given as examples.
    fn examples(&self) -> Vec<&Value> {
        let examples = self.said.pointer("/requestBody/content/application~1json/examples");
        examples.and_then(Value::as_object).into_iter().flatten().map(|(_, example)| &example["value"]).collect()
    }
}

fn description() -> Value {
    serde_json::from_str(include_str!("../../src/endpoints/openapi/openapi.json")).unwrap()
}

fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in description()["paths"].as_object().unwrap() {
        for (method, said) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push(Operation { path: path.clone(), method, said: said.clone() });
        }
    }
    operations
}

#[tokio::test]
async fn it_is_served_without_a_key_under_every_spelling() {
    let proxy = Harness::start_with(backend(), Some("secret")).await;
    for path in ["/openapi.json", "/v1/openapi.json"] {
        let reply = proxy.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(reply.json(), description(), "{path}");
    }
}

#[test]
fn it_has_this_version() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn exactly_the_existing_endpoints_are_described() {
    let described: BTreeSet<_> = operations()
        .into_iter()
        .map(|operation| (operation.path.replacen("/v1/", "/", 1), operation.method.to_string()))
        .collect();
    let there_is: BTreeSet<_> = endpoints().map(|(path, method)| (path.to_owned(), method.to_owned())).collect();
    assert_eq!(described, there_is);
}

#[test]
fn every_error_is_described() {
    for operation in operations() {
        // The statuses that any request can get, and those that depend on the backend.
        let general = [ErrorKind::InvalidRequest, ErrorKind::SlowRequest, ErrorKind::HeadTooLarge, ErrorKind::Internal];
        let asks_backend = operation.said["tags"][0] == "turns" && operation.method == Method::POST;
        let kinds = if asks_backend || operation.path == "/v1/usage" { &ErrorKind::ALL[..] } else { &general };
        for kind in kinds {
            let status = Error::new(*kind, "").status_hint();
            assert!(operation.is_described(status), "{} {}: {status}", operation.method, operation.path);
        }
        let needs_key = operation.said.get("security").is_none();
        assert_eq!(operation.is_described(401), needs_key, "{} {}", operation.method, operation.path);
    }
}

#[test]
fn exactly_the_existing_error_types_are_described() {
    let description = description();
    let described = description.pointer("/components/schemas/Error/properties/error/properties/type/enum").unwrap();
    let described: BTreeSet<_> =
        described.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let types = ErrorKind::ALL.into_iter().flat_map(|kind| {
        let error = Error::new(kind, "");
        [error.clone(), error.in_the_backends_words()]
            .map(|error| serde_json::to_value(error.body()).unwrap()["error"]["type"].as_str().unwrap().to_owned())
    });
    assert_eq!(described, types.collect());
}

#[tokio::test]
async fn a_key_is_required_exactly_where_it_is_described() {
    let proxy = Harness::start_with(backend(), Some("secret")).await;
    for operation in operations() {
        let path = operation.path.replace("{id}", "1").replace("{model}", "1");
        let reply = proxy.send(operation.method.clone(), &path, &[], "").await;
        let needs_key = operation.said.get("security").is_none();
        assert_eq!(reply.status == 401, needs_key, "{} {path}: {}", operation.method, reply.text);
    }
}

#[test]
fn every_document_names_the_same_paths_without_a_key() {
    let open = operations().into_iter().filter(|operation| operation.said.get("security").is_some());
    let described: BTreeSet<_> = open.map(|operation| operation.path).collect();
    let paths = paths_without_key();
    assert_eq!(described, paths.replace(" and ", ", ").split(", ").map(str::to_owned).collect());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for document in ["README.md", "ARCHITECTURE.md", "contrib/codex-proxy.1"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let words = text.replace(['`', '\\'], "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&paths), "{document} does not list {paths}");
    }
}

#[tokio::test]
async fn the_examples_are_accepted() {
    let proxy = Harness::start().await;
    let mut tried = 0;
    for operation in operations() {
        for example in operation.examples() {
            let reply = proxy.post(&operation.path, example).await;
            assert_eq!(reply.status, 200, "{} {example}: {}", operation.path, reply.text);
            let kind = reply.header("content-type").unwrap().split(';').next().unwrap();
            let pointer = kind.replace('/', "~1");
            let described = operation.said.pointer(&format!("/responses/200/content/{pointer}"));
            // The replies with images are a component of their own.
            assert!(described.is_some() || operation.said["responses"]["200"].get("$ref").is_some(), "{kind}");
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried}");
}
