//! The runs of a suite.

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;

use super::file::SuiteFile;
use super::ledger::{Ledger, Line};
use crate::algo::Algo;
use crate::config::{Config, Request};
use crate::run::dir::RunDir;

/// A run of a suite.
#[derive(Debug)]
pub(crate) struct Job {
    /// The agent's name.
    pub(crate) agent: String,
    /// The environment as the file writes it, perhaps with options.
    pub(crate) env: String,
    pub(crate) seed: u64,
    pub(crate) config: Config,
    /// The arguments of `coinop train` for a new run, without the folder.
    pub(crate) arguments: Vec<String>,
    /// A hash of everything that decides what is learned, but the seed and the program.
    pub(crate) settings: String,
    /// The run folder, whose name has the hash, so that other settings are another run.
    pub(crate) folder: PathBuf,
    /// The ROM folder, if not the usual one.
    pub(crate) roms: Option<PathBuf>,
}

impl fmt::Display for Job {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} on {}, seed {}", self.agent, self.env, self.seed)
    }
}

/// The progress of a run.
#[derive(Debug, PartialEq)]
pub(crate) enum State {
    /// It is in the ledger.
    Done(Box<Line>),
    /// Its newest checkpoint has this number of frames.
    Begun(u64),
    /// There is nothing to resume.
    New,
    /// Another process is training it.
    Elsewhere,
}

/// Which runs of a suite.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Agents or environments; empty for all.
    pub(crate) only: Vec<String>,
    /// Every `n`-th run from number `i` on, `i` from 1.
    pub(crate) shard: Option<(usize, usize)>,
    pub(crate) roms: Option<PathBuf>,
}

/// All runs that are selected: the first seed of every agent in every environment, then the second one.
pub(crate) fn jobs(suite: &SuiteFile, selection: &Selection) -> anyhow::Result<Vec<Job>> {
    for name in &selection.only {
        let agents = suite.agents.iter().map(|agent| &agent.name);
        if !agents.chain(&suite.envs).any(|known| known == name) {
            return Err(anyhow!(
                "--only {name}: the suite has no agent and no environment of this name"
            ));
        }
    }
    let is_selected = |agent: &str, env: &str| {
        let envs = suite.envs.iter().filter(|env| selection.only.contains(env)).count();
        let agents = selection.only.len() - envs;
        (envs == 0 || selection.only.iter().any(|name| name == env))
            && (agents == 0 || selection.only.iter().any(|name| name == agent))
    };
    let mut jobs = Vec::new();
    for &seed in &suite.seeds {
        for (i, agent) in suite.agents.iter().enumerate() {
            let envs = agent.envs.as_ref().unwrap_or(&suite.envs);
            for env in envs.iter().filter(|env| is_selected(&agent.name, env)) {
                let job = job(suite, i, env, seed, selection);
                jobs.push(job.map_err(|error| anyhow!("{} on {env}: {error}", agent.name))?);
            }
        }
    }
    if let Some((shard, shards)) = selection.shard {
        let mut number = 0..;
        jobs.retain(|_| number.next().is_some_and(|number| number % shards == shard - 1));
    }
    Ok(jobs)
}

fn job(suite: &SuiteFile, agent: usize, env: &str, seed: u64, selection: &Selection) -> anyhow::Result<Job> {
    let agent = &suite.agents[agent];
    let settings = agent.set.iter().map(|setting| setting.parse());
    let request = Request {
        env: Some(env.parse()?),
        algo: Some(Algo::find(&agent.algo).map_err(|error| anyhow!(error))?),
        preset: agent.preset.clone(),
        settings: settings.collect::<Result<_, _>>()?,
        frames: Some(suite.frames),
        seed: Some(seed),
        roms: selection.roms.clone(),
        ..Request::default()
    };
    let config = Config::resolve(&request)?;
    let mut arguments = vec![env.to_owned(), "--algo".to_owned(), agent.algo.clone()];
    let mut flag = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
    flag("frames", suite.frames.to_string());
    flag("seed", seed.to_string());
    if let Some(preset) = &agent.preset {
        flag("preset", preset.clone());
    }
    for setting in &agent.set {
        flag("set", setting.clone());
    }
    let settings = config.hash()?;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = env.chars().map(plain).collect();
    Ok(Job {
        agent: agent.name.clone(),
        env: env.to_owned(),
        seed,
        config,
        arguments,
        folder: suite.runs.join(format!("{}-{name}-{seed}-{settings}", agent.name)),
        settings,
        roms: selection.roms.clone(),
    })
}

