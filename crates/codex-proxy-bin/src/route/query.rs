//! Query parameters: which ones an endpoint reads, and what becomes of the others.

use codex_translate::{Error, Notice, NoticeKind};
use url::form_urlencoded;

use super::{Route, StoredQuery};

/// Parameters that ask for nothing: Azure's clients name the version of the API with every request, the Codex CLI its
/// own, and pages number theirs so that none is answered from a cache.
const ASK_FOR_NOTHING: [&str; 3] = ["_", "api-version", "client_version"];

/// Parameters that clients add to every request, so a strict request cannot leave them out: Anthropic's and Google's. A
/// key is read from headers only: addresses are written to logs.
const NEVER_REFUSED: [&str; 2] = ["beta", "key"];

/// The query parameters of a request that its endpoint does not read.
#[derive(Debug, Default)]
pub(crate) struct UnreadQuery {
    names: Vec<String>,
}

impl UnreadQuery {
    /// Finds the parameters in `query` that the endpoint of `route` does not read. A path that is not served has none.
    pub(crate) fn of(route: &Route, query: Option<&str>) -> Self {
        let (Some(query), Some(read)) = (query, parameters(route)) else { return Self::default() };
        let mut names: Vec<String> = Vec::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            // Lists are sent as `include[]` or `include[0]`.
            let bare = name.split('[').next().unwrap_or_default();
            if !(name.is_empty()
                || read.contains(&bare)
                || ASK_FOR_NOTHING.contains(&bare)
                || names.iter().any(|known| *known == name))
            {
                names.push(name.into_owned());
            }
        }
        Self { names }
    }

    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the error of a strict request.
    ///
    /// # Errors
    /// A parameter is not read: a 400 that names it.
    pub(crate) fn refuse(&self) -> Result<(), Error> {
        match self.names.iter().find(|name| !NEVER_REFUSED.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let message = format!("the query parameter `{name}` is not supported on this path; leave it out");
                Err(Error::invalid(name.clone(), message).with_code("unsupported_parameter"))
            }
        }
    }

    /// Returns a notice for each.
    pub(crate) fn notices(&self) -> impl Iterator<Item = Notice> {
        self.names.iter().map(|name| Notice {
            parameter: format!("?{name}"),
            kind: NoticeKind::Dropped,
            detail: "not a query parameter of this path".to_owned(),
        })
    }
}

/// Returns the query parameters that the endpoint of a route reads; `None` if the path or method is not served.
fn parameters(route: &Route) -> Option<&'static [&'static str]> {
    match route {
        Route::Stored(StoredQuery::Response, _) => {
            Some(&["include", "include_obfuscation", "starting_after", "stream"])
        }
        Route::Stored(StoredQuery::InputItems, _) => Some(&["after", "include", "limit", "order"]),
        // `client_version` is read, too.
        Route::Models
        | Route::Model(_)
        | Route::Backend(_)
        | Route::WebSocket
        | Route::Stored(StoredQuery::Cancel, _)
        | Route::Health(_)
        | Route::Usage
        | Route::Cli(_)
        | Route::Metrics
        | Route::StatusPage
        | Route::Status
        | Route::OpenApi => Some(&[]),
        Route::WrongMethod(_) | Route::Unserved(_) | Route::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(route: &Route, query: &str) -> Vec<String> {
        UnreadQuery::of(route, Some(query)).names
    }

    #[test]
    fn what_an_endpoint_does_not_read_is_named_once() {
        let stored = Route::Stored(StoredQuery::Response, "r".to_owned());
        let items = Route::Stored(StoredQuery::InputItems, "r".to_owned());
        for (route, query, expected) in [
            (&Route::Models, "client_version=1&_=7&api-version=x", &[][..]),
            (&Route::Models, "stream=true&limit=1&limit=2", &["stream", "limit"]),
            (&stored, "stream=true&starting_after=1&include[]=a&include%5B1%5D=b", &[]),
            (&stored, "order=asc&%C3%A9=1&=&x", &["order", "é", "x"]),
            (&items, "limit=1&order=asc&after=x&include=y", &[]),
            (&Route::Unknown, "x=1", &[]),
        ] {
            assert_eq!(unread(route, query), expected, "{query}");
        }
        assert!(UnreadQuery::of(&Route::Models, None).is_empty());
    }

    #[test]
    fn a_strict_request_is_refused_for_what_it_could_leave_out() {
        let refusal = |query| UnreadQuery::of(&Route::Models, Some(query)).refuse();
        assert_eq!(refusal("beta=true&foo=1").unwrap_err().param(), Some("foo"));
        assert!(refusal("beta=true&key=secret&api-version=1&_=2").is_ok());
        let notices: Vec<_> = UnreadQuery::of(&Route::Models, Some("key=secret")).notices().collect();
        assert!(notices.len() == 1 && !notices[0].to_string().contains("secret"), "{notices:?}");
    }
}
