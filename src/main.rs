//! The program: parses the command line, runs a command, and turns an error into one line and an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; one line on standard error says why, and the way out |
//! | 2 | the command line is wrong |
//! | 128 + n | asked to stop by signal n, e.g. 130 after Ctrl-C; what was learned is saved |

// See `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod algo;
mod atari_command;
mod cli;
mod config;
mod config_keys;
mod count;
mod envs_command;
mod evaluate;
mod files;
mod identity;
mod log;
mod metrics;
mod output;
mod plot;
mod process_settings;
mod progress;
mod run_dir;
mod run_loop;
mod signals;
mod train;

use std::io::ErrorKind;
use std::process::ExitCode;

use crate::cli::{AtariCommand, Command};
use crate::output::OutputError;

const FAILED: u8 = 1;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Train(args) => {
            process_settings::apply();
            return Ok(match train::train(&args)? {
                run_loop::Outcome::Finished => ExitCode::SUCCESS,
                run_loop::Outcome::Stopped { signal } => ExitCode::from(signals::exit_code(signal)),
            });
        }
        Command::Eval(args) => {
            process_settings::apply();
            evaluate::command(&args)?;
        }
        Command::Envs => envs_command::envs()?,
        Command::Plot(args) => plot::plot(&args)?,
        Command::Atari {
            command: AtariCommand::Trace(args),
        } => atari_command::trace(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Every error's own text is complete: its sources are not printed again.
fn report(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(OutputError::Closed)) {
        // Whoever read our output has enough, as in `coinop envs | head`.
        return ExitCode::SUCCESS;
    }
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    let way_out = match kind {
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => "; choose a place that you may write to",
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            "; free some space, or choose a place on another disk"
        }
        Some(ErrorKind::NotADirectory) => "; a part of this path is a file, choose another path",
        _ => "",
    };
    output::say_error(&format!("{error}{way_out}"));
    ExitCode::from(FAILED)
}
