//! Processes that are killed, that share a file, and whose disk refuses to write.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use codex_auth::{AuthError, BlockingStore, FileStore, GrantRefusal, LoginReason, Secret, StoreVersion, Tokens};
use tempfile::TempDir;

use crate::worker::{Entries, Ledger, Point, manager, worker, worker_under};

/// Credentials in a directory of their own.
struct Home {
    directory: TempDir,
}

impl Home {
    /// Holds tokens of the given generation whose access token has expired.
    fn holding(generation: u64) -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        home.log_in(generation);
        home
    }

    fn log_in(&self, generation: u64) {
        let mut tokens = Tokens::new(Secret::new(format!("access-{generation}")));
        tokens.refresh_token = Some(Secret::new(format!("refresh-{generation}")));
        tokens.expires_at = Some(UNIX_EPOCH + Duration::from_secs(1));
        let lock = self.store().try_lock().unwrap().expect("a process that is gone holds no lock");
        self.store().save(&lock, &tokens).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("credentials.json")
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.path())
    }

    /// The generation of the stored refresh token; the file is always readable.
    fn generation(&self) -> u64 {
        let token = self.store().load().unwrap().unwrap().refresh_token.unwrap();
        token.expose().strip_prefix("refresh-").unwrap().parse().unwrap()
    }

    fn holds_temporary_file(&self) -> bool {
        self.names().iter().any(|name| name.contains(".tmp-"))
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// When a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// While it finds out whether it can write.
    Probing,
    /// With its request at the authority, unanswered.
    Asked,
    /// With its token spent and the reply not written.
    Rotated,
    /// With the new tokens in a temporary file.
    Writing,
    /// With the new tokens in place.
    Renamed,
    /// With the new access token in use.
    Used,
}

impl Moment {
    const ALL: [Self; 6] = [Self::Probing, Self::Asked, Self::Rotated, Self::Writing, Self::Renamed, Self::Used];

    /// The last point at which the worker can wait.
    fn point(self) -> Point {
        match self {
            Self::Probing | Self::Asked => Point::Asked,
            Self::Rotated => Point::Rotated,
            Self::Writing | Self::Renamed | Self::Used => Point::Used,
        }
    }

