//! The ledger of a suite: one line of CSV per finished run, with the revision and the settings that it is a result of.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::Job;
use super::rows;

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) agent: String,
    pub(crate) env: String,
    pub(crate) seed: u64,
    pub(crate) algo: String,
    pub(crate) preset: String,
    /// The hash of the settings.
    pub(crate) settings: String,
    /// Emulator frames of training.
    pub(crate) frames: u64,
    /// Seconds of training, evaluations included.
    pub(crate) seconds: f64,
    /// Whether nothing else ran meanwhile, so that the seconds measure the program.
    pub(crate) timed: bool,
    /// The mean score of the last 100 episodes of training, if any ended.
    pub(crate) training: Option<f64>,
    /// The episodes of each of the evaluations that follow, whose mean scores they are.
    pub(crate) episodes: usize,
    pub(crate) last_greedy: f64,
    pub(crate) last_sample: f64,
    /// Of the checkpoint that scored best while training, if it was evaluated then.
    pub(crate) best_greedy: Option<f64>,
    pub(crate) best_sample: Option<f64>,
    /// The frames of that checkpoint.
    pub(crate) best_frames: Option<u64>,
    /// The commit of the program that finished the run.
    pub(crate) revision: String,
    pub(crate) machine: String,
}

/// All finished runs of a suite.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Ledger {
    /// Reads a ledger; one that does not exist is empty.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            lines: rows::read(path)?,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The latest line of a run with its present settings.
    pub(crate) fn find(&self, job: &Job) -> Option<&Line> {
        let is_of = |line: &&Line| {
            (&line.agent, &line.env, line.seed, &line.settings) == (&job.agent, &job.env, job.seed, &job.settings)
        };
        self.lines.iter().rev().find(is_of)
    }

    /// Adds a line to the file, which other processes may add to as well.
    pub(crate) fn add(&mut self, line: Line) -> anyhow::Result<()> {
        rows::append(&self.path, [&line])?;
        self.lines.push(line);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Line;

    /// A finished run whose last checkpoint scores `score`.
    pub(crate) fn line(agent: &str, env: &str, seed: u64, score: f64) -> Line {
        Line {
            agent: agent.to_owned(),
            env: env.to_owned(),
            seed,
            algo: "ppo".to_owned(),
            preset: "fast".to_owned(),
            settings: "0123abcd".to_owned(),
            frames: 10_000_000,
            seconds: 1_230.5,
            timed: seed == 1,
            training: Some(score - 1.0),
            episodes: 30,
            last_greedy: score + 1.0,
            last_sample: score,
            best_greedy: None,
            best_sample: None,
            best_frames: None,
            revision: "0123456789".to_owned(),
            machine: "a processor, 2 cores".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::line;
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written_and_half_a_line_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.csv");
        let mut ledger = Ledger::read(&path).unwrap();
        assert!(ledger.lines().is_empty() && !path.exists());
        ledger.add(line("ppo", "pong", 1, 20.5)).unwrap();
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "ppo,breakout,1,pp").unwrap();
        assert_eq!(Ledger::read(&path).unwrap().lines().len(), 1);
        // Another process has added a line meanwhile.
        Ledger::read(&path)
            .unwrap()
            .add(line("ppo", "breakout", 1, 300.0))
            .unwrap();
        ledger.add(line("ppo", "pong", 2, 19.0)).unwrap();
        let lines = Ledger::read(&path).unwrap().lines;
        assert_eq!(
            lines,
            [
                line("ppo", "pong", 1, 20.5),
                line("ppo", "breakout", 1, 300.0),
                line("ppo", "pong", 2, 19.0)
            ]
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert!(
            text.starts_with("agent,env,seed,algo,preset,settings,frames,seconds,timed,training,episodes,"),
            "{text}"
        );
    }

    #[test]
    fn a_damaged_ledger_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.csv");
        std::fs::write(&path, "agent,env\nppo,pong\n").unwrap();
        let error = Ledger::read(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("`{}`: ", path.display())) && error.contains("seed"),
            "{error}"
        );
    }
}
