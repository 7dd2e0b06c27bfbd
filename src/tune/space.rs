//! What a search samples, and for how long it trains: a TOML file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{anyhow, bail};
use coinop_envs::rng::stream;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::count::parse_count;
use crate::files;

/// A search.
///
/// ```toml
/// samples = 16                     # the first is the preset itself
/// budgets = ["500k", "2M", "8M"]   # frames; schedules span the last
/// keep = 0.25                      # the fraction that continues to the next budget
/// episodes = 20                    # of the evaluation that decides
/// seed = 1
///
/// [settings]
/// "learning_rate.from" = { log_uniform = [1e-4, 3e-3] }
/// gamma = { uniform = [0.98, 0.999] }
/// num_envs = { choice = [8, 16, 32] }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Space {
    #[serde(default = "samples")]
    pub(crate) samples: usize,
    pub(crate) budgets: Vec<Count>,
    #[serde(default = "keep")]
    pub(crate) keep: f64,
    #[serde(default = "episodes")]
    pub(crate) episodes: usize,
    #[serde(default = "seed")]
    pub(crate) seed: u64,
    pub(crate) settings: BTreeMap<String, Distribution>,
}

fn samples() -> usize {
    16
}

fn keep() -> f64 {
    0.25
}

fn episodes() -> usize {
    20
}

fn seed() -> u64 {
    1
}

/// A number of frames, perhaps in short: `500k`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    Number(u64),
    Short(String),
}

impl Count {
    pub(crate) fn frames(&self) -> anyhow::Result<u64> {
        match self {
            Self::Number(frames) => Ok(*frames),
            Self::Short(text) => parse_count(text).map_err(|error| anyhow!("budgets: {error}")),
        }
    }
}

/// How a setting is sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distribution {
    /// Between two numbers.
    Uniform([f64; 2]),
    /// Between two numbers above 0; every factor is as likely.
    LogUniform([f64; 2]),
    /// One of a list.
    Choice(Vec<toml::Value>),
}

/// The factor around the preset's values within which a search samples by default.
const FACTOR: f64 = 4.0;

