//! Why a checkpoint could not be written or read.

use std::path::{Path, PathBuf};

/// An error while writing or reading a checkpoint.
///
/// ```
/// use coinop_agents::Section;
///
/// let error = Section::default().get::<u64>("frames").unwrap_err();
/// assert!(error.to_string().contains("frames"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is no entry with this name.
    #[error("the checkpoint has no `{0}`: it was written by another version or another algorithm")]
    Missing(String),
    /// A value or tensor does not fit.
    #[error("`{name}` in the checkpoint does not fit: {reason}")]
    Mismatch {
        /// The name of the entry.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A file is damaged.
    #[error("the checkpoint `{}` is damaged: {reason}; use another checkpoint", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor contains NaN or infinity.
    #[error("the checkpoint `{}` is of no use: its tensor `{tensor}` holds NaN or infinity, so training had diverged; use another checkpoint", path.display())]
    NotFinite {
        /// The folder.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// The checkpoint has the format of another version.
    #[error("the checkpoint `{}` has format {found}, this program reads {known}: use the coinop that wrote it", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this program reads.
        known: u32,
    },
    /// A third-party algorithm panicked while being saved or loaded.
    #[error("the algorithm {name}: its {what} panicked: {message}")]
    Panicked {
        /// The name of the algorithm.
        name: &'static str,
        /// The method that panicked.
        what: &'static str,
        /// The panic message.
        message: String,
    },
    /// A file operation failed.
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        /// The operation, e.g. `can't write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl CheckpointError {
    pub(crate) fn unfit(name: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::Mismatch {
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The error of an operation on a file.
pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> CheckpointError + 'a {
    move |source| CheckpointError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The error for a file that is not as it was written.
pub(super) fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
