//! The run loop: steps a trainer until all frames are played or a signal arrives. Only the loop logs, displays and
//! saves.

use std::fs;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use coinop_agents::{CheckpointError, Mode, Section, TrainError, Trainer, checkpoint};
use coinop_envs::rng::derive_seed;
use tracing::{info, warn};

use super::dir::RunDir;
use super::evaluations::{EvalFile, Evaluated, Evaluations};
use super::identity;
use super::journal::{Journal, is_due};
use super::metrics::Scores;
use super::progress::{Display, Line};
use crate::bench::Machine;
use crate::config::Config;
use crate::count::short;
use crate::evaluation::{How, LONG_STEPS, Played, evaluate};
use crate::files::failed;
use crate::output::say;
use crate::play::record::{self, Look};
use crate::signals::StopRequest;

/// How a run ended. Everything learned is saved in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All frames were played.
    Finished,
    /// A signal stopped it.
    Stopped {
        /// Its number.
        signal: i32,
    },
    /// It played the number of frames that the caller requested.
    Paused,
}

/// The result of a run.
pub(crate) struct Summary {
    pub(crate) outcome: Outcome,
    pub(crate) frames: u64,
    pub(crate) scores: Scores,
}

/// A run ready to be played.
pub(crate) struct Run {
    pub(crate) config: Config,
    pub(crate) trainer: Box<dyn Trainer>,
    pub(crate) dir: RunDir,
    pub(crate) journal: Journal,
    /// The frames of the checkpoint that the trainer was restored from; 0 for a new run.
    pub(crate) begun: u64,
}

impl Run {
    /// Creates a new run in an empty folder.
    pub(crate) fn create(config: Config, trainer: Box<dyn Trainer>, dir: RunDir) -> anyhow::Result<Self> {
        checkpoint::write_file(&dir.config(), config.to_toml()?.as_bytes())?;
        let machine = serde_json::to_vec_pretty(&Machine::this())?;
        checkpoint::write_file(&dir.machine(), &machine)?;
        let journal = Journal::create(&dir, &config)?;
        Ok(Self {
            config,
            trainer,
            dir,
            journal,
            begun: 0,
        })
    }

    /// Trains until `until` frames or the end of the run, saving checkpoints on the way and at the end.
    pub(crate) fn play(&mut self, until: u64, stop: &StopRequest) -> anyhow::Result<Summary> {
        let Run {
            config,
            trainer,
            dir,
            journal,
            begun,
        } = self;
        let (trainer, begun) = (trainer.as_mut(), *begun);
        let mut display = Display::new(config.run.frames, begun);
        let mut saver = Saver::new(config, begun);
        let mut frames = begun;
        let mut evaluator = Evaluator { config, stop, tried: 0 };
        let mut filmer = Filmer { config, tried: begun };
        let (num_envs, mut warned_of_no_end) = (config.algo.num_envs().max(1) as u64, false);
        let outcome = loop {
            if evaluator.is_due(&journal.evals, frames) {
                evaluator.tried = frames;
                display.finish();
                if saver.save_for_evaluation(trainer, dir, journal, frames)? {
                    evaluator.evaluate_and_show(dir, journal, frames)?;
                }
                if let Some(signal) = stop.signal() {
                    break Outcome::Stopped { signal };
                }
                display = Display::new(config.run.frames, frames);
            }
            if filmer.is_due(frames) {
                display.finish();
                if saver.save_for_evaluation(trainer, dir, journal, frames)? {
                    filmer.film(dir, journal, frames);
                }
                filmer.tried = frames;
                display = Display::new(config.run.frames, frames);
            }
            let progress = match trainer.step() {
                Ok(progress) => progress,
                Err(error) => {
                    display.finish();
                    return Err(saver.save_after(trainer, dir, journal, frames, error));
                }
            };
            frames = progress.frames;
            journal.scores.add(progress.episodes);
            if journal.scores.episodes() == 0 && progress.steps / num_envs >= LONG_STEPS && !warned_of_no_end {
                warned_of_no_end = true;
                warn!(
                    "no episode has ended after {LONG_STEPS} steps of each environment, so that there is no score; if none ever ends, wrap the \
                     environment in `TimeLimit`"
                );
            }
            if journal.metrics.add(&progress, &journal.scores)? {
                dir.follow()?;
            }
            display.update(&progress, &journal.scores);
            let outcome = if progress.frames >= config.run.frames {
                Outcome::Finished
            } else if let Some(signal) = stop.signal() {
                Outcome::Stopped { signal }
            } else if progress.frames >= until {
                Outcome::Paused
            } else {
                saver.look(dir, journal)?;
                if saver.is_due(journal, frames, Instant::now()) {
                    saver.save_meanwhile(trainer, dir, journal, frames)?;
                }
                continue;
            };
            // A run resumed from the last checkpoint discards the row that is written only at the end.
            let before = journal.metrics.state()?;
            journal.metrics.finish(&progress, &journal.scores)?;
            journal.end = Some(before);
            break outcome;
        };
        display.finish();
        info!(
            ?outcome,
            frames,
            episodes = journal.scores.episodes(),
            mean_score = journal.scores.mean(),
            "training ended"
        );
        if saver.saved != Some(frames) || journal.end.is_some() {
            let saved = saver.save(trainer, dir, journal, frames);
            saved.map_err(|error| saver.with_last_good(dir, error))?;
        }
        if outcome == Outcome::Finished && evaluator.is_due(&journal.evals, frames) {
            evaluator.evaluate_and_show(dir, journal, frames)?;
        }
        if outcome == Outcome::Finished && filmer.is_due(frames) {
            filmer.film(dir, journal, frames);
        }
        Ok(Summary {
            outcome,
            frames,
            scores: std::mem::take(&mut journal.scores),
        })
    }
}

