//! The program: parses the command line, runs a command, and turns an error into one line and an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; one line on standard error says why, and the way out |
//! | 2 | the command line is wrong |
//! | 130 | interrupted by Ctrl-C; what was learned is saved |

mod algo;
mod atari_command;
mod cli;
mod config;
mod config_keys;
mod count;
mod envs_command;
mod evaluate;
mod files;
mod log;
mod metrics;
mod plot;
mod process_settings;
mod progress;
mod run_dir;
mod run_loop;
mod train;

use std::io::ErrorKind;
use std::process::ExitCode;

use crate::cli::{AtariCommand, Command};

const FAILED: u8 = 1;
const INTERRUPTED: u8 = 130;

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
                run_loop::Outcome::Interrupted => ExitCode::from(INTERRUPTED),
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
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    if kind == Some(ErrorKind::BrokenPipe) {
        // Whoever read our output has enough, as in `coinop envs | head`.
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let text: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let way_out = match kind {
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => "; choose a place that you may write to",
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            "; free some space, or choose a place on another disk"
        }
        Some(ErrorKind::NotADirectory) => "; a part of this path is a file, choose another path",
        _ => "",
    };
    eprintln!("error: {}{way_out}", text.join("; "));
    ExitCode::from(FAILED)
}
