//! The configuration of a run: preset, then config file, then command line; validated and complete.

mod env_name;
mod keys;
mod legacy;

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{anyhow, bail};
use coinop_agents::algorithm::{AnyAlgorithm, Preset, RunSettings, Threading};
use coinop_envs::EnvSpec;
use coinop_envs::registry::{self, EnvInfo, EnvOptions, Family, Observations};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::algo::Algo;
use crate::cli::TrainArgs;
use crate::files;
use crate::output::say;
use keys::{merge, set};

pub(crate) use env_name::EnvName;
pub(crate) use keys::{KeyError, Setting};

/// All settings of a run, as written to `config.toml` in the run folder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) run: RunConfig,
    pub(crate) env: EnvOptions,
    pub(crate) algo: AnyAlgorithm,
}

/// The settings that do not belong to an algorithm or an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The environment's full name.
    pub(crate) env: String,
    pub(crate) algo: Algo,
    /// The preset on which the other settings are based.
    pub(crate) preset: String,
    /// The run whose weights this one started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<PathBuf>,
    /// Emulator frames to train for, over all environments.
    pub(crate) frames: u64,
    pub(crate) seed: u64,
    /// The number of threads that step environments.
    pub(crate) env_threads: usize,
    /// The number of libtorch threads.
    pub(crate) torch_threads: usize,
    /// `cpu`, `cuda`, `cuda:1`.
    pub(crate) device: String,
    /// Frames between two rows of `metrics.csv`.
    pub(crate) metrics_frames: u64,
    /// Minutes between checkpoints during training; 0 for only the last one.
    #[serde(default = "checkpoint_minutes")]
    pub(crate) checkpoint_minutes: f64,
    /// The number of newest checkpoints to keep.
    #[serde(default = "keep_checkpoints")]
    pub(crate) keep_checkpoints: u64,
    /// Frames between checkpoints that are never removed; 0 for none.
    #[serde(default)]
    pub(crate) milestone_frames: u64,
    /// Frames between evaluations during training; 0 for none.
    #[serde(default)]
    pub(crate) eval_frames: u64,
    /// Episodes per evaluation.
    #[serde(default = "eval_episodes")]
    pub(crate) eval_episodes: u64,
}

fn eval_episodes() -> u64 {
    10
}

fn checkpoint_minutes() -> f64 {
    10.0
}

/// The default for presets without evaluations.
const EVAL_FRAMES: i64 = 1_000_000;

fn keep_checkpoints() -> u64 {
    3
}

impl Config {
    /// Resolves the configuration of a new run.
    pub(crate) fn resolve(args: &TrainArgs) -> anyhow::Result<Self> {
        let named = args.env.clone().unwrap_or_default();
        let (env, options) = named.find()?;
        let file = args
            .settings
            .config
            .as_deref()
            .map(read_table)
            .transpose()?
            .unwrap_or_default();
        let in_file = |error: anyhow::Error| in_file(args.settings.config.as_deref(), &error);
        let algo = args.settings.algo.map_or_else(|| algo_of(&file).map_err(in_file), Ok)?;
        let preset = args
            .settings
            .preset
            .clone()
            .or_else(|| run_setting(&file, "preset"))
            .unwrap_or_default();
        let mut table = preset_table(algo, &env, &preset).map_err(|error| match args.settings.preset {
            None => in_file(error),
            Some(_) => error,
        })?;
        let optional = optional(&env, Some(algo));
        if let Some(warning) = of_another_kind(&file, &env, args.settings.config.as_deref()) {
            say(&warning);
        }
        if env.family == Family::Custom && env.observations == Observations::Pixels {
            let mut whole = table.clone();
            merge(&mut whole, file.clone(), &optional).map_err(|error| in_file(error.into()))?;
            merge(&mut whole, flags(args), &optional)?;
            for setting in &args.settings.set {
                set(&mut whole, setting, &optional)?;
            }
            fit_to_length(&mut table, algo, &whole);
        }
        merge(&mut table, file, &optional).map_err(|error| in_file(error.into()))?;
        // Those that the command line says, whatever the file was of.
        let chosen = Table::from_iter([text("env", &env.id()), text("algo", algo.name())]);
        merge(&mut table, section_of("run", chosen), &optional)?;
        let of_file = table.clone();
        merge(&mut table, flags(args), &optional)?;
        for setting in options.iter().chain(&args.settings.set) {
            setting.check_effect(&table)?;
            set(&mut table, setting, &optional)?;
        }
        // A value that cannot be is the file's fault if it is there without what the command line adds.
        let mut config = Self::valid(table).map_err(|error| match Self::valid(of_file) {
            Err(same) if same.to_string() == error.to_string() => in_file(error),
            _ => error,
        })?;
        if let Some(roms) = &args.settings.roms {
            config.set_roms(roms)?;
        }
        let roms = &mut config.env.atari.roms;
        *roms = roms.as_deref().map(files::absolute).transpose()?;
        config.resolve_threads();
        Ok(config)
    }

