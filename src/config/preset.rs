//! Presets as tables of settings, and which settings may be absent.

use anyhow::{anyhow, bail};
use coinop_agents::algorithm::{AnyAlgorithm, Preset};
use coinop_envs::EnvSpec;
use coinop_envs::registry::{EnvInfo, EnvOptions};
use toml::{Table, Value};

use super::keys::set;
use super::{Config, EVAL_FRAMES, EnvName, Setting, checkpoint_minutes, eval_episodes, keep_checkpoints};
use crate::algo::Algo;

impl Config {
    /// The configuration of an algorithm with the given settings, and otherwise of its default preset.
    pub(crate) fn for_algorithm(env: &str, settings: &AnyAlgorithm) -> anyhow::Result<Self> {
        let (env, options) = env.parse::<EnvName>()?.find()?;
        let algo = Algo::find(settings.name()).map_err(|error| anyhow!(error))?;
        let mut table = preset_table(algo, &env, "")?;
        table.extend(Table::try_from(settings)?);
        Self::valid(table)?.with(&options)
    }

    /// Changes a setting of the environment.
    pub(crate) fn with_env(&self, setting: &Setting) -> anyhow::Result<Self> {
        let changed = self.with(std::slice::from_ref(setting))?;
        let same = |a: &Config| (a.run.clone(), a.algo.clone());
        if same(&changed) != same(self) {
            bail!("{setting}: only settings of the environment can be changed here");
        }
        Ok(changed)
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
}

/// The full names of the settings of an environment and of an algorithm that may be absent.
pub(super) fn optional(env: &EnvInfo, algo: Option<Algo>) -> Vec<String> {
    let of_env = env.family.options_without_default().iter();
    let of_env = of_env.map(|name| format!("env.{name}"));
    let of_run = ["run.load".to_owned()];
    of_run
        .into_iter()
        .chain(of_env)
        .chain(algo.into_iter().flat_map(of_algo))
        .collect()
}

/// The full names of the settings of an environment and of an algorithm that may be absent, but for those of a run.
pub(crate) fn optional_settings(env: &EnvInfo, algo: Algo) -> Vec<String> {
    let mut names = optional(env, Some(algo));
    names.retain(|name| name != "run.load");
    names
}

/// The full names of the settings of an algorithm that may be absent.
pub(super) fn of_algo(algo: Algo) -> Vec<String> {
    let names = algo.optional().iter();
    names.map(|name| format!("{}.{name}", algo.name())).collect()
}

/// A setting for layers that can read observations of this shape.
pub(crate) fn layers_for(spec: &EnvSpec) -> String {
    let is_picture = matches!(spec.obs_shape.dims(), [_, height, width] if *height >= 3 && *width >= 3);
    let convolutions = if is_picture { "convolutions=[[16,3,1]]," } else { "" };
    format!("network.body={{layers={{{convolutions}hidden=[128]}}}}")
}

/// Returns an algorithm's preset `name` for an environment, completed by defaults that are computed. An empty name
/// selects the default preset.
pub(super) fn preset_table(algo: Algo, env: &EnvInfo, name: &str) -> anyhow::Result<Table> {
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
    if let Some(Value::Table(mut given)) = table.remove("env") {
        // What presets that are for several families say of one's options is not for the others.
        let optional = env.family.options_without_default();
        given.retain(|name, _| options.contains_key(name) || optional.contains(&name));
        options.extend(given);
    }
    table.insert("env".to_owned(), Value::Table(options));
    if let Some(Value::Table(run)) = table.get_mut("run") {
        for (name, default) in [
            ("checkpoint_minutes", Value::Float(checkpoint_minutes())),
            ("keep_checkpoints", Value::Integer(keep_checkpoints() as i64)),
            ("milestone_frames", Value::Integer(0)),
            ("eval_frames", Value::Integer(EVAL_FRAMES)),
            ("eval_episodes", Value::Integer(eval_episodes() as i64)),
            ("video_frames", Value::Integer(0)),
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

pub(super) fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::String(value.to_owned()))
}

pub(super) fn section_of(name: &str, settings: Table) -> Table {
    Table::from_iter([(name.to_owned(), Value::Table(settings))])
}

pub(super) fn algo_of(file: &Table) -> anyhow::Result<Algo> {
    match run_setting(file, "algo") {
        None => Ok(Algo::default()),
        Some(name) => Algo::find(&name).map_err(|error| anyhow!(error)),
    }
}

pub(super) fn run_setting(file: &Table, key: &str) -> Option<String> {
    Some(file.get("run")?.get(key)?.as_str()?.to_owned())
}
