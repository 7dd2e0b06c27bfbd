//! Files, with errors that name them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The system refused something on a file.
#[derive(Debug, thiserror::Error)]
#[error("{action} `{}`: {source}", path.display())]
pub(crate) struct FileError {
    /// What was tried, e.g. `can't write`.
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Turns the system's error into one that says what was tried on which file.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError {
        action,
        path: path.clone(),
        source,
    }
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    fs::write(path, text).map_err(failed("can't write", path))
}

/// Finds out whether a file can be written, without changing it: asked before the work whose result goes there.
pub(crate) fn check_writable(path: &Path) -> Result<(), FileError> {
    let is_new = !path.exists();
    let mut open = fs::OpenOptions::new();
    open.append(true)
        .create(true)
        .open(path)
        .map_err(failed("can't write", path))?;
    if is_new {
        fs::remove_file(path).map_err(failed("can't write", path))?;
    }
    Ok(())
}

/// Reads a whole file of text.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(failed("can't read", path))
}

/// `path` with the current directory in front, if it is relative: what goes into a file must mean the same from everywhere.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, FileError> {
    std::path::absolute(path).map_err(failed("can't find", path))
}
