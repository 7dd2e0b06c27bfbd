//! Wheels from the Python package index, by pip: it knows the user's proxies, mirrors and cache, checks what it downloads
//! against the index's hashes, and unpacks.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, bail};

use crate::folder::{self, AtPath, Scratch};

/// Whatever Python pip runs in, it chooses among the wheels for CPython 3.12 on a machine like this one: torch has none
/// for the oldest and the newest Pythons, and what set-up takes out of a wheel does not depend on Python.
const CPYTHON_3_12: &str = "--python-version 3.12 --implementation cp --abi cp312 --abi none --platform";
#[cfg(target_os = "linux")]
const PLATFORMS: &str = "manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_26_x86_64 \
    --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64";
#[cfg(not(target_os = "linux"))]
const PLATFORMS: &str =
    "macosx_14_0_arm64 --platform macosx_13_0_arm64 --platform macosx_12_0_arm64 --platform macosx_11_0_arm64";

/// pip, run as a module of a Python.
pub(crate) struct Pip {
    /// A Python and its first arguments. The first of these that has pip is used.
    pub(crate) pythons: Vec<Vec<OsString>>,
}

impl Pip {
    /// The pip of `python3`, or else of `python`.
    pub(crate) fn of_system() -> Pip {
        Pip {
            pythons: vec![vec!["python3".into()], vec!["python".into()]],
        }
    }

    /// Unpacks the wheels of `requirements` (`torch==2.11.0`), and nothing that they depend on, into a folder of the
    /// scratch space. After a failure the downloads stay for the next run; what is damaged is downloaded again.
    pub(crate) fn unpack(&self, requirements: &[&str], scratch: &Scratch) -> Result<PathBuf> {
        let python = self.python()?;
        let (into, downloads) = (scratch.folder("unpacked")?, scratch.downloads());
        // pip works in TMPDIR first, and /tmp is often too small for torch, or another file system.
        let temporary = scratch.folder("tmp")?;
        let pip = |command: &[&str], folder: &Path, requirements: &[&str]| {
            run(python, command, folder, requirements, &temporary)
        };
        let links = downloads.to_string_lossy();
        let install = [
            "install",
            "--no-index",
            "--find-links",
            &links,
            "--no-compile",
            "--upgrade",
            "--target",
        ];
        // Without the network, if an earlier run downloaded everything.
        if !downloads.exists() || pip(&install, &into, requirements).is_err() {
            for requirement in requirements {
                pip(&["download", "--dest"], &downloads, &[requirement])?;
            }
            pip(&install, &into, requirements)?;
        }
        folder::remove(&downloads)?;
        Ok(into)
    }

    /// A Python that has pip.
    fn python(&self) -> Result<&[OsString]> {
        let has_pip = |python: &[OsString]| {
            let output = start(python)
                .args(["-m", "pip", "--version"])
                .stdin(Stdio::null())
                .output();
            output.map(|output| output.status.success())
        };
        let name = |python: &[OsString]| python[0].to_string_lossy().into_owned();
        let mut without_pip = None;
        for python in &self.pythons {
            match has_pip(python) {
                Ok(true) => return Ok(python),
                Ok(false) => without_pip = without_pip.or(Some(name(python))),
                Err(_) => {}
            }
        }
        if let Some(python) = without_pip {
            bail!(
                "pip is missing: `{python} -m pip` does not work; get it with `apt install python3-pip` or `{python} -m ensurepip`"
            );
        }
        let tried: Vec<String> = self.pythons.iter().map(|python| name(python)).collect();
        bail!(
            "Python is missing (tried {}), and set-up fetches with pip: install Python 3 with pip (Debian and Ubuntu: `apt install python3-pip`)",
            tried.join(", ")
        )
    }
}

fn start(python: &[OsString]) -> Command {
    let mut command = Command::new(&python[0]);
    command.args(&python[1..]);
    command
}

