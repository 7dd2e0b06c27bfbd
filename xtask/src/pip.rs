//! Wheels from the Python package index, brought by pip: it knows the user's proxies, mirrors and cache, and checks
//! what it downloads against the index's checksums.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{AtPath, SetupError};

/// Where wheels come from: pip, or a fake in tests.
pub(crate) trait Wheels {
    /// Downloads the wheel of `requirement` (`torch==2.11.0`), and nothing it depends on, into the empty folder `into`.
    fn fetch(&self, requirement: &str, into: &Path) -> Result<PathBuf, SetupError>;
}

/// What pip's tags for a wheel are if it is asked for a machine like this one, whatever Python it runs in: torch has
/// no wheels for the oldest and the newest Pythons, but what set-up takes out of a wheel does not depend on Python.
#[cfg(target_os = "linux")]
const PLATFORMS: [&str; 5] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_26_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux2014_x86_64",
];
#[cfg(not(target_os = "linux"))]
const PLATFORMS: [&str; 4] = [
    "macosx_14_0_arm64",
    "macosx_13_0_arm64",
    "macosx_12_0_arm64",
    "macosx_11_0_arm64",
];

/// pip, run as a module of a Python.
pub(crate) struct Pip {
    /// A Python and its first arguments. The first of these that has pip is used.
    pythons: Vec<Vec<OsString>>,
}

impl Pip {
    /// The pip of `python3`, or else of `python`.
    pub(crate) fn of_system() -> Pip {
        Pip {
            pythons: vec![vec!["python3".into()], vec!["python".into()]],
        }
    }

    /// A Python that has pip.
    fn python(&self) -> Result<&[OsString], SetupError> {
        let mut without_pip = None;
        for python in &self.pythons {
            match python_command(python)
                .args(["-m", "pip", "--version"])
                .stdin(Stdio::null())
                .output()
            {
                Ok(output) if output.status.success() => return Ok(python),
                Ok(_) => without_pip = without_pip.or(Some(python)),
                Err(_) => {}
            }
        }
        let name = |python: &[OsString]| python[0].to_string_lossy().into_owned();
        Err(match without_pip {
            Some(python) => SetupError::NoPip { python: name(python) },
            None => SetupError::NoPython {
                tried: self.pythons.iter().map(|p| name(p)).collect::<Vec<_>>().join(", "),
            },
        })
    }
}

impl Wheels for Pip {
    fn fetch(&self, requirement: &str, into: &Path) -> Result<PathBuf, SetupError> {
        let python = self.python()?;
        let outcome = match download(python, requirement, into, &[]) {
            Err(SetupError::NoWheel { .. }) => download(python, requirement, into, &other_python_arguments()),
            outcome => outcome,
        };
        outcome?;
        wheel_in(into)?.ok_or_else(|| SetupError::Pip {
            requirement: requirement.to_owned(),
            cause: "it left no wheel".to_owned(),
        })
    }
}

fn python_command(python: &[OsString]) -> Command {
    let mut command = Command::new(&python[0]);
    command.args(&python[1..]);
    command
}

/// Makes pip choose among the wheels for CPython 3.12, which torch and ale-py have.
fn other_python_arguments() -> Vec<&'static str> {
    let mut arguments = vec![
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
        "--abi",
        "cp312",
        "--abi",
        "none",
    ];
    for platform in PLATFORMS {
        arguments.extend(["--platform", platform]);
    }
    arguments
}

