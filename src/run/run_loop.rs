//! The run loop: steps a trainer until the frame budget is spent or a signal asks to stop. It alone logs, draws and saves.

use coinop_agents::{Section, Trainer, checkpoint};
use tracing::info;

use super::dir::RunDir;
use super::identity;
use super::metrics::{Metrics, Scores};
use super::progress::Display;
use crate::config::Config;
use crate::signals::StopRequest;

/// How a run ended. What was learned is saved either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All frames were played.
    Finished,
    /// A signal asked to stop.
    Stopped {
        /// Its number.
        signal: i32,
    },
}

/// What a run came to.
pub(crate) struct Summary {
    pub(crate) outcome: Outcome,
    pub(crate) frames: u64,
    pub(crate) scores: Scores,
}

/// Trains, and saves the final checkpoint.
pub(crate) fn run(
    trainer: &mut dyn Trainer,
    config: &Config,
    dir: &mut RunDir,
    mut metrics: Metrics,
    stop: &StopRequest,
) -> anyhow::Result<Summary> {
    let mut display = Display::new(config.run.frames);
    let mut scores = Scores::default();
    let (outcome, frames) = loop {
        let progress = trainer.step()?;
        scores.add(progress.episodes);
        if metrics.add(&progress, &scores)? {
            dir.follow()?;
        }
        display.update(&progress, &scores);
        let outcome = if progress.frames >= config.run.frames {
            Outcome::Finished
        } else if let Some(signal) = stop.signal() {
            Outcome::Stopped { signal }
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
    dir.follow()?;
    save(trainer, config, dir)?;
    Ok(Summary {
        outcome,
        frames,
        scores,
    })
}

fn save(trainer: &dyn Trainer, config: &Config, dir: &RunDir) -> anyhow::Result<()> {
    let mut section = Section::default();
    identity::save(config, &mut section)?;
    trainer.save(&mut section)?;
    checkpoint::write(&dir.final_checkpoint(), &section)?;
    info!(path = %dir.final_checkpoint().display(), "checkpoint written");
    Ok(())
}
