//! The run loop: steps a trainer until the frame budget is spent or a signal asks to stop. It alone logs, draws and saves.

use anyhow::anyhow;
use coinop_agents::{Section, TrainError, Trainer, checkpoint};
use std::time::{Duration, Instant};
use tracing::{info, warn};

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

/// Trains, and saves checkpoints meanwhile and at the end.
pub(crate) fn run(
    trainer: &mut dyn Trainer,
    config: &Config,
    dir: &mut RunDir,
    mut metrics: Metrics,
    stop: &StopRequest,
) -> anyhow::Result<Summary> {
    let mut display = Display::new(config.run.frames);
    let mut scores = Scores::default();
    let mut saver = Saver::new(config);
    let mut frames = 0;
    let outcome = loop {
        let progress = match trainer.step() {
            Ok(progress) => progress,
            Err(error) => {
                display.finish();
                return Err(saver.save_after(trainer, dir, frames, error));
            }
        };
        frames = progress.frames;
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
            if saver.is_due(frames, Instant::now()) {
                saver.save_meanwhile(trainer, dir, frames)?;
            }
            continue;
        };
        metrics.finish(&progress, &scores)?;
        break outcome;
    };
    display.finish();
    info!(
        ?outcome,
        frames,
        episodes = scores.episodes(),
        mean_score = scores.mean(),
        "training ended"
    );
    saver.save(trainer, dir, frames)?;
    Ok(Summary {
        outcome,
        frames,
        scores,
    })
}

/// Decides when to save, and which checkpoints to keep.
struct Saver<'a> {
    config: &'a Config,
    last: Instant,
    /// The frames of the newest checkpoint.
    saved: Option<u64>,
    /// The frames after which the next milestone is due.
    milestone: Option<u64>,
    /// The checkpoints that were milestones.
    milestones: Vec<u64>,
}

impl<'a> Saver<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            last: Instant::now(),
            saved: None,
            milestone: Some(config.run.milestone_frames).filter(|frames| *frames > 0),
            milestones: Vec::new(),
        }
    }

    fn is_due(&self, frames: u64, now: Instant) -> bool {
        let minutes = self.config.run.checkpoint_minutes;
        let every = Duration::from_secs_f64(60.0 * minutes);
        self.is_milestone(frames) || minutes > 0.0 && now.duration_since(self.last) >= every
    }

    fn is_milestone(&self, frames: u64) -> bool {
        self.milestone.is_some_and(|due| frames >= due)
    }

    /// Writes a checkpoint, and removes those that are too many.
    fn save(&mut self, trainer: &dyn Trainer, dir: &mut RunDir, frames: u64) -> anyhow::Result<()> {
        self.write(trainer, dir, frames)
            .map_err(|error| match self.saved.map(|frames| dir.checkpoint(frames)) {
                Some(last) => anyhow!("{error}; the last good checkpoint is `{}`", last.display()),
                None => error,
            })
    }

    fn write(&mut self, trainer: &dyn Trainer, dir: &mut RunDir, frames: u64) -> anyhow::Result<()> {
        dir.follow()?;
        let start = Instant::now();
        let mut section = Section::default();
        identity::save(self.config, &mut section)?;
        trainer.save(&mut section)?;
        let path = dir.checkpoint(frames);
        checkpoint::write(&path, &section)?;
        if self.is_milestone(frames) {
            let every = self.config.run.milestone_frames;
            self.milestone = Some((frames / every + 1) * every);
            self.milestones.push(frames);
        }
        self.saved = Some(frames);
        self.last = Instant::now();
        let seconds = (self.last - start).as_secs_f64();
        info!(path = %path.display(), seconds, "checkpoint written");
        let keep = usize::try_from(self.config.run.keep_checkpoints).unwrap_or(usize::MAX);
        dir.prune_checkpoints(keep, |frames| self.milestones.contains(&frames))
    }

    /// The same while training, which goes on without it: the disk may have room again when the next one is due.
    fn save_meanwhile(&mut self, trainer: &dyn Trainer, dir: &mut RunDir, frames: u64) -> anyhow::Result<()> {
        dir.follow()?;
        if let Err(error) = self.save(trainer, dir, frames) {
            warn!("no checkpoint after {frames} frames: {error}; training goes on");
            self.last = Instant::now();
        }
        Ok(())
    }

    /// Saves what was learned before a step failed, if that is of use: weights that diverged are not.
    fn save_after(&mut self, trainer: &dyn Trainer, dir: &mut RunDir, frames: u64, error: TrainError) -> anyhow::Error {
        match self.save(trainer, dir, frames) {
            Ok(()) => anyhow!(
                "{error}; what was learned before is saved in `{}`",
                dir.path().display()
            ),
            Err(cause) => {
                info!(%cause, "no checkpoint after the error");
                match self.saved.map(|frames| dir.checkpoint(frames)) {
                    Some(last) => anyhow!("{error}; the last good checkpoint is `{}`", last.display()),
                    None => error.into(),
                }
            }
        }
    }
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
        let saved = checkpoint::read(&dir.checkpoint(1)).unwrap();
        assert_eq!(saved.get::<u64>("steps").unwrap(), 1);
    }
}
