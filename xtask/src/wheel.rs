//! The wheel of the Python package, built by pip with maturin.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::say;

/// What the package's tests need besides it.
const FOR_TESTS: [&str; 5] = [
    "ale-py==0.12.1",
    "gymnasium==1.4.0",
    "numpy",
    "opencv-python-headless",
    "pytest",
];

/// Builds the wheel, and runs its tests if `test`.
pub(crate) fn run(root: &Path, test: bool) -> Result<ExitCode> {
    // The tests compile as those of the workspace do, so that most is compiled already.
    let wheel = build(root, if test { "dev" } else { "release" })?;
    say(&format!("built {}", wheel.display()));
    if test {
        try_out(root, &wheel)
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let folder = root.join("target/wheels").join(profile);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--wheel-dir",
    ])
    .arg(&folder)
    .arg(root.join("envs/python"))
    .env("MATURIN_PEP517_ARGS", format!("--profile {profile}"));
    succeed(pip, "pip cannot build the wheel")?;
    let wheels = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = paths.find(|path| path.extension() == Some(OsStr::new("whl")));
    wheel.with_context(|| format!("there is no wheel in {}", folder.display()))
}

/// Installs the wheel into a folder of its own, and runs its tests there.
fn try_out(root: &Path, wheel: &Path) -> Result<ExitCode> {
    let installed = root.join("target/wheels/installed");
    if installed.exists() {
        fs::remove_dir_all(&installed).with_context(|| format!("cannot empty {}", installed.display()))?;
    }
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
    ])
    .arg(&installed)
    .arg(wheel)
    .args(FOR_TESTS)
    .env("PIP_ROOT_USER_ACTION", "ignore");
    succeed(pip, "pip cannot install the wheel")?;
    let mut pytest = python();
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(root.join("envs/python/tests"))
        .env("PYTHONPATH", &installed)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    succeed(pytest, "the tests of the Python package failed")?;
    Ok(ExitCode::SUCCESS)
}

fn python() -> Command {
    Command::new("python3")
}

fn succeed(mut command: Command, otherwise: &str) -> Result<()> {
    let status = command
        .status()
        .context("python3 cannot be started: install Python 3 with pip")?;
    if !status.success() {
        bail!("{otherwise}: see above");
    }
    Ok(())
}
