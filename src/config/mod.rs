//! The configuration of a run: preset, then config file, then command line; validated and complete.

mod env_name;
mod file;
mod hash;
mod keys;
mod legacy;
mod preset;
mod request;
mod threads;

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use coinop_agents::algorithm::{AnyAlgorithm, RunSettings, SettingError};
use coinop_envs::registry::{self, EnvInfo, EnvOptions, Family};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::algo::Algo;
use crate::output::say;
use file::{in_file, read_table};
use preset::{algo_of, of_algo};

pub(crate) use env_name::EnvName;
pub(crate) use keys::{KeyError, Setting};
pub(crate) use preset::{layers_for, optional_settings};
pub(crate) use request::Request;
pub(crate) use threads::{check_threads, cores, threads_or_cores};

/// All settings of a run, as written to `config.toml` in the run folder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) run: RunConfig,
    pub(crate) env: EnvOptions,
    pub(crate) algo: AnyAlgorithm,
}

/// The settings that do not belong to an algorithm or an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The environment's full name.
    pub(crate) env: String,
    /// The algorithm.
    #[schemars(with = "String")]
    pub(crate) algo: Algo,
    /// The preset on which the other settings are based.
    pub(crate) preset: String,
    /// The run whose weights this one started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<PathBuf>,
    /// Emulator frames to train for, over all environments.
    pub(crate) frames: u64,
    /// The seed of every random stream.
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
    /// Frames between videos of the agent, which are put into the run folder; 0 for none.
    #[serde(default)]
    pub(crate) video_frames: u64,
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
    /// What a trainer needs to know about the run.
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
        match self.env_info()?.atari_mut(&mut self.env) {
            Some(atari) => atari.roms = Some(roms.to_owned()),
            None => bail!("--roms is for Atari games, which {} is not: leave it out", self.run.env),
        }
        Ok(())
    }

    fn from_table(mut table: Table) -> anyhow::Result<Self> {
        let run: RunConfig = SettingError::catch("run", section(&mut table, "run")?)?;
        let family = registry::find(&run.env)?.family;
        let config = Self {
            env: env_options(family, section(&mut table, "env")?)?,
            algo: run.algo.read(section(&mut table, run.algo.name())?)?,
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

/// Removes a section from a configuration.
fn section(table: &mut Table, name: &str) -> anyhow::Result<Value> {
    let section = table.remove(name);
    section.ok_or_else(|| anyhow!("there is no section `{name}`"))
}

/// Reads the section `env`.
fn env_options(family: Family, section: Value) -> Result<EnvOptions, SettingError> {
    SettingError::catch_by("env", section, |from| EnvOptions::read(family, from))
}

/// The configuration of an algorithm's default preset for an environment.
#[cfg(test)]
pub(crate) fn of_preset(algo: Algo, env: &str) -> anyhow::Result<Config> {
    Config::valid(preset::preset_table(algo, &registry::find(env)?, "")?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use coinop_agents::algorithm::Preset;

    use super::preset::preset_table;
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