    /// Resolves the configuration of a new run, including the precision that suits this machine if none is set.
    pub(crate) fn new_run(args: &TrainArgs) -> anyhow::Result<Self> {
        Self::resolve(args)?.for_this_machine()
    }

    /// The configuration of an algorithm with the given settings, and otherwise of its default preset.
    pub(crate) fn for_algorithm(env: &str, settings: &AnyAlgorithm) -> anyhow::Result<Self> {
        let (env, options) = env.parse::<EnvName>()?.find()?;
        let algo = Algo::find(settings.name()).map_err(|error| anyhow!(error))?;
        let mut table = preset_table(algo, &env, "")?;
        table.extend(Table::try_from(settings)?);
        Self::valid(table)?.with(&options)
    }

    /// Changes some settings.
    pub(crate) fn with(&self, settings: &[Setting]) -> anyhow::Result<Self> {
        let mut table: Table = toml::from_str(&self.to_toml()?)?;
        let optional = optional(&self.env_info()?, Some(self.run.algo));
        for setting in settings {
            setting.check_effect(&table)?;
            set(&mut table, setting, &optional)?;
        }
        Self::valid(table)
    }

    /// Resolves what depends on this machine: numbers of threads, and the precision if none is set.
    pub(crate) fn for_this_machine(mut self) -> anyhow::Result<Self> {
        self.resolve_threads();
        let device = coinop_agents::device(&self.run.device)?;
        coinop_agents::set_torch_threads(self.run.torch_threads);
        let spec = self.env_info()?.factory(&self.env)?.spec();
        self.algo.choose_precision(&spec, device)?;
        Ok(self)
    }

    /// Replaces 0 threads by the number of cores, or by the remaining cores if both kinds of threads run at the same
    /// time.
    fn resolve_threads(&mut self) {
        let run = &mut self.run;
        if self.algo.threading() == Threading::AtOnce {
            let half = (cores() / 2).max(1);
            if run.env_threads == 0 {
                let left = cores().saturating_sub(run.torch_threads);
                run.env_threads = if run.torch_threads == 0 { half } else { left.max(1) };
            }
            if run.torch_threads == 0 {
                run.torch_threads = cores().saturating_sub(run.env_threads).max(1);
            }
        }
        run.env_threads = threads_or_cores(run.env_threads);
        run.torch_threads = threads_or_cores(run.torch_threads);
    }

    /// The configuration of a resumed run, with the settings that may change.
    pub(crate) fn resumed(mut self, args: &TrainArgs) -> anyhow::Result<Self> {
        let run = &mut self.run;
        run.frames = args.frames.unwrap_or(run.frames);
        run.env_threads = threads_or_cores(args.settings.env_threads.unwrap_or(run.env_threads));
        run.torch_threads = threads_or_cores(args.settings.torch_threads.unwrap_or(run.torch_threads));
        if let Some(device) = &args.settings.device {
            run.device.clone_from(device);
        }
        if let Some(roms) = &args.settings.roms {
            self.set_roms(&files::absolute(roms)?)?;
        }
        self.validate()?;
        Ok(self)
    }

    /// What a trainer has to know of the run.
    pub(crate) fn run_settings(&self) -> anyhow::Result<RunSettings> {
        let mut settings = RunSettings::new(self.run.frames, self.run.seed);
        settings.env_threads = self.run.env_threads;
        settings.device = coinop_agents::device(&self.run.device)?;
        Ok(settings)
    }