/// Runs pip. Its progress bar goes to our stderr; what it says in case of failure becomes the error.
fn download(python: &[OsString], requirement: &str, into: &Path, more: &[&str]) -> Result<(), SetupError> {
    // pip downloads into TMPDIR first, and /tmp is often too small for torch.
    let temporary = into.join("tmp");
    fs::create_dir_all(&temporary).at("create", &temporary)?;
    let mut pip = python_command(python)
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
        ])
        .args(["--disable-pip-version-check", "--dest"])
        .arg(into)
        .args(more)
        .arg(requirement)
        .env("TMPDIR", &temporary)
        // A connection that breaks costs what was on its way, not 500 MB; a pip that does not know this ignores it.
        .env("PIP_RESUME_RETRIES", "5")
        // Of an attempt that may not be repeated, pip does not say that it could not reach the index.
        .envs(is_0("PIP_RETRIES").then_some(("PIP_RETRIES", "1")))
        // A user's rule against installing outside a virtual environment; nothing is installed here.
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .stderr(Stdio::piped())
        .spawn()
        .at("run", Path::new(&python[0]))?;
    let mut said = Vec::new();
    if let Some(stderr) = &mut pip.stderr {
        stderr
            .read_to_end(&mut said)
            .at("read the output of", Path::new(&python[0]))?;
    }
    let status = pip.wait().at("wait for", Path::new(&python[0]))?;
    fs::remove_dir_all(&temporary).at("remove", &temporary)?;
    if status.success() {
        Ok(())
    } else {
        let said = match String::from_utf8_lossy(&said) {
            said if said.trim().is_empty() => format!("it gives no reason ({status})"),
            said => said.into_owned(),
        };
        Err(explain(&said, requirement, into))
    }
}

fn is_0(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "0")
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
fn explain(said: &str, requirement: &str, into: &Path) -> SetupError {
    let requirement = requirement.to_owned();
    let cause = last_error(said);
    if said.contains("[Errno 28]") || said.contains("No space left on device") {
        SetupError::DiskFull { path: into.to_owned() }
    } else if said.contains("DO NOT MATCH THE HASHES") {
        SetupError::Damaged {
            what: requirement,
            cause: "its hash is not the index's".to_owned(),
        }
    } else if let Some(sign) = said
        .lines()
        .find(|line| SIGNS_OF_NO_NETWORK.iter().any(|sign| line.contains(sign)))
    {
        SetupError::Network {
            requirement,
            cause: innermost_cause(sign),
        }
    } else if said.contains("No matching distribution found") || said.contains("Could not find a version") {
        SetupError::NoWheel { requirement, cause }
    } else {
        SetupError::Pip { requirement, cause }
    }
}

/// The last line that pip marks as an error; else the last line, which is what a Python exception comes to.
fn last_error(said: &str) -> String {
    let marked = said.lines().rev().find_map(|line| line.trim().strip_prefix("ERROR: "));
    let marked = marked.filter(|line| !line.starts_with("Exception:"));
    let last = marked.or_else(|| said.lines().map(str::trim).rfind(|line| !line.is_empty()));
    last.unwrap_or_default().to_owned()
}

/// `… connection broken by 'NewConnectionError(...: [Errno -2] Name or service not known')': /simple/` gives
/// `[Errno -2] Name or service not known`.
fn innermost_cause(line: &str) -> String {
    let line = line
        .trim()
        .trim_start_matches("WARNING: ")
        .trim_start_matches("ERROR: ");
    let from = line
        .find("[Errno")
        .or_else(|| line.find("broken by '").map(|at| at + "broken by '".len()));
    let rest = &line[from.unwrap_or(0)..];
    let end = rest.find(['\'', '"']).unwrap_or(rest.len());
    rest[..end].trim_end_matches([')', ',']).to_owned()
}

