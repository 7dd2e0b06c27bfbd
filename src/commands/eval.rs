//! `coinop eval`: plays episodes with a trained agent and reports its scores.
//!
//! Every environment plays a number of episodes that is fixed beforehand. Taking the first `n` episodes to end instead would
//! prefer short ones, which in most games are the bad ones.

use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{anyhow, bail};
use coinop_agents::network::Observation;
use coinop_agents::{Mode, Policy, Section, checkpoint};
use coinop_envs::registry::Family;
use coinop_envs::rng::stream;
use coinop_envs::{AnyFactory, Elem, EnvFactory, Step, VecEnv};
use serde::Serialize;

use crate::cli::EvalArgs;
use crate::config::{Config, threads_or_cores};
use crate::count::parse_count;
use crate::output;
use crate::run::dir::RunDir;
use crate::run::identity;
use crate::run::progress::Line;

/// Environments that play at the same time, if there are as many episodes.
const MAX_ENVS: usize = 32;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    algo: &'static str,
    /// Of Atari games.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    episodes: usize,
    mean: f64,
    /// The standard deviation of the episodes' scores themselves (dividing by `episodes`).
    std: f64,
    min: f64,
    max: f64,
    /// Emulator frames of all episodes together.
    frames: u64,
    seed: u64,
    greedy: bool,
    run: String,
}

pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let dir = RunDir::open(&args.run)?;
    let report = evaluate(args, &dir)?;
    let text = if args.json {
        serde_json::to_string(&report)?
    } else {
        in_words(&report)
    };
    output::print(&(text + "\n"))?;
    Ok(())
}

fn evaluate(args: &EvalArgs, dir: &RunDir) -> anyhow::Result<Report> {
    let mut config = Config::read(&dir.config())?;
    coinop_agents::set_torch_threads(threads_or_cores(args.torch_threads.unwrap_or(0)));
    let section = read_checkpoint(&config, dir, args.checkpoint)?;
    if let Some(roms) = &args.roms {
        config.set_roms(roms)?;
    }
    let env = config.env_info()?;
    let trained_with = config.env.atari.protocol;
    if let Some(protocol) = args.protocol {
        if env.family != Family::Atari {
            bail!("--protocol is for Atari games, and {} is none: leave it out", env.id());
        }
        config.env.atari.protocol = protocol;
    }
    let protocol = config.env.atari.protocol;
    let factory = env.factory(&config.env)?;
    let frames_per_step = u64::from(factory.spec().frames_per_step);
    let played = match factory {
        AnyFactory::Pixels(factory) => restore_and_play(args, &config, &section, factory.as_ref()),
        AnyFactory::Features(factory) => restore_and_play(args, &config, &section, factory.as_ref()),
    };
    let played = played.map_err(|error| match protocol == trained_with {
        true => error,
        false => anyhow!("an agent of protocol {trained_with} can not play {protocol}: {error}"),
    })?;
    let (mean, std, min, max) = statistics(&played.scores);
    Ok(Report {
        env: config.run.env,
        algo: config.run.algo.name(),
        protocol: (env.family == Family::Atari).then(|| protocol.to_string()),
        episodes: played.scores.len(),
        mean,
        std,
        min,
        max,
        frames: played.steps * frames_per_step,
        seed: args.seed,
        greedy: args.greedy,
        run: dir.path().display().to_string(),
    })
}

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Last,
    /// The one after so many frames.
    Frames(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Which::Last),
            frames => parse_count(frames)
                .map(Which::Frames)
                .map_err(|error| format!("{error}; or write `last`")),
        }
    }
}

/// The folder of a checkpoint of a run.
fn find_checkpoint(config: &Config, dir: &RunDir, which: Which) -> anyhow::Result<PathBuf> {
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
        Which::Last => Ok(dir.checkpoint(*last)),
        Which::Frames(frames) if checkpoints.contains(&frames) => Ok(dir.checkpoint(frames)),
        Which::Frames(frames) => {
            let all: Vec<String> = checkpoints.iter().map(u64::to_string).collect();
            bail!(
                "the run `{run}` has no checkpoint after {frames} frames: there are those after {}",
                all.join(", ")
            )
        }
    }
}

/// Reads a checkpoint of a run, and checks that it is of what the run's configuration says.
fn read_checkpoint(config: &Config, dir: &RunDir, which: Which) -> anyhow::Result<Section> {
    let path = find_checkpoint(config, dir, which)?;
    let section = checkpoint::read(&path)?;
    identity::check(config, &section, &path)?;
    Ok(section)
}

fn restore_and_play<O: Observation>(
    args: &EvalArgs,
    config: &Config,
    section: &Section,
    factory: &dyn EnvFactory<Obs = O>,
) -> anyhow::Result<Played> {
    let device = coinop_agents::device(args.device.as_deref().unwrap_or(&config.run.device))?;
    let rng = stream(args.seed, "evaluation", 0);
    let mut policy = config
        .algo
        .policy(&factory.spec(), section.section("trainer")?, rng, device)?;
    let num_envs = args.episodes.min(MAX_ENVS);
    let mut env = factory.make_vec(num_envs, threads_or_cores(args.env_threads.unwrap_or(0)))?;
    let mode = if args.greedy { Mode::Greedy } else { Mode::Sample };
    play(policy.as_mut(), mode, env.as_mut(), args.episodes, args.seed)
}

