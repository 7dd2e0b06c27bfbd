//! The run loop: steps a trainer until the frame budget is spent or a signal asks to stop. It alone logs, draws and saves.

use anyhow::anyhow;
use coinop_agents::{Section, TrainError, Trainer, checkpoint};
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
        let progress = match trainer.step() {
            Ok(progress) => progress,
            Err(error) => {
                display.finish();
                return Err(failed(trainer, config, dir, error));
            }
        };
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

/// Saves what was learned before a step failed, if that is of use: weights that diverged are not.
fn failed(trainer: &dyn Trainer, config: &Config, dir: &mut RunDir, error: TrainError) -> anyhow::Error {
    match dir.follow().and_then(|()| save(trainer, config, dir)) {
        Ok(()) => anyhow!(
            "{error}; what was learned before is saved in `{}`",
            dir.path().display()
        ),
        Err(cause) => {
            info!(%cause, "no checkpoint after the error");
            error.into()
        }
    }
}

fn save(trainer: &dyn Trainer, config: &Config, dir: &RunDir) -> anyhow::Result<()> {
    let mut section = Section::default();
    identity::save(config, &mut section)?;
    trainer.save(&mut section)?;
    checkpoint::write(&dir.final_checkpoint(), &section)?;
    info!(path = %dir.final_checkpoint().display(), "checkpoint written");
    Ok(())
}

#[cfg(test)]
mod tests {
    use coinop_agents::{AgentError, Checkpoint, CheckpointError, Progress, Row};

    use super::*;
    use crate::config::of_preset;

    /// Fails with its second step.
    #[derive(Default)]
    struct Fails {
        steps: u64,
        row: Row,
    }

    impl Trainer for Fails {
        fn step(&mut self) -> Result<Progress<'_>, TrainError> {
            if self.steps == 1 {
                return Err(AgentError::Device("the device is gone".to_owned()).into());
            }
            self.steps += 1;
            Ok(Progress {
                frames: self.steps,
                steps: self.steps,
                updates: 0,
                episodes: &[],
                metrics: &self.row,
                epsilons: &[],
            })
        }
    }

    impl Checkpoint for Fails {
        fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
            out.put("steps", &self.steps)
        }

        fn load(&mut self, _from: &Section) -> Result<(), CheckpointError> {
            Ok(())
        }
    }

    #[test]
    fn what_was_learned_before_a_step_failed_is_saved() {
        let base = tempfile::tempdir().unwrap();
        let mut dir = RunDir::create(&base.path().join("run")).unwrap();
        let metrics = Metrics::create(&dir, 100).unwrap();
        let stop = crate::signals::listen().unwrap();
        let config = of_preset("cartpole");
        let error = run(&mut Fails::default(), &config, &mut dir, metrics, &stop)
            .map(|_| ())
            .unwrap_err();
        let path = dir.path().display();
        assert_eq!(
            error.to_string(),
            format!("the device is gone; what was learned before is saved in `{path}`")
        );
        let saved = checkpoint::read(&dir.final_checkpoint()).unwrap();
        assert_eq!(saved.get::<u64>("steps").unwrap(), 1);
    }
}
