//! A separate process: this test binary, run again with a task in its environment, and an auth server that it can
//! reach.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use codex_auth::{
    EndpointError, FileStore, GrantRefusal, HttpClientError, RefreshPolicy, RefreshReason, Secret, SystemClock,
    TokenEndpoint, TokenManager, TokenResponse,
};

/// `<port> <path>`: the auth server, and the credentials to use.
const TASK: &str = "CODEX_AUTH_TEST_TASK";

/// Gets bearers and uses them until the auth server has enough. Does nothing without a task.
#[tokio::test]
async fn bearers_are_used_until_the_authority_has_enough() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (port, path) = task.split_once(' ').unwrap();
    let authority = Remote(port.parse().unwrap());
    let manager = manager(FileStore::new(path), authority);
    loop {
        let said = match manager.bearer().await {
            Ok(bearer) => authority.ask(format!("use {}", bearer.token.expose())).await,
            Err(error) => authority.ask(format!("give-up {error:?}")).await,
        };
        if said.unwrap() != "on" {
            return;
        }
    }
}

/// Returns a command that runs the task in a process of its own.
pub(crate) fn worker(ledger: &Ledger, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    task(&mut command, ledger, path);
    command
}

/// Returns a command that runs the task as `sh -c script`; the script ends with `exec "$0" "$@"`.
pub(crate) fn worker_under(script: &str, ledger: &Ledger, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    task(&mut command, ledger, path);
    command
}

fn task(command: &mut Command, ledger: &Ledger, path: &Path) {
    command
        .args(["--exact", "worker::bearers_are_used_until_the_authority_has_enough"])
        .env(TASK, format!("{} {}", ledger.port, path.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
}

pub(crate) fn manager(store: FileStore, authority: Remote) -> TokenManager<FileStore, Remote> {
    TokenManager::with_policy(store, authority, SystemClock, RefreshPolicy::default())
}

/// The address of a [`Ledger`], for any process.
#[derive(Clone, Copy)]
pub(crate) struct Remote(u16);

impl Remote {
    async fn ask(self, line: String) -> std::io::Result<String> {
        let asked = move || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.0))?;
            writeln!(stream, "{line}")?;
            let mut reply = String::new();
            BufReader::new(stream).read_line(&mut reply)?;
            Ok(reply.trim_end().to_owned())
        };
        tokio::task::spawn_blocking(asked).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }
}

impl TokenEndpoint for Remote {
    async fn refresh(&self, refresh_token: &Secret, _: RefreshReason) -> Result<TokenResponse, EndpointError> {
        let asked = self.ask(format!("refresh {}", refresh_token.expose())).await;
        let said = asked.map_err(|error| HttpClientError::Interrupted(error.to_string()))?;
        if said == "reused" {
            return Err(EndpointError::Refused { refusal: GrantRefusal::Reused });
        }
        Ok(TokenResponse {
            access_token: Some(Secret::new(format!("access-{said}"))),
            refresh_token: Some(Secret::new(format!("refresh-{said}"))),
            id_token: None,
            // The file keeps whole seconds, so the token has expired when it is read back.
            expires_in: Some(Duration::from_millis(1)),
        })
    }
}

/// An authority that rotates tokens, and a backend that notes which access tokens it sees.
#[derive(Clone)]
pub(crate) struct Ledger {
    shared: Arc<(Mutex<Entries>, Condvar)>,
    port: u16,
}

#[derive(Clone, Default)]
pub(crate) struct Entries {
    /// The tokens that are valid are `access-N` and `refresh-N`.
    pub(crate) generation: u64,
    /// How many replies with new tokens were written.
    pub(crate) replies: u64,
    /// How many used tokens were sent again.
    pub(crate) reused: u64,
    /// The newest generation whose access token was used.
    pub(crate) used: u64,
    /// Why workers gave up.
    pub(crate) given_up: Vec<String>,
    /// Workers end when tokens were renewed, or used, this often.
    pub(crate) enough: u64,
    hold: Option<Point>,
    /// How many requests are not finished, and how many of these wait.
    open: usize,
    standing: usize,
}

