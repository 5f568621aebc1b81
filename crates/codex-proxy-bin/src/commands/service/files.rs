//! The files of a service.

use std::io::{self, Write as _};
use std::path::Path;

use crate::commands::CommandError;

/// Writes a file that only its owner can read, completely or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: io::Error| CommandError::Other(format!("cannot write {} ({error})", path.display()));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let new = path.with_extension("new");
    // A file that a killed process left may have another mode.
    remove_file(&new)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}

pub(super) fn remove_file(path: &Path) -> Result<(), CommandError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CommandError::Other(format!("cannot remove {} ({error})", path.display())))
        }
        _ => Ok(()),
    }
}
