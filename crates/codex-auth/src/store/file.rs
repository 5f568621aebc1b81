//! Credentials in a file, safe against crashes and other processes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::store::blocking::BlockingStore;
use crate::store::{StoreError, StoreVersion, UNNAMED_LOGIN_COMMAND};
use crate::tokens::Tokens;

/// The largest credentials file that is accepted.
const MAX_BYTES: u64 = 1024 * 1024;
/// How many copies of damaged files may pile up before saving fails.
const MAX_DAMAGED_COPIES: u32 = 1000;
/// The longest chain of symbolic links that is followed, the same as Linux's.
const MAX_LINKS: u32 = 40;

/// Stores the tokens in one JSON file.
///
/// The file is created with mode 0600 in a directory created with mode 0700, and replaced by writing a temporary file
/// next to it, syncing it, renaming it, and syncing the directory. A symbolic link is followed, so the file it points
/// to is the one replaced. Unknown members of the file are preserved; a file that does not parse gets the name
/// `….corrupt-N` when the next one is written. The lock is a file next to it (`credentials.lock`).
///
/// ```
/// use codex_auth::{BlockingStore, FileStore};
///
/// let store = FileStore::new("/home/ada/.config/myapp/login.json").with_login_command("myapp sign-in");
/// assert_eq!(store.login_command(), "myapp sign-in");
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    path: Arc<Path>,
    login_command: Arc<str>,
    warned: Arc<WarnedOnce>,
}

/// The warnings that were logged already.
#[derive(Debug, Default)]
struct WarnedOnce {
    mode: AtomicBool,
    lock: AtomicBool,
}

impl FileStore {
    /// Creates a store in the file at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), login_command: UNNAMED_LOGIN_COMMAND.into(), warned: Arc::default() }
    }

    /// Sets the command that logs in, for messages.
    #[must_use]
    pub fn with_login_command(self, command: impl Into<String>) -> Self {
        Self { login_command: command.into().into(), ..self }
    }

    /// Returns the path that the store was created with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file that is read and replaced: the path itself, or the end of its chain of symbolic links.
    fn target(&self) -> PathBuf {
        let mut target = self.path.to_path_buf();
        for _ in 0..MAX_LINKS {
            let Ok(link) = fs::read_link(&target) else { break };
            target = directory_of(&target).join(link);
        }
        target
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (file, length) = match open_regular(&self.path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(&error)),
        };
        self.tighten(&file);
        // Large enough from the start: a buffer that grows leaves copies behind.
        let capacity = usize::try_from(length.min(MAX_BYTES) + 1).unwrap_or_default();
        let mut content = Zeroizing::new(Vec::with_capacity(capacity));
        file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(|error| self.unreadable(&error))?;
        if content.len() as u64 > MAX_BYTES {
            return Err(self.corrupt("it is larger than 1 MiB".to_owned()));
        }
        Ok(Some(content))
    }

    /// Replaces the file durably, whatever its format, and creates the directory if necessary.
    pub(crate) fn replace(&self, content: &[u8]) -> Result<(), StoreError> {
        create_directory(directory_of(&self.target()))
            .and_then(|()| self.write(content))
            .map_err(|error| self.unwritable(&error))
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        let target = self.target();
        let temporary = stage(&target, content)?;
        if let Err(error) = fs::rename(&temporary, &target) {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_directory(directory_of(&target))
    }

    /// Gives a damaged file a second name, so replacing it does not destroy it.
    fn preserve_damaged(&self) -> io::Result<PathBuf> {
        let target = self.target();
        for number in 1..=MAX_DAMAGED_COPIES {
            let copy = with_suffix(&target, &format!(".corrupt-{number}"));
            match fs::hard_link(&target, &copy) {
                Ok(()) => return Ok(copy),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // A file system without links: the file itself moves.
                Err(_) if !copy.exists() => return fs::rename(&target, &copy).map(|()| copy),
                Err(_) => {}
            }
        }
        Err(io::Error::other("there are too many copies of damaged files (`.corrupt-N`); delete some"))
    }

    fn unreadable(&self, error: &io::Error) -> StoreError {
        let advice = if error.kind() == io::ErrorKind::InvalidInput {
            format!("move it away and run `{}`", self.login_command)
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "make it readable for this user (chown, chmod 600)".to_owned()
        } else {
            "check the path and the disk".to_owned()
        };
        StoreError::Unreadable { location: self.location(), reason: error.to_string(), advice }
    }

    fn unwritable(&self, error: &io::Error) -> StoreError {
        let advice = "free space or make the directory writable".to_owned();
        StoreError::Unwritable { location: self.location(), reason: error.to_string(), advice }
    }

    fn corrupt(&self, reason: String) -> StoreError {
        let advice = format!("run `{}` (it keeps a copy of the damaged file)", self.login_command);
        StoreError::Corrupt { location: self.location(), reason, advice }
    }

    /// Restricts the file's permissions to its owner.
    #[cfg(unix)]
    fn tighten(&self, file: &File) {
        use std::os::unix::fs::PermissionsExt as _;

        let Ok(metadata) = file.metadata() else { return };
        if !metadata.is_file() || metadata.permissions().mode() & 0o077 == 0 {
            return;
        }
        let tightened = file.set_permissions(fs::Permissions::from_mode(0o600));
        if !self.warned.mode.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            match tightened {
                Ok(()) => tracing::warn!(%path, "other users could read the credentials; changed the mode to 0600"),
                Err(error) => tracing::warn!(%path, %error, "other users can read the credentials; run chmod 600"),
            }
        }
    }

    #[cfg(not(unix))]
    fn tighten(&self, _: &File) {}
}