impl Job {
    /// Its progress.
    pub(crate) fn state(&self, ledger: &Ledger) -> anyhow::Result<State> {
        if let Some(line) = ledger.find(self) {
            return Ok(State::Done(Box::new(line.clone())));
        }
        // A program that was killed may have left the folder alone.
        if !self.folder.join("config.toml").exists() {
            return Ok(State::New);
        }
        let dir = RunDir::open(&self.folder)?;
        if dir.is_training() {
            return Ok(State::Elsewhere);
        }
        Ok(dir
            .checkpoints()?
            .last()
            .map_or(State::New, |frames| State::Begun(*frames)))
    }

    /// The frames that are left.
    pub(crate) fn frames_left(&self, state: &State) -> u64 {
        match state {
            State::Done(_) => 0,
            State::Begun(frames) => self.config.run.frames.saturating_sub(*frames),
            State::New | State::Elsewhere => self.config.run.frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite() -> SuiteFile {
        toml::from_str(
            "runs = 'runs/x'\nenvs = ['pong', 'breakout']\nseeds = [1, 2]\nframes = 1000\n\
             [[agents]]\nname = 'ppo'\nalgo = 'ppo'\nset = ['gamma=0.98']\n\
             [[agents]]\nname = 'dqn'\nalgo = 'double-dqn'\npreset = 'dqn-nature'\nenvs = ['pong']\n",
        )
        .unwrap()
    }

    fn names(selection: &Selection) -> Vec<String> {
        jobs(&suite(), selection).unwrap().iter().map(Job::to_string).collect()
    }

    #[test]
    fn every_agent_plays_its_environments_seed_by_seed() {
        let all = names(&Selection::default());
        assert_eq!(
            all,
            [
                "ppo on pong, seed 1",
                "ppo on breakout, seed 1",
                "dqn on pong, seed 1",
                "ppo on pong, seed 2",
                "ppo on breakout, seed 2",
                "dqn on pong, seed 2"
            ]
        );
        let only = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let select = |only| {
            names(&Selection {
                only,
                ..Selection::default()
            })
        };
        assert_eq!(
            select(only(&["breakout"])),
            ["ppo on breakout, seed 1", "ppo on breakout, seed 2"]
        );
        assert_eq!(select(only(&["dqn"])), ["dqn on pong, seed 1", "dqn on pong, seed 2"]);
        assert_eq!(
            select(only(&["ppo", "pong"])),
            ["ppo on pong, seed 1", "ppo on pong, seed 2"]
        );
        let error = jobs(
            &suite(),
            &Selection {
                only: only(&["pnog"]),
                ..Selection::default()
            },
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "--only pnog: the suite has no agent and no environment of this name"
        );
    }

    #[test]
    fn shards_are_parts_that_make_up_the_whole() {
        let mut parts: Vec<String> = (1..=4)
            .flat_map(|shard| {
                names(&Selection {
                    shard: Some((shard, 4)),
                    ..Selection::default()
                })
            })
            .collect();
        let mut all = names(&Selection::default());
        parts.sort();
        all.sort();
        assert_eq!(parts, all);
    }

    #[test]
    fn a_folder_without_a_checkpoint_is_as_good_as_none() {
        let base = tempfile::tempdir().unwrap();
        let mut job = jobs(&suite(), &Selection::default()).unwrap().remove(0);
        job.folder = base.path().join("run");
        let state = |job: &Job| job.state(&Ledger::default()).unwrap();
        assert_eq!(state(&job), State::New);
        std::fs::create_dir(&job.folder).unwrap();
        assert_eq!(state(&job), State::New);
        std::fs::remove_dir(&job.folder).unwrap();
        let dir = RunDir::create(&job.folder).unwrap();
        std::fs::write(dir.config(), "").unwrap();
        assert_eq!(state(&job), State::Elsewhere, "a run keeps its folder locked");
        let checkpoint = dir.checkpoint(400);
        drop(dir);
        assert_eq!((state(&job), job.frames_left(&State::New)), (State::New, 1000));
        std::fs::create_dir_all(checkpoint).unwrap();
        assert_eq!(
            (state(&job), job.frames_left(&State::Begun(400))),
            (State::Begun(400), 600)
        );
    }

    #[test]
    fn the_command_of_a_run_gives_the_same_settings() {
        let jobs = jobs(&suite(), &Selection::default()).unwrap();
        assert_eq!(
            jobs[2].arguments,
            [
                "pong",
                "--algo",
                "double-dqn",
                "--frames",
                "1000",
                "--seed",
                "1",
                "--preset",
                "dqn-nature"
            ]
        );
        assert_eq!(jobs[0].arguments[7..], ["--set", "gamma=0.98"]);
        let (a, b) = (&jobs[0], &jobs[3]);
        assert_eq!(a.settings, b.settings, "the seed is not in the hash");
        assert_eq!(a.folder, PathBuf::from(format!("runs/x/ppo-pong-1-{}", a.settings)));
    }
}
