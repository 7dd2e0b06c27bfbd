//! The configuration of a run: preset, then config file, then command line, checked and complete.

use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{anyhow, bail};
use coinop_agents::paac::PaacConfig;
use coinop_envs::registry::{self, EnvOptions};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::algo::Algo;
use crate::cli::TrainArgs;
use crate::config_keys::{merge, set};
use crate::files;

/// Every setting of a run; what `config.toml` in the run folder says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) run: RunConfig,
    pub(crate) env: EnvOptions,
    pub(crate) paac: PaacConfig,
}

/// What belongs to no algorithm and no environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The environment's full name.
    pub(crate) env: String,
    pub(crate) algo: Algo,
    /// The preset that the other settings started from.
    pub(crate) preset: String,
    /// Emulator frames to train for, over all environments.
    pub(crate) frames: u64,
    pub(crate) seed: u64,
    /// Threads that step environments.
    pub(crate) env_threads: usize,
    /// Threads that libtorch computes with.
    pub(crate) torch_threads: usize,
    /// `cpu`, `cuda`, `cuda:1`.
    pub(crate) device: String,
    /// Frames between two rows of `metrics.csv`.
    pub(crate) metrics_frames: u64,
}

impl Config {
    /// The configuration of a new run.
    pub(crate) fn resolve(args: &TrainArgs) -> anyhow::Result<Self> {
        let env = registry::find(&args.env)?;
        let file = args.config.as_deref().map(read_table).transpose()?.unwrap_or_default();
        let in_file = |error: anyhow::Error| in_file(args.config.as_deref(), &error);
        let algo = args.algo.map_or_else(|| algo_of(&file).map_err(in_file), Ok)?;
        let preset = args
            .preset
            .clone()
            .or_else(|| run_setting(&file, "preset"))
            .unwrap_or_default();
        let mut table = preset_table(algo, &preset).map_err(|error| match args.preset {
            None => in_file(error),
            Some(_) => error,
        })?;
        merge(&mut table, file).map_err(|error| in_file(error.into()))?;
        let of_file = table.clone();
        for pair in flags(args).iter().chain(&args.set) {
            set(&mut table, pair)?;
        }
        // A value that can not be is the file's fault if it is there without what the command line adds.
        let mut config = Self::valid(table).map_err(|error| match Self::valid(of_file) {
            Err(same) if same.to_string() == error.to_string() => in_file(error),
            _ => error,
        })?;
        config.run.env = env.id;
        config.run.algo = algo;
        if let Some(roms) = &args.roms {
            config.env.roms = Some(roms.clone());
        }
        config.env.roms = config.env.roms.as_deref().map(files::absolute).transpose()?;
        config.run.env_threads = threads_or_cores(config.run.env_threads);
        config.run.torch_threads = threads_or_cores(config.run.torch_threads);
        config.paac.precision = config
            .paac
            .precision
            .resolved(coinop_agents::device(&config.run.device)?);
        Ok(config)
    }

    /// Reads the `config.toml` of a run folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::valid(read_table(path)?).map_err(|error| in_file(Some(path), &error))
    }

    /// As TOML, to be read by [`Config::read`] and by `--config`.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }

    fn from_table(table: Table) -> anyhow::Result<Self> {
        Config::deserialize(Value::Table(table)).map_err(|error| anyhow!("{}", one_line(&error.to_string())))
    }

    fn valid(table: Table) -> anyhow::Result<Self> {
        let config = Self::from_table(table)?;
        config.validate()?;
        Ok(config)
    }

    /// What can be, and is probably not meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let (frames, anneal_frames) = (self.run.frames, self.paac.anneal_frames);
        if (1..frames).contains(&anneal_frames) {
            warnings.push(format!(
                "the learning rate is 0 from frame {anneal_frames} on, and the run has {frames}: the rest learns nothing; raise \
                 paac.anneal_frames, or set it to 0 for the length of the run"
            ));
        }
        warnings
    }

    fn validate(&self) -> anyhow::Result<()> {
        let run = &self.run;
        for (name, value) in [("frames", run.frames), ("metrics_frames", run.metrics_frames)] {
            if value == 0 {
                bail!("run.{name} = 0: it must be at least 1");
            }
        }
        if run.seed > i64::MAX as u64 {
            bail!("run.seed = {}: it must be at most {}", run.seed, i64::MAX);
        }
        for (name, threads) in [("env_threads", run.env_threads), ("torch_threads", run.torch_threads)] {
            if threads > MAX_THREADS {
                bail!("run.{name} = {threads}: it must be at most {MAX_THREADS}");
            }
        }
        self.paac
            .validate()
            .map_err(|error| anyhow!("{}.{error}", run.algo.name()))
    }
}

