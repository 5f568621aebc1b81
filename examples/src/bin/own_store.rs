//! Keeps a login in a table of a SQLite database, and renews it with an endpoint of its own. Twenty callers and two
//! managers, as two processes would have them, share one refresh.
//!
//! ```text
//! cargo run -p examples --bin own_store
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use codex_auth::{
    BlockingStore, EndpointError, ParseTokensError, RefreshReason, Secret, StoreError, StoreVersion, TokenEndpoint,
    TokenManager, TokenResponse, Tokens,
};
use futures_util::future::try_join_all;
use rusqlite::{Connection, ErrorCode};

/// One row, with the tokens as a JSON document. It stays after a logout, so that its version never comes back.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS login (id INTEGER PRIMARY KEY, version INTEGER, document BLOB, probes INTEGER);
    INSERT OR IGNORE INTO login VALUES (1, 0, NULL, 0)";

/// A login in SQLite, whose calls block for a moment: codex-auth makes them on blocking threads.
#[derive(Clone)]
struct SqliteStore {
    database: Arc<Mutex<Connection>>,
    /// A connection that only reads the version, and what it has read last.
    version: Arc<Mutex<(Connection, StoreVersion)>>,
    path: Arc<str>,
}

impl SqliteStore {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let database = Connection::open(path)?;
        database.execute_batch(SCHEMA)?;
        let reader = Connection::open(path)?;
        reader.busy_timeout(Duration::ZERO)?;
        Ok(Self {
            database: Arc::new(Mutex::new(database)),
            version: Arc::new(Mutex::new((reader, StoreVersion::ABSENT))),
            path: path.display().to_string().into(),
        })
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        let advice = "check the database and its disk".to_owned();
        StoreError::Other { location: self.location(), reason: error.to_string(), advice }
    }

    fn damaged(&self, error: &ParseTokensError) -> StoreError {
        let advice = format!("run `{}`", self.login_command());
        StoreError::Corrupt { location: self.location(), reason: error.to_string(), advice }
    }

    fn write(&self, document: Option<&[u8]>) -> Result<bool, StoreError> {
        let sql = "UPDATE login SET document = ?1, version = version + 1 WHERE document IS NOT NULL OR ?1 IS NOT NULL";
        self.database().execute(sql, [document]).map(|rows| rows > 0).map_err(|error| self.failed(&error))
    }
}

impl BlockingStore for SqliteStore {
    /// A transaction that excludes all others, in a database of its own: it ends with the process that holds it.
    type Lock = Mutex<Connection>;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        let document = self.database().query_row("SELECT document FROM login", [], |row| row.get(0));
        let document: Option<Vec<u8>> = document.map_err(|error| self.failed(&error))?;
        document.map(|json| Tokens::from_json(&json).map_err(|error| self.damaged(&error))).transpose()
    }

    fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError> {
        let lock = Connection::open(format!("{}.lock", self.path)).map_err(|error| self.failed(&error))?;
        let begun = lock.busy_timeout(Duration::ZERO).and_then(|()| lock.execute_batch("BEGIN EXCLUSIVE"));
        match begun {
            Ok(()) => Ok(Some(Mutex::new(lock))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn probe(&self, _: &Self::Lock) -> Result<(), StoreError> {
        let written = self.database().execute("UPDATE login SET probes = probes + 1", []);
        written.map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn save(&self, _: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError> {
        self.write(Some(&tokens.to_json())).map(|_| ())
    }

    fn remove(&self, _: &Self::Lock) -> Result<bool, StoreError> {
        self.write(None)
    }

    /// Called on an async thread, so it waits for no writer: while one has locked the database, the version is the last
    /// one, and the change is noticed the next time.
    fn version(&self) -> StoreVersion {
        let (reader, last) = &mut *lock(&self.version);
        if let Ok(version) = reader.query_row("SELECT version FROM login", [], |row| row.get::<_, i64>(0)) {
            *last = version.cast_unsigned().into();
        }
        *last
    }

    fn location(&self) -> String {
        self.path.to_string()
    }

    fn login_command(&self) -> String {
        "own_store sign-in --profile work".to_owned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An auth server that accepts each refresh token once.
#[derive(Clone, Default)]
struct AuthServer(Arc<AtomicU64>);

impl TokenEndpoint for AuthServer {
    async fn refresh(&self, refresh_token: &Secret, _: RefreshReason) -> Result<TokenResponse, EndpointError> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        assert_eq!(refresh_token.expose(), format!("refresh-{number}"), "the token was used twice");
        Ok(TokenResponse {
            access_token: Some(Secret::new(format!("access-{}", number + 1))),
            refresh_token: Some(Secret::new(format!("refresh-{}", number + 1))),
            expires_in: Some(Duration::from_secs(3600)),
            ..TokenResponse::default()
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("myapp.db");
    let store = SqliteStore::open(&path)?;
    let mut tokens = Tokens::new(Secret::new("access-0"));
    tokens.refresh_token = Some(Secret::new("refresh-0"));
    tokens.expires_at = Some(SystemTime::now());
    let lock = store.try_lock()?.ok_or("another process holds the lock")?;
    store.save(&lock, &tokens)?;
    drop(lock);

    // A connection each, as in two processes.
    let server = AuthServer::default();
    let managers = [store.clone(), SqliteStore::open(&path)?].map(|store| TokenManager::new(store, server.clone()));
    let bearers = try_join_all((0..20).map(|caller| managers[caller % 2].bearer())).await?;
    let stored = store.load()?.ok_or("the tokens are gone")?;
    assert!(bearers.iter().all(|bearer| bearer.token.matches(&stored.access_token)));
    writeln!(
        io::stdout(),
        "20 callers, {} refresh, stored: {}",
        server.0.load(Ordering::SeqCst),
        stored.access_token.expose()
    )?;

    // The backend has answered 401 to both.
    let replaced = try_join_all([0, 1].map(|caller| managers[caller].replace(&bearers[caller]))).await?;
    assert!(replaced[0].token.matches(&replaced[1].token));
    writeln!(io::stdout(), "2 rejections, {} refreshes in all", server.0.load(Ordering::SeqCst))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_waits_for_no_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("myapp.db");
        let store = SqliteStore::open(&path).unwrap();
        store.write(Some(b"{}")).unwrap();
        let before = store.version();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE; UPDATE login SET version = version + 1").unwrap();
        // A call on another thread that waits for the other process.
        let waits = store.database();
        assert_eq!(store.version(), before);
        other.execute_batch("COMMIT").unwrap();
        assert_ne!(store.version(), before);
        drop(waits);
    }
}