    /// Reads the `config.toml` of a run folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut table = read_table(path)?;
        let in_this = |error: &dyn std::fmt::Display| in_file(Some(path), error);
        let algo = algo_of(&table).map_err(|error| in_this(&error))?;
        let optional = of_algo(algo);
        for warning in legacy::modernize(&mut table, &optional).map_err(|error| in_this(&error))? {
            say(&format!("warning: `{}`: {warning}", path.display()));
        }
        legacy::remove_off(&mut table, &optional);
        Self::valid(table).map_err(|error| in_file(Some(path), &error))
    }

    /// Serialises as TOML, to be read by [`Config::read`] and `--config`.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        #[derive(Serialize)]
        struct File<'a, E> {
            run: &'a RunConfig,
            env: E,
            #[serde(flatten)]
            algo: &'a AnyAlgorithm,
        }
        Ok(toml::to_string(&File {
            run: &self.run,
            env: self.env.of(self.env_info()?.family),
            algo: &self.algo,
        })?)
    }

    /// The environment.
    pub(crate) fn env_info(&self) -> anyhow::Result<EnvInfo> {
        Ok(registry::find(&self.run.env)?)
    }

    /// Sets the ROM folder.
    pub(crate) fn set_roms(&mut self, roms: &Path) -> anyhow::Result<()> {
        if self.env_info()?.family != Family::Atari {
            bail!("--roms is for Atari games, which {} is not: leave it out", self.run.env);
        }
        self.env.atari.roms = Some(roms.to_owned());
        Ok(())
    }

    fn from_table(mut table: Table) -> anyhow::Result<Self> {
        let run: RunConfig = section(&mut table, "run", Value::try_into)?;
        let family = registry::find(&run.env)?.family;
        let config = Self {
            env: section(&mut table, "env", |value| EnvOptions::read(family, value))?,
            algo: section(&mut table, run.algo.name(), |value| run.algo.read(value))?,
            run,
        };
        match table.keys().next() {
            Some(unknown) => bail!("there is no section `{unknown}` for {}", config.run.algo.name()),
            None => Ok(config),
        }
    }

    fn valid(table: Table) -> anyhow::Result<Self> {
        let config = Self::from_table(table)?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> anyhow::Result<()> {
        let run = &self.run;
        for (name, value) in [("frames", run.frames), ("metrics_frames", run.metrics_frames)] {
            if value == 0 {
                bail!("run.{name} = 0: it must be at least 1");
            }
        }
        let minutes = run.checkpoint_minutes;
        if !(0.0..=1e6).contains(&minutes) {
            bail!("run.checkpoint_minutes = {minutes}: it must be between 0 and 1000000");
        }
        if run.keep_checkpoints == 0 {
            bail!("run.keep_checkpoints = 0: it must be at least 1");
        }
        if run.eval_episodes == 0 {
            bail!("run.eval_episodes = 0: it must be at least 1; for no evaluation set run.eval_frames = 0");
        }
        if run.seed > i64::MAX as u64 {
            bail!("run.seed = {}: it must be at most {}", run.seed, i64::MAX);
        }
        for (name, threads) in [("env_threads", run.env_threads), ("torch_threads", run.torch_threads)] {
            check_threads(&format!("run.{name}"), threads)?;
        }
        self.algo
            .validate()
            .map_err(|error| anyhow!("{}.{error}", run.algo.name()))
    }
}

/// The full names of the settings of an environment and of an algorithm that may be absent.
fn optional(env: &EnvInfo, algo: Option<Algo>) -> Vec<String> {
    let of_env = env.family.options_without_default().iter();
    let of_env = of_env.map(|name| format!("env.{name}"));
    let of_run = ["run.load".to_owned()];
    of_run
        .into_iter()
        .chain(of_env)
        .chain(algo.into_iter().flat_map(of_algo))
        .collect()
}

/// The full names of the settings of an algorithm that may be absent.
fn of_algo(algo: Algo) -> Vec<String> {
    let names = algo.optional().iter();
    names.map(|name| format!("{}.{name}", algo.name())).collect()
}

/// Removes a section from a configuration and parses it.
fn section<T>(
    table: &mut Table,
    name: &str,
    read: impl FnOnce(Value) -> Result<T, toml::de::Error>,
) -> anyhow::Result<T> {
    let value = table
        .remove(name)
        .ok_or_else(|| anyhow!("there is no section `{name}`"))?;
    read(value).map_err(|error| {
        let error = one_line(&error.to_string());
        match error.rsplit_once(" in `") {
            Some((error, key)) => anyhow!("{error} in `{name}.{key}"),
            None => anyhow!("{error} in `{name}`"),
        }
    })
}