/// Performs the final evaluation of a run that was killed before it, using its last checkpoint. `false` if it was not
/// missing.
pub(crate) fn evaluate_end(
    config: &Config,
    dir: &RunDir,
    from: &Section,
    frames: u64,
    stop: &StopRequest,
) -> anyhow::Result<bool> {
    let last = Evaluations::read(&dir.evaluations())?.last();
    if last.is_some_and(|last| last.frames == frames && last.episodes as u64 == config.run.eval_episodes) {
        return Ok(false);
    }
    let mut evals = Journal::resume_evals(dir, from)?;
    let evaluator = Evaluator { config, stop, tried: 0 };
    let due = evaluator.is_due(&evals, frames);
    if due {
        evaluator.evaluate(dir, &mut evals, frames)?;
    }
    Ok(due)
}

/// Evaluates the newest checkpoint in separate environments and with separate random streams, so training is not
/// affected.
struct Evaluator<'a> {
    config: &'a Config,
    stop: &'a StopRequest,
    /// The frames of the last attempted evaluation.
    tried: u64,
}

impl Evaluator<'_> {
    fn is_due(&self, evals: &EvalFile, frames: u64) -> bool {
        is_due(evals.last().max(self.tried), frames, self.config.run.eval_frames)
    }

    /// Evaluates the checkpoint after `frames` frames and shows the scores in TensorBoard.
    fn evaluate_and_show(&self, dir: &RunDir, journal: &mut Journal, frames: u64) -> anyhow::Result<()> {
        if let Some(played) = self.evaluate(dir, &mut journal.evals, frames)? {
            journal.metrics.show_evaluation(frames, &played.scores())?;
        }
        Ok(())
    }

    /// Evaluates the checkpoint after `frames` frames, unless a signal arrives meanwhile.
    fn evaluate(&self, dir: &RunDir, evals: &mut EvalFile, frames: u64) -> anyhow::Result<Option<Played>> {
        let run = &self.config.run;
        let episodes = usize::try_from(run.eval_episodes).unwrap_or(usize::MAX);
        let how = How {
            episodes,
            frames: u64::MAX,
            seed: derive_seed(run.seed, "evaluation", frames),
            mode: Mode::Sample,
            epsilon: 0.0,
            env_threads: run.env_threads,
            device: run.device.clone(),
        };
        let mut line = Line::new(episodes as u64);
        let mut watch = |played| {
            let now = Instant::now();
            if line.is_due(now) {
                line.show(now, played as u64, format!("evaluation: {played}/{episodes} episodes"));
            }
            self.stop.signal().is_none()
        };
        let section = checkpoint::read(&dir.checkpoint(frames)).map_err(anyhow::Error::from);
        let played = section.and_then(|section| evaluate(self.config, &section, &how, &mut watch));
        line.finish();
        let played = match played {
            Ok(Some(played)) => played,
            Ok(None) => return Ok(None),
            Err(error) => {
                warn!("no evaluation after {frames} frames: {error}; training continues");
                return Ok(None);
            }
        };
        let before = evals.best();
        let Evaluated { mean, .. } = evals.add(frames, &played)?;
        let best = match before {
            Some(before) if before.mean > mean => {
                format!(
                    "; the best was {:.2} after {} frames",
                    before.mean,
                    short(before.frames)
                )
            }
            _ => ", the best so far".to_owned(),
        };
        let after = short(frames);
        say(&format!(
            "evaluation after {after} frames: mean score {mean:.2} over {episodes} episodes{best}"
        ));
        info!(frames, mean, episodes, "evaluation");
        Ok(Some(played))
    }
}

