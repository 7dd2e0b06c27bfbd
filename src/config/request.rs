//! Builds the configuration that a user asks for: preset, then file, then flags and settings.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::file::{in_file, read_table};
use super::keys::{merge, set};
use super::preset::{algo_of, optional, preset_table, run_setting, section_of, text};
use super::threads::threads_or_cores;
use super::{Config, EnvName, Setting};
use crate::algo::Algo;
use crate::files;
use crate::output::say;
use coinop_envs::Observations;
use coinop_envs::registry::{self, EnvInfo, Family};

/// What a user asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) env: Option<EnvName>,
    pub(crate) algo: Option<Algo>,
    pub(crate) preset: Option<String>,
    /// A file of settings.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) frames: Option<u64>,
    pub(crate) seed: Option<u64>,
    pub(crate) env_threads: Option<usize>,
    pub(crate) torch_threads: Option<usize>,
    pub(crate) device: Option<String>,
    pub(crate) roms: Option<PathBuf>,
    pub(crate) load: Option<PathBuf>,
}

impl Config {
    /// Resolves the configuration of a new run.
    pub(crate) fn resolve(request: &Request) -> anyhow::Result<Self> {
        let named = request.env.clone().unwrap_or_default();
        let (env, options) = named.find()?;
        let file = request.file.as_deref().map(read_table).transpose()?.unwrap_or_default();
        let in_file = |error: anyhow::Error| in_file(request.file.as_deref(), &error);
        let algo = request.algo.map_or_else(|| algo_of(&file).map_err(in_file), Ok)?;
        let preset = request
            .preset
            .clone()
            .or_else(|| run_setting(&file, "preset"))
            .unwrap_or_default();
        let mut table = preset_table(algo, &env, &preset).map_err(|error| match request.preset {
            None => in_file(error),
            Some(_) => error,
        })?;
        let optional = optional(&env, Some(algo));
        if let Some(warning) = of_another_kind(&file, &env, request.file.as_deref()) {
            say(&warning);
        }
        if env.family == Family::Custom && env.observations == Observations::Pixels {
            let mut whole = table.clone();
            merge(&mut whole, file.clone(), &optional).map_err(|error| in_file(error.into()))?;
            merge(&mut whole, flags(request), &optional)?;
            for setting in &request.settings {
                set(&mut whole, setting, &optional)?;
            }
            fit_to_length(&mut table, algo, &whole);
        }
        merge(&mut table, file, &optional).map_err(|error| in_file(error.into()))?;
        // Those that the command line says, whatever the file was of.
        let chosen = Table::from_iter([text("env", &env.id()), text("algo", algo.name())]);
        merge(&mut table, section_of("run", chosen), &optional)?;
        let of_file = table.clone();
        merge(&mut table, flags(request), &optional)?;
        for setting in options.iter().chain(&request.settings) {
            setting.check_effect(&table)?;
            set(&mut table, setting, &optional)?;
        }
        // A value that cannot be is the file's fault if it is there without what the command line adds.
        let mut config = Self::valid(table).map_err(|error| match Self::valid(of_file) {
            Err(same) if same.to_string() == error.to_string() => in_file(error),
            _ => error,
        })?;
        if let Some(roms) = &request.roms {
            config.set_roms(roms)?;
        }
        if let Some(atari) = env.atari_mut(&mut config.env) {
            atari.roms = atari.roms.as_deref().map(files::absolute).transpose()?;
        }
        config.resolve_threads();
        Ok(config)
    }

    /// Resolves the configuration of a new run, including the precision that suits this machine if none is set.
    pub(crate) fn new_run(request: &Request) -> anyhow::Result<Self> {
        Self::resolve(request)?.for_this_machine()
    }

    /// The configuration of a resumed run, with the settings that may change.
    pub(crate) fn resumed(mut self, request: &Request) -> anyhow::Result<Self> {
        let run = &mut self.run;
        run.frames = request.frames.unwrap_or(run.frames);
        run.env_threads = threads_or_cores(request.env_threads.unwrap_or(run.env_threads));
        run.torch_threads = threads_or_cores(request.torch_threads.unwrap_or(run.torch_threads));
        if let Some(device) = &request.device {
            run.device.clone_from(device);
        }
        if let Some(roms) = &request.roms {
            self.set_roms(&files::absolute(roms)?)?;
        }
        self.validate()?;
        Ok(self)
    }
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
fn flags(request: &Request) -> Table {
    let count = |name: &str, value: u64| {
        (
            name.to_owned(),
            Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)),
        )
    };
    let mut run = Table::new();
    run.extend(request.frames.map(|frames| count("frames", frames)));
    run.extend(request.seed.map(|seed| count("seed", seed)));
    run.extend(request.env_threads.map(|threads| count("env_threads", threads as u64)));
    run.extend(
        request
            .torch_threads
            .map(|threads| count("torch_threads", threads as u64)),
    );
    run.extend(request.device.as_ref().map(|device| text("device", device)));
    run.extend(request.preset.as_ref().map(|preset| text("preset", preset)));
    run.extend(request.load.as_ref().map(|load| text("load", &load.to_string_lossy())));
    section_of("run", run)
}
