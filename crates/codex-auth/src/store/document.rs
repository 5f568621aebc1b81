//! The stored form of tokens: a JSON document, read and written without I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::lenient_json;
use crate::secret::Secret;
use crate::tokens::Tokens;

/// The members of a document that this version knows.
const KNOWN: [&str; 6] = ["access_token", "refresh_token", "account_id", "expires_at", "id_token", "last_refresh"];

/// Why a document is not the tokens of a login. Does not quote the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTokensError(Problem);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Empty,
    NotAnObject { line: usize, column: usize },
    NoAccessToken,
}

impl fmt::Display for ParseTokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Problem::Empty => f.write_str("it is empty"),
            Problem::NotAnObject { line, column } => {
                write!(f, "it is not a JSON object, line {line} column {column}")
            }
            Problem::NoAccessToken => f.write_str("it has no access_token"),
        }
    }
}

impl std::error::Error for ParseTokensError {}

impl Tokens {
    /// Parses the JSON document in which [`FileStore`](crate::FileStore) stores tokens.
    ///
    /// ```json
    /// {"access_token": "…", "refresh_token": "…", "account_id": "…", "expires_at": 1790000000,
    ///  "id_token": "…", "last_refresh": "2026-09-21T14:13:20.000Z"}
    /// ```
    ///
    /// Only `access_token` is required. Times are Unix seconds or milliseconds, or RFC 3339. A known member of an
    /// unexpected type counts as absent. Unknown members are stored in the tokens, and [`Tokens::to_json`] writes them
    /// exactly as they were, so that a store can hold the document in one column and lose nothing.
    ///
    /// ```
    /// use codex_auth::Tokens;
    ///
    /// let document = br#"{"access_token": "a", "label": "work", "serial": 12345678901234567890123}"#;
    /// let tokens = Tokens::from_json(document)?;
    /// assert_eq!(tokens.access_token.expose(), "a");
    /// let written = String::from_utf8(tokens.to_json().to_vec())?;
    /// assert!(written.contains(r#""label": "work""#) && written.contains("12345678901234567890123"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseTokensError`] if the document is not a JSON object with an access token.
    pub fn from_json(document: &[u8]) -> Result<Self, ParseTokensError> {
        if document.trim_ascii().is_empty() {
            return Err(ParseTokensError(Problem::Empty));
        }
        let stored: StoredTokens = lenient_json::object(document)
            .map_err(|error| ParseTokensError(Problem::NotAnObject { line: error.line(), column: error.column() }))?;
        let present = |secret: Option<Secret>| secret.filter(|secret| !secret.is_empty());
        let mut tokens = Self::new(present(stored.access_token).ok_or(ParseTokensError(Problem::NoAccessToken))?);
        tokens.refresh_token = present(stored.refresh_token);
        tokens.id_token = present(stored.id_token);
        tokens.account_id = stored.account_id.filter(|id| !id.is_empty());
        tokens.expires_at = stored.expires_at;
        tokens.last_refresh = stored.last_refresh;
        let unknown = unknown_members(document);
        tokens.unknown_members = (!unknown.is_empty()).then(|| to_secret(&unknown));
        Ok(tokens)
    }

    /// Returns the tokens as the document that [`Tokens::from_json`] parses. The memory is overwritten when it is
    /// dropped.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        self.to_json_over(b"")
    }

    /// As [`Tokens::to_json`], with the unknown members of the document that it replaces, too. If both have a member,
    /// that of the document is written, which is the newer one.
    pub(crate) fn to_json_over(&self, previous: &[u8]) -> Zeroizing<Vec<u8>> {
        let own = self.unknown_members.as_ref().map(Secret::expose).unwrap_or_default();
        let mut unknown = unknown_members(own.as_bytes());
        unknown.extend(unknown_members(previous));
        // Large enough from the start: a buffer that grows leaves copies behind.
        let secrets = [Some(&self.access_token), self.refresh_token.as_ref(), self.id_token.as_ref()];
        let secrets: usize = secrets.into_iter().flatten().map(|secret| secret.expose().len()).sum();
        let mut document = Zeroizing::new(Vec::with_capacity(512 + 2 * secrets + own.len() + previous.len()));
        let stored = StoredDocument { tokens: self, unknown: &unknown };
        serde_json::to_writer_pretty(&mut *document, &stored).expect("writing to memory does not fail");
        document.push(b'\n');
        document
    }
}

