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
use crate::count::{counted, parse_count};
use crate::evaluation::{How, Played, evaluate, statistics};
use crate::report::human::normalised;
use crate::report::numbers::percent;
use crate::run::dir::RunDir;
use crate::run::evaluations::Evaluations;
use crate::run::identity;
use crate::run::progress::Line;
use crate::statistics::interval;
use crate::{files, output};

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
    /// The 95 % bootstrap interval of the mean over episodes; absent for a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<(f64, f64)>,
    /// For the Atari games for which it is defined: 0 for random play, 1 for a human tester.
    #[serde(skip_serializing_if = "Option::is_none")]
    human_normalized: Option<f64>,
    /// Emulator frames over all episodes.
    frames: u64,
    seed: u64,
    greedy: bool,
    /// The probability of a random action instead of the agent's.
    epsilon: f64,
    run: String,
    /// The frames of the checkpoint that played.
    checkpoint: u64,
    #[serde(skip)]
    played: Played,
}

pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    // A run that does not exist is named before the first one is played.
    let dirs = args.runs.iter().map(|run| RunDir::open(run));
    let dirs = dirs.collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(path) = &args.output {
        files::check_writable(path)?;
    }
    let mut reports = Vec::new();
    for dir in &dirs {
        let report = report(args, dir)?;
        if args.json {
            output::print(&(serde_json::to_string(&report)? + "\n"))?;
        }
        reports.push(report);
    }
    if let Some(path) = &args.output {
        files::write(path, &csv(&reports)?)?;
    }
    match reports.as_slice() {
        _ if args.json => {}
        [one] => output::print(&(in_words(one) + "\n"))?,
        many => output::print(&table(many))?,
    }
    Ok(())
}

/// A row per episode, by environment and then in order of play.
fn csv(reports: &[Report]) -> anyhow::Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["run", "checkpoint", "episode", "score", "steps", "frames"])?;
    for report in reports {
        for (i, (score, steps)) in report.played.episodes.iter().enumerate() {
            table.write_record([
                report.run.clone(),
                report.checkpoint.to_string(),
                i.to_string(),
                score.to_string(),
                steps.to_string(),
                (steps * u64::from(report.played.frames_per_step)).to_string(),
            ])?;
        }
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

/// The reports on several runs in Markdown.
fn table(reports: &[Report]) -> String {
    let mut text = "| run | checkpoint | mean | 95 % interval | deviation | least | greatest | human |\n".to_owned();
    text += &format!("|{}\n", "---|".repeat(8));
    for report in reports {
        let interval = report
            .interval
            .map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.2} to {high:.2}"));
        let human = report
            .human_normalized
            .map_or_else(|| "-".to_owned(), |human| percent(&[human]));
        text += &format!(
            "| {} | {} | {:.2} | {interval} | {:.2} | {} | {} | {human} |\n",
            report.run, report.checkpoint, report.mean, report.std, report.min, report.max
        );
    }
    text
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
    for setting in &args.set {
        config = config.with_env(setting)?;
    }
    let protocol = env.atari(&config.env).map(|atari| atari.protocol);
    let episodes = if args.frames.is_some() {
        usize::MAX
    } else {
        args.episodes
    };
    let how = How {
        episodes,
        frames: args.frames.unwrap_or(u64::MAX),
        seed: args.seed,
        mode: if args.greedy { Mode::Greedy } else { Mode::Sample },
        epsilon: args.epsilon,
        env_threads: threads_or_cores(args.env_threads.unwrap_or(0)),
        device: args.device.clone().unwrap_or_else(|| config.run.device.clone()),
    };
    let mut line = Line::new(args.episodes as u64);
    let played = evaluate(&config, &section, &how, &mut |played| {
        let now = Instant::now();
        if line.is_due(now) {
            line.show(
                now,
                played as u64,
                match args.frames {
                    None => format!("{played}/{} episodes", args.episodes),
                    Some(_) => counted(played, "episode"),
                },
            );
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
        interval: interval(&[scores], |groups| statistics(&groups[0]).0),
        human_normalized: protocol.and_then(|_| normalised(env.short, mean)),
        frames: played.frames(),
        seed: args.seed,
        greedy: args.greedy,
        epsilon: args.epsilon,
        run: dir.path().display().to_string(),
        checkpoint,
        played,
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
pub(crate) fn read_checkpoint(config: &Config, dir: &RunDir, which: Which) -> anyhow::Result<(u64, Section)> {
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
        interval,
        human_normalized,
        frames,
        seed,
        checkpoint,
        ..
    } = report;
    let interval = interval.map_or_else(String::new, |(low, high)| {
        format!("95 % interval {low:.2} to {high:.2}, ")
    });
    let human = human_normalized.map_or_else(String::new, |human| format!("human-normalised {}, ", percent(&[human])));
    let protocol = protocol
        .as_ref()
        .map_or_else(String::new, |protocol| format!(", protocol {protocol}"));
    let _ = write!(
        text,
        "{algo} on {env}{protocol}, checkpoint after {checkpoint} frames: mean score {mean:.2} over {episodes} episodes ({interval}{human}standard deviation {std:.2}, \
         from {min} to {max}, {frames} frames, seed {seed})"
    );
    text
}