impl BlockingStore for FileStore {
    type Lock = FileLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        let Some(content) = self.read()? else { return Ok(None) };
        Tokens::from_json(&content).map(Some).map_err(|error| self.corrupt(error.to_string()))
    }

    fn try_lock(&self) -> Result<Option<FileLock>, StoreError> {
        let path = self.target().with_extension("lock");
        let opened = create_directory(directory_of(&path)).and_then(|()| open_lock(&path));
        let unlockable = |error: io::Error| {
            if !self.warned.lock.swap(true, Ordering::Relaxed) {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot lock the credentials; do not share them with another process");
            }
            Ok(Some(FileLock(None)))
        };
        let file = match opened {
            Ok(file) => file,
            // A lock file that another process created can be locked without permission to write it.
            Err(error) if is_refused_write(error.kind()) => match File::open(&path) {
                Ok(file) => file,
                Err(_) => return unlockable(error),
            },
            Err(error) => return Err(self.unwritable(&error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => unlockable(error),
        }
    }

    fn probe(&self, _: &FileLock) -> Result<(), StoreError> {
        let target = self.target();
        // As large as the file to be written, to detect a full disk.
        let size = fs::metadata(&target).map_or(0, |metadata| metadata.len().min(MAX_BYTES)) + 4096;
        let content = vec![b' '; usize::try_from(size).unwrap_or(4096)];
        stage(&target, &content).and_then(fs::remove_file).map_err(|error| self.unwritable(&error))
    }

    fn save(&self, _: &FileLock, tokens: &Tokens) -> Result<(), StoreError> {
        let previous = match self.read() {
            Ok(previous) => previous,
            Err(StoreError::Corrupt { .. }) => Some(Zeroizing::default()),
            Err(error) => return Err(error),
        };
        if previous.as_ref().is_some_and(|content| Tokens::from_json(content).is_err()) {
            let copy = self.preserve_damaged().map_err(|error| self.unwritable(&error))?;
            tracing::warn!(copy = %copy.display(), "kept a copy of the damaged credentials file");
        }
        self.replace(&tokens.to_json_over(&previous.unwrap_or_default()))
    }

    fn remove(&self, _: &FileLock) -> Result<bool, StoreError> {
        let target = self.target();
        remove_leftovers(&target);
        match fs::remove_file(&target) {
            Ok(()) => sync_directory(directory_of(&target)).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
        .map_err(|error| self.unwritable(&error))
    }

    fn version(&self) -> StoreVersion {
        fs::metadata(&self.path).map_or(StoreVersion::ABSENT, |metadata| version(&metadata))
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn login_command(&self) -> String {
        self.login_command.to_string()
    }
}

/// The lock of a [`FileStore`]; released when dropped, and by a crash.
///
/// Where the directory is not writable or the file system has no locks, the value stands for a lock that was not taken.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its lock")] Option<File>);

#[cfg(unix)]
fn version(metadata: &fs::Metadata) -> StoreVersion {
    use std::os::unix::fs::MetadataExt as _;

    let nanoseconds = metadata.mtime_nsec().cast_unsigned().rotate_left(32) ^ metadata.ctime_nsec().cast_unsigned();
    StoreVersion::of_file([
        metadata.dev(),
        metadata.ino(),
        metadata.mtime().cast_unsigned(),
        nanoseconds,
        metadata.len(),
    ])
}

#[cfg(not(unix))]
fn version(metadata: &fs::Metadata) -> StoreVersion {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default();
    StoreVersion::of_file([1, 0, modified.as_secs(), u64::from(modified.subsec_nanos()), metadata.len()])
}

/// Returns whether writing is refused in a way that no retry changes, while reading may still work.
fn is_refused_write(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::Unsupported
    )
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

const TEMPORARY: &str = ".tmp-";

fn temporary_beside(target: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    with_suffix(target, &format!("{TEMPORARY}{}-{count}", std::process::id()))
}

/// Removes temporary files that a crash left behind: the holder of the lock is the only writer.
fn remove_leftovers(target: &Path) {
    let prefix = with_suffix(target, TEMPORARY);
    let (Some(prefix), Ok(entries)) = (prefix.file_name(), fs::read_dir(directory_of(target))) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Opens a file and returns its length. The kind is checked first: opening a pipe would wait for a writer.
fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((File::open(path)?, metadata.len()))
}

/// Writes and syncs a temporary file that can replace the target.
fn stage(target: &Path, content: &[u8]) -> io::Result<PathBuf> {
    remove_leftovers(target);
    let temporary = temporary_beside(target);
    match write_new(&temporary, content) {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    owner_only(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Makes a rename durable where directories can be opened and synced: on Unix, except some network file systems.
fn sync_directory(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}