/// Runs pip. Its progress goes to our stderr; what it says in case of failure becomes the error.
fn run(python: &[OsString], command: &[&str], folder: &Path, requirements: &[&str], temporary: &Path) -> Result<()> {
    let program = Path::new(&python[0]);
    let mut pip = start(python)
        .args(["-m", "pip"])
        .args(command)
        .arg(folder)
        .args([
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(CPYTHON_3_12.split(' ').chain(PLATFORMS.split(' ')))
        .args(requirements)
        .env("TMPDIR", temporary)
        // A connection that breaks costs what was on its way, not 500 MB; a pip that does not know this ignores it.
        .env("PIP_RESUME_RETRIES", "5")
        // Of an attempt that may not be repeated, pip does not say that it could not reach the index.
        .envs(
            std::env::var_os("PIP_RETRIES")
                .is_some_and(|value| value == "0")
                .then_some(("PIP_RETRIES", "1")),
        )
        // A user's settings for installing into an environment; nothing is installed in one here.
        .envs([
            ("PIP_REQUIRE_VIRTUALENV", "0"),
            ("PIP_USER", "0"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .stderr(Stdio::piped())
        .spawn()
        .at("run", program)?;
    let mut said = Vec::new();
    if let Some(stderr) = &mut pip.stderr {
        stderr.read_to_end(&mut said).at("read the output of", program)?;
    }
    let status = pip.wait().at("wait for", program)?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = if said.trim().is_empty() {
        format!("it gives no reason ({status})")
    } else {
        said.into_owned()
    };
    Err(explain(&said, command[0], &requirements.join(", "), folder))
}

/// What pip prints when it cannot reach the index, or loses it on the way.
const SIGNS_OF_NO_NETWORK: [&str; 9] = [
    "Retrying (Retry(",
    "Max retries exceeded",
    "Failed to establish a new connection",
    "ConnectionPool(",
    "ProxyError",
    "SSLError",
    "Connection broken",
    "HTTP error",
    "incomplete-download",
];

/// Turns what pip said into one line. The order matters: pip reports an index that it cannot reach as one that has no
/// such package.
fn explain(said: &str, command: &str, requirement: &str, folder: &Path) -> anyhow::Error {
    let cause = last_error(said);
    let is_of_network = |line: &&str| SIGNS_OF_NO_NETWORK.iter().any(|sign| line.contains(sign));
    if said.contains("[Errno 28]") || said.contains("No space left on device") {
        anyhow!(
            "the disk that holds {} is full: free some space, then run the same command again",
            folder.display()
        )
    } else if said.contains("DO NOT MATCH THE HASHES") {
        anyhow!(
            "the download of {requirement} is damaged (its hash is not the index's): run the same command again; if that repeats, \
             `python3 -m pip cache purge` first"
        )
    } else if let Some(line) = said.lines().find(is_of_network) {
        anyhow!(
            "pip cannot reach the package index for {requirement} ({}): check the network and the proxy settings, then run the same \
             command again",
            innermost_cause(line)
        )
    } else if said.contains("No matching distribution found") || said.contains("Could not find a version") {
        anyhow!(
            "pip finds no wheel of {requirement} for this machine ({cause}): if the index was reached, try a newer pip (`python3 -m \
             pip install --upgrade pip`)"
        )
    } else {
        anyhow!("pip could not {command} {requirement}: {cause}")
    }
}

/// The last line that pip marks as an error; else the last line, which is what a Python exception comes to.
fn last_error(said: &str) -> &str {
    let marked = said.lines().rev().find_map(|line| line.trim().strip_prefix("ERROR: "));
    let marked = marked.filter(|line| !line.starts_with("Exception:"));
    marked
        .or_else(|| said.lines().map(str::trim).rfind(|line| !line.is_empty()))
        .unwrap_or_default()
}

/// `… connection broken by 'NewConnectionError(...: [Errno -2] Name or service not known')': /simple/` gives
/// `[Errno -2] Name or service not known`.
fn innermost_cause(line: &str) -> &str {
    let line = line
        .trim()
        .trim_start_matches("WARNING: ")
        .trim_start_matches("ERROR: ");
    let from = line
        .find("[Errno")
        .or_else(|| line.find("broken by '").map(|at| at + "broken by '".len()));
    let rest = &line[from.unwrap_or(0)..];
    let end = rest.find(['\'', '"']).unwrap_or(rest.len());
    rest[..end].trim_end_matches([')', ','])
}

/// A fake of the package index.
#[cfg(test)]
pub(crate) mod testing {
    use std::fs;

    use super::*;

    /// An index for tests: a folder for each requirement, with what its wheel holds.
    pub(crate) struct FakeIndex(pub(crate) tempfile::TempDir);

    impl FakeIndex {
        /// A pip in sh that serves the folder and logs its downloads; for other requirements the network fails.
        const PIP: &str = r#"
            set -f
            for word; do case $word in *==*) wheels="$wheels $word";; esac; done
            case $3 in
            download) [ -d $wheels ] || { echo "HTTP error" >&2; exit 1; }
                echo $wheels >> log; mkdir -p "$5"; for wheel in $wheels; do touch "$5/$wheel"; done;;
            install)
                for wheel in $wheels; do [ -e "$6/$wheel" ] || { echo "ERROR: no $wheel" >&2; exit 1; }; done
                for wheel in $wheels; do cp -r "$wheel/." "${10}"; done;;
            esac"#;

        pub(crate) fn new() -> FakeIndex {
            let index = FakeIndex(tempfile::tempdir().unwrap());
            fs::write(index.0.path().join("log"), "").unwrap();
            index
        }

        pub(crate) fn with(self, requirement: &str, files: &[(&str, &str)]) -> FakeIndex {
            for (name, text) in files {
                let path = self.0.path().join(requirement).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            self
        }

        pub(crate) fn pip(&self) -> Pip {
            let script = format!("cd '{}'; {}", self.0.path().display(), Self::PIP);
            fake(&script)
        }

        /// The requirements that were downloaded, in order.
        pub(crate) fn downloaded(&self) -> Vec<String> {
            let log = fs::read_to_string(self.0.path().join("log")).unwrap();
            log.lines().map(str::to_owned).collect()
        }
    }

    /// A pip that is a shell script; `$@` are the arguments of Python.
    pub(crate) fn fake(script: &str) -> Pip {
        Pip {
            pythons: vec![["sh", "-c", script, "python"].map(OsString::from).to_vec()],
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::testing::fake;
    use super::*;

    fn unpack_with(pip: &Pip) -> Result<PathBuf> {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::lock(&root.path().join("thing")).unwrap();
        pip.unpack(&["torch==2.11.0"], &scratch)
    }

    fn failure(said: &str) -> String {
        let pip = fake(&format!(
            "case $3 in --version) exit 0;; esac; printf '%b\\n' {said:?} >&2; exit 1"
        ));
        unpack_with(&pip).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_pip_or_python_says_how_to_get_it() {
        assert_eq!(
            unpack_with(&fake("echo 'No module named pip' >&2; exit 1"))
                .unwrap_err()
                .to_string(),
            "pip is missing: `sh -m pip` does not work; get it with `apt install python3-pip` or `sh -m ensurepip`"
        );
        let error = unpack_with(&Pip {
            pythons: vec![vec!["no-such-python".into()]],
        })
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("Python is missing (tried no-such-python)"), "{error}");
    }

    #[test]
    fn a_network_that_is_down_is_told_from_a_package_that_does_not_exist() {
        // The texts are pip 23.2's; the last is pip 25.1's.
        let error = failure(
            "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken \
             by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a \
             new connection: [Errno -3] Temporary failure in name resolution')': /simple/torch/\n\
             ERROR: Could not find a version that satisfies the requirement torch==2.11.0 (from versions: none)\n\
             ERROR: No matching distribution found for torch==2.11.0",
        );
        assert_eq!(
            error,
            "pip cannot reach the package index for torch==2.11.0 ([Errno -3] Temporary failure in name resolution): check \
             the network and the proxy settings, then run the same command again"
        );
        let error = failure("ERROR: No matching distribution found for torch==2.11.0");
        assert!(
            error.starts_with("pip finds no wheel of torch==2.11.0 for this machine"),
            "{error}"
        );
        let error = failure("error: incomplete-download\n\nx Download failed because not enough bytes were received");
        assert!(error.starts_with("pip cannot reach the package index"), "{error}");
    }

    #[test]
    fn a_full_disk_and_a_wrong_hash_are_recognised() {
        let error = failure("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device");
        assert!(error.contains("is full: free some space"), "{error}");
        let error = failure("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.");
        assert!(error.starts_with("the download of torch==2.11.0 is damaged"), "{error}");
    }

    #[test]
    fn any_other_failure_is_told_in_words_of_pip() {
        assert_eq!(
            failure("ERROR: something new"),
            "pip could not download torch==2.11.0: something new"
        );
        // pip 23.2 with HTTPS_PROXY=http://[.
        let said = "ERROR: Exception:\nTraceback (most recent call last):\n  File \"x.py\", line 1\nValueError: Invalid IPv6 URL";
        assert_eq!(
            failure(said),
            "pip could not download torch==2.11.0: ValueError: Invalid IPv6 URL"
        );
        let killed = unpack_with(&fake("case $3 in --version) exit 0;; esac; kill -9 $$"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            killed,
            "pip could not download torch==2.11.0: it gives no reason (signal: 9 (SIGKILL))"
        );
    }
}
