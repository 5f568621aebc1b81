//! Credentials on a real file system.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use codex_auth::{BlockingStore, FileStore, Secret, StoreError, Tokens};
use tempfile::TempDir;

struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("home").join("credentials.json")
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.path())
    }

    fn write(&self, content: &str) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.path(), content).unwrap();
    }

    /// The names of all files in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn tokens(name: &str) -> Tokens {
    let mut tokens = Tokens::new(Secret::new(format!("access-{name}")));
    tokens.refresh_token = Some(Secret::new(format!("refresh-{name}")));
    tokens
}

fn save(store: &FileStore, tokens: &Tokens) -> Result<(), StoreError> {
    let lock = store.try_lock()?.expect("the lock is free");
    store.save(&lock, tokens)
}

fn loaded(store: &FileStore) -> String {
    store.load().unwrap().unwrap().access_token.expose().to_owned()
}

#[test]
fn a_missing_file_is_not_a_login() {
    let home = Home::new();
    assert!(home.store().load().unwrap().is_none());
    assert!(!home.path().parent().unwrap().exists(), "reading creates nothing");
}

#[test]
fn what_is_saved_is_loaded_and_nothing_else_is_left() {
    let home = Home::new();
    let store = home.store();
    save(&store, &tokens("one")).unwrap();
    save(&store, &tokens("two")).unwrap();
    assert_eq!(loaded(&store), "access-two");
    assert_eq!(home.names(), ["credentials.json", "credentials.lock"]);
}

#[test]
fn the_mark_changes_with_every_save_and_removal() {
    let home = Home::new();
    let store = home.store();
    let absent = store.version();
    save(&store, &tokens("one")).unwrap();
    let first = store.version();
    assert_eq!(first, store.version());
    save(&store, &tokens("two")).unwrap();
    let second = store.version();
    assert!(absent != first && first != second);
    let lock = store.try_lock().unwrap().unwrap();
    assert!(store.remove(&lock).unwrap());
    assert!(!store.remove(&lock).unwrap());
    assert_eq!(store.version(), absent);
}

#[test]
fn the_lock_excludes_other_holders() {
    let home = Home::new();
    let lock = home.store().try_lock().unwrap().unwrap();
    assert!(home.store().try_lock().unwrap().is_none());
    drop(lock);
    assert!(home.store().try_lock().unwrap().is_some());
}

#[test]
fn unknown_members_survive_a_save() {
    let home = Home::new();
    home.write(
        r#"{"label": "home", "access_token": "a", "refresh_token": "r", "account_id": "x", "expires_at": 1790000000}"#,
    );
    save(&home.store(), &tokens("two")).unwrap();
    let content = fs::read_to_string(home.path()).unwrap();
    assert!(content.contains(r#""label": "home""#), "{content}");
}

#[test]
fn a_damaged_file_is_reported_and_the_next_save_keeps_a_copy() {
    let home = Home::new();
    let store = home.store();
    for (number, damage) in ["{\"access_token\": \"half", "", "[]"].into_iter().enumerate() {
        home.write(damage);
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(!error.to_string().contains("half"), "{error}");
        assert_eq!(fs::read_to_string(home.path()).unwrap(), damage, "loading changes nothing");
        save(&store, &tokens("new")).unwrap();
        assert_eq!(loaded(&store), "access-new");
        let kept = home.path().with_file_name(format!("credentials.json.corrupt-{}", number + 1));
        assert_eq!(fs::read_to_string(kept).unwrap(), damage);
    }
}

#[test]
fn an_oversized_file_is_not_read_into_memory() {
    let home = Home::new();
    home.write(&" ".repeat(1024 * 1024 + 1));
    let error = home.store().load().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    home.write(&format!("{}{{\"access_token\": \"a\"}}", " ".repeat(1000)));
    assert_eq!(loaded(&home.store()), "a");
}

#[test]
fn a_directory_in_its_place_is_named_with_the_next_step() {
    let home = Home::new();
    fs::create_dir_all(home.path()).unwrap();
    let error = home.store().load().unwrap_err();
    let StoreError::Unreadable { location, .. } = error else { panic!("{error}") };
    assert_eq!(PathBuf::from(location), home.path());
    assert!(save(&home.store(), &tokens("one")).is_err());
}

#[test]
fn leftovers_of_a_crash_do_no_harm_and_are_removed() {
    let home = Home::new();
    let store = home.store();
    save(&store, &tokens("one")).unwrap();
    // Killed between writing and renaming: whole, half and empty temporary files.
    for (number, content) in ["{\"access_token\": \"ghost\"}", "{\"acc", ""].into_iter().enumerate() {
        fs::write(home.path().with_file_name(format!("credentials.json.tmp-1-{number}")), content).unwrap();
    }
    assert_eq!(loaded(&store), "access-one");
    save(&store, &tokens("two")).unwrap();
    assert_eq!(loaded(&store), "access-two");
    assert_eq!(home.names(), ["credentials.json", "credentials.lock"]);
}

#[test]
fn leftovers_do_not_stand_in_the_way_of_a_probe() {
    let home = Home::new();
    let store = home.store();
    save(&store, &tokens("one")).unwrap();
    // In a container every run has the same process id, so a crash leaves exactly the names that the next run uses.
    for number in 0..100 {
        let name = format!("credentials.json.tmp-{}-{number}", std::process::id());
        fs::write(home.path().with_file_name(name), "").unwrap();
    }
    let lock = store.try_lock().unwrap().unwrap();
    store.probe(&lock).unwrap();
    assert_eq!(home.names(), ["credentials.json", "credentials.lock"]);
}

#[test]
fn a_file_in_place_of_the_directory_is_an_error_that_names_the_path() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("home"), "").unwrap();
    let store = FileStore::new(directory.path().join("home").join("credentials.json"));
    let at_fault = |error: &StoreError| match error {
        StoreError::Unreadable { location, .. } | StoreError::Unwritable { location, .. } => {
            *location == store.location()
        }
        StoreError::Corrupt { .. } | StoreError::Locked { .. } | _ => false,
    };
    assert!(at_fault(&store.load().unwrap_err()) && at_fault(&store.try_lock().unwrap_err()));
}

