//! The run folder.
//!
//! ```text
//! runs/pong-paac-1/
//!   config.toml         every setting of the run, resolved
//!   metrics.csv         a row every so many frames; each line is flushed
//!   epsilons.csv        every actor's epsilon, a row whenever they were drawn anew
//!   log.txt             what happened, with times
//!   checkpoints/final/  what was learned, when the run ended or was interrupted
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::files::failed;

/// Where run folders are made, and looked for, in the current directory.
const RUNS: &str = "runs";

/// A run folder that exists.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the folder `path`.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("can't create the folder", parent))?;
        }
        match fs::create_dir(path) {
            Ok(()) => Ok(Self { path: path.to_owned() }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "the run folder `{}` exists already; name another one, or leave out --run-dir for a new number under {RUNS}/",
                path.display()
            ),
            Err(error) => Err(failed("can't create the folder", path)(error).into()),
        }
    }

    /// Makes the next of `NAME-1`, `NAME-2`, … under `base`.
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
        let last = entries.flatten().filter_map(number).max().unwrap_or(0);
        let mut next = last.saturating_add(1);
        loop {
            let path = base.join(format!("{name}-{next}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                // Another run was quicker.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => next = next.saturating_add(1),
                Err(error) => return Err(failed("can't create the folder", &path)(error).into()),
            }
        }
    }

    /// Makes the folder of a new run of `env` with `algo`.
    pub(crate) fn create_for(env: &str, algo: &str) -> anyhow::Result<Self> {
        let short = env.rsplit('/').next().unwrap_or(env);
        Self::create_numbered(Path::new(RUNS), &format!("{short}-{algo}"))
    }

    /// The folder `run`, or the one of that name under `runs/`.
    pub(crate) fn open(run: &Path) -> anyhow::Result<Self> {
        let candidates = [run.to_owned(), Path::new(RUNS).join(run)];
        let found = candidates.into_iter().find(|path| path.join("config.toml").is_file());
        match found {
            Some(path) => Ok(Self { path }),
            None if run.is_dir() => bail!("`{}` is not a run folder: it has no config.toml", run.display()),
            None => bail!(
                "there is no run folder `{}`; `ls {RUNS}` shows those of this directory",
                run.display()
            ),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    pub(crate) fn epsilons(&self) -> PathBuf {
        self.path.join("epsilons.csv")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    pub(crate) fn final_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints").join("final")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_the_largest() {
        let base = tempfile::tempdir().unwrap();
        for name in ["pong-paac-2", "pong-paac-10", "pong-paac-x", "breakout-paac-90"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        let run = RunDir::create_numbered(base.path(), "pong-paac").unwrap();
        assert_eq!(run.path(), base.path().join("pong-paac-11"));
        let run = RunDir::create_numbered(&base.path().join("new"), "pong-paac").unwrap();
        assert_eq!(run.path(), base.path().join("new/pong-paac-1"));
    }

    #[test]
    fn a_folder_that_exists_is_never_used_again() {
        let base = tempfile::tempdir().unwrap();
        let error = RunDir::create(base.path()).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        RunDir::create(&base.path().join("a/b")).unwrap();
    }
}
