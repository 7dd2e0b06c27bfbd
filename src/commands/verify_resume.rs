//! `coinop verify-resume`: verifies that an interrupted and resumed run equals an uninterrupted one.
//!
//! ```text
//! whole     0 ───────────────────────────────► frames
//! pieces    0 ─────────► half   (forgotten, and restored from the checkpoint)   half ─────────► frames
//! ```
//!
//! Both are real runs in a temporary folder. At the end their checkpoints, metrics, epsilons and evaluations must be
//! equal, except for times.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{anyhow, bail};
use coinop_agents::{Resumption, Section, checkpoint};

use crate::cli::VerifyArgs;
use crate::commands::train::{new_trainer, restored};
use crate::config::Config;
use crate::count::short;
use crate::output::{print, say};
use crate::run::dir::RunDir;
use crate::run::journal::Journal;
use crate::run::{Outcome, Run};
use crate::signals::{self, StopRequest};

/// The default length of the run in frames.
const FRAMES: u64 = 30_000;
/// The columns of metrics.csv that contain times.
const TIMES: [&str; 2] = ["seconds", "frames_per_second"];

/// Returns the signal that stopped the command, if any.
pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Option<i32>> {
    if args.train.resume.is_some() || args.train.run_dir.is_some() {
        bail!("verify-resume makes runs of its own: leave --resume and --run-dir out");
    }
    let stop = signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))?;
    let start = Instant::now();
    let mut config = Config::new_run(&args.train.request())?;
    config.run.frames = args.train.frames.unwrap_or(FRAMES);
    config.run.metrics_frames = (config.run.frames / 12).max(1);
    config.run.checkpoint_minutes = 0.0;
    for change in config.algo.shorten(config.run.frames) {
        say(&change);
    }
    let folder = tempfile::tempdir().map_err(|cause| anyhow!("can't make a temporary folder: {cause}"))?;
    let what = format!("{} on {}", config.run.algo.name(), config.run.env);
    say(&format!(
        "{what}: {} frames in one go, and in two pieces",
        short(config.run.frames)
    ));

    let [pieces, whole] = ["pieces", "whole"].map(|name| folder.path().join(name));
    let mut run = new_run(&config, &pieces)?;
    let resumption = run.trainer.resumption();
    match play(&mut run, config.run.frames / 2, &stop)? {
        Outcome::Stopped { signal } => return Ok(Some(signal)),
        Outcome::Paused => {}
        Outcome::Finished => {
            let one = run.dir.checkpoints()?.pop().unwrap_or(config.run.frames);
            bail!(
                "that is one step of training, of {} frames: name more with --frames, so that there are two to compare, e.g. --frames {}",
                short(one),
                short(one.saturating_mul(4))
            );
        }
    }
    // All is forgotten but the folder.
    drop(run);
    let mut run = resumed_run(&config, &pieces)?;
    let differences = if resumption == Resumption::Timing {
        // It is never the same, so that what can be shown is what it is restored to.
        let differences = restored_differences(&run)?;
        if let Outcome::Stopped { signal } = play(&mut run, u64::MAX, &stop)? {
            return Ok(Some(signal));
        }
        differences
    } else {
        for run in [&mut run, &mut new_run(&config, &whole)?] {
            if let Outcome::Stopped { signal } = play(run, u64::MAX, &stop)? {
                return Ok(Some(signal));
            }
        }
        differences(&whole, &pieces)?
    };
    if !differences.is_empty() {
        bail!(
            "{} things differ after the interruption: {}",
            differences.len(),
            differences.join(", ")
        );
    }
    let shown = match resumption {
        Resumption::Exact => {
            "the two are equal bit for bit: weights, statistics, random streams, memories, episodes under way, rows of metrics, epsilons and \
             evaluations"
        }
        Resumption::NewEpisodes => "the two are equal although new episodes began",
        Resumption::Timing => {
            "everything is restored except the timing of threads and GPUs, so that no two continuations are equal, not even without an interruption"
        }
    };
    print(&format!("{what}: {shown} ({:.0} s)\n", start.elapsed().as_secs_f64()))?;
    Ok(None)
}

fn new_run(config: &Config, path: &Path) -> anyhow::Result<Run> {
    Run::create(config.clone(), new_trainer(config)?, RunDir::create(path)?)
}

/// Resumes a run from its newest checkpoint.
fn resumed_run(config: &Config, path: &Path) -> anyhow::Result<Run> {
    let dir = RunDir::open(path)?;
    let restored = restored(config, &dir)?;
    Ok(Run {
        journal: Journal::resume(&dir, config, &restored.section)?,
        config: config.clone(),
        trainer: restored.trainer,
        dir,
        begun: restored.frames,
    })
}

fn play(run: &mut Run, until: u64, stop: &StopRequest) -> anyhow::Result<Outcome> {
    Ok(run.play(until, stop)?.outcome)
}

/// Lists the differences after restoring a trainer from the newest checkpoint and saving it again.
fn restored_differences(run: &Run) -> anyhow::Result<Vec<String>> {
    let saved = checkpoint::read(&run.dir.checkpoint(run.begun))?;
    let mut again = Section::default();
    run.trainer.save(&mut again)?;
    Ok(saved.section("trainer")?.differences(&again, &|_| false))
}

/// Lists the differences at the end of two runs.
fn differences(one: &Path, other: &Path) -> anyhow::Result<Vec<String>> {
    let last = |path: &Path| -> anyhow::Result<Section> {
        let dir = RunDir::open(path)?;
        let frames = dir.checkpoints()?.pop();
        let frames = frames.ok_or_else(|| anyhow!("there is no checkpoint in `{}`", path.display()))?;
        Ok(checkpoint::read(&dir.checkpoint(frames))?)
    };
    // Seconds, and the lengths of files that have them.
    let is_time = |name: &str| ["run/metrics", "run/evals"].contains(&name);
    let mut found = last(one)?.differences(&last(other)?, &is_time);
    for file in ["metrics.csv", "epsilons.csv", "eval.csv"] {
        if rows(&one.join(file))? != rows(&other.join(file))? {
            found.push(file.to_owned());
        }
    }
    Ok(found)
}

/// The rows of a table, its header first, without the columns that contain times.
fn rows(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = fs::read_to_string(path).map_err(crate::files::failed("can't read", path))?;
    let mut table = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let rows = table.records().collect::<Result<Vec<_>, _>>()?;
    let header = rows.first().cloned().unwrap_or_default();
    let without_times = |row: &csv::StringRecord| {
        let cells = row.iter().zip(&header).filter(|(_, name)| !TIMES.contains(name));
        cells.map(|(cell, _)| cell.to_owned()).collect()
    };
    Ok(rows.iter().map(without_times).collect())
}