/// A point at which a worker can be made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its refresh token has arrived and is not spent yet.
    Asked,
    /// The token is spent and the reply not written yet.
    Rotated,
    /// The new access token is in use.
    Used,
}

impl Ledger {
    /// Serves on a port of its own until the process ends.
    pub(crate) fn open(generation: u64, enough: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let entries = Entries { generation, enough, ..Entries::default() };
        let port = listener.local_addr().unwrap().port();
        let ledger = Self { shared: Arc::new((Mutex::new(entries), Condvar::new())), port };
        let serving = ledger.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ledger = serving.clone();
                ledger.lock().open += 1;
                std::thread::spawn(move || {
                    // A worker that was killed does not receive the reply.
                    let _ = ledger.serve(stream);
                    ledger.lock().open -= 1;
                    ledger.changed().notify_all();
                });
            }
        });
        ledger
    }

    /// Returns the address of this ledger.
    pub(crate) fn remote(&self) -> Remote {
        Remote(self.port)
    }

    pub(crate) fn entries(&self) -> Entries {
        self.lock().clone()
    }

    /// Makes the next worker wait at that point.
    pub(crate) fn hold(&self, point: Point) {
        self.lock().hold = Some(point);
    }

    /// Returns whether a worker waits.
    pub(crate) fn is_reached(&self) -> bool {
        self.lock().standing > 0
    }

    /// Waits until every request of a worker that is gone has been handled.
    pub(crate) fn settle(&self) {
        // Connections are accepted in turn: when this one is answered, those before it are counted.
        let mut last = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        last.shutdown(Shutdown::Write).unwrap();
        last.read_to_end(&mut Vec::new()).unwrap();
        let mut entries = self.lock();
        while entries.open > entries.standing {
            entries = self.changed().wait(entries).unwrap();
        }
        entries.hold = None;
        self.changed().notify_all();
        while entries.open > 0 {
            entries = self.changed().wait(entries).unwrap();
        }
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut line = String::new();
        BufReader::new(stream.try_clone()?).read_line(&mut line)?;
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or_default();
        let reply = match verb {
            "refresh" => match self.refresh(rest) {
                Some(reply) => reply,
                None => return Ok(()),
            },
            "use" => self.used(rest),
            "give-up" => {
                self.lock().given_up.push(rest.to_owned());
                "enough".to_owned()
            }
            // The worker connected and was killed before it sent a request.
            _ => return Ok(()),
        };
        writeln!(stream, "{reply}")?;
        if verb == "refresh" {
            self.lock().replies += 1;
        }
        Ok(())
    }

    /// `None` if the worker was killed before the token was used.
    fn refresh(&self, token: &str) -> Option<String> {
        if self.stand_still(Point::Asked) {
            return None;
        }
        let generation = {
            let mut entries = self.lock();
            if token != format!("refresh-{}", entries.generation) {
                entries.reused += 1;
                return Some("reused".to_owned());
            }
            entries.generation += 1;
            entries.generation
        };
        self.stand_still(Point::Rotated);
        Some(generation.to_string())
    }

    fn used(&self, token: &str) -> String {
        {
            let mut entries = self.lock();
            let generation = token.strip_prefix("access-").and_then(|number| number.parse().ok()).unwrap_or(0);
            entries.used = entries.used.max(generation);
        }
        self.stand_still(Point::Used);
        let entries = self.lock();
        if entries.generation < entries.enough { "on".to_owned() } else { "enough".to_owned() }
    }

    fn changed(&self) -> &Condvar {
        &self.shared.1
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.0.lock().unwrap()
    }

    /// Waits at this point if the ledger holds it; returns whether it did.
    fn stand_still(&self, point: Point) -> bool {
        let mut entries = self.lock();
        if entries.hold != Some(point) {
            return false;
        }
        entries.standing += 1;
        self.changed().notify_all();
        while entries.hold == Some(point) {
            entries = self.changed().wait(entries).unwrap();
        }
        entries.standing -= 1;
        true
    }
}
