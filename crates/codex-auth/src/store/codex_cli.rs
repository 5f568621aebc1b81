//! The Codex CLI's own `auth.json`, read-only.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::lenient_json;
use crate::secret::Secret;
use crate::store::blocking::BlockingStore;
use crate::store::file::FileStore;
use crate::store::{StoreError, StoreVersion};
use crate::tokens::Tokens;

/// How much of the file is read at most. A longer one does not parse.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the tokens of the Codex CLI's `auth.json` (`docs/backend.md §1.10`) and never writes there.
///
/// The refresh token is left out on purpose: it is single use, so a proxy that used it would log the CLI out
/// (`docs/backend.md §1.5`). The access token is usable until it expires; after the CLI renews it, the new one is used.
#[derive(Clone, Debug)]
pub struct CodexCliStore {
    path: Arc<PathBuf>,
}

impl CodexCliStore {
    /// Names the file: `auth.json` in `CODEX_HOME`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: Arc::new(path.into()) }
    }

    fn read(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut content = Zeroizing::default();
        File::open(self.path.as_path())?.take(MAX_BYTES).read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_only(&self) -> StoreError {
        StoreError::Unwritable {
            location: self.location(),
            reason: "the file belongs to the Codex CLI and is only read here".to_owned(),
            advice: "run `codex`, which renews its tokens".to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct CodexCliAuth {
    #[serde(default, deserialize_with = "lenient_json::member")]
    tokens: Option<CodexCliTokens>,
    #[serde(default, deserialize_with = "lenient_json::time")]
    last_refresh: Option<SystemTime>,
}

#[derive(Deserialize)]
struct CodexCliTokens {
    access_token: Secret,
    #[serde(default, deserialize_with = "lenient_json::member")]
    id_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient_json::member")]
    account_id: Option<String>,
}

impl BlockingStore for CodexCliStore {
    type Lock = ();

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        let unreadable = |reason: String, advice: &str| StoreError::Unreadable {
            location: self.location(),
            reason,
            advice: advice.to_owned(),
        };
        let content = match self.read() {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string(), "check its permissions")),
        };
        let parsed: Option<CodexCliAuth> = lenient_json::object(&content).ok();
        let login = |auth: CodexCliAuth| Some((auth.tokens?, auth.last_refresh));
        let login = parsed.and_then(login).filter(|(stored, _)| !stored.access_token.is_empty());
        let Some((stored, last_refresh)) = login else {
            return Err(unreadable("it contains no ChatGPT login".to_owned(), "run `codex login`"));
        };
        let mut tokens = Tokens::new(stored.access_token);
        tokens.id_token = stored.id_token;
        tokens.account_id = stored.account_id;
        tokens.last_refresh = last_refresh;
        Ok(Some(tokens))
    }

    fn try_lock(&self) -> Result<Option<()>, StoreError> {
        Ok(Some(()))
    }

    fn probe(&self, (): &()) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn save(&self, (): &(), _: &Tokens) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn remove(&self, (): &()) -> Result<bool, StoreError> {
        Err(self.read_only())
    }

    fn version(&self) -> StoreVersion {
        FileStore::new(self.path.as_path()).version()
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns `codex`: the CLI renews its tokens when it is used, and asks for a login if necessary.
    fn login_command(&self) -> String {
        "codex".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{AuthError, LoginReason};

    #[test]
    fn the_refresh_token_is_never_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.json");
        let store = CodexCliStore::new(&path);
        assert!(store.load().unwrap().is_none());
        fs::write(
            &path,
            r#"{"OPENAI_API_KEY": null, "tokens": {"id_token": "i", "access_token": "a", "refresh_token": "r",
                "account_id": "acct"}, "last_refresh": "2026-08-12T10:11:12.123456Z"}"#,
        )
        .unwrap();
        let tokens = store.load().unwrap().unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        assert!(tokens.refresh_token.is_none());
        assert_eq!(tokens.account_id.as_deref(), Some("acct"));
        assert!(tokens.last_refresh.is_some());
        assert!(store.save(&(), &tokens).is_err());
    }

    #[tokio::test]
    async fn an_expired_token_sends_the_user_to_the_cli_and_its_new_one_is_used() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        struct NoEndpoint;
        impl crate::TokenEndpoint for NoEndpoint {
            async fn refresh(
                &self,
                _: &Secret,
                _: crate::RefreshReason,
            ) -> Result<crate::TokenResponse, crate::EndpointError> {
                panic!("the CLI's login is never renewed here");
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.json");
        let log_in = |exp: u64| {
            let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#)));
            fs::write(&path, format!(r#"{{"tokens": {{"access_token": "{jwt}", "refresh_token": "r"}}}}"#)).unwrap();
        };
        let manager = crate::TokenManager::new(CodexCliStore::new(&path), NoEndpoint);
        let error = manager.bearer().await.unwrap_err();
        assert!(matches!(&error, AuthError::NotLoggedIn { login, .. } if login == "codex"), "{error}");
        log_in(1000);
        let expired = AuthError::LoginExpired { reason: LoginReason::NoRefreshToken, login: "codex".to_owned() };
        assert_eq!(manager.bearer().await.unwrap_err(), expired);
        log_in(90_000_000_000);
        let bearer = manager.bearer().await.unwrap();
        assert_eq!(manager.replace(&bearer).await.unwrap_err(), expired);
    }

    #[test]
    fn an_api_key_or_a_damaged_file_sends_the_user_to_codex_login() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.json");
        for content in [r#"{"OPENAI_API_KEY": "sk-x"}"#, r#"{"tokens": {"access_token": ""}}"#, "", "{\"tokens\": {"] {
            fs::write(&path, content).unwrap();
            let error = CodexCliStore::new(&path).load().unwrap_err();
            assert!(
                matches!(&error, StoreError::Unreadable { advice, .. } if advice == "run `codex login`"),
                "{error}"
            );
        }
    }
}
