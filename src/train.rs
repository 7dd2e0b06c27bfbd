//! `coinop train`: from the command line to a run folder with a trained agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::anyhow;
use coinop_envs::registry;
use tracing::info;

use crate::cli::TrainArgs;
use crate::config::{Config, cores};
use crate::count::short;
use crate::metrics::WINDOW;
use crate::run_dir::RunDir;
use crate::run_loop::{self, Outcome, Summary};
use crate::{INTERRUPTED, files, log};

pub(crate) fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let config = Config::resolve(args)?;
    let run = &config.run;
    let device = coinop_agents::device(&run.device)?;
    coinop_agents::set_torch_threads(run.torch_threads);
    // Everything that can be wrong with the environments and the settings is found before a folder is made.
    let env = registry::make_vec(&run.env, &config.env, run.algo.num_envs(&config), run.env_threads)?;
    let mut trainer = run.algo.trainer(&config, env, device)?;
    let dir = match &args.run_dir {
        Some(path) => RunDir::create(path)?,
        None => RunDir::create_for(&run.env, run.algo.name())?,
    };
    files::write(&dir.config(), &config.to_toml()?)?;
    log::start(&dir.log())?;
    let stop = stop_on_ctrl_c()?;
    announce(&config, &dir);
    let start = Instant::now();
    let summary =
        run_loop::run(trainer.as_mut(), &config, &dir, &stop).inspect_err(|cause| info!(%cause, "training failed"))?;
    conclude(&summary, &dir, start);
    Ok(summary.outcome)
}

/// The first Ctrl-C asks to stop after the current step; the second ends the process at once.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("\nstopping after this step and saving; Ctrl-C again ends at once, without saving");
    })
    .map_err(|cause| anyhow!("can't listen to Ctrl-C: {cause}"))?;
    Ok(stop)
}

fn announce(config: &Config, dir: &RunDir) {
    let run = &config.run;
    eprintln!(
        "{} on {} (protocol {}), preset {}, seed {}, {} frames, into {}",
        run.algo.name(),
        run.env,
        config.env.protocol,
        run.preset,
        run.seed,
        short(run.frames),
        dir.path().display()
    );
    // PAAC alternates between playing and learning, so both kinds of threads may have all cores.
    eprintln!(
        "{} environments on {} threads and libtorch on {} ({}), in turns, on {} cores",
        run.algo.num_envs(config),
        run.env_threads,
        run.torch_threads,
        run.device,
        cores()
    );
    info!(version = env!("CARGO_PKG_VERSION"), ?config, "training begins");
    let most = run.env_threads.max(run.torch_threads);
    if most > cores() {
        tracing::warn!(
            "{most} threads on {} cores: more threads than cores make a run slower",
            cores()
        );
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
    eprintln!(
        "{} frames in {seconds:.0} s ({speed:.0} frames/s), {score}",
        short(summary.frames)
    );
    eprintln!("saved in {0}; evaluate it with `coinop eval {0}`", dir.path().display());
}