/// The episodes that counted.
#[derive(Debug, PartialEq)]
struct Played {
    /// By environment, then in the order of play.
    scores: Vec<f64>,
    /// Agent steps of all together.
    steps: u64,
}

/// Environment `i` of `n` plays `episodes / n` episodes, or one more if `i < episodes % n`.
fn play<O: Elem>(
    policy: &mut dyn Policy<Obs = O>,
    mode: Mode,
    env: &mut dyn VecEnv<Obs = O>,
    episodes: usize,
    seed: u64,
) -> anyhow::Result<Played> {
    let n = env.num_envs();
    let quota = |i: usize| episodes / n + usize::from(i < episodes % n);
    let mut obs = vec![O::default(); n * env.spec().obs_shape.len()];
    let mut last_obs = obs.clone();
    let mut actions = vec![0; n];
    let mut begins = vec![true; n];
    let mut steps = vec![Step::default(); n];
    let mut finished: Vec<Vec<f64>> = vec![Vec::new(); n];
    let mut running = vec![(0.0, 0); n];
    let mut total_steps = 0;
    let mut line = Line::new(episodes as u64);
    env.reset(Some(seed), &mut obs)?;
    while (0..n).any(|i| finished[i].len() < quota(i)) {
        policy.act(&obs, &begins, mode, &mut actions)?;
        env.step(&actions, &mut obs, &mut last_obs, &mut steps)?;
        for (i, step) in steps.iter().enumerate() {
            running[i].0 += f64::from(step.score);
            running[i].1 += 1;
            begins[i] = step.end.is_over();
            if begins[i] {
                let (score, length) = std::mem::take(&mut running[i]);
                if finished[i].len() < quota(i) {
                    finished[i].push(score);
                    total_steps += length;
                }
            }
        }
        let now = Instant::now();
        if line.is_due(now) {
            let played = finished.iter().map(Vec::len).sum::<usize>();
            line.show(now, played as u64, format!("{played}/{episodes} episodes"));
        }
    }
    line.finish();
    Ok(Played {
        scores: finished.concat(),
        steps: total_steps,
    })
}

/// Mean, standard deviation, least and greatest.
fn statistics(scores: &[f64]) -> (f64, f64, f64, f64) {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
    let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (mean, variance.sqrt(), min, max)
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
        ..
    } = report;
    let protocol = protocol
        .as_ref()
        .map_or_else(String::new, |protocol| format!(", protocol {protocol}"));
    let _ = write!(
        text,
        "{algo} on {env}{protocol}: mean score {mean:.2} over {episodes} episodes (standard deviation {std:.2}, from {min} to \
         {max}, {frames} frames, seed {seed})"
    );
    text
}

#[cfg(test)]
mod tests {
    use coinop_agents::AgentError;
    use coinop_envs::vec_env::Serial;
    use coinop_envs::{Env, EnvError, Shape};

    use super::*;

    /// Its episodes score their length, which depends on the environment's seed and on how many came before.
    struct Lengths {
        length: u64,
        step: u64,
    }

    impl Env for Lengths {
        type Obs = u8;

        fn obs_shape(&self) -> Shape {
            Shape::new(&[1])
        }

        fn num_actions(&self) -> usize {
            2
        }

        fn reset(&mut self, seed: Option<u64>, _obs: &mut [u8]) -> Result<(), EnvError> {
            self.length = seed.map_or(self.length * 2, |seed| 1 + seed % 4);
            self.step = 0;
            Ok(())
        }

        fn step(&mut self, _action: u32, _obs: &mut [u8]) -> Result<Step, EnvError> {
            self.step += 1;
            Ok(if self.step == self.length {
                Step::truncated(1.0)
            } else {
                Step::going_on(1.0)
            })
        }
    }

    struct Still;

    impl Policy for Still {
        type Obs = u8;

        fn act(&mut self, _obs: &[u8], _begins: &[bool], _mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
            actions.fill(0);
            Ok(())
        }
    }

    #[test]
    fn every_environment_plays_its_share_however_long_its_episodes_are() {
        let first: Vec<f64> = (0..3)
            .map(|i| 1.0 + (coinop_envs::rng::derive_seed(5, "env", i) % 4) as f64)
            .collect();
        let mut env = Serial::new((0..3).map(|_| Lengths { length: 0, step: 0 }).collect());
        let played = play(&mut Still, Mode::Sample, &mut env, 7, 5).unwrap();
        // 7 = 3 + 2 + 2, and each episode of an environment is twice as long as the one before.
        let [a, b, c] = [first[0], first[1], first[2]];
        assert_eq!(played.scores, [a, 2.0 * a, 4.0 * a, b, 2.0 * b, c, 2.0 * c]);
        assert_eq!(played.steps as f64, 7.0 * a + 3.0 * b + 3.0 * c);
    }

    #[test]
    fn the_deviation_is_that_of_the_scores_themselves() {
        assert_eq!(
            statistics(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]),
            (5.0, 2.0, 2.0, 9.0)
        );
        assert_eq!(statistics(&[-21.0]), (-21.0, 0.0, -21.0, -21.0));
    }
}