/// More threads are a slip of the pen, and the system may not start them.
const MAX_THREADS: usize = 1024;

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// 0 stands for all cores.
pub(crate) fn threads_or_cores(threads: usize) -> usize {
    if threads == 0 { cores() } else { threads }
}

/// The preset `name` of an algorithm, completed by everything that presets leave to the code. An empty name is the default's.
fn preset_table(algo: Algo, name: &str) -> anyhow::Result<Table> {
    let presets = algo.presets();
    let preset = presets.iter().find(|preset| preset.0 == name || name.is_empty());
    let Some((name, text)) = preset else {
        let names: Vec<&str> = presets.iter().map(|preset| preset.0).collect();
        bail!(
            "{} has no preset `{name}`: choose one of {}",
            algo.name(),
            names.join(", ")
        );
    };
    let mut table: Table = toml::from_str(text)?;
    let mut env = Table::try_from(EnvOptions::default())?;
    if let Some(Value::Table(given)) = table.remove("env") {
        env.extend(given);
    }
    table.insert("env".to_owned(), Value::Table(env));
    if let Some(Value::Table(run)) = table.get_mut("run") {
        for (key, value) in [("env", ""), ("algo", algo.name()), ("preset", name)] {
            run.insert(key.to_owned(), Value::String(value.to_owned()));
        }
    }
    Ok(table)
}

/// The flags that are settings, as such.
fn flags(args: &TrainArgs) -> Vec<String> {
    let count = |name: &str, value: Option<u64>| value.map(|value| format!("run.{name}={value}"));
    let threads = |name: &str, value: Option<usize>| count(name, value.map(|value| value as u64));
    let device = args
        .device
        .as_ref()
        .map(|device| format!("run.device={}", Value::String(device.clone())));
    let preset = args
        .preset
        .as_ref()
        .map(|preset| format!("run.preset={}", Value::String(preset.clone())));
    [
        count("frames", args.frames),
        count("seed", args.seed),
        threads("env_threads", args.env_threads),
        threads("torch_threads", args.torch_threads),
        device,
        preset,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn algo_of(file: &Table) -> anyhow::Result<Algo> {
    match run_setting(file, "algo") {
        None => Ok(Algo::default()),
        Some(name) => <Algo as clap::ValueEnum>::from_str(&name, false)
            .map_err(|_| anyhow!("there is no algorithm `{name}`: use paac")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_complete_and_valid() {
        for (name, _) in Algo::Paac.presets() {
            let config = Config::from_table(preset_table(Algo::Paac, name).unwrap()).unwrap();
            config.validate().unwrap();
            assert_eq!(config.run.preset, *name);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut config = Config::from_table(preset_table(Algo::Paac, "").unwrap()).unwrap();
        config.env.mode = Some(2);
        let table: Table = toml::from_str(&config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::from_table(table).unwrap(), config);
    }

    #[test]
    fn a_learning_rate_that_ends_before_the_run_is_warned_of() {
        let mut config = Config::from_table(preset_table(Algo::Paac, "").unwrap()).unwrap();
        config.run.frames = 100;
        for (anneal_frames, warnings) in [(0, 0), (99, 1), (100, 0), (101, 0)] {
            config.paac.anneal_frames = anneal_frames;
            assert_eq!(config.warnings().len(), warnings, "{anneal_frames}");
        }
    }

    #[test]
    fn the_preset_of_the_paper_has_its_numbers() {
        // Clemente 2017, and the defaults of the authors' program.
        let paac = Config::from_table(preset_table(Algo::Paac, "paac").unwrap())
            .unwrap()
            .paac;
        assert_eq!(
            (paac.num_envs, paac.rollout_steps, paac.gamma, paac.learning_rate),
            (32, 5, 0.99, 0.0224)
        );
        assert_eq!((paac.entropy_weight, paac.max_grad_norm), (0.01, 40.0));
    }
}
