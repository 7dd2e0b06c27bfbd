//! File operations with errors that name the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
#[error("{action} `{}`: {source}", path.display())]
pub(crate) struct FileError {
    /// The operation, e.g. `can't write`.
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Converts an I/O error into one that names the operation and the file.
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

/// Checks that a file can be written, without changing it, before spending time on its contents.
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

/// Checks that a picture's name ends in `.svg` and that it can be written. `what` names its contents for the error, e.g. `curves are`.
pub(crate) fn check_svg(path: &Path, what: &str) -> anyhow::Result<()> {
    if path.extension().is_none_or(|extension| extension != "svg") {
        bail!(
            "`{}`: {what} drawn as SVG; give a name that ends in .svg",
            path.display()
        );
    }
    Ok(check_writable(path)?)
}

/// Reads a whole text file.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(failed("can't read", path))
}

/// Makes `path` absolute, because paths in files must not depend on the current directory.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, FileError> {
    std::path::absolute(path).map_err(failed("can't find", path))
}
