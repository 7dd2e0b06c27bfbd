//! Trains what is left of a suite: each run is a `coinop train` of its own, which a later `coinop suite run` resumes bit for bit.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::curves;
use super::file::Evaluation;
use super::ledger::{Ledger, Line};
use super::plan::{Job, State};
use crate::bench::Machine;
use crate::commands::plot::{MEAN_SCORE, Series};
use crate::count::counted;
use crate::files;
use crate::output::say;
use crate::processes::{last_words, output, program, threads, wait};
use crate::run::dir::RunDir;
use crate::run::evaluations::Evaluations;
use crate::signals::StopRequest;

/// The file in the folder of a run whose seconds were not measured alone.
const UNTIMED: &str = "untimed";

/// How to play.
#[derive(Clone, Debug)]
pub(crate) struct How {
    /// Runs at a time.
    pub(crate) jobs: usize,
    /// Whether nothing else runs on this machine.
    pub(crate) timed: bool,
}

/// The outcome of the runs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) finished: usize,
    pub(crate) failed: usize,
}

/// Plays the runs that are not in the ledger. Ends early, with everything saved, when `stop` is asked for.
pub(crate) fn run(
    jobs: Vec<Job>,
    evaluation: &Evaluation,
    ledger: Ledger,
    how: &How,
    stop: &StopRequest,
) -> anyhow::Result<Outcome> {
    let left = jobs.len();
    let queue = Mutex::new(VecDeque::from(jobs));
    let shared = Mutex::new((ledger, Outcome::default()));
    let next = || queue.lock().ok()?.pop_front().filter(|_| stop.signal().is_none());
    let worker = || -> anyhow::Result<()> {
        while let Some(job) = next() {
            let state = {
                let shared = shared.lock().map_err(|_| anyhow!("a thread died"))?;
                job.state(&shared.0)
            };
            let played = state.and_then(|state| match state {
                State::Done(_) | State::Elsewhere => Ok(Played::Not(state)),
                _ => play(&job, &state, evaluation, how, stop),
            });
            let mut shared = shared.lock().map_err(|_| anyhow!("a thread died"))?;
            let (ledger, outcome) = &mut *shared;
            match played {
                Ok(Played::Finished(line)) => {
                    let score = line.last_sample;
                    // A run that is missing from the ledger would be evaluated again, so an error ends everything.
                    let points = Series::of(MEAN_SCORE, 1).read(&job.folder)?;
                    curves::add(ledger.path(), &job, &points)?;
                    ledger.add(*line)?;
                    outcome.finished += 1;
                    say(&format!("{job}: {score:.2} over {} episodes", evaluation.episodes));
                }
                Ok(Played::Not(State::Elsewhere)) => {
                    say(&format!("{job}: left out, because another process is training it"));
                }
                Ok(Played::Not(_) | Played::Stopped) => {}
                Err(error) => {
                    outcome.failed += 1;
                    say(&format!("{job}: failed: {error}"));
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..how.jobs.min(left)).map(|_| scope.spawn(worker)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread died"))?);
        joined.collect::<anyhow::Result<()>>()
    })?;
    let (_, outcome) = shared.into_inner().map_err(|_| anyhow!("a thread died"))?;
    Ok(outcome)
}

enum Played {
    Finished(Box<Line>),
    Stopped,
    Not(State),
}

fn play(job: &Job, state: &State, evaluation: &Evaluation, how: &How, stop: &StopRequest) -> anyhow::Result<Played> {
    if job.frames_left(state) > 0 {
        train(job, state, how, stop)?;
        if stop.signal().is_some() {
            return Ok(Played::Stopped);
        }
    }
    say(&format!("{job}: evaluating"));
    let evaluate = |checkpoint: u64, greedy: bool| -> anyhow::Result<Option<f64>> {
        let mut command = program()?;
        command.arg("eval").arg(&job.folder).arg("--json");
        command.args([
            "--checkpoint",
            &checkpoint.to_string(),
            "--episodes",
            &evaluation.episodes.to_string(),
        ]);
        command
            .args(["--seed", &evaluation.seed.to_string()])
            .args(greedy.then_some("--greedy"));
        command.args(threads(how.jobs));
        let Some(text) = output(command, stop)? else {
            return Ok(None);
        };
        #[derive(Deserialize)]
        struct Report {
            mean: f64,
        }
        let report: Report = serde_json::from_str(&text).context("the evaluation's report cannot be read")?;
        Ok(Some(report.mean))
    };
    let dir = RunDir::open(&job.folder)?;
    let checkpoints = dir.checkpoints()?;
    let last = *checkpoints.last().context("training left no checkpoint")?;
    let best = Evaluations::read(&dir.evaluations())?.best().map(|best| best.frames);
    let best = best.filter(|frames| checkpoints.contains(frames));
    let (Some(last_greedy), Some(last_sample)) = (evaluate(last, true)?, evaluate(last, false)?) else {
        return Ok(Played::Stopped);
    };
    let (best_greedy, best_sample) = match best {
        None => (None, None),
        Some(frames) if frames == last => (Some(last_greedy), Some(last_sample)),
        Some(frames) => match (evaluate(frames, true)?, evaluate(frames, false)?) {
            (Some(greedy), Some(sample)) => (Some(greedy), Some(sample)),
            _ => return Ok(Played::Stopped),
        },
    };
    let end = End::read(&dir.metrics())?;
    let machine = Machine::this();
    Ok(Played::Finished(Box::new(Line {
        agent: job.agent.clone(),
        env: job.env.clone(),
        seed: job.seed,
        algo: job.config.run.algo.name().to_owned(),
        preset: job.config.run.preset.clone(),
        settings: job.settings.clone(),
        frames: last,
        seconds: end.seconds,
        timed: !job.folder.join(UNTIMED).exists(),
        training: end.mean_score,
        episodes: evaluation.episodes,
        last_greedy,
        last_sample,
        best_greedy,
        best_sample,
        best_frames: best,
        revision: machine.commit,
        machine: format!("{}, {}", machine.processor, counted(machine.cores, "core")),
    })))
}

/// Trains a run to its end, or until `stop` is asked for.
fn train(job: &Job, state: &State, how: &How, stop: &StopRequest) -> anyhow::Result<()> {
    let mut command = program()?;
    command.arg("train");
    match state {
        State::Begun(_) => {
            command.arg("--resume").arg(&job.folder);
        }
        _ => {
            // What failed or was killed before its first checkpoint has learned nothing.
            if job.folder.exists() {
                fs::remove_dir_all(&job.folder).map_err(files::failed("can't remove", &job.folder))?;
            }
            command.args(&job.arguments).arg("--run-dir").arg(&job.folder);
            command.args(threads(how.jobs));
        }
    }
    if let Some(roms) = &job.roms {
        command.arg("--roms").arg(roms);
    }
    let mut is_marked = how.timed;
    let mut watch = || {
        // The folder appears when the settings are checked.
        if !is_marked && job.folder.exists() {
            is_marked = fs::write(job.folder.join(UNTIMED), "").is_ok();
        }
    };
    if how.jobs > 1 {
        say(&format!("{job}: training"));
        let said = last_words(command, stop, &mut watch)?;
        if let Some(said) = said {
            bail!("{said}");
        }
        return Ok(());
    }
    say(&format!("== {job}"));
    let child = command.spawn().context("training cannot be started")?;
    let ended = wait(child, stop, &mut watch)?;
    if !ended && stop.signal().is_none() {
        bail!("training ended with an error, which is printed above");
    }
    Ok(())
}

/// The last row of a run's metrics.
#[derive(Debug, Deserialize, PartialEq)]
struct End {
    seconds: f64,
    mean_score: Option<f64>,
}

impl End {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = files::read(path)?;
        let last = csv::Reader::from_reader(text.as_bytes()).deserialize().last();
        let last = last.ok_or_else(|| anyhow!("`{}` has no row", path.display()))?;
        last.map_err(|error| anyhow!("`{}`: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_its_last_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        fs::write(&path, "frames,seconds,mean_score\n10,1.5,\n20,3.5,7.25\n").unwrap();
        assert_eq!(
            End::read(&path).unwrap(),
            End {
                seconds: 3.5,
                mean_score: Some(7.25)
            }
        );
        fs::write(&path, "frames,seconds,mean_score\n10,1.5,\n").unwrap();
        assert_eq!(End::read(&path).unwrap().mean_score, None);
        fs::write(&path, "frames,seconds,mean_score\n").unwrap();
        assert!(End::read(&path).unwrap_err().to_string().ends_with("has no row"));
    }
}
