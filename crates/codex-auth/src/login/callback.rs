//! The auth server's answer to an authorization request, from the browser or pasted by the user.

use url::form_urlencoded;

use crate::login::pkce::OAuthState;
use crate::response::sanitize;
use crate::secret::Secret;

/// The code that is exchanged for the first tokens (RFC 6749 section 4.1.2).
#[derive(Clone, Debug)]
pub struct AuthorizationCode(Secret);

impl AuthorizationCode {
    /// Wraps a code that did not arrive in a callback, such as that of the device flow.
    #[must_use]
    pub fn new(code: Secret) -> Self {
        Self(code)
    }

    /// Returns the value for the token exchange.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// A callback without a usable code. The login continues after a state mismatch and ends after the other errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The answer belongs to another login: wait for the right one.
    #[error("state mismatch: the answer belongs to another login")]
    StateMismatch,
    /// The user or the auth server denied access.
    #[error("the login was denied: {description}")]
    Denied {
        /// The OAuth error code.
        code: String,
        /// The auth server's explanation, or the code.
        description: String,
    },
    /// The account may not use Codex until the administrator of its workspace allows it.
    #[error("this account has no access to Codex: ask the workspace's administrator")]
    NotEntitled,
    /// The answer contains neither a code nor an error.
    #[error("the answer contains no authorization code: start the login again")]
    MissingCode,
}

/// Parses the query of a callback, in the order of `docs/backend.md §1.3`: state, error, code.
///
/// # Errors
/// [`CallbackError`], by what the login does next.
pub fn parse_callback(query: &str, expected: &OAuthState) -> Result<AuthorizationCode, CallbackError> {
    let answer = CallbackQuery::read(query);
    if !answer.state.as_deref().is_some_and(|state| expected.accepts(state)) {
        return Err(CallbackError::StateMismatch);
    }
    answer.into_code()
}

/// Parses an answer that a user pasted: the redirect URL, its query, `code#state`, or the bare code.
///
/// A state, if present, must match. A bare code has none; the user copied it from the page of this login.
///
/// # Errors
/// [`CallbackError`]: a state mismatch or a missing code means that something else was pasted, so ask the user again;
/// the others end the login.
pub fn parse_pasted(input: &str, expected: &OAuthState) -> Result<AuthorizationCode, CallbackError> {
    let input = input.trim().trim_matches(['"', '\'', '<', '>']).trim();
    if let Some((_, query)) = input.split_once('?') {
        return parse_callback(query.split('#').next().unwrap_or(query), expected);
    }
    if input.starts_with("code=") || input.starts_with("state=") || input.starts_with("error=") {
        return parse_callback(input, expected);
    }
    let (code, state) = input.split_once('#').map_or((input, None), |(code, state)| (code, Some(state)));
    if state.is_some_and(|state| !expected.accepts(state)) {
        return Err(CallbackError::StateMismatch);
    }
    // Codes contain neither spaces nor a scheme: a sentence or another URL was pasted.
    if code.is_empty() || code.contains(char::is_whitespace) || code.contains("://") {
        return Err(CallbackError::MissingCode);
    }
    Ok(AuthorizationCode::new(Secret::new(code)))
}

