//! `coinop train`: from the command line to a run folder with a trained agent.

use std::time::Instant;

use anyhow::anyhow;
use coinop_agents::{Device, Trainer, checkpoint};
use coinop_envs::AnyFactory;
use coinop_envs::registry::Family;
use tracing::info;

use crate::algo::Threading;
use crate::cli::TrainArgs;
use crate::config::{Config, RunConfig, cores};
use crate::count::short;
use crate::output::say;
use crate::run::dir::RunDir;
use crate::run::metrics::{Metrics, WINDOW};
use crate::run::{self, Outcome, Summary};
use crate::{log, signals};

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let config = Config::resolve(args)?;
    let stop = signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))?;
    let device = coinop_agents::device(&config.run.device)?;
    coinop_agents::set_torch_threads(config.run.torch_threads);
    // Everything that can be wrong with the environments and the settings is found before a folder is made.
    let mut trainer = trainer(&config, device)?;
    let mut dir = match &args.run_dir {
        Some(path) => RunDir::create(path)?,
        None => RunDir::create_for(config.env_info()?.short, config.run.algo.name())?,
    };
    checkpoint::write_file(&dir.config(), config.to_toml()?.as_bytes())?;
    log::start(&dir.log())?;
    let metrics = Metrics::create(&dir, config.run.metrics_frames)?;
    announce(&config, &dir)?;
    let start = Instant::now();
    let summary = run::run(trainer.as_mut(), &config, &mut dir, metrics, &stop)
        .inspect_err(|cause| info!(%cause, "training failed"))?;
    conclude(&summary, &dir, start);
    Ok(summary.outcome)
}

fn trainer(config: &Config, device: Device) -> anyhow::Result<Box<dyn Trainer>> {
    let (run, algo) = (&config.run, &config.algo);
    Ok(match config.env_info()?.factory(&config.env)? {
        AnyFactory::Pixels(factory) => algo.trainer(factory.into(), run, device)?,
        AnyFactory::Features(factory) => algo.trainer(factory.into(), run, device)?,
    })
}

fn announce(config: &Config, dir: &RunDir) -> anyhow::Result<()> {
    let run = &config.run;
    let rules = match config.env_info()?.family {
        Family::Atari => format!(" (protocol {})", config.env.atari.protocol),
        Family::Classic => String::new(),
    };
    say(&format!(
        "{} on {}{rules}, preset {}, seed {}, {} frames, into {}",
        run.algo.name(),
        run.env,
        run.preset,
        run.seed,
        short(run.frames),
        dir.path().display()
    ));
    let (envs, cores) = (config.algo.num_envs(), cores());
    let RunConfig {
        env_threads,
        torch_threads,
        device,
        ..
    } = run;
    let most = match config.algo.threading() {
        Threading::Turns | Threading::AtOnce => {
            let at_once = config.algo.threading() == Threading::AtOnce;
            let how = if at_once { "at the same time" } else { "in turns" };
            say(&format!(
                "{envs} environments on {env_threads} threads and libtorch on {torch_threads} ({device}), {how}, on {cores} cores"
            ));
            if at_once {
                env_threads + torch_threads
            } else {
                *env_threads.max(torch_threads)
            }
        }
        Threading::Workers => {
            say(&format!(
                "{envs} workers, each with a thread and an environment, on {cores} cores"
            ));
            // More workers than cores are the algorithm's matter, not a mistake.
            0
        }
    };
    info!(version = env!("CARGO_PKG_VERSION"), ?config, "training begins");
    if most > cores {
        tracing::warn!("{most} threads on {cores} cores: more threads than cores make a run slower");
    }
    for warning in config.algo.warnings(run.frames) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn conclude(summary: &Summary, dir: &RunDir, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let score = match summary.scores.mean() {
        Some(mean) => {
            let episodes = summary.scores.episodes().min(WINDOW as u64);
            format!("mean score {mean:.2} over the last {episodes} episodes")
        }
        None => "no episode ended".to_owned(),
    };
    let speed = summary.frames as f64 / seconds.max(1e-9);
    say(&format!(
        "{} frames in {seconds:.0} s ({speed:.0} frames/s), {score}",
        short(summary.frames)
    ));
    let path = dir.path().display().to_string();
    say(&format!(
        "saved in {path}; evaluate it with `coinop eval {}`",
        quoted(&path)
    ));
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    shlex::try_quote(path).map_or_else(|_| path.to_owned(), Into::into)
}
