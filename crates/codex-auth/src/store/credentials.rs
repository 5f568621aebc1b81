//! The format of `credentials.json`, read and written without I/O.
//!
//! ```json
//! {"access_token": "…", "refresh_token": "…", "account_id": "…", "expires_at": 1790000000,
//!  "id_token": "…", "last_refresh": "…"}
//! ```
//!
//! The first four members are those of the Python program, which can read files written here. Unknown members survive a
//! rewrite.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lenient_json;
use crate::secret::Secret;
use crate::tokens::Tokens;

#[derive(Deserialize)]
struct StoredCredentials {
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

/// Reads the content of the file. An unreadable `expires_at` counts as absent; then [`Tokens::ends_at`] is the end that
/// the access token claims.
///
/// # Errors
/// What is wrong with it, without quoting the content.
pub(crate) fn parse(content: &[u8]) -> Result<Tokens, String> {
    if content.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let stored: StoredCredentials = lenient_json::object(content)
        .map_err(|error| format!("it is not a JSON object, line {} column {}", error.line(), error.column()))?;
    let present = |secret: Option<Secret>| secret.filter(|secret| !secret.is_empty());
    let Some(access_token) = present(stored.access_token) else {
        return Err("it has no access_token".to_owned());
    };
    Ok(Tokens {
        access_token,
        refresh_token: present(stored.refresh_token),
        id_token: present(stored.id_token),
        account_id: stored.account_id.filter(|id| !id.is_empty()),
        expires_at: stored.expires_at,
        last_refresh: stored.last_refresh,
    })
}

/// Returns the content for the file: the tokens, and the members of `previous` that this version does not know.
pub(crate) fn render(previous: Option<&[u8]>, tokens: &Tokens) -> Vec<u8> {
    let mut members: Map<String, Value> =
        previous.and_then(|content| lenient_json::object(content).ok()).unwrap_or_default();
    let secret = |secret: &Secret| Value::from(secret.expose());
    let mut set = |name: &str, value: Option<Value>| {
        members.insert(name.to_owned(), value.unwrap_or_default());
    };
    set("access_token", Some(secret(&tokens.access_token)));
    set("refresh_token", tokens.refresh_token.as_ref().map(secret));
    set("account_id", tokens.account_id.clone().map(Value::from));
    // A later second would be read as milliseconds, and the token would seem long expired.
    let expires_at = tokens.expires_at.and_then(unix_seconds).map(|seconds| seconds.min(lenient_json::LAST_SECOND));
    set("expires_at", expires_at.map(Value::from));
    set("id_token", tokens.id_token.as_ref().map(secret));
    set("last_refresh", tokens.last_refresh.and_then(rfc3339).map(Value::from));
    let mut content = format!("{:#}", Value::Object(members)).into_bytes();
    content.push(b'\n');
    content
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_distant_expiry_stays_distant_when_it_is_rewritten() {
        let far = parse(br#"{"access_token":"a","expires_at":"7001-01-01T00:00:00Z"}"#).unwrap();
        let again = parse(&render(None, &far)).unwrap();
        assert_eq!(again.expires_at, UNIX_EPOCH.checked_add(Duration::from_secs(lenient_json::LAST_SECOND)));
    }

    const PYTHON: &[u8] =
        br#"{"access_token": "a", "refresh_token": "r", "account_id": "acct", "expires_at": 1790000000.5}"#;

    #[test]
    fn the_python_file_is_read_as_it_is() {
        let tokens = parse(PYTHON).unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
        assert_eq!(tokens.account_id.as_deref(), Some("acct"));
        assert_eq!(tokens.expires_at, Some(UNIX_EPOCH + Duration::from_millis(1_790_000_000_500)));
        assert!(tokens.last_refresh.is_none() && tokens.id_token.is_none());
    }

    #[test]
    fn the_written_file_has_the_python_members_at_the_top() {
        let written: Value = serde_json::from_slice(&render(None, &parse(PYTHON).unwrap())).unwrap();
        assert_eq!(written["access_token"], "a");
        assert_eq!(written["refresh_token"], "r");
        assert_eq!(written["account_id"], "acct");
        assert_eq!(written["expires_at"], json!(1_790_000_000));
    }

    /// Found by fuzzing: the number changed with every write.
    #[test]
    fn a_long_number_stays_what_it_is() {
        let before = format!(r#"{{"access_token":"a","other":{}1253950198}}"#, "2".repeat(105));
        let tokens = parse(before.as_bytes()).unwrap();
        let once = render(Some(before.as_bytes()), &tokens);
        assert_eq!(render(Some(&once), &tokens), once);
    }

    #[test]
    fn unknown_members_survive_in_place() {
        let before = br#"{"note": {"x": [1, null]}, "access_token": "old", "label": "home"}"#;
        let mut tokens = Tokens::new("new".into());
        tokens.id_token = Some("i".into());
        let written: Value = serde_json::from_slice(&render(Some(before), &tokens)).unwrap();
        assert_eq!(written["note"], json!({"x": [1, null]}));
        assert_eq!(written["label"], "home");
        assert_eq!(written["access_token"], "new");
        assert_eq!(written["refresh_token"], Value::Null);
    }

    #[test]
    fn without_expires_at_the_end_is_the_one_in_the_token() {
        let jwt = "e30.eyJleHAiOjEwMDB9.c2ln"; // {"exp":1000}
        for member in ["", r#", "expires_at": null"#, r#", "expires_at": "soon""#] {
            let tokens = parse(format!(r#"{{"access_token": "{jwt}"{member}}}"#).as_bytes()).unwrap();
            assert_eq!(tokens.ends_at(), Some(UNIX_EPOCH + Duration::from_secs(1000)), "{member}");
        }
        let tokens = parse(format!(r#"{{"access_token": "{jwt}", "expires_at": 7}}"#).as_bytes()).unwrap();
        assert_eq!(tokens.ends_at(), Some(UNIX_EPOCH + Duration::from_secs(7)));
    }

    #[test]
    fn damage_is_reported_without_quoting() {
        for content in
            ["", "  \n", "{", "[]", "null", r#"{"access_token": ""}"#, r#"{"access_token": 7}"#, "secret-token"]
        {
            let reason = parse(content.as_bytes()).unwrap_err();
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
            let read = parse(&render(None, &tokens)).unwrap();
            prop_assert!(read.access_token.matches(&tokens.access_token));
            prop_assert!(crate::secret::same(read.refresh_token.as_ref(), tokens.refresh_token.as_ref()));
            prop_assert_eq!(read.account_id, tokens.account_id);
            prop_assert_eq!(read.expires_at, tokens.expires_at);
            prop_assert_eq!(read.last_refresh, tokens.last_refresh);
        }

        #[test]
        fn no_content_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&content);
            let _ = render(Some(&content), &Tokens::new("a".into()));
        }
    }
}
