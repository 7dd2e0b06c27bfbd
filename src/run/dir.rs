//! The run folder.
//!
//! ```text
//! runs/pong-ppo-1/
//!   config.toml         every setting of the run, resolved
//!   metrics.csv         a row every `metrics_frames` frames; each line is flushed
//!   events.out.*        the same for TensorBoard
//!   eval.csv            the episodes of evaluations while training
//!   epsilons.csv        every actor's epsilon, a row whenever they were drawn anew
//!   log.txt             what happened, with times
//!   checkpoints/000001000000/
//!                       a checkpoint, by its frames: every few minutes, and when the run ended or was interrupted
//! ```
//!
//! A run keeps its folder open and locked, so it can follow a renamed folder, notice a removed one, and let other
//! processes see whether it is still training.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;
use coinop_agents::{CheckpointError, Section, checkpoint};
use tracing::warn;

use crate::files::failed;
use crate::output;

/// The folder for run folders, in the current directory.
pub(crate) const RUNS: &str = "runs";
/// The maximum number of runs with the same name.
const MOST_RUNS: u64 = 1_000_000_000;

/// An existing run folder.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// The open folder, whatever its current name is.
    folder: File,
}

impl RunDir {
    /// Creates the folder `path`.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("can't create the folder", parent))?;
        }
        match fs::create_dir(path) {
            Ok(()) => Self::begin(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "the run folder `{}` exists already; name another one, or none for a new number under {RUNS}/",
                path.display()
            ),
            Err(error) => Err(failed("can't create the folder", path)(error).into()),
        }
    }

    /// Creates the next of `NAME-1`, `NAME-2`, … in `base`.
    fn create_numbered(base: &Path, name: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(base).map_err(failed("can't create the folder", base))?;
        let entries = fs::read_dir(base).map_err(failed("can't list the folder", base))?;
        let number = |entry: fs::DirEntry| -> Option<u64> {
            entry
                .file_name()
                .to_str()?
                .strip_prefix(name)?
                .strip_prefix('-')?
                .parse()
                .ok()
        };
        // A number too large to be reached is not one of ours.
        let numbers = entries
            .flatten()
            .filter_map(number)
            .filter(|number| *number < MOST_RUNS);
        let last = numbers.max().unwrap_or(0);
        for next in last + 1..=last + MOST_RUNS {
            let path = base.join(format!("{name}-{next}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self::begin(&path),
                // Another run was quicker.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("can't create the folder", &path)(error).into()),
            }
        }
        bail!(
            "`{}` has no number left for a run: name a folder with --run-dir",
            base.display()
        )
    }

    /// Creates the folder of a new run of `env` with `algo`.
    pub(crate) fn create_for(env: &str, algo: &str) -> anyhow::Result<Self> {
        Self::create_numbered(Path::new(RUNS), &format!("{env}-{algo}"))
    }

    /// Creates the folder `name` among the runs.
    pub(crate) fn create_named(name: &str) -> anyhow::Result<Self> {
        let is_plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(is_plain) {
            bail!(
                "--name {name}: letters, digits, `.`, `_` and `-` can be in it, and it begins with a letter or a digit; --run-dir takes a path"
            );
        }
        Self::create(&Path::new(RUNS).join(name))
    }

    /// Opens a folder that was just created.
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let dir = Self::hold(path)?;
        dir.lock()?;
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir(&checkpoints).map_err(failed("can't create the folder", &checkpoints))?;
        Ok(dir)
    }

    /// Opens the folder `run`, or the one with that name in `runs/`.
    pub(crate) fn open(run: &Path) -> anyhow::Result<Self> {
        let candidates = [run.to_owned(), Path::new(RUNS).join(run)];
        let found = candidates.into_iter().find(|path| path.join("config.toml").is_file());
        match found {
            Some(path) => Self::hold(&path),
            None if run.is_dir() => bail!("`{}` is not a run folder: it has no config.toml", run.display()),
            None => bail!(
                "there is no run folder `{}`; `{} runs` shows those of this directory",
                run.display(),
                output::program()
            ),
        }
    }

    fn hold(path: &Path) -> anyhow::Result<Self> {
        let folder = File::open(path).map_err(failed("can't open the folder", path))?;
        Ok(Self {
            path: path.to_owned(),
            folder,
        })
    }

    /// Locks the folder for the lifetime of this process.
    ///
    /// # Errors
    ///
    /// If another process is training in it.
    pub(crate) fn lock(&self) -> anyhow::Result<()> {
        match self.folder.try_lock() {
            Err(TryLockError::WouldBlock) => bail!(
                "another process is training in the run folder `{}`: wait until it has ended, or stop it",
                self.path.display()
            ),
            // Some file systems have no locks; then it is unknown.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        }
    }

    /// Whether a process is training in the folder.
    pub(crate) fn is_training(&self) -> bool {
        matches!(self.folder.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Follows a folder that was renamed since the last call.
    ///
    /// # Errors
    ///
    /// If the folder was removed, and with it everything that would be written.
    pub(crate) fn follow(&mut self) -> anyhow::Result<()> {
        if self.is_at(&self.path) {
            return Ok(());
        }
        match self.new_path().filter(|path| self.is_at(path)) {
            Some(path) => {
                warn!("the run folder `{}` is now `{}`", self.path.display(), path.display());
                self.path = path;
                Ok(())
            }
            None => bail!(
                "the run folder `{}` is gone: it was removed, or moved out of reach, while the run was training; leave it in place until the \
                 run has ended",
                self.path.display()
            ),
        }
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (here, there) = (self.folder.metadata(), fs::metadata(path));
        matches!((here, there), (Ok(here), Ok(there)) if (here.dev(), here.ino()) == (there.dev(), there.ino()))
    }

    #[cfg(not(unix))]
    fn is_at(&self, path: &Path) -> bool {
        path.is_dir()
    }

    /// The current path of the open folder, if the system can tell.
    #[cfg(target_os = "linux")]
    fn new_path(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", self.folder.as_raw_fd())).ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn new_path(&self) -> Option<PathBuf> {
        None
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// What the run was begun on, and by which program.
    pub(crate) fn machine(&self) -> PathBuf {
        self.path.join("machine.json")
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    pub(crate) fn evaluations(&self) -> PathBuf {
        self.path.join("eval.csv")
    }

    pub(crate) fn epsilons(&self) -> PathBuf {
        self.path.join("epsilons.csv")
    }

    /// The path of the video of the agent after `frames` frames; makes its folder.
    pub(crate) fn video(&self, frames: u64) -> anyhow::Result<PathBuf> {
        let folder = self.path.join("videos");
        fs::create_dir_all(&folder).map_err(failed("can't create the folder", &folder))?;
        Ok(folder.join(format!("{frames:012}.gif")))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// Creates the folder of checkpoints if it is missing, and restores checkpoints that a killed process was
    /// replacing.
    pub(crate) fn recover_checkpoints(&self) -> anyhow::Result<()> {
        let path = self.path.join(CHECKPOINTS);
        fs::create_dir_all(&path).map_err(failed("can't create the folder", &path))?;
        Ok(checkpoint::recover(&path)?)
    }

    /// Reads the checkpoint after `frames` frames and checks its identity.
    pub(crate) fn read_checkpoint(&self, frames: u64) -> anyhow::Result<Section> {
        let path = self.checkpoint(frames);
        let section = checkpoint::read(&path)?;
        let found: u64 = section.get("frames")?;
        if found != frames {
            let reason =
                format!("its name says {frames} frames, and it was written after {found}: somebody renamed it");
            return Err(CheckpointError::Damaged { path, reason }.into());
        }
        Ok(section)
    }

    /// The path of the checkpoint after `frames` frames.
    pub(crate) fn checkpoint(&self, frames: u64) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("{frames:012}"))
    }

    /// The frames of all checkpoints, newest last.
    pub(crate) fn checkpoints(&self) -> anyhow::Result<Vec<u64>> {
        let mut found: Vec<u64> = self.entries()?.iter().filter_map(|name| frames_of(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The names of all entries in the folder of checkpoints.
    fn entries(&self) -> anyhow::Result<Vec<String>> {
        let path = self.path.join(CHECKPOINTS);
        let entries = match fs::read_dir(&path) {
            // It was removed: there are none.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("can't list the folder", &path))?,
        };
        let name = |entry: fs::DirEntry| entry.file_name().to_str().map(str::to_owned);
        Ok(entries.flatten().filter_map(name).collect())
    }

    /// Removes what a killed process did not finish, and all checkpoints except the newest `keep` and those that are
    /// `spared`, which keep only their weights.
    pub(crate) fn prune_checkpoints(&self, keep: usize, spared: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let checkpoints = self.checkpoints()?;
        let old = checkpoints.len().saturating_sub(keep);
        let (kept, gone): (Vec<u64>, Vec<u64>) = checkpoints[..old].iter().partition(|frames| spared(**frames));
        for frames in kept {
            let path = self.checkpoint(frames);
            checkpoint::strip(&path)?;
        }
        let mut paths: Vec<PathBuf> = gone.iter().map(|frames| self.checkpoint(*frames)).collect();
        let unfinished = self
            .entries()?
            .into_iter()
            .filter(|name| checkpoint::is_unfinished(name));
        paths.extend(unfinished.map(|name| self.path.join(CHECKPOINTS).join(name)));
        for path in paths {
            fs::remove_dir_all(&path).map_err(failed("can't remove the folder", &path))?;
        }
        Ok(())
    }
}

const CHECKPOINTS: &str = "checkpoints";

/// Parses the name of a checkpoint's folder.
fn frames_of(name: &str) -> Option<u64> {
    let digits = name.len() >= 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_the_largest() {
        let base = tempfile::tempdir().unwrap();
        for name in ["pong-ppo-2", "pong-ppo-10", "pong-ppo-x", "breakout-ppo-90"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        let run = RunDir::create_numbered(base.path(), "pong-ppo").unwrap();
        assert_eq!(run.path(), base.path().join("pong-ppo-11"));
        // A number too large to be reached, and one that does not fit into an integer.
        for name in ["pong-ppo-18446744073709551615", "pong-ppo-99999999999999999999"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        let run = RunDir::create_numbered(base.path(), "pong-ppo").unwrap();
        assert_eq!(run.path(), base.path().join("pong-ppo-12"));
        let run = RunDir::create_numbered(&base.path().join("new"), "pong-ppo").unwrap();
        assert_eq!(run.path(), base.path().join("new/pong-ppo-1"));
    }

    #[test]
    fn a_folder_that_exists_is_never_used_again() {
        let base = tempfile::tempdir().unwrap();
        let error = RunDir::create(base.path()).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        RunDir::create(&base.path().join("a/b")).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_renamed_folder_is_followed_and_a_removed_or_replaced_one_is_gone() {
        let base = tempfile::tempdir().unwrap();
        // The system's name of the place, where it has several.
        let base = base.path().canonicalize().unwrap();
        let (first, second) = (base.join("first"), base.join("second"));
        let mut run = RunDir::create(&first).unwrap();
        run.follow().unwrap();
        fs::rename(&first, &second).unwrap();
        fs::create_dir(&first).unwrap();
        run.follow().unwrap();
        assert_eq!(run.path(), second);
        fs::remove_dir_all(&second).unwrap();
        fs::create_dir(&second).unwrap();
        let error = run.follow().unwrap_err().to_string();
        assert!(error.contains("second` is gone"), "{error}");
    }

    #[test]
    fn the_newest_checkpoints_and_those_spared_are_kept_and_what_was_not_finished_goes() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDir::create(&base.path().join("run")).unwrap();
        for frames in [100, 2_000_000_000_000, 300, 200, 400] {
            fs::create_dir(run.checkpoint(frames)).unwrap();
        }
        let other = |name: &str| run.path().join("checkpoints").join(name);
        for name in ["000000000500.partial", "000000000200.old", "mine", "12"] {
            fs::create_dir(other(name)).unwrap();
        }
        assert_eq!(run.checkpoints().unwrap(), [100, 200, 300, 400, 2_000_000_000_000]);
        let bytes = [200, 400].map(|frames| run.checkpoint(frames).join("bytes.bin"));
        bytes.iter().for_each(|path| fs::write(path, "memory").unwrap());
        run.prune_checkpoints(2, |frames| frames == 200).unwrap();
        assert_eq!(run.checkpoints().unwrap(), [200, 400, 2_000_000_000_000]);
        // No run resumes from an old one: it is kept for its weights.
        assert_eq!(bytes.map(|path| path.exists()), [false, true]);
        // Files that are not checkpoints are left alone.
        let left = ["mine", "12"].map(|name| other(name).exists());
        assert_eq!((left, run.entries().unwrap().len()), ([true; 2], 5));
    }

    #[test]
    fn others_can_tell_that_a_run_is_training() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        let run = RunDir::create(&path).unwrap();
        fs::write(run.config(), "").unwrap();
        assert!(RunDir::open(&path).unwrap().is_training());
        drop(run);
        assert!(!RunDir::open(&path).unwrap().is_training());
    }
}
