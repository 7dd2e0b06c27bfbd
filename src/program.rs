//! The program: runs a command and turns an error into one line and an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; one line on standard error names the cause and the remedy |
//! | 2 | the command line is wrong |
//! | 128 + n | stopped by signal n, e.g. 130 after Ctrl-C; everything learned is saved |

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use coinop_agents::{AgentError, Algorithm, TrainError};
use coinop_atari::AtariError;
use coinop_envs::{Elem, Env, EnvError, EnvFactory, FromFn, registry};

use crate::cli::{self, AtariCommand, Command};
use crate::commands::{
    atari, bench, check, distill, doctor, envs, eval, export, play, plot, report, runs, settings, shell, suite, table,
    train, tune, verify_resume, watch,
};
use crate::output::{self, OutputError};
use crate::{algo, process_settings, run, signals};

const FAILED: u8 = 1;

/// The program `coinop`, which can be extended by your own environments and algorithms.
///
/// ```no_run
/// use coinop::Program;
/// use coinop::envs::classic::CartPole;
/// use coinop::envs::wrappers::TimeLimit;
///
/// fn main() -> std::process::ExitCode {
///     Program::new()
///         .env("short_cartpole", || Ok(TimeLimit::new(CartPole::v1(), 100)))
///         .main()
/// }
/// ```
///
/// `train short_cartpole`, `eval`, `plot` and every other command then work as with coinop's own environments.
#[derive(Debug, Default)]
pub struct Program {
    /// The first error while registering.
    error: Option<EnvError>,
}