#[test]
fn readers_never_see_a_half_written_file() {
    let home = Home::new();
    let store = home.store();
    save(&store, &tokens("0")).unwrap();
    let reader = std::thread::spawn({
        let store = home.store();
        move || {
            let mut reads = 0;
            while loaded(&store) != "access-last" {
                reads += 1;
            }
            reads
        }
    });
    for number in 1..50 {
        save(&store, &tokens(&number.to_string())).unwrap();
    }
    save(&store, &tokens("last")).unwrap();
    assert!(reader.join().unwrap() > 0);
}

#[test]
fn times_survive_on_disk() {
    let home = Home::new();
    let mut before = tokens("one");
    before.expires_at = Some(std::time::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    before.last_refresh = Some(std::time::UNIX_EPOCH + Duration::from_millis(1_789_999_999_123));
    save(&home.store(), &before).unwrap();
    let after = home.store().load().unwrap().unwrap();
    assert_eq!((after.expires_at, after.last_refresh), (before.expires_at, before.last_refresh));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_for_the_owner_only_from_the_start() {
        let home = Home::new();
        save(&home.store(), &tokens("one")).unwrap();
        assert_eq!(mode(&home.path()), 0o600);
        assert_eq!(mode(&home.path().with_extension("lock")), 0o600);
        assert_eq!(mode(home.path().parent().unwrap()), 0o700);
    }

    #[test]
    fn loose_modes_are_tightened() {
        let home = Home::new();
        home.write(r#"{"access_token": "a"}"#);
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(loaded(&home.store()), "a");
        assert_eq!(mode(&home.path()), 0o600);
    }

    #[test]
    fn a_lock_file_that_cannot_be_written_can_be_locked() {
        let home = Home::new();
        save(&home.store(), &tokens("one")).unwrap();
        fs::set_permissions(home.path().with_extension("lock"), fs::Permissions::from_mode(0o400)).unwrap();
        let lock = home.store().try_lock().unwrap().unwrap();
        assert!(home.store().try_lock().unwrap().is_none());
        drop(lock);
        assert!(home.store().try_lock().unwrap().is_some());
    }

    #[test]
    fn a_special_file_is_neither_waited_for_nor_replaced() {
        let home = Home::new();
        fs::create_dir_all(home.path().parent().unwrap()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(home.path()).unwrap();
        assert!(matches!(home.store().load().unwrap_err(), StoreError::Unreadable { .. }));
        assert!(save(&home.store(), &tokens("one")).is_err());
        assert!(!fs::metadata(home.path()).unwrap().is_file());
    }

    #[test]
    fn a_chain_of_links_is_followed_and_a_circle_is_an_error() {
        let home = Home::new();
        let directory = home.path().parent().unwrap().to_owned();
        fs::create_dir_all(&directory).unwrap();
        symlink("second.json", home.path()).unwrap();
        symlink("../vault.json", directory.join("second.json")).unwrap();
        for name in ["one", "two"] {
            save(&home.store(), &tokens(name)).unwrap();
            assert_eq!(loaded(&FileStore::new(home.directory.path().join("vault.json"))), format!("access-{name}"));
        }
        assert!(fs::symlink_metadata(directory.join("second.json")).unwrap().is_symlink());

        fs::remove_file(directory.join("second.json")).unwrap();
        symlink("credentials.json", directory.join("second.json")).unwrap();
        assert!(matches!(home.store().load().unwrap_err(), StoreError::Unreadable { .. }));
        assert!(save(&home.store(), &tokens("three")).is_err());
        assert!(fs::symlink_metadata(home.path()).unwrap().is_symlink());
    }

    #[test]
    fn a_symbolic_link_is_written_through() {
        let home = Home::new();
        let target = home.directory.path().join("vault.json");
        fs::create_dir_all(home.path().parent().unwrap()).unwrap();
        symlink("../vault.json", home.path()).unwrap();
        assert!(home.store().load().unwrap().is_none(), "the target does not exist yet");
        for name in ["one", "two"] {
            save(&home.store(), &tokens(name)).unwrap();
            assert!(fs::symlink_metadata(home.path()).unwrap().is_symlink());
            assert_eq!(loaded(&FileStore::new(&target)), format!("access-{name}"));
            assert_eq!(loaded(&home.store()), format!("access-{name}"));
        }
        assert_eq!(mode(&target), 0o600);
        let lock = home.store().try_lock().unwrap().unwrap();
        assert!(FileStore::new(&target).try_lock().unwrap().is_none(), "link and target share the lock");
        drop(lock);
    }
}
