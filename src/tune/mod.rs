//! A search for settings: random samples (Bergstra and Bengio 2012). The best continue to a larger budget, as in successive halving
//! (Jamieson and Talwalkar 2016, arXiv 1502.07943).
//!
//! ```text
//! budget 1   o o o o o o o o     every sample is trained, then evaluated
//! budget 2   o     o             the best continue from their checkpoints
//! budget 3         o             the first of the ranking
//! ```
//!
//! Every sample is an ordinary run folder, and `results.csv` has what was evaluated, so that a search that was stopped continues.

mod space;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};

pub(crate) use space::Space;

use crate::files;
use crate::output::say;
use crate::processes::{last_words, output, program, threads};
use crate::report::numbers::number;
use crate::run::dir::RunDir;
use crate::signals::StopRequest;

/// A search on the disk.
pub(crate) struct Search {
    pub(crate) folder: PathBuf,
    pub(crate) space: Space,
    /// The arguments of `coinop train` that all samples share.
    pub(crate) arguments: Vec<String>,
    pub(crate) jobs: usize,
    pub(crate) roms: Option<PathBuf>,
}

/// A line of `results.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) sample: usize,
    pub(crate) frames: u64,
    /// The mean score of the evaluation; `None` if training failed.
    pub(crate) score: Option<f64>,
}

/// What distinguishes this search from another in the same folder.
#[derive(PartialEq, Serialize, Deserialize)]
struct Identity {
    arguments: Vec<String>,
    space: Space,
}

impl Search {
    fn sample_folder(&self, sample: usize) -> PathBuf {
        self.folder.join(format!("sample-{sample:03}"))
    }

    fn results(&self) -> PathBuf {
        self.folder.join("results.csv")
    }

    /// Makes the folder, or checks that what is in it is this search.
    pub(crate) fn open(&self) -> anyhow::Result<Vec<Line>> {
        fs::create_dir_all(&self.folder).map_err(files::failed("can't create the folder", &self.folder))?;
        let path = self.folder.join("search.json");
        let ours = Identity {
            arguments: self.arguments.clone(),
            space: self.space.clone(),
        };
        if path.exists() {
            let theirs: Identity =
                serde_json::from_str(&files::read(&path)?).with_context(|| format!("`{}`", path.display()))?;
            if theirs != ours {
                bail!(
                    "`{}` has another search: choose another folder with --name NAME, or repeat the command that began it",
                    self.folder.display()
                );
            }
        } else {
            files::write(&path, &(serde_json::to_string_pretty(&ours)? + "\n"))?;
        }
        if !self.results().exists() {
            return Ok(Vec::new());
        }
        let text = files::read(&self.results())?;
        let lines: Result<Vec<Line>, _> = csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
        lines.map_err(|error| anyhow!("`{}`: {error}", self.results().display()))
    }

    /// Trains and evaluates what is left; returns all results, or `None` if `stop` was asked for.
    pub(crate) fn run(&self, stop: &StopRequest) -> anyhow::Result<Option<Vec<Line>>> {
        let results = Mutex::new(self.open()?);
        let budgets = self.space.frames()?;
        let last = *budgets.last().context("no budget")?;
        let mut contenders: Vec<usize> = (0..self.space.samples).collect();
        for (rung, &budget) in budgets.iter().enumerate() {
            say(&format!("{} samples, {budget} frames each", contenders.len()));
            self.rung(&contenders, budget, last, &results, stop)?;
            if stop.signal().is_some() {
                return Ok(None);
            }
            let results = results.lock().map_err(|_| anyhow!("a thread died"))?;
            let mut ranked = at(&results, budget, &contenders);
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            if ranked.is_empty() {
                bail!(
                    "no sample could be trained: `{}` has their folders",
                    self.folder.display()
                );
            }
            if rung + 1 < budgets.len() {
                ranked.truncate(self.space.kept(contenders.len()));
            }
            contenders = ranked.into_iter().map(|(sample, _)| sample).collect();
        }
        let best = self.sample_folder(contenders[0]).join("config.toml");
        let to = self.folder.join("best.toml");
        fs::copy(&best, &to).map_err(files::failed("can't write", &to))?;
        let results = results.into_inner().map_err(|_| anyhow!("a thread died"))?;
        Ok(Some(results))
    }