impl Program {
    /// Creates the program with coinop's own environments and algorithms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an environment under a name of lower-case letters, digits and `_`. `make` must return a newly constructed
    /// environment each time. It is called only when a command needs the environment, so an error affects only that
    /// command.
    #[must_use]
    pub fn env<E, F>(self, name: &str, make: F) -> Self
    where
        E: Env + Send + 'static,
        F: Fn() -> Result<E, EnvError> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        self.register(name, move || {
            let make = Arc::clone(&make);
            let factory: Arc<dyn EnvFactory<Obs = E::Obs>> = Arc::new(FromFn::new(move || make())?);
            Ok(factory)
        })
    }

    /// Adds the environments of a factory, e.g. of [`InThreads`](coinop_envs::InThreads) for environments that must
    /// stay in their thread.
    #[must_use]
    pub fn factory<F: EnvFactory + 'static>(self, name: &str, factory: F) -> Self {
        let factory: Arc<dyn EnvFactory<Obs = F::Obs>> = Arc::new(factory);
        self.register(name, move || Ok(Arc::clone(&factory)))
    }

    /// Adds an algorithm, selected by `--algo NAME`.
    #[must_use]
    pub fn algorithm<A: Algorithm>(mut self) -> Self {
        let registered = algo::register::<A>().map_err(EnvError::BadSetting);
        self.error = self.error.or(registered.err());
        self
    }

    fn register<O: Elem>(
        mut self,
        name: &str,
        make: impl Fn() -> Result<Arc<dyn EnvFactory<Obs = O>>, EnvError> + Send + Sync + 'static,
    ) -> Self {
        let registered = registry::register_lazily(name, make);
        self.error = self.error.or(registered.err());
        self
    }

    /// Runs the command line and returns the exit code.
    #[must_use]
    pub fn main(self) -> ExitCode {
        if let Some(error) = self.error {
            return report(&error.into());
        }
        let cli = match cli::parse() {
            Ok(cli) => cli,
            Err(code) => return code,
        };
        let done = {
            let _quiet = cli.quiet.then(output::silence);
            dispatch(cli.command)
        };
        done.unwrap_or_else(|error| report(&error))
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Train(args) => {
            process_settings::apply();
            return Ok(exit_code(&train::run(&args)?));
        }
        Command::Distill(args) => {
            process_settings::apply();
            return Ok(exit_code(&distill::run(&args)?));
        }
        Command::VerifyResume(args) => {
            process_settings::apply();
            if let Some(signal) = verify_resume::run(&args)? {
                return Ok(ExitCode::from(signals::exit_code(signal)));
            }
        }
        Command::Eval(args) => {
            process_settings::apply();
            eval::run(&args)?;
        }
        Command::Play(args) => {
            process_settings::apply();
            play::run(&args)?;
        }
        Command::Watch(args) => {
            process_settings::apply();
            watch::run(&args)?;
        }
        Command::Export(args) => {
            process_settings::apply();
            export::run(&args)?;
        }
        Command::Envs { env, json } => envs::run(env.as_ref(), json)?,
        Command::Settings(args) => settings::run(&args)?,
        Command::Runs(args) => runs::run(&args)?,
        Command::Completions { shell } => shell::completions(shell, cli::command())?,
        Command::Man { folder } => shell::man(&folder, cli::command())?,
        Command::Bench(args) => {
            process_settings::apply();
            bench::run(&args)?;
        }
        Command::Check(args) => {
            process_settings::apply();
            check::run(&args)?;
        }
        Command::Doctor(args) => {
            process_settings::apply();
            doctor::run(&args)?;
        }
        Command::Plot(args) => plot::run(&args)?,
        Command::Report(args) => {
            process_settings::apply();
            report::run(&args)?;
        }
        Command::Table(args) => table::run(&args)?,
        Command::Tune(args) => {
            if let Some(signal) = tune::run(&args)? {
                return Ok(ExitCode::from(signals::exit_code(signal)));
            }
        }
        Command::Suite(args) => {
            if let Some(signal) = suite::run(&args)? {
                return Ok(ExitCode::from(signals::exit_code(signal)));
            }
        }
        Command::Atari {
            command: AtariCommand::Trace(args),
        } => atari::trace(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of training.
fn exit_code(outcome: &run::Outcome) -> ExitCode {
    match outcome {
        run::Outcome::Finished | run::Outcome::Paused => ExitCode::SUCCESS,
        run::Outcome::Stopped { signal } => ExitCode::from(signals::exit_code(*signal)),
    }
}

/// Every error message is complete, so its sources are not printed.
fn report(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(OutputError::Closed)) {
        // The reader of our output has closed it, as in `coinop envs | head`.
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

/// Remedies that only the program offers; the libraries have no command line.
fn way_out(error: &anyhow::Error) -> Option<String> {
    let (mut env, mut agent) = (error.downcast_ref::<EnvError>(), error.downcast_ref::<AgentError>());
    match error.downcast_ref() {
        Some(TrainError::Env(error)) => env = Some(error),
        Some(TrainError::Agent(error)) => agent = Some(error),
        _ => {}
    }
    let env = env.map(EnvError::cause);
    let atari = match env {
        Some(EnvError::Other(error)) => error.downcast_ref(),
        _ => error.downcast_ref(),
    };
    match (env, atari, agent) {
        (Some(EnvError::UnknownEnv { .. }), _, _) | (_, Some(AtariError::UnknownGame { .. }), _) => {
            Some(format!("`{} envs` lists all", output::program()))
        }
        (Some(EnvError::GymnasiumName { short, protocol, .. }), _, _) => {
            Some(format!("write `{short}@protocol={protocol}`"))
        }
        (_, Some(AtariError::RomMissing { .. } | AtariError::WrongMd5 { .. }), _) => {
            Some("`cargo xtask setup` provides ROMs, --roms names another folder".to_owned())
        }
        (_, _, Some(AgentError::Shape { .. })) => {
            let own = "--set \"network.body={layers={convolutions=[[16,3,1]],hidden=[128]}}\"";
            Some(format!(
                "`nature`, `a3c` and `impala` read pictures like the Atari's, `mlp` reads features: choose with --set network.body=NAME, or describe layers with {own}"
            ))
        }
        _ => of_the_system(error).map(str::to_owned),
    }
}

/// Remedies for errors of the operating system.
fn of_the_system(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    match causes.next()?.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Some("choose a place that you may write to"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some space, or choose a place on another disk"),
        ErrorKind::NotADirectory => Some("a part of this path is a file, choose another path"),
        _ => None,
    }
}
