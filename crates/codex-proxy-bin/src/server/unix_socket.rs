//! A Unix socket that is accessible only to its owner and is removed when it closes.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
#[cfg(any(test, feature = "program"))]
use std::os::unix::net::UnixListener as StdListener;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};

/// A listening socket and its file.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The file's device and inode, if this program has to remove it.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at `path`, readable and writable only by the owner. A stale socket without a listener is removed first.
    ///
    /// # Errors
    /// Another process listens there (`AddrInUse`), the path is not a socket (`AlreadyExists`), or the socket cannot be
    /// created.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        // Setting the permissions later would leave a window for others to connect. The umask belongs to the process:
        // this runs at the start, while nothing else creates files.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound?;
        let file = std::fs::symlink_metadata(path)?;
        Ok(Self { listener, path: path.to_owned(), file: Some((file.dev(), file.ino())) })
    }

    /// Takes over a socket that another process has opened, and will remove.
    #[cfg(feature = "program")]
    pub(crate) fn inherited(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().unwrap_or_else(|| Path::new("(unnamed)")).to_owned();
        Ok(Self { listener: UnixListener::from_std(listener)?, path, file: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        Poll::Ready(ready!(self.listener.poll_accept(cx)).map(|(stream, _)| stream))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another process may have created its own socket there in the meantime.
        let now = std::fs::symlink_metadata(&self.path).map(|file| (file.dev(), file.ino()));
        if self.file.is_some() && now.ok() == self.file {
            // Nothing can be done about a failure: the next start removes the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket of a program that was killed. Keeps other files, and sockets with a listener.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match std::fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"));
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_file_is_private_and_removed_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = UnixSocket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(UnixSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(StdListener::bind(&path).unwrap());
        let socket = UnixSocket::bind(&path).unwrap();
        // A socket that was moved away does not remove its successor.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(UnixSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(socket);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
