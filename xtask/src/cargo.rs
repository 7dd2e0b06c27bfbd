//! The cargo commands behind `cargo xtask`.

use std::ffi::OsString;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};

/// `cargo run --release -- train ENV ...`
pub(crate) fn train(env: &str, args: &[String]) -> Result<ExitCode> {
    become_cargo(&["run", "--release", "--package", "coinop", "--", "train", env], args)
}

/// Runs all tests of the workspace, with the optional features `features`.
pub(crate) fn test(features: &str, args: &[String]) -> Result<ExitCode> {
    become_cargo(&["test", "--workspace", "--features", features], args)
}

/// The optional features that can be tested here, separated by commas.
pub(crate) fn testable(gym_rs: bool, mpi: bool) -> String {
    let features = [(gym_rs, "gym-rs"), (mpi, "mpi")];
    let there: Vec<_> = features
        .iter()
        .filter(|(there, _)| *there)
        .map(|&(_, name)| name)
        .collect();
    there.join(",")
}

/// Runs the test of `tests/resume.rs` that takes minutes.
pub(crate) fn kill_test() -> Result<ExitCode> {
    let name = "a_hundred_kills";
    become_cargo(
        &[
            "test",
            "--package",
            "coinop",
            "--test",
            "resume",
            "--",
            "--ignored",
            "--nocapture",
            name,
        ],
        &[],
    )
}

/// Replays the recordings of Atari games.
pub(crate) fn golden(games: &[String]) -> Result<ExitCode> {
    become_cargo(
        &[
            "run",
            "--release",
            "--package",
            "coinop-atari",
            "--example",
            "golden",
            "--",
        ],
        games,
    )
}

/// The build that [`train()`] performs.
pub(crate) const TRAIN: &[&str] = &["build", "--release", "--package", "coinop"];
/// The build that [`test()`] performs, without its features.
pub(crate) const TEST: [&str; 4] = ["build", "--workspace", "--all-targets", "--features"];

/// A cargo that compiles ahead until this is dropped: everything that does not need libtorch.
pub(crate) struct Ahead(Option<Child>);

/// Starts compiling ahead, silently: if it fails, the real build will print why.
pub(crate) fn ahead(args: &[&str]) -> Ahead {
    if cfg!(not(unix)) {
        return Ahead(None);
    }
    // A shell terminates cargo and its compilers as a group when our end of the pipe closes, however this process ends. Killing only cargo would leave
    // compilers running next to those of the real build.
    const SCRIPT: &str = r#""$@" & trap '' TERM; read -r _; kill -TERM 0; wait"#;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(program())
        .args(args)
        .arg("--keep-going");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let quiet = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Ahead(quiet.spawn().ok())
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.0 {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }
}

fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

const CANNOT_START: &str = "cargo cannot be started";

/// Replaces this process by cargo, so that Ctrl-C and the exit code are those of the program that cargo runs.
fn become_cargo(args: &[&str], more: &[String]) -> Result<ExitCode> {
    let mut cargo = Command::new(program());
    cargo.args(args).args(more);
    #[cfg(unix)]
    return Err(std::os::unix::process::CommandExt::exec(&mut cargo)).context(CANNOT_START);
    #[cfg(not(unix))]
    {
        let code = cargo.status().context(CANNOT_START)?.code();
        let code = code.and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }
}
