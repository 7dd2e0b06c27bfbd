//! What can go wrong during set-up. Every text is one line: the cause, then the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::progress::megabytes;

/// An error of set-up, or of handing over to cargo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SetupError {
    #[error(
        "Python is missing (tried {tried}), and set-up fetches with pip: install Python 3 with pip (Debian and Ubuntu: \
         `apt install python3-pip`)"
    )]
    NoPython { tried: String },
    #[error(
        "pip is missing: `{python} -m pip` does not work; get it with `apt install python3-pip` or `{python} -m ensurepip`"
    )]
    NoPip { python: String },
    #[error(
        "pip cannot reach the package index for {requirement} ({cause}): check the network and the proxy settings, then \
         run the same command again"
    )]
    Network { requirement: String, cause: String },
    #[error(
        "pip finds no wheel of {requirement} for this machine ({cause}): if the index was reached, try a newer pip (`python3 -m pip \
         install --upgrade pip`)"
    )]
    NoWheel { requirement: String, cause: String },
    #[error("pip could not download {requirement}: {cause}")]
    Pip { requirement: String, cause: String },
    #[error("the disk that holds {} is full: free some space, then run the same command again", path.display())]
    DiskFull { path: PathBuf },
    #[error(
        "the disk that holds {} has {} free and set-up needs {}: free some space, then run the same command again",
        path.display(), megabytes(*free), megabytes(*needed)
    )]
    NotEnoughSpace { path: PathBuf, free: u64, needed: u64 },
    #[error(
        "the download of {what} is damaged ({cause}): run the same command again; if that repeats, `python3 -m pip cache \
         purge` first"
    )]
    Damaged { what: String, cause: String },
    #[error("{what} has the checksum (MD5) {actual}, expected {expected}: {way_out}")]
    Checksum {
        what: String,
        actual: String,
        expected: String,
        way_out: &'static str,
    },
    #[error("{wheel} holds no {missing}: this version of the wheel is laid out in a way that set-up does not know")]
    Incomplete { wheel: String, missing: String },
    #[error(
        "set-up has no libtorch for {platform}: install libtorch 2.11.0 yourself and set LIBTORCH to its folder, or \
         `pip install torch==2.11.0` and set LIBTORCH_USE_PYTORCH=1"
    )]
    Platform { platform: String },
    #[error(
        "libtorch would be in {}, and programs cannot be told to look in a folder whose path has a `:`: move the clone (or \
         what LIBTORCH names) to another place, then run the same command again",
        folder.display()
    )]
    Colon { folder: PathBuf },
    #[error(
        "LIBTORCH={} is not a libtorch (it has no {missing}): point it at the folder of a libtorch 2.11.0, or unset it \
         and set-up provides one",
        folder.display()
    )]
    NotLibtorch { folder: PathBuf, missing: String },
    #[error(
        "{what} is libtorch {actual}, and tch needs 2.11.0: install that version, or unset {variable} and set-up \
         provides one (LIBTORCH_BYPASS_VERSION_CHECK=1 tries it all the same)"
    )]
    Version {
        what: String,
        variable: &'static str,
        actual: String,
    },
    #[error(
        "LIBTORCH_USE_PYTORCH is set and `{python}` has no torch: `{python} -m pip install torch==2.11.0`, or unset it \
         and set-up provides libtorch"
    )]
    NoPytorch { python: String },
    #[error("{} holds no ROM of a supported game: it needs files such as pong.bin", folder.display())]
    NoRoms { folder: PathBuf },
    #[error(
        "COINOP_ROMS={} holds no ROM of a supported game, such as pong.bin: point it at a folder of ROMs, or unset it and set-up fetches them",
        folder.display()
    )]
    NoOwnRoms { folder: PathBuf },
    #[error(
        "{} is a link to {}, which is not a libtorch (it has no {missing}): remove the link and set-up provides one, or let it point at a libtorch 2.11.0",
        link.display(), target.display()
    )]
    BadLink {
        link: PathBuf,
        target: PathBuf,
        missing: &'static str,
    },
    #[error("there is no environment `{name}`{}; `cargo run --release -- envs` lists all", hint(.nearest))]
    UnknownEnv {
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cargo cannot be started: {0}")]
    NoCargo(io::Error),
}

fn hint(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Says what was done to which path when an I/O call failed, and recognises a full disk.
pub(crate) trait AtPath<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, SetupError>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, SetupError> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SetupError::DiskFull { path: path.to_owned() },
            _ => SetupError::Io {
                doing,
                path: path.to_owned(),
                source,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux errno(3).
    const ENOSPC: i32 = 28;

    #[test]
    fn a_full_disk_has_a_line_of_its_own() {
        let failed: io::Result<()> = Err(io::Error::from_raw_os_error(ENOSPC));
        let error = failed.at("write", Path::new("/data/x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the disk that holds /data/x is full: free some space, then run the same command again"
        );
    }

    #[test]
    fn other_failures_name_the_path() {
        let failed: io::Result<()> = Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = failed.at("write", Path::new("/data/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot write /data/x: permission denied");
    }
}