/// More threads are a mistake, and the system might not start them.
const MAX_THREADS: usize = 1024;

/// Checks a number of threads, set by the setting or flag `name`.
pub(crate) fn check_threads(name: &str, threads: usize) -> anyhow::Result<()> {
    if threads > MAX_THREADS {
        bail!("{name} = {threads}: it must be at most {MAX_THREADS}");
    }
    Ok(())
}

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Replaces 0 by the number of cores.
pub(crate) fn threads_or_cores(threads: usize) -> usize {
    if threads == 0 { cores() } else { threads }
}

/// A setting for layers that can read observations of this shape.
pub(crate) fn layers_for(spec: &EnvSpec) -> String {
    let is_picture = matches!(spec.obs_shape.dims(), [_, height, width] if *height >= 3 && *width >= 3);
    let convolutions = if is_picture { "convolutions=[[16,3,1]]," } else { "" };
    format!("network.body={{layers={{{convolutions}hidden=[128]}}}}")
}

/// Returns an algorithm's preset `name` for an environment, completed by defaults that are computed. An empty name
/// selects the default preset.
fn preset_table(algo: Algo, env: &EnvInfo, name: &str) -> anyhow::Result<Table> {
    let presets = algo.presets(env.observations);
    if presets.is_empty() {
        bail!(
            "{} can't learn from {}, which {} has: choose another environment",
            algo.name(),
            env.observations.name(),
            env.id()
        );
    }
    let preset = presets.iter().find(|preset| preset.name() == name || name.is_empty());
    let Some(preset) = preset else {
        let names: Vec<&str> = presets.iter().map(Preset::name).collect();
        bail!(
            "{} has no preset `{name}` for {}: choose one of {}",
            algo.name(),
            env.id(),
            names.join(", ")
        );
    };
    let mut table = preset.table(algo.name())?;
    let mut options = Table::try_from(EnvOptions::default().of(env.family))?;
    if let Some(Value::Table(given)) = table.remove("env") {
        // What presets that are for several families say of one's options is not for the others.
        options.extend(given.into_iter().filter(|_| env.family == Family::Atari));
    }
    table.insert("env".to_owned(), Value::Table(options));
    if let Some(Value::Table(run)) = table.get_mut("run") {
        for (name, default) in [
            ("checkpoint_minutes", Value::Float(checkpoint_minutes())),
            ("keep_checkpoints", Value::Integer(keep_checkpoints() as i64)),
            ("milestone_frames", Value::Integer(0)),
            ("eval_frames", Value::Integer(EVAL_FRAMES)),
            ("eval_episodes", Value::Integer(eval_episodes() as i64)),
        ] {
            run.entry(name).or_insert(default);
        }
        run.extend([
            text("env", &env.id()),
            text("algo", algo.name()),
            text("preset", preset.name()),
        ]);
    }
    Ok(table)
}

fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::String(value.to_owned()))
}

fn section_of(name: &str, settings: Table) -> Table {
    Table::from_iter([(name.to_owned(), Value::Table(settings))])
}

/// Scales metrics, evaluations and learning starts to the length of the run. The presets for pixels are meant for
/// Atari, with four frames per step and millions of frames per run. Other environments get at least a hundred rows,
/// ten evaluations, and at most a twentieth of their frames before learning. `whole` contains the user's settings.
fn fit_to_length(table: &mut Table, algo: Algo, whole: &Table) {
    let frames = whole
        .get("run")
        .and_then(|run| run.get("frames"))
        .and_then(Value::as_integer);
    let Some(frames) = frames else { return };
    for (section, key, share) in [
        ("run", "metrics_frames", 100),
        ("run", "eval_frames", 10),
        (algo.name(), "learning_starts", 20),
    ] {
        if let Some(Value::Integer(count)) = table.get_mut(section).and_then(|section| section.get_mut(key)) {
            *count = (*count).min((frames / share).max(1));
        }
    }
}

/// Warns about a settings file of a run with another kind of observations.
fn of_another_kind(file: &Table, env: &EnvInfo, path: Option<&Path>) -> Option<String> {
    let theirs = registry::find(&run_setting(file, "env")?).ok()?;
    (theirs.observations != env.observations).then(|| {
        format!(
            "warning: `{}` is of {}, whose observations are {}: its network and its other settings may not suit the {} of {}",
            path.unwrap_or(Path::new("the file")).display(),
            theirs.id(),
            theirs.observations.name(),
            env.observations.name(),
            env.id()
        )
    })
}