/// Makes videos of the newest checkpoint, in an environment of its own.
struct Filmer<'a> {
    config: &'a Config,
    /// The frames of the last attempt.
    tried: u64,
}

/// The maximum length of a video.
const VIDEO_SECONDS: f64 = 60.0;

impl Filmer<'_> {
    fn is_due(&self, frames: u64) -> bool {
        is_due(self.tried, frames, self.config.run.video_frames)
    }

    /// Makes a video of the checkpoint after `frames` frames. Training continues if that fails.
    fn film(&self, dir: &RunDir, journal: &mut Journal, frames: u64) {
        if let Err(error) = self.try_to_film(dir, journal, frames) {
            warn!("no video after {frames} frames: {error}; training continues");
        }
    }

    fn try_to_film(&self, dir: &RunDir, journal: &mut Journal, frames: u64) -> anyhow::Result<()> {
        let section = checkpoint::read(&dir.checkpoint(frames))?;
        let how = record::How {
            seed: derive_seed(self.config.run.seed, "video", frames),
            mode: Mode::Sample,
            epsilon: 0.0,
        };
        let look = Look {
            fps: 30.0,
            scale: 1,
            seconds: VIDEO_SECONDS,
            best_of: 1,
        };
        let path = dir.video(frames)?;
        let made = record::record(self.config, section, how, look, &path, &mut |_| ())?;
        info!(frames, score = made.score, pictures = made.pictures, "video");
        let gif = fs::read(&path).map_err(failed("can't read", &path))?;
        journal.metrics.show_video(frames, made.size, gif)?;
        Ok(())
    }
}

/// Decides when to save and which checkpoints to keep.
struct Saver<'a> {
    config: &'a Config,
    last: Instant,
    /// The frames of the newest checkpoint.
    saved: Option<u64>,
    /// A checkpoint that is being synced to disk.
    pending: Option<Pending>,
}

struct Pending {
    frames: u64,
    thread: JoinHandle<Result<(), CheckpointError>>,
}

impl<'a> Saver<'a> {
    fn new(config: &'a Config, begun: u64) -> Self {
        Self {
            config,
            last: Instant::now(),
            saved: Some(begun).filter(|frames| *frames > 0),
            pending: None,
        }
    }

    fn is_due(&self, journal: &Journal, frames: u64, now: Instant) -> bool {
        let minutes = self.config.run.checkpoint_minutes;
        let every = Duration::from_secs_f64(60.0 * minutes);
        journal.is_milestone(frames, self.config.run.milestone_frames)
            || minutes > 0.0 && now.duration_since(self.last) >= every
    }

    /// Writes a checkpoint and removes old ones.
    fn save(
        &mut self,
        trainer: &dyn Trainer,
        dir: &mut RunDir,
        journal: &mut Journal,
        frames: u64,
    ) -> anyhow::Result<()> {
        self.begin(trainer, dir, journal, frames)?;
        self.wait(dir, journal)
    }

    fn with_last_good(&self, dir: &RunDir, error: anyhow::Error) -> anyhow::Error {
        match self.saved.map(|frames| dir.checkpoint(frames)) {
            Some(last) => anyhow!("{error}; the last good checkpoint is `{}`", last.display()),
            None => error,
        }
    }

    /// Hands a checkpoint to the system; a thread syncs and publishes it.
    fn begin(
        &mut self,
        trainer: &dyn Trainer,
        dir: &mut RunDir,
        journal: &mut Journal,
        frames: u64,
    ) -> anyhow::Result<()> {
        self.wait(dir, journal)?;
        dir.follow()?;
        let start = Instant::now();
        if journal.is_milestone(frames, self.config.run.milestone_frames) {
            journal.milestones.push(frames);
        }
        let path = dir.checkpoint(frames);
        let unpublished = checkpoint::begin(&path, |section| -> anyhow::Result<()> {
            identity::save(self.config, trainer.resumption(), section)?;
            journal.save(section)?;
            section.put("frames", &frames)?;
            Ok(trainer.save(section.section_mut("trainer"))?)
        })?;
        self.last = Instant::now();
        let waited = (self.last - start).as_secs_f64();
        let publish = move || {
            let published = unpublished.publish();
            let seconds = start.elapsed().as_secs_f64();
            info!(path = %path.display(), training_waited = waited, seconds, ok = published.is_ok(), "checkpoint");
            published
        };
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(publish);
        let thread = thread.map_err(|error| anyhow!("can't start a thread: {error}"))?;
        self.pending = Some(Pending { frames, thread });
        Ok(())
    }