#[derive(Deserialize)]
struct StoredTokens {
    #[serde(default, deserialize_with = "lenient_json::member")]
    access_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    refresh_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    id_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    account_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_json::time")]
    expires_at: Option<SystemTime>,
    #[serde(default, deserialize_with = "lenient_json::time")]
    last_refresh: Option<SystemTime>,
}

/// A document to write. The first four members are those of the Python program, which can read files written here.
struct StoredDocument<'a> {
    tokens: &'a Tokens,
    unknown: &'a BTreeMap<String, &'a RawValue>,
}

impl Serialize for StoredDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tokens, unknown } = self;
        // A later second would be read as milliseconds, and the token would seem long expired.
        let expires_at = tokens.expires_at.and_then(unix_seconds).map(|seconds| seconds.min(lenient_json::LAST_SECOND));
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("access_token", tokens.access_token.expose())?;
        members.serialize_entry("refresh_token", &tokens.refresh_token.as_ref().map(Secret::expose))?;
        members.serialize_entry("account_id", &tokens.account_id)?;
        members.serialize_entry("expires_at", &expires_at)?;
        members.serialize_entry("id_token", &tokens.id_token.as_ref().map(Secret::expose))?;
        members.serialize_entry("last_refresh", &tokens.last_refresh.and_then(rfc3339))?;
        for (name, value) in *unknown {
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

/// Returns the members that this version does not know, as they are written. A document that does not parse has none.
fn unknown_members(document: &[u8]) -> BTreeMap<String, &RawValue> {
    let mut members: BTreeMap<String, &RawValue> = lenient_json::object(document).unwrap_or_default();
    members.retain(|name, _| !KNOWN.contains(&name.as_str()));
    members
}

fn to_secret(members: &BTreeMap<String, &RawValue>) -> Secret {
    Secret::new(serde_json::to_string(members).expect("names are strings"))
}

fn unix_seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Formats a time as RFC 3339; `None` for years after 9999, which have no such form.
fn rfc3339(time: SystemTime) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    unix_seconds(time)
        .filter(|seconds| *seconds < YEAR_10000)
        .map(|_| humantime::format_rfc3339_millis(time).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::option;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_distant_expiry_stays_distant_when_it_is_rewritten() {
        let far = Tokens::from_json(br#"{"access_token":"a","expires_at":"7001-01-01T00:00:00Z"}"#).unwrap();
        let again = Tokens::from_json(&far.to_json()).unwrap();
        assert_eq!(again.expires_at, UNIX_EPOCH.checked_add(Duration::from_secs(lenient_json::LAST_SECOND)));
    }

    const PYTHON: &[u8] =
        br#"{"access_token": "a", "refresh_token": "r", "account_id": "acct", "expires_at": 1790000000.5}"#;

    #[test]
    fn the_python_file_is_read_as_it_is() {
        let tokens = Tokens::from_json(PYTHON).unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
        assert_eq!(tokens.account_id.as_deref(), Some("acct"));
        assert_eq!(tokens.expires_at, Some(UNIX_EPOCH + Duration::from_millis(1_790_000_000_500)));
        assert!(tokens.last_refresh.is_none() && tokens.id_token.is_none());
    }

    #[test]
    fn the_written_file_has_the_python_members_at_the_top() {
        let written: Value = serde_json::from_slice(&Tokens::from_json(PYTHON).unwrap().to_json()).unwrap();
        assert_eq!(written["access_token"], "a");
        assert_eq!(written["refresh_token"], "r");
        assert_eq!(written["account_id"], "acct");
        assert_eq!(written["expires_at"], json!(1_790_000_000));
    }

    /// Found by fuzzing: the number changed with every write.
    #[test]
    fn a_long_number_stays_what_it_is() {
        let before = format!(r#"{{"access_token":"a","other":{}1253950198}}"#, "2".repeat(105));
        let tokens = Tokens::from_json(before.as_bytes()).unwrap();
        let once = tokens.to_json();
        assert!(String::from_utf8(once.to_vec()).unwrap().contains(&format!("{}1253950198", "2".repeat(105))));
        assert_eq!(Tokens::from_json(&once).unwrap().to_json(), once);
    }

    #[test]
    fn unknown_members_are_in_the_tokens_and_survive_a_refresh_exactly() {
        let members = [
            ("big", "123456789012345678901234567890.5e400"),
            ("lone", r#""\ud800""#),
            ("nested", r#"{"b": [1.0, null], "a": "x"}"#),
            ("secret", r#""SECRET""#),
        ];
        let unknown: String = members.iter().map(|(name, value)| format!(r#", "{name}": {value}"#)).collect();
        let tokens = Tokens::from_json(format!(r#"{{"access_token": "a"{unknown}}}"#).as_bytes()).unwrap();
        assert!(!format!("{tokens:?}").contains("SECRET"), "{tokens:?}");
        let response = crate::TokenResponse { access_token: Some("b".into()), ..crate::TokenResponse::default() };
        let written = tokens.renewed(response, UNIX_EPOCH).to_json();
        let text = std::str::from_utf8(&written).unwrap();
        for (name, value) in members {
            assert!(text.contains(&format!(r#""{name}": {value}"#)), "{text}");
        }
        assert_eq!(Tokens::from_json(&written).unwrap().to_json(), written);
    }

    #[test]
    fn members_of_the_document_that_is_replaced_are_the_newer_ones() {
        let tokens = Tokens::from_json(br#"{"access_token": "a", "old": 1, "both": 1}"#).unwrap();
        let written = tokens.to_json_over(br#"{"access_token": "b", "new": 2, "both": 2}"#);
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!((&written["access_token"], &written["old"]), (&json!("a"), &json!(1)));
        assert_eq!((&written["new"], &written["both"]), (&json!(2), &json!(2)));
    }

    #[test]
    fn unknown_members_of_the_previous_document_survive() {
        let before = br#"{"note": {"x": [1, null]}, "access_token": "old", "label": "home"}"#;
        let mut tokens = Tokens::new("new".into());
        tokens.id_token = Some("i".into());
        let written: Value = serde_json::from_slice(&tokens.to_json_over(before)).unwrap();
        assert_eq!(written["note"], json!({"x": [1, null]}));
        assert_eq!(written["label"], "home");
        assert_eq!(written["access_token"], "new");
        assert_eq!(written["refresh_token"], Value::Null);
    }

    #[test]
    fn without_expires_at_the_end_is_the_one_in_the_token() {
        let jwt = "e30.eyJleHAiOjEwMDB9.c2ln"; // {"exp":1000}
        for member in ["", r#", "expires_at": null"#, r#", "expires_at": "soon""#] {
            let tokens = Tokens::from_json(format!(r#"{{"access_token": "{jwt}"{member}}}"#).as_bytes()).unwrap();
            assert_eq!(tokens.ends_at(), Some(UNIX_EPOCH + Duration::from_secs(1000)), "{member}");
        }
        let tokens = Tokens::from_json(format!(r#"{{"access_token": "{jwt}", "expires_at": 7}}"#).as_bytes()).unwrap();
        assert_eq!(tokens.ends_at(), Some(UNIX_EPOCH + Duration::from_secs(7)));
    }

    #[test]
    fn damage_is_reported_without_quoting() {
        for content in
            ["", "  \n", "{", "[]", "null", r#"{"access_token": ""}"#, r#"{"access_token": 7}"#, "secret-token"]
        {
            let reason = Tokens::from_json(content.as_bytes()).unwrap_err().to_string();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            access in "[ -~]{1,40}",
            refresh in option::of("[ -~]{1,40}"),
            account in option::of("[a-z0-9-]{1,36}"),
            expires_at in option::of(0..90_000_000_000_u64),
            last_refresh in option::of(0..90_000_000_000_000_u64),
        ) {
            let mut tokens = Tokens::new(access.as_str().into());
            tokens.refresh_token = refresh.as_deref().map(Secret::from);
            tokens.account_id = account;
            tokens.expires_at = expires_at.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            tokens.last_refresh = last_refresh.map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
            let read = Tokens::from_json(&tokens.to_json()).unwrap();
            prop_assert!(read.access_token.matches(&tokens.access_token));
            prop_assert!(crate::secret::same(read.refresh_token.as_ref(), tokens.refresh_token.as_ref()));
            prop_assert_eq!(read.account_id, tokens.account_id);
            prop_assert_eq!(read.expires_at, tokens.expires_at);
            prop_assert_eq!(read.last_refresh, tokens.last_refresh);
        }

        #[test]
        fn no_content_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Tokens::from_json(&content);
            let _ = Tokens::new("a".into()).to_json_over(&content);
        }
    }
}
