//! `coinop eval`: plays episodes with a trained agent and reports its scores.

use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{anyhow, bail};
use coinop_agents::{Mode, Section};
use serde::Serialize;

use crate::cli::EvalArgs;
use crate::config::{Config, check_threads, threads_or_cores};
use crate::count::parse_count;
use crate::evaluation::{How, evaluate, statistics};
use crate::output;
use crate::run::dir::RunDir;
use crate::run::evaluations::Evaluations;
use crate::run::identity;
use crate::run::progress::Line;

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    algo: &'static str,
    /// For Atari games.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    episodes: usize,
    mean: f64,
    /// The population standard deviation of the scores (divided by `episodes`).
    std: f64,
    min: f64,
    max: f64,
    /// Emulator frames over all episodes.
    frames: u64,
    seed: u64,
    greedy: bool,
    run: String,
    /// The frames of the checkpoint that played.
    checkpoint: u64,
}

pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let dir = RunDir::open(&args.run)?;
    let report = report(args, &dir)?;
    let text = if args.json {
        serde_json::to_string(&report)?
    } else {
        in_words(&report)
    };
    output::print(&(text + "\n"))?;
    Ok(())
}

fn report(args: &EvalArgs, dir: &RunDir) -> anyhow::Result<Report> {
    for (name, threads) in [
        ("--env-threads", args.env_threads),
        ("--torch-threads", args.torch_threads),
    ] {
        check_threads(name, threads.unwrap_or(0))?;
    }
    let mut config = Config::read(&dir.config())?;
    coinop_agents::set_torch_threads(threads_or_cores(args.torch_threads.unwrap_or(0)));
    let (checkpoint, section) = read_checkpoint(&config, dir, args.checkpoint)?;
    if let Some(roms) = &args.roms {
        config.set_roms(roms)?;
    }
    let env = config.env_info()?;
    let trained_with = env.atari(&config.env).map(|atari| atari.protocol);
    if let Some(protocol) = args.protocol {
        match env.atari_mut(&mut config.env) {
            Some(atari) => atari.protocol = protocol,
            None => bail!("--protocol is for Atari games, which {} is not: leave it out", env.id()),
        }
    }
    let protocol = env.atari(&config.env).map(|atari| atari.protocol);
    let how = How {
        episodes: args.episodes,
        seed: args.seed,
        mode: if args.greedy { Mode::Greedy } else { Mode::Sample },
        env_threads: threads_or_cores(args.env_threads.unwrap_or(0)),
        device: args.device.clone().unwrap_or_else(|| config.run.device.clone()),
    };
    let mut line = Line::new(args.episodes as u64);
    let played = evaluate(&config, &section, &how, &mut |played| {
        let now = Instant::now();
        if line.is_due(now) {
            line.show(now, played as u64, format!("{played}/{} episodes", args.episodes));
        }
        true
    });
    line.finish();
    let played = played.map_err(|error| match (trained_with, protocol) {
        (Some(before), Some(now)) if before != now => {
            anyhow!("an agent of protocol {before} cannot play {now}: {error}")
        }
        _ => error,
    })?;
    let Some(played) = played else {
        unreachable!("nobody ended the play")
    };
    let scores = played.scores();
    let (mean, std, min, max) = statistics(&scores);
    Ok(Report {
        env: config.run.env,
        algo: config.run.algo.name(),
        protocol: protocol.map(|protocol| protocol.to_string()),
        episodes: scores.len(),
        mean,
        std,
        min,
        max,
        frames: played.frames(),
        seed: args.seed,
        greedy: args.greedy,
        run: dir.path().display().to_string(),
        checkpoint,
    })
}

/// Which checkpoint of a run to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Last,
    /// The one with the best evaluation during training.
    Best,
    /// The one after this number of frames.
    Frames(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Which::Last),
            "best" => Ok(Which::Best),
            frames => parse_count(frames)
                .map(Which::Frames)
                .map_err(|error| format!("{error}; or write `last` or `best`")),
        }
    }
}

/// Finds the frames of a checkpoint.
fn find_checkpoint(config: &Config, dir: &RunDir, which: Which) -> anyhow::Result<u64> {
    let checkpoints = dir.checkpoints()?;
    let run = dir.path().display();
    let Some(last) = checkpoints.last() else {
        if dir.is_training() {
            let first = match config.run.checkpoint_minutes {
                0.0 => "when that ends, or when Ctrl-C stops it".to_owned(),
                minutes => format!("after {minutes} minutes"),
            };
            bail!("the run `{run}` is still training: its first checkpoint is written {first}");
        }
        bail!("the run `{run}` ended without a checkpoint: it failed or was killed; its log.txt says what happened");
    };
    match which {
        Which::Last => Ok(*last),
        Which::Best => match Evaluations::read(&dir.evaluations())?.best() {
            Some(best) if checkpoints.contains(&best.frames) => Ok(best.frames),
            Some(best) => bail!(
                "the checkpoint after {} frames, the best of the run `{run}`, is gone",
                best.frames
            ),
            None if config.run.eval_frames == 0 => bail!(
                "the run `{run}` was not evaluated while it trained, because run.eval_frames is 0: choose a checkpoint by its frames, or train \
                 with --set eval_frames=N"
            ),
            None => bail!(
                "the run `{run}` was not evaluated while it trained, because it is shorter than its run.eval_frames of {}: choose a checkpoint \
                 by its frames, or train with --set eval_frames=N",
                config.run.eval_frames
            ),
        },
        Which::Frames(frames) if checkpoints.contains(&frames) => Ok(frames),
        Which::Frames(frames) => {
            let all: Vec<String> = checkpoints.iter().map(u64::to_string).collect();
            bail!(
                "the run `{run}` has no checkpoint after {frames} frames: there are those after {}",
                all.join(", ")
            )
        }
    }
}

/// Reads a checkpoint and checks that it matches the run's configuration; returns its frames, too.
fn read_checkpoint(config: &Config, dir: &RunDir, which: Which) -> anyhow::Result<(u64, Section)> {
    let frames = find_checkpoint(config, dir, which)?;
    let section = dir.read_checkpoint(frames)?;
    identity::check(config, &section, &dir.checkpoint(frames))?;
    Ok((frames, section))
}

/// The settings and the last checkpoint of a run.
pub(crate) fn last_checkpoint(run: &Path) -> anyhow::Result<(Config, Section)> {
    let dir = RunDir::open(run)?;
    let config = Config::read(&dir.config())?;
    let (_, section) = read_checkpoint(&config, &dir, Which::Last)?;
    Ok((config, section))
}

fn in_words(report: &Report) -> String {
    let mut text = String::new();
    let Report {
        env,
        algo,
        protocol,
        episodes,
        mean,
        std,
        min,
        max,
        frames,
        seed,
        checkpoint,
        ..
    } = report;
    let protocol = protocol
        .as_ref()
        .map_or_else(String::new, |protocol| format!(", protocol {protocol}"));
    let _ = write!(
        text,
        "{algo} on {env}{protocol}, checkpoint after {checkpoint} frames: mean score {mean:.2} over {episodes} episodes (standard deviation {std:.2}, from {min} to \
         {max}, {frames} frames, seed {seed})"
    );
    text
}
