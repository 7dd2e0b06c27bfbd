//! The cargo commands behind `cargo xtask`.

use std::process::{Command, ExitCode};

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

/// Every test of the workspace.
pub(crate) fn test(args: &[String]) -> Result<ExitCode, SetupError> {
    become_cargo(&[&["test", "--workspace"], &borrowed(args)[..]].concat())
}

/// The tests that need gym-rs; whether they pass.
pub(crate) fn test_gym_rs() -> Result<bool, SetupError> {
    let args = [
        "test",
        "--package",
        "coinop-envs",
        "--features",
        "gym-rs",
        "--lib",
        "--test",
        "gym_rs",
    ];
    let status = cargo(&args).status().map_err(SetupError::NoCargo)?;
    Ok(status.success())
}

/// The test of `tests/resume.rs` that takes minutes.
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

/// All recorded play of all Atari games.
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

fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
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