    /// Trains contenders up to a budget and evaluates them.
    fn rung(
        &self,
        contenders: &[usize],
        budget: u64,
        last: u64,
        results: &Mutex<Vec<Line>>,
        stop: &StopRequest,
    ) -> anyhow::Result<()> {
        let queue = Mutex::new(VecDeque::from(contenders.to_vec()));
        let worker = || -> anyhow::Result<()> {
            loop {
                let next = queue.lock().map_err(|_| anyhow!("a thread died"))?.pop_front();
                let Some(sample) = next.filter(|_| stop.signal().is_none()) else {
                    return Ok(());
                };
                let known = |lines: &[Line]| lines.iter().any(|line| (line.sample, line.frames) == (sample, budget));
                if known(&results.lock().map_err(|_| anyhow!("a thread died"))?) {
                    continue;
                }
                let score = match self.play(sample, budget, last, stop) {
                    Ok(Some(score)) => Some(score),
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        say(&format!("sample {sample}: failed: {error}"));
                        None
                    }
                };
                if let Some(score) = score {
                    say(&format!(
                        "sample {sample}: {} after {budget} frames  {}",
                        number(score),
                        self.space.sample(sample).join(" ")
                    ));
                }
                let mut results = results.lock().map_err(|_| anyhow!("a thread died"))?;
                results.push(Line {
                    sample,
                    frames: budget,
                    score,
                });
                self.save(&results)?;
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.jobs.min(contenders.len()))
                .map(|_| scope.spawn(worker))
                .collect();
            let joined = threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a thread died"))?);
            joined.collect()
        })
    }

    fn save(&self, results: &[Line]) -> anyhow::Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        for line in results {
            table.serialize(line)?;
        }
        Ok(files::write(&self.results(), &String::from_utf8(table.into_inner()?)?)?)
    }

    /// Trains a sample up to a budget and evaluates it; `None` if `stop` was asked for.
    fn play(&self, sample: usize, budget: u64, last: u64, stop: &StopRequest) -> anyhow::Result<Option<f64>> {
        let folder = self.sample_folder(sample);
        let begun = match RunDir::open(&folder) {
            Ok(dir) => dir.checkpoints()?.last().copied(),
            Err(_) => None,
        };
        if begun.is_none_or(|frames| frames < budget) {
            let mut command = program()?;
            command.arg("train");
            match begun {
                Some(_) => {
                    command.arg("--resume").arg(&folder);
                }
                None => {
                    if folder.exists() {
                        fs::remove_dir_all(&folder).map_err(files::failed("can't remove", &folder))?;
                    }
                    command.args(&self.arguments).args(["--frames", &last.to_string()]);
                    for setting in self.space.sample(sample) {
                        command.args(["--set", &setting]);
                    }
                    command.arg("--run-dir").arg(&folder).args(threads(self.jobs));
                }
            }
            command.args(["--until", &budget.to_string()]);
            if let Some(roms) = &self.roms {
                command.arg("--roms").arg(roms);
            }
            if let Some(said) = last_words(command, stop, &mut || ())? {
                bail!("{said}");
            }
            if stop.signal().is_some() {
                return Ok(None);
            }
        }
        let mut command = program()?;
        command.arg("eval").arg(&folder).arg("--json");
        command
            .args(["--episodes", &self.space.episodes.to_string()])
            .args(threads(self.jobs));
        let Some(text) = output(command, stop)? else {
            return Ok(None);
        };
        #[derive(Deserialize)]
        struct Report {
            mean: f64,
        }
        let report: Report = serde_json::from_str(&text).context("the evaluation's report cannot be read")?;
        Ok(Some(report.mean))
    }

    /// The samples that got furthest first, each with its scores and settings, in Markdown.
    pub(crate) fn ranking(&self, results: &[Line]) -> anyhow::Result<String> {
        let budgets = self.space.frames()?;
        let mut rows: Vec<(usize, Vec<Option<f64>>)> = (0..self.space.samples)
            .map(|sample| {
                let score = |&budget: &u64| {
                    let mut lines = results
                        .iter()
                        .filter(|line| (line.sample, line.frames) == (sample, budget));
                    lines.next().and_then(|line| line.score)
                };
                (sample, budgets.iter().map(score).collect())
            })
            .collect();
        let key = |scores: &[Option<f64>]| {
            let reached = scores.iter().rposition(Option::is_some);
            (
                reached.map_or(0, |at| at + 1),
                reached.and_then(|at| scores[at]).unwrap_or(f64::NEG_INFINITY),
            )
        };
        rows.sort_by(|(_, a), (_, b)| {
            let (a, b) = (key(a), key(b));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        let mut text = "| sample |".to_owned();
        budgets
            .iter()
            .for_each(|budget| text += &format!(" {} |", crate::count::short(*budget)));
        text += " settings |\n|---|";
        budgets.iter().for_each(|_| text += "---:|");
        text += "---|\n";
        for (sample, scores) in rows {
            text += &format!("| {sample} |");
            for score in scores {
                text += &format!(" {} |", score.map_or_else(String::new, number));
            }
            let settings = self.space.sample(sample);
            let settings = if settings.is_empty() {
                "the preset".to_owned()
            } else {
                settings.join(", ")
            };
            text += &format!(" {settings} |\n");
        }
        Ok(text)
    }
}

/// The scores of contenders at a budget.
fn at(results: &[Line], budget: u64, contenders: &[usize]) -> Vec<(usize, f64)> {
    let lines = results
        .iter()
        .filter(|line| line.frames == budget && contenders.contains(&line.sample));
    lines.filter_map(|line| Some((line.sample, line.score?))).collect()
}

/// Where the best settings are.
pub(crate) fn best(folder: &Path) -> PathBuf {
    folder.join("best.toml")
}