    /// Waits for the pending checkpoint, if there is one.
    fn wait(&mut self, dir: &RunDir, journal: &Journal) -> anyhow::Result<()> {
        let Some(Pending { frames, thread }) = self.pending.take() else {
            return Ok(());
        };
        match thread.join() {
            Ok(published) => published?,
            Err(_) => return Err(anyhow!("the thread that writes checkpoints died")),
        }
        self.saved = Some(frames);
        let keep = usize::try_from(self.config.run.keep_checkpoints).unwrap_or(usize::MAX);
        dir.prune_checkpoints(keep, |frames| journal.spare(frames))
    }

    /// Publishes a pending checkpoint that has been synced.
    fn look(&mut self, dir: &mut RunDir, journal: &Journal) -> anyhow::Result<()> {
        if let Some(Pending { frames, .. }) = self.pending.as_ref().filter(|pending| pending.thread.is_finished()) {
            let frames = *frames;
            if let Err(error) = self.wait(dir, journal) {
                self.complain(dir, frames, &error)?;
            }
        }
        Ok(())
    }

    /// Saves a checkpoint for an evaluation unless there is one; returns whether there is one now.
    fn save_for_evaluation(
        &mut self,
        trainer: &dyn Trainer,
        dir: &mut RunDir,
        journal: &mut Journal,
        frames: u64,
    ) -> anyhow::Result<bool> {
        if self.saved == Some(frames) {
            return Ok(true);
        }
        let written = self.save(trainer, dir, journal, frames);
        if let Err(error) = &written {
            self.complain(dir, frames, error)?;
        }
        Ok(written.is_ok())
    }

    /// Saves during training, which continues if that fails: the disk may have space again for the next one.
    fn save_meanwhile(
        &mut self,
        trainer: &dyn Trainer,
        dir: &mut RunDir,
        journal: &mut Journal,
        frames: u64,
    ) -> anyhow::Result<()> {
        if let Err(error) = self.begin(trainer, dir, journal, frames) {
            self.complain(dir, frames, &error)?;
            self.last = Instant::now();
        }
        Ok(())
    }

    /// Logs that a checkpoint could not be written, unless the folder was removed, which ends the run.
    fn complain(&self, dir: &mut RunDir, frames: u64, error: &anyhow::Error) -> anyhow::Result<()> {
        dir.follow()?;
        let error = self.with_last_good(dir, anyhow!("{error}"));
        warn!("no checkpoint after {frames} frames: {error}; training continues");
        Ok(())
    }

    /// Saves after a failed step, unless training diverged; then the previous checkpoints are the useful ones.
    fn save_after(
        &mut self,
        trainer: &dyn Trainer,
        dir: &mut RunDir,
        journal: &mut Journal,
        frames: u64,
        error: TrainError,
    ) -> anyhow::Error {
        // Weights that diverged may still be numbers, and would be the newest.
        let saved = if error.is_divergence() {
            self.wait(dir, journal).map(|()| false)
        } else {
            self.save(trainer, dir, journal, frames).map(|()| true)
        };
        match saved {
            Ok(true) => anyhow!(
                "{error}; what was learned before is saved in `{}`, without the episodes under way",
                dir.path().display()
            ),
            Ok(false) => self.with_last_good(dir, error.into()),
            Err(cause) => {
                info!(%cause, "no checkpoint after the error");
                self.with_last_good(dir, error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coinop_agents::{AgentError, Checkpoint, CheckpointError, Metrics, Progress, Resumption};

    use super::*;
    use crate::algo::Algo;
    use crate::config::of_preset;

    /// Fails with its second step.
    #[derive(Default)]
    struct Fails {
        steps: u64,
        row: Metrics,
    }

    impl Trainer for Fails {
        fn resumption(&self) -> Resumption {
            Resumption::Exact
        }

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
        let dir = RunDir::create(&base.path().join("run")).unwrap();
        let stop = crate::signals::listen().unwrap();
        let config = of_preset(Algo::default(), "cartpole").unwrap();
        let mut run = Run {
            journal: Journal::create(&dir, &config).unwrap(),
            trainer: Box::new(Fails::default()),
            config,
            dir,
            begun: 0,
        };
        let error = run.play(u64::MAX, &stop).map(|_| ()).unwrap_err();
        let dir = run.dir;
        let path = dir.path().display();
        assert_eq!(
            error.to_string(),
            format!("the device is gone; what was learned before is saved in `{path}`, without the episodes under way")
        );
        let saved = checkpoint::read(&dir.checkpoint(1)).unwrap();
        assert_eq!(saved.section("trainer").unwrap().get::<u64>("steps").unwrap(), 1);
    }
}
