//! `cargo xtask`: what a new clone needs before cargo can work (libtorch, ROMs), and then cargo.
//!
//! ```text
//! main ─┬─ setup ─┬─ libtorch ─┬─ wheel      reads and unpacks what pip brought
//!       │         └─ roms ─────┤
//!       │                      ├─ pip        brings wheels
//!       │                      ├─ downloads  keeps them until they are unpacked
//!       │                      └─ folder     stamps, locks, scratch folders: a folder is complete or not there
//!       ├─ sdl      what gym-rs is compiled with, for the tests
//!       └─ cargo    hands over to cargo
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cargo;
mod downloads;
mod error;
mod folder;
mod libtorch;
mod names;
mod pip;
mod progress;
mod roms;
mod sdl;
mod setup;
#[cfg(test)]
mod testing;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::SetupError;
use crate::setup::Options;

/// Sets coinop up, then runs cargo.
///
/// The first run fetches libtorch (about 530 MB to download, 490 MB on disk) and the Atari ROMs (3 MB) with pip, into
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
    /// Set up, then run all tests, including documentation examples, and those of gym-rs if SDL2 is installed or can be
    Test {
        /// Arguments of `cargo test --workspace`, for example a part of a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up, then kill training runs a hundred times at random instants, resume them, and compare each with an uninterrupted one (minutes)
    KillTest,
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
            progress::say_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, SetupError> {
    let root = workspace_root();
    match command {
        Command::Setup { roms, force } => {
            setup::everything(&root, &Options { roms, force })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Train { roms, env, args } => {
            names::check(&env)?;
            let roms = roms.or_else(|| roms_argument(&args));
            // Compile everything that does not need libtorch during its download.
            let ahead = (!libtorch::is_complete(&root.join(".libtorch"))).then(|| cargo::ahead(cargo::TRAIN));
            let done = setup::everything(&root, &Options { roms, force: false });
            drop(ahead);
            done?;
            cargo::train(&env, &args)
        }
        Command::Test { args } => {
            let ahead = (!libtorch::is_complete(&root.join(".libtorch"))).then(|| cargo::ahead(cargo::TEST));
            let done = setup::everything(&root, &Options::default());
            drop(ahead);
            done?;
            // With arguments, the user selects the tests.
            if args.is_empty() && sdl::provide() && !cargo::test_gym_rs()? {
                return Ok(ExitCode::FAILURE);
            }
            cargo::test(&args)
        }
        Command::KillTest => {
            setup::everything(&root, &Options::default())?;
            cargo::kill_test()
        }
        Command::Golden { games } => {
            setup::roms(&root, &Options::default())?;
            cargo::golden(&games)
        }
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
    let separate = position.and_then(|position| args.get(position + 1)).map(PathBuf::from);
    separate.or_else(|| {
        args.iter()
            .find_map(|arg| arg.strip_prefix("--roms=").map(PathBuf::from))
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (roms, env.as_str(), args),
            (None, "pong", vec!["--algo".into(), "ppo".into(), "--help".into()])
        );
    }

    #[test]
    fn roms_are_recognised_among_the_arguments_of_train() {
        let args = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            roms_argument(&args(&["--algo", "ppo", "--roms", "/r"])),
            Some("/r".into())
        );
        assert_eq!(roms_argument(&args(&["--roms=/r"])), Some("/r".into()));
        assert_eq!(roms_argument(&args(&["--seed", "1"])), None);
    }
}
