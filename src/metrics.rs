//! `metrics.csv` and `epsilons.csv`: what a run was like, a row every so many frames.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use coinop_agents::{Episode, Progress};

use crate::files::{FileError, failed};
use crate::run_dir::RunDir;

/// Scores are averaged over this many episodes.
pub(crate) const WINDOW: usize = 100;

/// The columns of `metrics.csv` before the trainer's own; after those come [`EPSILONS`].
const COLUMNS: &str = "frames,steps,updates,seconds,frames_per_second,episodes,mean_score,mean_steps";
const EPSILONS: &str = "epsilon_min,epsilon_mean,epsilon_max";

/// The scores of the last [`WINDOW`] episodes.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    last: VecDeque<(f64, u64)>,
    episodes: u64,
}

impl Scores {
    pub(crate) fn add(&mut self, episodes: &[Episode]) {
        for episode in episodes {
            if self.last.len() == WINDOW {
                self.last.pop_front();
            }
            self.last.push_back((episode.score, episode.steps));
            self.episodes += 1;
        }
    }

    /// The mean score; `None` before the first episode has ended.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.average(|(score, _)| *score)
    }

    fn mean_steps(&self) -> Option<f64> {
        self.average(|(_, steps)| *steps as f64)
    }

    fn average(&self, value: impl Fn(&(f64, u64)) -> f64) -> Option<f64> {
        (!self.last.is_empty()).then(|| self.last.iter().map(value).sum::<f64>() / self.last.len() as f64)
    }

    /// Episodes in all.
    pub(crate) fn episodes(&self) -> u64 {
        self.episodes
    }
}

/// Both files of a run.
pub(crate) struct Metrics {
    metrics: Csv,
    epsilons: Csv,
    every_frames: u64,
    next_frames: u64,
    start: Instant,
    last_row: (u64, f64),
    /// The trainer's metrics, summed over the updates since the last row.
    sums: Vec<f64>,
    count: u64,
    last_epsilons: Vec<f32>,
}

impl Metrics {
    pub(crate) fn create(dir: &RunDir, names: &[&str], actors: usize, every_frames: u64) -> Result<Self, FileError> {
        let header = format!("{COLUMNS},{},{EPSILONS}", names.join(","));
        let actors: Vec<String> = (0..actors).map(|actor| format!("actor_{actor}")).collect();
        Ok(Self {
            metrics: Csv::create(&dir.metrics(), &header)?,
            epsilons: Csv::create(&dir.epsilons(), &format!("frames,{}", actors.join(",")))?,
            every_frames,
            next_frames: every_frames,
            start: Instant::now(),
            last_row: (0, 0.0),
            sums: vec![0.0; names.len()],
            count: 0,
            last_epsilons: Vec::new(),
        })
    }

    /// Takes note of a trainer's step, and writes rows that are due. Says whether one was.
    pub(crate) fn add(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<bool, FileError> {
        self.sums
            .iter_mut()
            .zip(progress.metrics)
            .for_each(|(sum, value)| *sum += value);
        self.count += 1;
        if self.last_epsilons != progress.epsilons {
            self.last_epsilons = progress.epsilons.to_vec();
            self.epsilons
                .row(&format!("{},{}", progress.frames, joined(progress.epsilons)))?;
        }
        let is_due = progress.frames >= self.next_frames;
        if is_due {
            self.next_frames = (progress.frames / self.every_frames + 1) * self.every_frames;
            self.write_row(progress, scores)?;
        }
        Ok(is_due)
    }

    /// Writes the last row, if steps came after the one before.
    pub(crate) fn finish(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<(), FileError> {
        if self.count > 0 {
            self.write_row(progress, scores)
        } else {
            Ok(())
        }
    }

    fn write_row(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<(), FileError> {
        let seconds = self.start.elapsed().as_secs_f64();
        let (last_frames, last_seconds) = self.last_row;
        let speed = (progress.frames - last_frames) as f64 / (seconds - last_seconds).max(1e-9);
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / self.count as f64).collect();
        let row = format!(
            "{},{},{},{seconds:.3},{speed:.1},{},{},{},{},{}",
            progress.frames,
            progress.steps,
            progress.updates,
            scores.episodes(),
            number(scores.mean()),
            number(scores.mean_steps()),
            joined(&means),
            joined(&summary(progress.epsilons)),
        );
        self.last_row = (progress.frames, seconds);
        self.sums.fill(0.0);
        self.count = 0;
        self.metrics.row(&row)
    }
}

/// Least, mean and greatest.
fn summary(epsilons: &[f32]) -> [f32; 3] {
    let mean = epsilons.iter().sum::<f32>() / epsilons.len().max(1) as f32;
    [
        epsilons.iter().copied().fold(f32::INFINITY, f32::min),
        mean,
        epsilons.iter().copied().fold(0.0, f32::max),
    ]
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// A file whose rows are with the system as soon as they are written.
struct Csv {
    file: File,
    path: PathBuf,
}

impl Csv {
    fn create(path: &Path, header: &str) -> Result<Self, FileError> {
        let file = File::create_new(path).map_err(failed("can't create", path))?;
        let mut csv = Self {
            file,
            path: path.to_owned(),
        };
        csv.row(header)?;
        Ok(csv)
    }

    fn row(&mut self, row: &str) -> Result<(), FileError> {
        self.file
            .write_all(format!("{row}\n").as_bytes())
            .map_err(failed("can't write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_the_last_hundred_episodes() {
        let mut scores = Scores::default();
        assert_eq!(scores.mean(), None);
        for score in 0..150 {
            scores.add(&[Episode {
                actor: 0,
                score: f64::from(score),
                steps: 10,
            }]);
        }
        // (50 + 149) / 2
        assert_eq!(
            (scores.mean(), scores.mean_steps(), scores.episodes()),
            (Some(99.5), Some(10.0), 150)
        );
    }

    #[test]
    fn rows_come_when_they_are_due_and_average_what_came_between() {
        let base = tempfile::tempdir().unwrap();
        let dir = RunDir::create(&base.path().join("run")).unwrap();
        let mut metrics = Metrics::create(&dir, &["loss"], 2, 100).unwrap();
        let scores = Scores::default();
        let mut frames = 0;
        for (loss, epsilons) in [
            (1.0, [0.5, 0.25]),
            (2.0, [0.5, 0.25]),
            (6.0, [0.5, 0.25]),
            (8.0, [0.0, 1.0]),
        ] {
            frames += 40;
            let (losses, steps) = ([loss], frames / 4);
            let progress = Progress {
                frames,
                steps,
                updates: 0,
                episodes: &[],
                metrics: &losses,
                epsilons: &epsilons,
            };
            metrics.add(&progress, &scores).unwrap();
            if frames == 160 {
                metrics.finish(&progress, &scores).unwrap();
            }
        }
        let rows: Vec<Vec<String>> = std::fs::read_to_string(dir.metrics())
            .unwrap()
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        let pick = |row: &[String]| [0, 8, 9, 10, 11].map(|column: usize| row[column].clone());
        assert_eq!(
            pick(&rows[0]),
            ["frames", "loss", "epsilon_min", "epsilon_mean", "epsilon_max"]
        );
        assert_eq!(pick(&rows[1]), ["120", "3", "0.25", "0.375", "0.5"]);
        assert_eq!(pick(&rows[2]), ["160", "8", "0", "0.5", "1"]);
        let epsilons = std::fs::read_to_string(dir.epsilons()).unwrap();
        assert_eq!(epsilons, "frames,actor_0,actor_1\n40,0.5,0.25\n160,0,1\n");
    }
}
