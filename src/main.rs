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
mod cli;
mod commands;
mod config;
mod count;
mod evaluation;
mod files;
mod log;
mod output;
mod report;
mod run;
mod signals;

use std::io::ErrorKind;
use std::process::ExitCode;

use coinop_agents::{AgentError, TrainError, process_settings};
use coinop_atari::AtariError;
use coinop_envs::EnvError;

use crate::cli::{AtariCommand, Command};
use crate::commands::{atari, envs, eval, plot, train, verify_resume};
use crate::output::OutputError;

const FAILED: u8 = 1;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    match dispatch(command) {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Train(args) => {
            process_settings::apply();
            return Ok(match train::run(&args)? {
                run::Outcome::Finished | run::Outcome::Paused => ExitCode::SUCCESS,
                run::Outcome::Stopped { signal } => ExitCode::from(signals::exit_code(signal)),
            });
        }
        Command::VerifyResume(args) => {
            process_settings::apply();
            verify_resume::run(&args)?;
        }
        Command::Eval(args) => {
            process_settings::apply();
            eval::run(&args)?;
        }
        Command::Envs => envs::run()?,
        Command::Plot(args) => plot::run(&args)?,
        Command::Atari {
            command: AtariCommand::Trace(args),
        } => atari::trace(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Every error's own text is complete: its sources are not printed again.
fn report(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(OutputError::Closed)) {
        // Whoever read our output has enough, as in `coinop envs | head`.
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let text = match way_out(error) {
        Some(way_out) if text.ends_with('?') => format!("{text} {way_out}"),
        Some(way_out) => format!("{text}; {way_out}"),
        None => text,
    };
    output::say_error(&text);
    ExitCode::from(FAILED)
}

/// What this program offers beyond what the libraries, whose users have no command line, say themselves.
fn way_out(error: &anyhow::Error) -> Option<String> {
    let (mut env, mut agent) = (error.downcast_ref::<EnvError>(), error.downcast_ref::<AgentError>());
    match error.downcast_ref() {
        Some(TrainError::Env(error)) => env = Some(error),
        Some(TrainError::Agent(error)) => agent = Some(error),
        _ => {}
    }
    let env = env.map(EnvError::cause);
    let atari = match env {
        Some(EnvError::Atari(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    match (env, atari, agent) {
        (Some(EnvError::UnknownEnv { .. }), _, _) | (_, Some(AtariError::UnknownGame { .. }), _) => {
            Some("`coinop envs` lists all".to_owned())
        }
        (Some(EnvError::GymnasiumName { protocol, .. }), _, _) => {
            Some(format!("add --set protocol={protocol} to play by them"))
        }
        (_, Some(AtariError::RomMissing { .. } | AtariError::WrongMd5 { .. }), _) => {
            Some("`cargo xtask setup` provides ROMs, --roms names another folder".to_owned())
        }
        (_, _, Some(AgentError::Shape { .. })) => {
            Some("`nature` and `a3c` read pixels, `mlp` reads features: choose with --set network.body=NAME".to_owned())
        }
        _ => of_the_system(error).map(str::to_owned),
    }
}

/// What helps where the system refused something.
fn of_the_system(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    match causes.next()?.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Some("choose a place that you may write to"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some space, or choose a place on another disk"),
        ErrorKind::NotADirectory => Some("a part of this path is a file, choose another path"),
        _ => None,
    }
}