impl Space {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let space: Self = toml::from_str(&files::read(path)?)
            .map_err(|error| anyhow!("`{}`: {}", path.display(), error.message()))?;
        space
            .check()
            .map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
        Ok(space)
    }

    /// Around a preset: the learning rate, and the entropy bonus if there is one.
    pub(crate) fn around(config: &Config) -> anyhow::Result<Self> {
        let table: toml::Table = toml::from_str(&config.to_toml()?)?;
        let settings = table.get(config.run.algo.name()).and_then(toml::Value::as_table);
        let mut sampled = BTreeMap::new();
        let mut around = |name: &str, value: Option<&toml::Value>| {
            if let Some(value) = value.and_then(toml::Value::as_float).filter(|value| *value > 0.0) {
                let range = [value / FACTOR, value * FACTOR];
                sampled.insert(name.to_owned(), Distribution::LogUniform(range));
            }
        };
        let rate = settings.and_then(|settings| settings.get("learning_rate"));
        around("learning_rate", rate);
        around("learning_rate.from", rate.and_then(|rate| rate.get("from")));
        around(
            "entropy_weight",
            settings.and_then(|settings| settings.get("entropy_weight")),
        );
        if sampled.is_empty() {
            bail!(
                "{} has neither a learning rate nor an entropy weight to sample: say what to sample with --space FILE",
                config.run.algo.name()
            );
        }
        let frames = config.run.frames;
        Ok(Self {
            samples: samples(),
            budgets: [16, 4, 1].map(|part| Count::Number((frames / part).max(1))).to_vec(),
            keep: keep(),
            episodes: episodes(),
            seed: seed(),
            settings: sampled,
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        let budgets = self.frames()?;
        if !(1..=10_000).contains(&self.samples) {
            bail!("samples = {}: it must be from 1 to 10000", self.samples);
        }
        if budgets.is_empty() || budgets[0] == 0 || !budgets.is_sorted_by(|a, b| a < b) {
            bail!("budgets = {budgets:?}: there must be at least one, each above the one before and above 0");
        }
        if !(self.keep > 0.0 && self.keep < 1.0) {
            bail!("keep = {}: it must be between 0 and 1", self.keep);
        }
        if self.episodes == 0 {
            bail!("episodes = 0: at least 1 must be played");
        }
        for (name, distribution) in &self.settings {
            let bad = |why: &str| bail!("settings.{name}: {why}");
            match distribution {
                Distribution::Uniform([low, high]) if !(low < high && (high - low).is_finite()) => {
                    return bad("the first number must be below the second");
                }
                Distribution::LogUniform([low, high]) if !(0.0 < *low && low < high && high.is_finite()) => {
                    return bad("the first number must be above 0 and below the second");
                }
                Distribution::Choice(values) if values.is_empty() => return bad("there is nothing to choose from"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The budgets in frames.
    pub(crate) fn frames(&self) -> anyhow::Result<Vec<u64>> {
        self.budgets.iter().map(Count::frames).collect()
    }

    /// How many of `count` samples continue.
    pub(crate) fn kept(&self, count: usize) -> usize {
        ((count as f64 * self.keep).ceil() as usize).clamp(1, count.max(1))
    }

    /// The settings of a sample as `key=value`; none of the first, which is the preset itself. The same each time.
    pub(crate) fn sample(&self, number: usize) -> Vec<String> {
        if number == 0 {
            return Vec::new();
        }
        let mut random = stream(self.seed, "tune", number as u64);
        let mut draw = |distribution: &Distribution| match distribution {
            Distribution::Uniform([low, high]) => rounded(random.random_range(*low..*high), 4),
            Distribution::LogUniform([low, high]) => rounded(random.random_range(low.ln()..high.ln()).exp(), 2),
            Distribution::Choice(values) => values[random.random_range(0..values.len())].to_string(),
        };
        let settings = self.settings.iter();
        settings.map(|(name, from)| format!("{name}={}", draw(from))).collect()
    }
}

/// Formats a number with `digits` significant digits.
fn rounded(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let decimals = (digits - 1 - value.abs().log10().floor() as i32).max(1) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> anyhow::Result<Space> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("space.toml");
        std::fs::write(&path, text)?;
        Space::read(&path)
    }

    const GOOD: &str = "samples = 50\nbudgets = [1000, '4k']\n[settings]\nlearning_rate = { log_uniform = [1e-4, 1e-2] }\ngamma = { uniform = \
                        [0.9, 0.99] }\nnum_envs = { choice = [8, 16] }\nkind = { choice = ['a'] }\n";

    #[test]
    fn samples_lie_within_their_bounds_and_are_the_same_each_time() {
        let space = space(GOOD).unwrap();
        assert_eq!(
            (space.frames().unwrap(), space.kept(50), space.kept(2)),
            (vec![1_000, 4_000], 13, 1)
        );
        assert!(space.sample(0).is_empty());
        let mut low = 0;
        for number in 1..space.samples {
            let sample = space.sample(number);
            assert_eq!(sample, space.sample(number));
            let value = |name: &str| {
                let found = sample.iter().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
                found.unwrap().to_owned()
            };
            let rate: f64 = value("learning_rate").parse().unwrap();
            assert!((1e-4..=1e-2).contains(&rate), "{rate}");
            low += usize::from(rate < 1e-3);
            let gamma: f64 = value("gamma").parse().unwrap();
            assert!((0.9..=0.99).contains(&gamma), "{gamma}");
            assert!(["8", "16"].contains(&value("num_envs").as_str()));
            assert_eq!(value("kind"), "\"a\"");
        }
        // Half of the factors are below the geometric mean.
        assert!((12..38).contains(&low), "{low}");
    }

    #[test]
    fn what_cannot_be_sampled_says_why() {
        for (text, expected) in [
            ("budgets = []\n[settings]\n", "budgets = []: there must be at least one"),
            (
                "budgets = [5, 5]\n[settings]\n",
                "budgets = [5, 5]: there must be at least one",
            ),
            ("budgets = ['5q']\n[settings]\n", "budgets: "),
            (
                "budgets = [5]\nkeep = 1.0\n[settings]\n",
                "keep = 1: it must be between 0 and 1",
            ),
            (
                "budgets = [5]\nsamples = 0\n[settings]\n",
                "samples = 0: it must be from 1",
            ),
            (
                "budgets = [5]\n[settings]\na = { log_uniform = [0.0, 1.0] }\n",
                "settings.a: the first number must be above 0",
            ),
            (
                "budgets = [5]\n[settings]\na = { choice = [] }\n",
                "settings.a: there is nothing to choose from",
            ),
            ("budgets = [5]\nsample = 5\n[settings]\n", "unknown field `sample`"),
        ] {
            let error = space(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let texts = [(0.000_123_4, 2), (0.9876, 4), (12.3, 2), (0.0, 2)].map(|(value, digits)| rounded(value, digits));
        assert_eq!(texts, ["0.00012", "0.9876", "12.3", "0.0"]);
    }
}
