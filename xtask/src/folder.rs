//! Folders that are either complete or absent.
//!
//! ```text
//! .libtorch               the finished folder; its file .complete says what it holds
//! .libtorch.lock          held by the run that works on it; the system releases it when that run ends, however it ends
//! .libtorch.partial-4711  work of process 4711; renamed to .libtorch when it is complete and on the disk
//! .libtorch.downloads     wheels, until they are unpacked
//! ```
//! Only the holder of the lock has a partial folder, so whatever partial folder a new holder finds is left over from a
//! run that died, and is removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::say;

/// The file in a finished folder that says what it holds.
const STAMP: &str = ".complete";

/// What the stamp of `folder` says, if it has one.
pub(crate) fn stamp(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(STAMP)).ok()
}

/// Marks `folder` as complete. Whatever it holds must be on the disk already ([`flush`]).
pub(crate) fn write_stamp(folder: &Path, text: &str) -> Result<()> {
    let aside = folder.join(".complete.new");
    let mut file = File::create(&aside).at("create", &aside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written
        .and_then(|()| fs::rename(&aside, folder.join(STAMP)))
        .at("write", &aside)
}

/// Waits until everything that was written on the file system of `folder` is on the disk.
pub(crate) fn flush(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let file = File::open(folder).at("open", folder)?;
        rustix::fs::syncfs(&file).map_err(io::Error::from).at("flush", folder)?;
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    rustix::fs::sync();
    let _ = folder;
    Ok(())
}

/// The lock on a folder and its scratch space. The scratch space is removed on drop, then the lock is released.
pub(crate) struct Scratch {
    target: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Locks `target`, waiting for another run if need be, and removes what runs that died left beside it.
    pub(crate) fn lock(target: &Path) -> Result<Scratch> {
        let lock_path = sibling(target, "lock");
        let lock = File::create(&lock_path).at("create", &lock_path)?;
        if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            say(&format!(
                "another run is setting up {}; waiting for it",
                target.display()
            ));
        }
        lock.lock().at("lock", &lock_path)?;
        remove_leftovers(target)?;
        let path = sibling(target, &format!("partial-{}", std::process::id()));
        fs::create_dir(&path).at("create", &path)?;
        Ok(Scratch {
            target: target.to_owned(),
            path,
            _lock: lock,
        })
    }

    /// A new empty folder in the scratch space.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path).at("create", &path)?;
        Ok(path)
    }

    /// The folder in which downloads stay from one run to the next, for the holder of the lock. It may not exist.
    pub(crate) fn downloads(&self) -> PathBuf {
        sibling(&self.target, "downloads")
    }

    /// Puts `finished`, a folder of the scratch space, in the place of the target.
    pub(crate) fn publish(&self, finished: &Path) -> Result<()> {
        flush(finished)?;
        match fs::rename(&self.target, self.path.join("replaced")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("move away", &self.target)?,
            _ => {}
        }
        fs::rename(finished, &self.target).at("create", &self.target)?;
        flush(&self.target)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A failure leaves a leftover, which the next run removes.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `.libtorch` and `lock` give `.libtorch.lock` beside it.
fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{name}.{suffix}"))
}

fn remove_leftovers(target: &Path) -> Result<()> {
    let prefix = sibling(target, "partial-");
    let (parent, prefix) = (
        target.parent().unwrap_or(target),
        prefix.file_name().unwrap_or_default(),
    );
    for entry in fs::read_dir(parent).at("read", parent)? {
        let entry = entry.at("read", parent)?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_encoded_bytes())
        {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder, if it exists, to which the pip of a run that died may still be writing.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempts < 10 => {}
            outcome => return outcome.at("remove", folder),
        }
    }
}

/// Fails if the file system that holds `folder` has less than `needed` bytes free for this user.
pub(crate) fn check_space(folder: &Path, needed: u64) -> Result<()> {
    #[cfg(unix)]
    if let Ok(stat) = rustix::fs::statvfs(folder)
        && stat.f_blocks > 0
    {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let [free_mb, needed_mb] = [free, needed].map(|bytes| bytes / 1_000_000);
        ensure!(
            free >= needed,
            "{} has {free_mb} MB free, and set-up needs {needed_mb} MB for a while: free some space, then run the same command again",
            folder.display()
        );
    }
    Ok(())
}

/// Says what was done to which path when an I/O call failed.
pub(crate) trait AtPath<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.with_context(|| format!("cannot {doing} {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn what_a_dead_run_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let leftover = root.path().join(".thing.partial-0/deep");
        fs::create_dir_all(&leftover).unwrap();
        let other = root.path().join(".thingamajig.partial-0");
        fs::create_dir(&other).unwrap();
        let _scratch = Scratch::lock(&root.path().join(".thing")).unwrap();
        assert!(!leftover.exists() && other.exists());
    }

    #[test]
    fn a_second_run_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join(".thing");
        let first = Scratch::lock(&target).unwrap();
        let (started, has_started) = mpsc::channel();
        let second = thread::spawn({
            let target = target.clone();
            move || {
                started.send(()).unwrap();
                let _scratch = Scratch::lock(&target).unwrap();
                stamp(&target)
            }
        });
        has_started.recv().unwrap();
        let new = first.folder("new").unwrap();
        write_stamp(&new, "made by the first").unwrap();
        first.publish(&new).unwrap();
        drop(first);
        assert_eq!(second.join().unwrap().as_deref(), Some("made by the first"));
    }

    #[test]
    fn too_little_space_is_noticed_beforehand() {
        let root = tempfile::tempdir().unwrap();
        assert!(check_space(root.path(), 1).is_ok());
        let error = check_space(root.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
    }
}
