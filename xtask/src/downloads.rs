//! Wheels that are kept until set-up is through with them: a run that fails or is interrupted after a download leaves it
//! to the next run.
//!
//! ```text
//! .libtorch.downloads/torch==2.11.0/torch-2.11.0-….whl     complete: pip has checked its hash, then it was renamed to here
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, SetupError};
use crate::pip::{Wheels, wheel_in};

/// Wheels that come from elsewhere and stay in a folder until [`Downloads::clear`].
pub(crate) struct Downloads<'a> {
    wheels: &'a dyn Wheels,
    folder: PathBuf,
}

impl<'a> Downloads<'a> {
    /// `folder` need not exist. It must be on the file system that [`Wheels::fetch`] writes to.
    pub(crate) fn kept_in(folder: PathBuf, wheels: &'a dyn Wheels) -> Downloads<'a> {
        Downloads { wheels, folder }
    }

    /// Whether an earlier run has left the wheel of `requirement`.
    pub(crate) fn has(&self, requirement: &str) -> bool {
        matches!(wheel_in(&self.folder.join(requirement)), Ok(Some(_)))
    }

    /// Removes what is kept.
    pub(crate) fn clear(&self) -> Result<(), SetupError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", &self.folder),
            _ => Ok(()),
        }
    }
}

impl Wheels for Downloads<'_> {
    fn fetch(&self, requirement: &str, into: &Path) -> Result<PathBuf, SetupError> {
        let folder = self.folder.join(requirement);
        if let Ok(Some(wheel)) = wheel_in(&folder) {
            return Ok(wheel);
        }
        let fetched = self.wheels.fetch(requirement, into)?;
        fs::create_dir_all(&folder).at("create", &folder)?;
        let kept = folder.join(fetched.file_name().unwrap_or_default());
        fs::rename(&fetched, &kept).at("create", &kept)?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeIndex;

    #[test]
    fn a_wheel_is_fetched_once_until_the_downloads_are_cleared() {
        let root = tempfile::tempdir().unwrap();
        let into = root.path().join("into");
        fs::create_dir(&into).unwrap();
        let index = FakeIndex::default().with("thing==1.0", &[("file", b"bytes")]);
        let downloads = Downloads::kept_in(root.path().join("kept"), &index);
        downloads.clear().unwrap();
        assert!(!downloads.has("thing==1.0"));

        let first = downloads.fetch("thing==1.0", &into).unwrap();
        assert!(downloads.has("thing==1.0") && first.exists());
        assert_eq!(downloads.fetch("thing==1.0", &into).unwrap(), first);
        assert_eq!(index.fetched().len(), 1);

        downloads.clear().unwrap();
        assert!(!first.exists());
        downloads.fetch("thing==1.0", &into).unwrap();
        assert_eq!(index.fetched().len(), 2);
    }

    #[test]
    fn a_wheel_that_does_not_arrive_is_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let index = FakeIndex::default();
        let downloads = Downloads::kept_in(root.path().join("kept"), &index);
        assert!(downloads.fetch("thing==1.0", root.path()).is_err());
        assert!(!downloads.has("thing==1.0"));
    }
}
