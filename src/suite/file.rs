//! The file of a suite.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde::{Deserialize, Deserializer};

use crate::count::parse_count;
use crate::files;

/// A suite: each agent plays each environment with each seed.
///
/// ```toml
/// runs = "runs/atari10"              # where the run folders go, from the current folder; this is the default for atari10.toml
/// ledger = "atari10.csv"             # beside this file; this is the default
/// envs = ["pong", "breakout"]
/// seeds = [1, 2, 3]
/// frames = "10M"
///
/// [evaluation]
/// episodes = 30
///
/// [[agents]]
/// name = "ppo"
/// algo = "ppo"
/// preset = "fast"
/// set = ["env.protocol=sb3"]         # as `coinop train --set`
///
/// [[references]]                     # columns of the table, to compare with
/// name = "Dopamine Rainbow"
/// scores = { pong = 15.2, breakout = 41.9 }
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuiteFile {
    #[serde(default)]
    pub(crate) runs: PathBuf,
    #[serde(default)]
    pub(crate) ledger: PathBuf,
    pub(crate) envs: Vec<String>,
    pub(crate) seeds: Vec<u64>,
    #[serde(deserialize_with = "count")]
    pub(crate) frames: u64,
    #[serde(default)]
    pub(crate) evaluation: Evaluation,
    pub(crate) agents: Vec<Agent>,
    #[serde(default)]
    pub(crate) references: Vec<Reference>,
}

/// How trained agents are evaluated: the last checkpoint, and the best one by the evaluations during training, each with the
/// most probable actions and with drawn ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Evaluation {
    pub(crate) episodes: usize,
    pub(crate) seed: u64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { episodes: 30, seed: 0 }
    }
}

/// An algorithm with its settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    /// Its name in folders and tables.
    pub(crate) name: String,
    pub(crate) algo: String,
    #[serde(default)]
    pub(crate) preset: Option<String>,
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// The environments that it plays, if not all.
    #[serde(default)]
    pub(crate) envs: Option<Vec<String>>,
}

/// Published scores.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    pub(crate) name: String,
    /// By environment.
    pub(crate) scores: toml::map::Map<String, toml::Value>,
}

impl Reference {
    pub(crate) fn score(&self, env: &str) -> Option<f64> {
        let score = self.scores.get(env)?;
        score
            .as_float()
            .or_else(|| score.as_integer().map(|score| score as f64))
    }
}

impl SuiteFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = files::read(path)?;
        let mut suite: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow!("`{}`, line {line}: {}", path.display(), error.message())
        })?;
        let stem = path.file_stem().unwrap_or_default();
        if suite.runs.as_os_str().is_empty() {
            suite.runs = Path::new("runs").join(stem);
        }
        if suite.ledger.as_os_str().is_empty() {
            suite.ledger = Path::new(stem).with_extension("csv");
        }
        suite.ledger = path.with_file_name("").join(&suite.ledger);
        suite
            .check()
            .map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
        Ok(suite)
    }

    fn check(&self) -> anyhow::Result<()> {
        for (what, count) in [
            ("envs", self.envs.len()),
            ("seeds", self.seeds.len()),
            ("agents", self.agents.len()),
        ] {
            if count == 0 {
                bail!("`{what}` is empty: there is nothing to play");
            }
        }
        if self.evaluation.episodes == 0 {
            bail!("evaluation.episodes = 0: at least 1 episode must be played");
        }
        for (i, agent) in self.agents.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if agent.name.is_empty() || !agent.name.chars().all(is_plain) {
                bail!(
                    "an agent is called `{}`: letters, digits, `.`, `_` and `-` can be in the name of a folder",
                    agent.name
                );
            }
            if self.agents[..i].iter().any(|other| other.name == agent.name) {
                bail!("two agents are called `{}`: give each a name of its own", agent.name);
            }
            for env in agent.envs.iter().flatten() {
                if !self.envs.contains(env) {
                    bail!("the agent `{}` plays `{env}`, which is not one of `envs`", agent.name);
                }
            }
        }
        for (what, scores) in self
            .references
            .iter()
            .map(|reference| (&reference.name, &reference.scores))
        {
            for (env, score) in scores {
                if !self.envs.contains(env) {
                    bail!("the reference `{what}` has a score for `{env}`, which is not one of `envs`");
                }
                if !(score.is_float() || score.is_integer()) {
                    bail!("the reference `{what}` has `{score}` for `{env}`, which is not a number");
                }
            }
        }
        Ok(())
    }
}

/// A count as the command line takes it, `"10M"`, or a whole number.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(u64),
        Text(String),
    }
    match Count::deserialize(from)? {
        Count::Number(number) => Ok(number),
        Count::Text(text) => parse_count(&text).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<SuiteFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.toml");
        std::fs::write(&path, text).unwrap();
        SuiteFile::read(&path)
            .map_err(|error| anyhow!(error.to_string().replace(&path.display().to_string(), "ten.toml")))
    }

    const SMALL: &str =
        "envs = ['pong', 'breakout']\nseeds = [1]\nframes = '10M'\n[[agents]]\nname = 'ppo'\nalgo = 'ppo'\n";

    #[test]
    fn folders_and_ledger_are_called_like_the_file() {
        let suite = read(SMALL).unwrap();
        assert_eq!(suite.runs, Path::new("runs/ten"));
        assert!(suite.ledger.ends_with("ten.csv") && suite.ledger.is_absolute());
        assert_eq!((suite.frames, suite.evaluation.episodes), (10_000_000, 30));
        let suite = read(&format!("runs = 'a/b'\nledger = 'c.csv'\n{SMALL}")).unwrap();
        assert_eq!(suite.runs, Path::new("a/b"));
        assert!(suite.ledger.ends_with("c.csv"));
    }

    #[test]
    fn what_cannot_be_is_one_line_that_names_the_file() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            error(&SMALL.replace("'10M'", "'ten'")),
            "`ten.toml`, line 3: `ten` is not a valid count: write a whole number, or one like 10M, 1.5k or 2e6"
        );
        assert!(error(&SMALL.replace("seeds", "seed")).starts_with("`ten.toml`, line 2: unknown field `seed`"));
        assert_eq!(
            error(&SMALL.replace("[1]", "[]")),
            "`ten.toml`: `seeds` is empty: there is nothing to play"
        );
        for (more, cause) in [
            ("[[agents]]\nname = 'ppo'\nalgo = 'ppo'", "two agents are called `ppo`"),
            ("[[agents]]\nname = 'a/b'\nalgo = 'ppo'", "an agent is called `a/b`"),
            (
                "envs = ['snake']",
                "the agent `ppo` plays `snake`, which is not one of `envs`",
            ),
            (
                "[[references]]\nname = 'DQN'\nscores = { snake = 1 }",
                "the reference `DQN` has a score for `snake`",
            ),
            (
                "[[references]]\nname = 'DQN'\nscores = { pong = 'x' }",
                "which is not a number",
            ),
            ("[evaluation]\nepisodes = 0", "at least 1 episode"),
        ] {
            let error = error(&format!("{SMALL}{more}\n"));
            assert!(error.starts_with("`ten.toml`: ") && error.contains(cause), "{error}");
        }
    }
}
