//! The run loop: steps a trainer until the frame budget is spent or Ctrl-C is pressed. It alone logs, draws and saves.

use std::sync::atomic::{AtomicBool, Ordering};

use coinop_agents::{Section, Trainer, checkpoint};
use tracing::info;

use crate::config::Config;
use crate::metrics::{Metrics, Scores};
use crate::progress::Display;
use crate::run_dir::RunDir;

/// How a run ended. What was learned is saved either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All frames were played.
    Finished,
    /// Ctrl-C was pressed.
    Interrupted,
}

/// What a run came to.
pub(crate) struct Summary {
    pub(crate) outcome: Outcome,
    pub(crate) frames: u64,
    pub(crate) scores: Scores,
}

/// Trains, and saves the final checkpoint.
pub(crate) fn run(
    trainer: &mut dyn Trainer<Obs = u8>,
    config: &Config,
    dir: &RunDir,
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let names = trainer.metric_names();
    let actors = config.run.algo.num_envs(config);
    let mut metrics = Metrics::create(dir, names, actors, config.run.metrics_frames)?;
    let mut display = Display::new(config.run.frames, names);
    let mut scores = Scores::default();
    let (outcome, frames) = loop {
        let progress = trainer.step()?;
        scores.add(progress.episodes);
        metrics.add(&progress, &scores)?;
        display.update(&progress, &scores);
        let outcome = if progress.frames >= config.run.frames {
            Outcome::Finished
        } else if stop.load(Ordering::Relaxed) {
            Outcome::Interrupted
        } else {
            continue;
        };
        metrics.finish(&progress, &scores)?;
        break (outcome, progress.frames);
    };
    display.finish();
    info!(
        ?outcome,
        frames,
        episodes = scores.episodes(),
        mean_score = scores.mean(),
        "training ended"
    );
    save(trainer, dir)?;
    Ok(Summary {
        outcome,
        frames,
        scores,
    })
}

fn save(trainer: &dyn Trainer<Obs = u8>, dir: &RunDir) -> anyhow::Result<()> {
    let mut section = Section::default();
    trainer.save(&mut section)?;
    checkpoint::write(&dir.final_checkpoint(), &section)?;
    info!(path = %dir.final_checkpoint().display(), "checkpoint written");
    Ok(())
}
