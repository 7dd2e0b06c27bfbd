//! The cargo commands behind `cargo xtask`.

use std::ffi::OsString;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};

/// `cargo run --release -- train ENV ...`
pub(crate) fn train(env: &str, args: &[String]) -> Result<ExitCode> {
    become_cargo(&["run", "--release", "--package", "coinop", "--", "train", env], args)
}

/// Runs all tests of the workspace, with those of training over MPI if that can be compiled.
pub(crate) fn test(args: &[String], mpi: bool) -> Result<ExitCode> {
    let features: &[&str] = if mpi { &["--features", MPI] } else { &[] };
    become_cargo(&[&["test", "--workspace"], features].concat(), args)
}

/// The feature of training over MPI.
const MPI: &str = "mpi";

/// Runs the tests that need gym-rs; returns whether they pass.
pub(crate) fn test_gym_rs(mpi: bool) -> Result<bool> {
    // `--workspace` gives dependencies the same features as in `test`, so they are compiled once.
    let gym_rs = "coinop-envs/gym-rs";
    let features = if mpi {
        format!("{gym_rs},{MPI}")
    } else {
        gym_rs.to_owned()
    };
    let args = ["test", "--workspace", "--features", &features, "--test", "gym_rs"];
    let status = Command::new(program()).args(args).status();
    Ok(status.context(CANNOT_START)?.success())
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