/// The wheel in `folder`, if there is one; a folder that does not exist has none.
pub(crate) fn wheel_in(folder: &Path) -> Result<Option<PathBuf>, SetupError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.at("read", folder)?,
    };
    for entry in entries {
        let path = entry.at("read", folder)?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// A pip that is a shell script; `$@` are the arguments of Python.
    fn fetch_with(script: &str) -> (Result<PathBuf, SetupError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let python = ["sh", "-c", script, "python"].map(OsString::from).to_vec();
        (
            Pip { pythons: vec![python] }.fetch("torch==2.11.0", folder.path()),
            folder,
        )
    }

    fn failure(said: &str) -> String {
        let script = format!("case $3 in --version) exit 0;; esac; printf '%b\\n' {said:?} >&2; exit 1");
        fetch_with(&script).0.unwrap_err().to_string()
    }

    #[test]
    fn the_downloaded_wheel_is_found() {
        let script = r#"case $3 in --version) exit 0;; esac
            test "$1 $2 $3" = "-m pip download" && test -d "$TMPDIR" && touch "$9/torch-2.11.0.whl""#;
        let (outcome, folder) = fetch_with(script);
        assert_eq!(outcome.unwrap(), folder.path().join("torch-2.11.0.whl"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_python_that_the_package_does_not_know_is_no_obstacle() {
        let script = r#"case "$*" in
            *--version) exit 0;;
            *"--python-version 3.12"*) touch "$9/torch-2.11.0.whl";;
            *) echo "ERROR: No matching distribution found for torch==2.11.0" >&2; exit 1;;
        esac"#;
        assert!(fetch_with(script).0.is_ok());
    }

    #[test]
    fn a_missing_pip_says_how_to_get_it() {
        let (outcome, _folder) = fetch_with("echo 'No module named pip' >&2; exit 1");
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "pip is missing: `sh -m pip` does not work; get it with `apt install python3-pip` or `sh -m ensurepip`"
        );
    }

    #[test]
    fn a_missing_python_says_what_was_tried() {
        let pip = Pip {
            pythons: vec![vec!["no-such-python".into()]],
        };
        let error = pip
            .fetch("torch==2.11.0", Path::new("/nowhere"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("Python is missing (tried no-such-python)"), "{error}");
    }

    // The texts below are pip 23.2's.

    #[test]
    fn a_network_that_is_down_is_told_from_a_package_that_does_not_exist() {
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
    }

    #[test]
    fn a_disk_that_fills_up_under_pip_is_recognised() {
        let error = failure("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device");
        assert!(error.contains("is full: free some space"), "{error}");
    }

    #[test]
    fn a_proxy_that_pip_does_not_take_is_told_in_words_of_pip() {
        // pip 23.2 with HTTPS_PROXY=socks5://localhost:1, and with HTTPS_PROXY=http://[.
        for (exception, cause) in [
            (
                "pip._vendor.requests.exceptions.InvalidSchema: Missing dependencies for SOCKS support.",
                "pip._vendor.requests.exceptions.InvalidSchema: Missing dependencies for SOCKS support.",
            ),
            ("ValueError: Invalid IPv6 URL", "ValueError: Invalid IPv6 URL"),
        ] {
            let said =
                format!("ERROR: Exception:\nTraceback (most recent call last):\n  File \"x.py\", line 1\n{exception}");
            assert_eq!(failure(&said), format!("pip could not download torch==2.11.0: {cause}"));
        }
    }

    #[test]
    fn a_wrong_hash_is_recognised() {
        let error = failure("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.");
        assert!(error.starts_with("the download of torch==2.11.0 is damaged"), "{error}");
    }

    #[test]
    fn a_download_that_breaks_off_is_the_network() {
        // pip 25.1's text.
        let error = failure("error: incomplete-download\n\nx Download failed because not enough bytes were received");
        assert!(error.starts_with("pip cannot reach the package index"), "{error}");
    }

    #[test]
    fn a_pip_that_is_killed_is_told_with_its_signal() {
        let (outcome, _folder) = fetch_with("case $3 in --version) exit 0;; esac; kill -9 $$");
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "pip could not download torch==2.11.0: it gives no reason (signal: 9 (SIGKILL))"
        );
    }

    #[test]
    fn any_other_failure_is_told_in_words_of_pip() {
        let error = failure("ERROR: something new");
        assert_eq!(error, "pip could not download torch==2.11.0: something new");
    }
}
