//! The cargo commands behind `cargo xtask`.

use std::ffi::OsString;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::error::SetupError;

/// `cargo run --release -- train ENV ...`
pub(crate) fn train(env: &str, args: &[String]) -> Result<ExitCode, SetupError> {
    become_cargo(
        &[
            &["run", "--release", "--package", "coinop", "--", "train", env],
            &borrowed(args)[..],
        ]
        .concat(),
    )
}

/// Runs all tests of the workspace.
pub(crate) fn test(args: &[String]) -> Result<ExitCode, SetupError> {
    become_cargo(&[&["test", "--workspace"], &borrowed(args)[..]].concat())
}

/// Runs the tests that need gym-rs; returns whether they pass.
pub(crate) fn test_gym_rs() -> Result<bool, SetupError> {
    // `--workspace` gives dependencies the same features as in `test`, so they are compiled once.
    let args = [
        "test",
        "--workspace",
        "--features",
        "coinop-envs/gym-rs",
        "--test",
        "gym_rs",
    ];
    let status = cargo(&args).status().map_err(SetupError::NoCargo)?;
    Ok(status.success())
}

/// Runs the test of `tests/resume.rs` that takes minutes.
pub(crate) fn kill_test() -> Result<ExitCode, SetupError> {
    become_cargo(&[
        "test",
        "--package",
        "coinop",
        "--test",
        "resume",
        "--",
        "--ignored",
        "--nocapture",
        "a_hundred_kills",
    ])
}

/// Replays the recordings of Atari games.
pub(crate) fn golden(games: &[String]) -> Result<ExitCode, SetupError> {
    become_cargo(
        &[
            &[
                "run",
                "--release",
                "--package",
                "coinop-atari",
                "--example",
                "golden",
                "--",
            ],
            &borrowed(games)[..],
        ]
        .concat(),
    )
}

/// The build that [`train()`] performs.
pub(crate) const TRAIN: &[&str] = &["build", "--release", "--package", "coinop"];
/// The build that [`test()`] performs.
pub(crate) const TEST: &[&str] = &["build", "--workspace", "--all-targets"];

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

fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args);
    command
}

/// Replaces this process by cargo, so that Ctrl-C and the exit code are those of the program that cargo runs.
#[cfg(unix)]
fn become_cargo(args: &[&str]) -> Result<ExitCode, SetupError> {
    use std::os::unix::process::CommandExt;
    Err(SetupError::NoCargo(cargo(args).exec()))
}

#[cfg(not(unix))]
fn become_cargo(args: &[&str]) -> Result<ExitCode, SetupError> {
    let status = cargo(args).status().map_err(SetupError::NoCargo)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
