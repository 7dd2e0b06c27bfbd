//! `cargo xtask`: what a new clone needs before cargo can work (libtorch, ROMs), and then cargo.
//!
//! ```text
//! main ─┬─ libtorch ─┬─ pip      downloads, verifies and unpacks wheels
//!       ├─ roms ─────┴─ folder   locks, scratch folders, stamps: a folder is complete or not there
//!       ├─ names                 catches a misspelt environment before anything is downloaded
//!       ├─ wheel                 builds the Python package
//!       ├─ sdl, mpi              what gym-rs and MPI are compiled with, for the tests
//!       └─ cargo                 hands over to cargo
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cargo;
mod folder;
mod libtorch;
mod mpi;
mod names;
mod pip;
mod roms;
mod sdl;
mod wheel;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::pip::Pip;

/// Looks environment variables up.
type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

const ENV: Env<'static> = &|name| std::env::var_os(name);

/// Sets coinop up, then runs cargo.
///
/// The first run fetches libtorch (about 545 MB to download, 490 MB on disk) and the Atari ROMs (3 MB) with pip, into
/// the ignored folders .libtorch and .roms. Later runs find them there and start at once. After that, plain
/// `cargo build`, `cargo test` and `cargo run --release -- ...` work too.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Start here:\n  cargo xtask train pong    watch an agent learn Pong\n  cargo xtask test          run every test\n\n\
                  A libtorch of your own: set LIBTORCH to its folder, or LIBTORCH_USE_PYTORCH=1 for an installed torch==2.11.0."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch libtorch and the ROMs, unless they are installed already
    Setup {
        /// Take the ROMs from this folder (NAME.bin) instead of the ale-py wheel
        #[arg(long, value_name = "DIR")]
        roms: Option<PathBuf>,
        /// Fetch everything again
        #[arg(long)]
        force: bool,
    },
    /// Set up, then train an agent: `cargo run --release -- train ENV ...`
    Train {
        /// Take the ROMs from this folder (NAME.bin) instead of the ale-py wheel
        #[arg(long, value_name = "DIR")]
        roms: Option<PathBuf>,
        /// The environment, for example `pong`
        env: String,
        /// Arguments of `coinop train`, for example `--algo ppo --frames 10M`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up, then run all tests, including documentation examples, and those of gym-rs and MPI if they are installed
    Test {
        /// Arguments of `cargo test --workspace`, for example a part of a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up, then kill training runs a hundred times at random instants, resume them, and compare each with an uninterrupted one (minutes)
    KillTest,
    /// Build the wheel of the Python package coinop-atari into target/wheels
    Wheel {
        /// Build it with the profile dev, install it into a folder of its own, and run its tests
        #[arg(long)]
        test: bool,
    },
    /// Get the ROMs, then replay all recordings of ale-py and print a table of the differences (minutes)
    Golden {
        /// The games [default: all]
        games: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // A path, or what pip printed, may hold what a terminal acts on.
            let text = one_line(&error).replace(char::is_control, "?");
            let _ = writeln!(io::stderr().lock(), "error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let root = workspace_root();
    match command {
        Command::Setup { roms, force } => {
            set_up(&root, roms.as_deref(), force, None)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Train { roms, env, args } => {
            names::check(&env)?;
            let roms = roms.or_else(|| roms_argument(&args));
            set_up(&root, roms.as_deref(), false, Some(cargo::TRAIN))?;
            cargo::train(&env, &args)
        }
        Command::Test { args } => {
            // With arguments, the user selects the tests.
            let all = args.is_empty();
            let features = cargo::testable(all && sdl::is_there(), all && mpi::is_there());
            let build = [&cargo::TEST[..], &[&features]].concat();
            set_up(&root, None, false, Some(&build))?;
            cargo::test(&features, &args)
        }
        Command::KillTest => {
            set_up(&root, None, false, None)?;
            cargo::kill_test()
        }
        Command::Wheel { test } => wheel::run(&root, test),
        Command::Golden { games } => {
            say(&roms::provide(
                &root,
                &roms::table(),
                None,
                ENV,
                &Pip::of_system(),
                false,
            )?);
            cargo::golden(&games)
        }
    }
}

/// Provides libtorch and the ROMs, unless they are there. During a download, `build` compiles everything that does not need libtorch.
fn set_up(root: &Path, roms: Option<&Path>, force: bool, build: Option<&[&str]>) -> Result<()> {
    let ahead = (!libtorch::is_complete(&root.join(".libtorch"))).then(|| build.map(cargo::ahead));
    let pip = Pip::of_system();
    say(&libtorch::provide(root, ENV, &pip, force)?);
    say(&roms::provide(root, &roms::table(), roms, ENV, &pip, force)?);
    drop(ahead);
    Ok(())
}

/// Writes one line to stderr and ignores errors; `eprintln!` would panic.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "xtask: {text}");
}

/// The causes of an error in one line.
fn one_line(error: &anyhow::Error) -> String {
    let cause = error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind);
    match cause {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            format!("{error:#}; free some space, then run the same command again")
        }
        _ => format!("{error:#}"),
    }
}

/// The folder of the workspace: the parent of this package's.
fn workspace_root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_owned)
}

/// The folder of `--roms DIR` among the arguments of `coinop train`, with which ROMs need not be downloaded.
fn roms_argument(args: &[String]) -> Option<PathBuf> {
    let position = args.iter().position(|arg| arg == "--roms");
    let separate = position.and_then(|position| args.get(position + 1));
    let joined = || args.iter().find_map(|arg| arg.strip_prefix("--roms="));
    separate.map(String::as_str).or_else(joined).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn train_passes_everything_after_the_environment_on() {
        let cli = Cli::parse_from(["xtask", "train", "pong", "--algo", "ppo", "--help"]);
        let Command::Train { roms, env, args } = cli.command else {
            panic!("not train")
        };
        assert_eq!((roms, env.as_str()), (None, "pong"));
        assert_eq!(args, ["--algo", "ppo", "--help"]);
    }

    #[test]
    fn roms_are_recognised_among_the_arguments_of_train() {
        let args = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            roms_argument(&args(&["--seed", "1", "--roms", "/r"])),
            Some("/r".into())
        );
        assert_eq!(roms_argument(&args(&["--roms=/r"])), Some("/r".into()));
        assert_eq!(roms_argument(&args(&["--seed", "1"])), None);
    }

    #[test]
    fn a_full_disk_has_a_way_out_and_other_failures_name_the_path() {
        let failed = |kind: io::ErrorKind| Err::<(), _>(io::Error::from(kind)).context("cannot write /data/x");
        assert_eq!(
            one_line(&failed(io::ErrorKind::StorageFull).unwrap_err()),
            "cannot write /data/x: no storage space; free some space, then run the same command again"
        );
        assert_eq!(
            one_line(&failed(io::ErrorKind::PermissionDenied).unwrap_err()),
            "cannot write /data/x: permission denied"
        );
    }
}
