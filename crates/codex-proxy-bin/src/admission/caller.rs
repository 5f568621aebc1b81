//! Whose request it is. Stored responses, conversations and prompt caches of different callers are separate. Only a
//! UUID that a client sends itself names the same conversation for every key.

use codex_client::Caller;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::admission::access::{Access, KEY_HEADERS};
use crate::ids;

/// The user who sends a request, in the words of the server around the app: any text that tells its users apart.
///
/// Put it into the extensions of a request, or call [`App::answer_as`](crate::App::answer_as). Without one, callers are
/// told apart by the key that they send; under [`Access::open`], which requires none, all are one caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallerId(String);

impl From<String> for CallerId {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<&str> for CallerId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Returns the caller, with a hash as its id, so neither a key nor a name can be read from anything derived from it.
/// The id is empty for callers that are not told apart.
pub(crate) fn caller(access: &Access, head: &Parts) -> Caller {
    if let Some(CallerId(name)) = head.extensions.get() {
        // No header contains a zero byte, so no key has the hash of a name.
        let id = ids::hex(&Sha256::new().chain_update(b"caller\0").chain_update(name).finalize());
        return Caller { id, ..Caller::default() };
    }
    let bare = || KEY_HEADERS.into_iter().find_map(|name| head.headers.get(name));
    let key = head.headers.get(AUTHORIZATION).or_else(bare);
    let id = key.filter(|_| !access.open).map(|key| ids::hex(&Sha256::digest(key))).unwrap_or_default();
    // All keys are of the same person.
    Caller { id, keeps_uuids: true, ..Caller::default() }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn hash(access: &Access, name: Option<&str>, key: Option<&str>) -> String {
        let mut request = Request::new(());
        if let Some(name) = name {
            request.extensions_mut().insert(CallerId::from(name));
        }
        if let Some(key) = key {
            request.headers_mut().insert(AUTHORIZATION, key.parse().unwrap());
        }
        caller(access, &request.into_parts().0).id
    }

    #[test]
    fn callers_are_told_apart_by_their_name_or_else_by_their_key() {
        let (closed, open) = (Access::default(), Access::open());
        let hashes = [
            hash(&closed, Some("first"), None),
            hash(&closed, Some("second"), None),
            hash(&closed, Some(""), None),
            hash(&closed, None, Some("Bearer first")),
            hash(&closed, None, Some("first")),
            hash(&closed, None, None),
        ];
        assert!(hashes.iter().enumerate().all(|(at, one)| !hashes[..at].contains(one)), "{hashes:?}");
        assert_eq!(hash(&closed, Some("first"), Some("Bearer x")), hashes[0]);
        assert_eq!(hash(&open, Some("first"), Some("Bearer y")), hashes[0]);
        assert_eq!(hash(&open, None, Some("Bearer y")), hash(&open, None, None));
    }
}