    fn has_come(self, home: &Home, ledger: &Ledger, replies: u64, version: StoreVersion) -> bool {
        let is_answered = || ledger.entries().replies > replies;
        match self {
            Self::Probing => home.holds_temporary_file(),
            Self::Writing => is_answered() && home.holds_temporary_file(),
            Self::Renamed => is_answered() && home.store().version() != version,
            Self::Asked | Self::Rotated | Self::Used => false,
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_a_readable_store_and_loses_nothing_that_could_be_kept() {
    const ROUNDS: usize = 50;
    let home = Home::holding(1);
    let ledger = Ledger::open(1, u64::MAX);
    let mut lost = BTreeMap::<Moment, usize>::new();
    for moment in std::iter::repeat_n(Moment::ALL, ROUNDS).flatten() {
        let (replies, version) = (ledger.entries().replies, home.store().version());
        ledger.hold(moment.point());
        let mut child = worker(&ledger, &home.path()).spawn().unwrap();
        while !moment.has_come(&home, &ledger, replies, version) && !ledger.is_reached() {
            assert!(child.try_wait().unwrap().is_none(), "{moment:?}: {:?}", ledger.entries().given_up);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        ledger.settle();

        let Entries { generation: issued, used, reused, .. } = ledger.entries();
        let stored = home.generation();
        assert!(stored >= used, "{moment:?}: generation {used} was used before it was stored");
        assert!(stored == issued || stored + 1 == issued, "{moment:?}: stored {stored}, issued {issued}");
        if stored == issued {
            // The next round starts from here: the worker's first refresh must succeed.
            continue;
        }
        *lost.entry(moment).or_default() += 1;
        let error = manager(home.store(), ledger.remote()).bearer().await.unwrap_err();
        let reason = LoginReason::Refused(GrantRefusal::Reused);
        assert_eq!(error, AuthError::LoginExpired { reason, login: home.store().login_command() });
        assert_eq!(ledger.entries().reused, reused + 1);
        home.log_in(issued);
    }
    for safe in [Moment::Probing, Moment::Asked, Moment::Used] {
        assert_eq!(lost.get(&safe), None, "{lost:?}");
    }
    assert_eq!(lost.get(&Moment::Rotated), Some(&ROUNDS), "what never arrived cannot be kept");
    assert_eq!(ledger.entries().given_up, [""; 0]);
    // The next save removes what the killed workers have left.
    home.log_in(9);
    assert_eq!(home.names(), ["credentials.json", "credentials.lock"]);
}

#[test]
fn eight_processes_on_one_store_never_spend_a_token_twice_and_lose_no_request() {
    const REFRESHES: u64 = 500;
    let home = Home::holding(1);
    let ledger = Ledger::open(1, 1 + REFRESHES);
    let workers: Vec<_> = (0..8).map(|_| worker(&ledger, &home.path()).spawn().unwrap()).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let entries = ledger.entries();
    assert_eq!((entries.reused, &entries.given_up), (0, &Vec::new()));
    assert!(entries.generation > REFRESHES);
    assert_eq!(home.generation(), entries.generation);
}

/// Runs a worker that cannot write and returns what it could not do, if anything.
fn run(mut command: Command, ledger: &Ledger) -> Vec<String> {
    assert!(command.status().unwrap().success());
    ledger.entries().given_up.clone()
}

#[test]
fn a_full_disk_is_served_from_memory_and_the_old_file_stays() {
    let home = Home::holding(1);
    let ledger = Ledger::open(1, 3);
    // No file may grow: every write fails as on a full disk.
    let script = r#"trap '' XFSZ; ulimit -f 0; exec "$0" "$@""#;
    assert_eq!(run(worker_under(script, &ledger, &home.path()), &ledger), [""; 0]);
    assert_eq!((ledger.entries().used, ledger.entries().reused), (3, 0));
    assert_eq!(home.generation(), 1);
    assert_eq!(home.names(), ["credentials.json", "credentials.lock"]);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Modes do not restrict root unless it drops that capability.
fn worker_bound_by_modes(ledger: &Ledger, home: &Home) -> Command {
    let locked = tempfile::NamedTempFile::new().unwrap();
    set_mode(locked.path(), 0o000);
    if fs::File::open(locked.path()).is_err() {
        return worker(ledger, &home.path());
    }
    worker_under(r#"exec setpriv --inh-caps=-all --bounding-set=-all "$0" "$@""#, ledger, &home.path())
}

#[test]
fn a_read_only_directory_is_served_from_memory_and_the_old_file_stays() {
    let home = Home::holding(1);
    fs::remove_file(home.path().with_extension("lock")).unwrap();
    let ledger = Ledger::open(1, 3);
    set_mode(home.directory.path(), 0o500);
    let given_up = run(worker_bound_by_modes(&ledger, &home), &ledger);
    set_mode(home.directory.path(), 0o700);
    assert_eq!(given_up, [""; 0]);
    assert_eq!((ledger.entries().used, ledger.entries().reused), (3, 0));
    assert_eq!((home.generation(), home.names()), (1, vec!["credentials.json".to_owned()]));
}

#[test]
fn a_file_without_read_permission_is_not_a_missing_file() {
    let home = Home::holding(1);
    let ledger = Ledger::open(1, 3);
    set_mode(&home.path(), 0o000);
    let given_up = run(worker_bound_by_modes(&ledger, &home), &ledger);
    assert!(given_up[0].starts_with("Store(Unreadable"), "{given_up:?}");

    fs::remove_file(home.path()).unwrap();
    let given_up = run(worker_bound_by_modes(&ledger, &home), &ledger);
    assert!(given_up[1].starts_with("NotLoggedIn"), "{given_up:?}");
    assert_eq!(ledger.entries().generation, 1, "no refresh token was used");
}
