//! `coinop train`: from the command line to a run folder with a trained agent.

use std::time::Instant;

use anyhow::anyhow;
use coinop_envs::registry;
use tracing::info;

use crate::cli::TrainArgs;
use crate::config::{Config, cores};
use crate::count::short;
use crate::metrics::{Metrics, WINDOW};
use crate::output::say;
use crate::run_dir::RunDir;
use crate::run_loop::{self, Outcome, Summary};
use crate::{files, log, signals};

pub(crate) fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let config = Config::resolve(args)?;
    let stop = signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))?;
    let run = &config.run;
    let device = coinop_agents::device(&run.device)?;
    coinop_agents::set_torch_threads(run.torch_threads);
    // Everything that can be wrong with the environments and the settings is found before a folder is made.
    run.algo
        .check_memory(&config, registry::find(&run.env)?.obs_shape(&config.env))?;
    let env = registry::make_vec(&run.env, &config.env, run.algo.num_envs(&config), run.env_threads)?;
    let mut trainer = run.algo.trainer(&config, env, device)?;
    let mut dir = match &args.run_dir {
        Some(path) => RunDir::create(path)?,
        None => RunDir::create_for(&run.env, run.algo.name())?,
    };
    files::publish(&dir.config(), &config.to_toml()?)?;
    log::start(&dir.log())?;
    let actors = run.algo.num_envs(&config);
    let metrics = Metrics::create(&dir, trainer.metric_names(), actors, run.metrics_frames)?;
    announce(&config, &dir);
    let start = Instant::now();
    let summary = run_loop::run(trainer.as_mut(), &config, &mut dir, metrics, &stop)
        .inspect_err(|cause| info!(%cause, "training failed"))?;
    conclude(&summary, &dir, start);
    Ok(summary.outcome)
}

fn announce(config: &Config, dir: &RunDir) {
    let run = &config.run;
    say(&format!(
        "{} on {} (protocol {}), preset {}, seed {}, {} frames, into {}",
        run.algo.name(),
        run.env,
        config.env.protocol,
        run.preset,
        run.seed,
        short(run.frames),
        dir.path().display()
    ));
    // PAAC alternates between playing and learning, so both kinds of threads may have all cores.
    say(&format!(
        "{} environments on {} threads and libtorch on {} ({}), in turns, on {} cores",
        run.algo.num_envs(config),
        run.env_threads,
        run.torch_threads,
        run.device,
        cores()
    ));
    info!(version = env!("CARGO_PKG_VERSION"), ?config, "training begins");
    let most = run.env_threads.max(run.torch_threads);
    if most > cores() {
        tracing::warn!(
            "{most} threads on {} cores: more threads than cores make a run slower",
            cores()
        );
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
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
