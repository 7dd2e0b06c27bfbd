//! The program: runs a command, and turns an error into one line and an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; one line on standard error says why, and the way out |
//! | 2 | the command line is wrong |
//! | 128 + n | asked to stop by signal n, e.g. 130 after Ctrl-C; what was learned is saved |

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use coinop_agents::{AgentError, TrainError, process_settings};
use coinop_atari::AtariError;
use coinop_envs::{Elem, Env, EnvError, EnvFactory, Made, registry};

use crate::algo::Algo;
use crate::cli::{self, AtariCommand, Command};
use crate::commands::{atari, bench, check, envs, eval, plot, train, verify_resume};
use crate::custom::Algorithm;
use crate::output::{self, OutputError};
use crate::{custom, run, signals};

const FAILED: u8 = 1;

/// The program `coinop`, with environments of your own beside those that it has.
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
/// `train short_cartpole`, `eval`, `plot` and every other command then do what they do with environments of coinop.
#[derive(Debug, Default)]
pub struct Program {
    /// What went wrong first.
    error: Option<EnvError>,
}

impl Program {
    /// With the environments of coinop.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With what `make` makes, under a name of small letters, digits and `_`. Each time it makes an environment that is as good as new. It is not
    /// called before a command needs the environment; should it fail then, that is that command's error.
    #[must_use]
    pub fn env<E, F>(self, name: &str, make: F) -> Self
    where
        E: Env + Send + 'static,
        F: Fn() -> Result<E, EnvError> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        self.register(name, move || {
            let make = Arc::clone(&make);
            let factory: Arc<dyn EnvFactory<Obs = E::Obs>> = Arc::new(Made::by(move || make())?);
            Ok(factory)
        })
    }

    /// With environments of a factory of your own, e.g. one of environments that must stay in their thread
    /// ([`InThreads`](coinop_envs::InThreads)).
    #[must_use]
    pub fn factory<F: EnvFactory + 'static>(self, name: &str, factory: F) -> Self {
        let factory: Arc<dyn EnvFactory<Obs = F::Obs>> = Arc::new(factory);
        self.register(name, move || Ok(Arc::clone(&factory)))
    }

    /// With an algorithm of your own: `--algo NAME`.
    #[must_use]
    pub fn algorithm<A: Algorithm>(mut self) -> Self {
        let ours = Algo::OURS.into_iter().map(Algo::name);
        let others = custom::all().into_iter().map(|custom| custom.name);
        let taken: Vec<&str> = ours.chain(others).collect();
        let registered = custom::register::<A>(&taken).map_err(EnvError::BadSetting);
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

    /// Does what the command line says, and returns the exit code.
    #[must_use]
    pub fn main(self) -> ExitCode {
        if let Some(error) = self.error {
            return report(&error.into());
        }
        let command = match cli::parse() {
            Ok(command) => command,
            Err(code) => return code,
        };
        match dispatch(command) {
            Ok(code) => code,
            Err(error) => report(&error),
        }
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
            if let Some(signal) = verify_resume::run(&args)? {
                return Ok(ExitCode::from(signals::exit_code(signal)));
            }
        }
        Command::Eval(args) => {
            process_settings::apply();
            eval::run(&args)?;
        }
        Command::Envs { env } => envs::run(env.as_ref())?,
        Command::Bench(args) => {
            process_settings::apply();
            bench::run(&args)?;
        }
        Command::Check(args) => {
            process_settings::apply();
            check::run(&args)?;
        }
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
                "`nature` and `a3c` read pictures of 84x84, `mlp` reads features: choose with --set network.body=NAME, or describe layers with {own}"
            ))
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
