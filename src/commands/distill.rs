//! `coinop distill`: trains a network to imitate a trained agent, and compares their scores.

use std::path::Path;

use anyhow::anyhow;
use coinop_agents::algorithm::{Algorithm, AnyAlgorithm};
use coinop_agents::distill::{DistillConfig, Teacher};
use toml::Value;

use crate::algo::Algo;
use crate::cli::{DistillArgs, EvalArgs};
use crate::commands::eval::{self, Which, last_checkpoint};
use crate::commands::train;
use crate::config::{Config, KeyError, Request, Setting};
use crate::files;
use crate::run::Outcome;
use crate::run::dir::RunDir;

pub(crate) fn run(args: &DistillArgs) -> anyhow::Result<Outcome> {
    let teacher = files::absolute(RunDir::open(&args.teacher)?.path())?;
    let (outcome, student) = train::with_ranks(|| train::begin(&args.training(), || config(args, &teacher)))?;
    if let (Outcome::Finished, Some(student)) = (&outcome, student) {
        eval::run(&EvalArgs {
            runs: vec![teacher, student],
            checkpoint: Which::Last,
            episodes: args.episodes,
            protocol: None,
            frames: None,
            set: Vec::new(),
            seed: 0,
            greedy: args.greedy,
            epsilon: 0.0,
            json: args.json,
            output: None,
            env_threads: args.env_threads,
            torch_threads: args.torch_threads,
            device: args.device.clone(),
            roms: args.roms.clone(),
        })?;
    }
    Ok(outcome)
}

/// The settings of the student's run, in the environment of the teacher.
fn config(args: &DistillArgs, teacher: &Path) -> anyhow::Result<Config> {
    let of_teacher = last_checkpoint(teacher)?.0;
    let mut config = Config::resolve(&Request {
        env: Some(of_teacher.run.env.parse()?),
        algo: Some(Algo::find(DistillConfig::NAME).map_err(|error| anyhow!(error))?),
        preset: args.preset.clone(),
        file: args.config.clone(),
        frames: args.frames,
        seed: args.seed,
        env_threads: args.env_threads,
        torch_threads: args.torch_threads,
        device: args.device.clone(),
        ..Request::default()
    })?;
    config.env = of_teacher.env;
    if let Some(roms) = &args.roms {
        config.set_roms(&files::absolute(roms)?)?;
    }
    let setting = |text: String| text.parse().map_err(|error: KeyError| anyhow!(error));
    let path = Value::String(teacher.to_string_lossy().into_owned());
    let mut settings: Vec<Setting> = vec![setting(format!("distill.teacher={path}"))?];
    if let Some(body) = &args.body {
        settings.push(setting(format!("distill.network.body={body}"))?);
    }
    settings.extend_from_slice(&args.set);
    config.with(&settings)?.for_this_machine()
}

/// The agent that a run of distillation learns from; `None` for other algorithms.
pub(crate) fn teacher(algo: &AnyAlgorithm) -> anyhow::Result<Option<Teacher>> {
    let Some(DistillConfig { teacher, .. }) = algo.downcast_ref() else {
        return Ok(None);
    };
    if teacher.is_empty() {
        // The trainer says so.
        return Ok(None);
    }
    let (config, mut section) =
        last_checkpoint(Path::new(teacher)).map_err(|error| anyhow!("the teacher can't be loaded: {error}"))?;
    let trainer = section.take_section("trainer")?;
    Ok(Some(Teacher::new(config.algo, trainer)))
}