/// The flags that are shorthands of settings.
fn flags(args: &TrainArgs) -> Table {
    let count = |name: &str, value: u64| {
        (
            name.to_owned(),
            Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)),
        )
    };
    let mut run = Table::new();
    run.extend(args.frames.map(|frames| count("frames", frames)));
    run.extend(args.seed.map(|seed| count("seed", seed)));
    run.extend(
        args.settings
            .env_threads
            .map(|threads| count("env_threads", threads as u64)),
    );
    run.extend(
        args.settings
            .torch_threads
            .map(|threads| count("torch_threads", threads as u64)),
    );
    run.extend(args.settings.device.as_ref().map(|device| text("device", device)));
    run.extend(args.settings.preset.as_ref().map(|preset| text("preset", preset)));
    run.extend(args.load.as_ref().map(|load| text("load", &load.to_string_lossy())));
    section_of("run", run)
}

fn algo_of(file: &Table) -> anyhow::Result<Algo> {
    match run_setting(file, "algo") {
        None => Ok(Algo::default()),
        Some(name) => Algo::find(&name).map_err(|error| anyhow!(error)),
    }
}

fn run_setting(file: &Table, key: &str) -> Option<String> {
    Some(file.get("run")?.get(key)?.as_str()?.to_owned())
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = files::read(path)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            let before = &text.as_bytes()[..span.start.min(text.len())];
            1 + before.iter().filter(|&&byte| byte == b'\n').count()
        });
        anyhow!(
            "`{}` line {line} is not TOML: {}",
            path.display(),
            one_line(error.message())
        )
    })
}

fn in_file(path: Option<&Path>, error: &dyn std::fmt::Display) -> anyhow::Error {
    match path {
        Some(path) => anyhow!("`{}`: {error}", path.display()),
        None => anyhow!("{error}"),
    }
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The configuration of an algorithm's default preset for an environment.
#[cfg(test)]
pub(crate) fn of_preset(algo: Algo, env: &str) -> anyhow::Result<Config> {
    Config::valid(preset_table(algo, &registry::find(env)?, "")?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn preset(algo: Algo, env: &str, name: &str) -> Config {
        let env = registry::find(env).unwrap();
        Config::valid(preset_table(algo, &env, name).unwrap()).unwrap()
    }

    #[test]
    fn every_preset_is_complete_and_valid_for_every_environment_with_its_observations() {
        for algo in Algo::value_variants() {
            for env in registry::list() {
                for name in algo.presets(env.observations).iter().map(Preset::name) {
                    let config = preset(*algo, &env.id(), name);
                    assert_eq!((config.run.preset, config.run.env), (name.to_owned(), env.id()));
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (algo, env) in [
            ("ppo", "pong"),
            ("paac", "cartpole"),
            ("double-dqn", "pong"),
            ("async-sarsa", "pong"),
        ] {
            let algo = Algo::find(algo).unwrap();
            let mut config = preset(algo, env, "");
            if env == "pong" {
                config.env.atari.mode = Some(2);
            }
            let table: Table = toml::from_str(&config.to_toml().unwrap()).unwrap();
            let mut sections = ["env", "run", algo.name()];
            sections.sort_unstable();
            assert_eq!(
                table.keys().collect::<Vec<_>>(),
                sections,
                "the section of the chosen algorithm alone"
            );
            assert_eq!(Config::from_table(table).unwrap(), config);
        }
    }

    #[test]
    fn an_error_names_the_section_and_its_key() {
        let env = registry::find("cartpole").unwrap();
        let error = |spoil: fn(&mut Table)| {
            let mut table = preset_table(Algo::find("paac").unwrap(), &env, "").unwrap();
            spoil(&mut table);
            Config::valid(table).unwrap_err().to_string()
        };
        let network = |table: &mut Table| table["paac"]["network"]["body"] = Value::String("natur".to_owned());
        assert_eq!(
            error(network),
            "paac.network.body = \"natur\": there is no such network; use nature, a3c, mlp, impala"
        );
        let missing = |table: &mut Table| {
            table.remove("paac");
        };
        assert_eq!(error(missing), "there is no section `paac`");
        let another = |table: &mut Table| {
            table.insert("a3c".to_owned(), Value::Table(Table::new()));
        };
        assert_eq!(error(another), "there is no section `a3c` for paac");
    }
}