/// The relevant parameters of the query; the first of repeated ones counts.
#[derive(Default)]
struct CallbackQuery {
    code: Option<Secret>,
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl CallbackQuery {
    fn read(query: &str) -> Self {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "code" => _ = answer.code.get_or_insert_with(|| Secret::new(&*value)),
                "state" => _ = answer.state.get_or_insert_with(|| value.into_owned()),
                "error" => _ = answer.error.get_or_insert_with(|| sanitize(&value)),
                "error_description" => _ = answer.description.get_or_insert_with(|| sanitize(&value)),
                _ => {}
            }
        }
        answer
    }

    fn into_code(self) -> Result<AuthorizationCode, CallbackError> {
        if let Some(code) = self.error {
            let description = self.description.unwrap_or_else(|| code.clone());
            if code == "access_denied" && description.contains("missing_codex_entitlement") {
                return Err(CallbackError::NotEntitled);
            }
            return Err(CallbackError::Denied { code, description });
        }
        let code = self.code.filter(|code| !code.is_empty());
        code.map(AuthorizationCode::new).ok_or(CallbackError::MissingCode)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> OAuthState {
        OAuthState::new(&mut |bytes| bytes.fill(7))
    }

    fn parse(query: &str) -> Result<String, CallbackError> {
        parse_callback(&query.replace("{state}", state().as_str()), &state()).map(exposed)
    }

    fn pasted(input: &str) -> Result<String, CallbackError> {
        parse_pasted(&input.replace("{state}", state().as_str()), &state()).map(exposed)
    }

    fn exposed(code: AuthorizationCode) -> String {
        code.secret().expose().to_owned()
    }

    #[test]
    fn the_state_is_checked_before_anything_else() {
        assert_eq!(parse("code=c&state={state}"), Ok("c".to_owned()));
        assert_eq!(parse("code=c%2Bd&state={state}.onboarding_entrypoint=life_sciences"), Ok("c+d".to_owned()));
        for query in ["", "code=c", "code=c&state=x", "error=access_denied", "state={state}x&code=c", "state=&code=c"] {
            assert_eq!(parse(query), Err(CallbackError::StateMismatch), "{query}");
        }
    }

    #[test]
    fn an_error_takes_precedence_over_a_code() {
        let denied = |code: &str, description: &str| {
            Err(CallbackError::Denied { code: code.to_owned(), description: description.to_owned() })
        };
        assert_eq!(parse("state={state}&error=access_denied&code=c"), denied("access_denied", "access_denied"));
        assert_eq!(parse("state={state}&error=e&error_description=Not+you%0A"), denied("e", "Not you "));
        assert_eq!(
            parse("state={state}&error=access_denied&error_description=missing_codex_entitlement"),
            Err(CallbackError::NotEntitled)
        );
    }

    #[test]
    fn a_missing_or_empty_code_is_named() {
        assert_eq!(parse("state={state}"), Err(CallbackError::MissingCode));
        assert_eq!(parse("state={state}&code="), Err(CallbackError::MissingCode));
    }

    #[test]
    fn every_form_of_pasted_answer_is_read() {
        for input in [
            "http://localhost:1455/auth/callback?code=c&state={state}",
            "  'http://127.0.0.1:1457/auth/callback?state={state}&scope=x&code=c#fragment'\n",
            "localhost:1455/auth/callback?code=c&state={state}",
            "?code=c&state={state}",
            "code=c&state={state}",
            "c#{state}",
            "c",
            "\"c\"",
        ] {
            assert_eq!(pasted(input), Ok("c".to_owned()), "{input}");
        }
    }

    #[test]
    fn invalid_answers_are_rejected() {
        for input in ["c#other", "http://localhost:1455/auth/callback?code=c&state=other", "code=c"] {
            assert_eq!(pasted(input), Err(CallbackError::StateMismatch), "{input}");
        }
        for input in ["", "  ", "no idea what", "https://chatgpt.com/", "#{state}"] {
            assert_eq!(pasted(input), Err(CallbackError::MissingCode), "{input}");
        }
    }

    proptest! {
        #[test]
        fn no_random_query_is_accepted(query in "[ -~]{0,200}", input in ".{0,100}") {
            prop_assert!(parse_callback(&query, &state()).is_err());
            let _ = parse_pasted(&input, &state());
        }

        #[test]
        fn every_query_is_read_as_the_plain_rules_say(
            members in proptest::collection::vec(
                ("code|state|error|error_description|scope|STATE|cod", "[ -~]{0,8}|access_denied|missing_codex_entitlement"),
                0..8,
            ),
            matching in proptest::option::of(0..8_usize),
        ) {
            let mut members: Vec<(String, String)> = members;
            if let Some(at) = matching {
                members.insert(at.min(members.len()), ("state".to_owned(), state().as_str().to_owned()));
            }
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&members).finish();
            let first = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            let parsed = parse_callback(&query, &state()).map(exposed);
            if first("state") != Some(state().as_str()) {
                prop_assert_eq!(parsed, Err(CallbackError::StateMismatch));
            } else if let Some(error) = first("error") {
                let said = first("error_description").unwrap_or(error);
                let entitled = error != "access_denied" || said != "missing_codex_entitlement";
                prop_assert_eq!(matches!(parsed, Err(CallbackError::Denied { .. })), entitled);
                prop_assert_eq!(matches!(parsed, Err(CallbackError::NotEntitled)), !entitled);
            } else {
                let code = first("code").filter(|code| !code.is_empty());
                prop_assert_eq!(parsed, code.map(str::to_owned).ok_or(CallbackError::MissingCode));
            }
        }

        #[test]
        fn every_code_survives_the_round_trip(code in "[!-~]{1,80}", rest in "[a-z]{1,8}=[a-z0-9%$]{0,8}") {
            prop_assume!(!["code", "state", "error"].contains(&rest.split('=').next().unwrap()));
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("code", &code)
                .append_pair("state", state().as_str())
                .finish();
            for query in [query.clone(), format!("{query}&{rest}"), format!("{rest}&{query}")] {
                prop_assert_eq!(parse(&query), Ok(code.clone()));
                prop_assert_eq!(pasted(&format!("http://127.0.0.1:1455/auth/callback?{query}#x")), Ok(code.clone()));
            }
        }
    }
}
