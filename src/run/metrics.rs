//! Metrics of a run: rows at regular intervals in `metrics.csv` and for TensorBoard, and every actor's epsilon in
//! `epsilons.csv` whenever they change.

use std::collections::VecDeque;
use std::time::Instant;

use coinop_agents::{Episode, Metrics, Progress};
use serde::{Deserialize, Serialize};

use super::dir::RunDir;
use super::journal::is_due;
use super::sinks::{Cell, Csv, Mark, Sink};
use super::tensorboard::TensorBoard;
use crate::evaluation::statistics;
use crate::files::FileError;

/// The number of episodes that mean scores cover.
pub(crate) const WINDOW: usize = 100;

/// The scores of the last [`WINDOW`] episodes.
#[derive(Debug, Default, Serialize, Deserialize)]
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

    /// The mean score; `None` before the end of the first episode.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.average(|(score, _)| *score)
    }

    fn mean_steps(&self) -> Option<f64> {
        self.average(|(_, steps)| *steps as f64)
    }

    fn average(&self, value: impl Fn(&(f64, u64)) -> f64) -> Option<f64> {
        (!self.last.is_empty()).then(|| self.last.iter().map(value).sum::<f64>() / self.last.len() as f64)
    }

    /// The total number of episodes.
    pub(crate) fn episodes(&self) -> u64 {
        self.episodes
    }
}

/// Collects the metrics of a run and passes them to the sinks at regular intervals.
pub(crate) struct MetricsLog {
    csv: Csv,
    board: TensorBoard,
    epsilons: Csv,
    every_frames: u64,
    start: Instant,
    at: At,
}

/// The state of the metrics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct At {
    /// The run's seconds when this process resumed it.
    seconds: f64,
    /// The frames and seconds of the last row.
    last_row: (u64, f64),
    /// Metrics recorded since the last row.
    sum: Metrics,
    steps: u64,
    last_epsilons: Vec<f32>,
}

/// The state that checkpoints contain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MetricsState {
    at: At,
    /// The positions in the table, the TensorBoard file and the epsilons.
    files: [Mark; 3],
}

impl MetricsLog {
    pub(crate) fn create(dir: &RunDir, every_frames: u64, settings: &str) -> Result<Self, FileError> {
        let mut board = TensorBoard::create(dir.path())?;
        board.text("settings", &format!("```toml\n{settings}```\n"))?;
        // They were written by this program.
        if let Ok(table) = toml::from_str(settings) {
            board.hyperparameters(&table)?;
        }
        Ok(Self {
            csv: Csv::create(&dir.metrics())?,
            board,
            epsilons: Csv::create(&dir.epsilons())?,
            every_frames,
            start: Instant::now(),
            at: At::default(),
        })
    }

    /// Continues the files of a run from a saved state.
    pub(crate) fn resume(dir: &RunDir, every_frames: u64, state: MetricsState) -> Result<Self, FileError> {
        let [csv, board, epsilons] = &state.files;
        Ok(Self {
            csv: Csv::resume(&dir.metrics(), csv)?,
            board: TensorBoard::resume(dir.path(), board)?,
            epsilons: Csv::resume(&dir.epsilons(), epsilons)?,
            every_frames,
            start: Instant::now(),
            at: state.at,
        })
    }

    pub(crate) fn state(&self) -> Result<MetricsState, FileError> {
        Ok(MetricsState {
            at: At {
                seconds: self.seconds(),
                ..self.at.clone()
            },
            files: [self.csv.mark()?, self.board.mark()?, self.epsilons.mark()?],
        })
    }

    /// The duration of the run in seconds, over all processes.
    pub(crate) fn seconds(&self) -> f64 {
        self.at.seconds + self.start.elapsed().as_secs_f64()
    }

    /// Records a trainer's step and writes rows that are due; returns whether one was.
    pub(crate) fn add(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<bool, FileError> {
        self.at.sum.add(progress.metrics);
        self.at.steps += 1;
        if self.at.last_epsilons != progress.epsilons {
            self.at.last_epsilons = progress.epsilons.to_vec();
            let actors = (0..progress.epsilons.len()).map(|actor| format!("actor_{actor}"));
            let header = std::iter::once("frames".to_owned()).chain(actors);
            let epsilons = progress.epsilons.iter().map(f32::to_string);
            let row = std::iter::once(progress.frames.to_string()).chain(epsilons);
            self.epsilons.row(header, row)?;
        }
        let due = is_due(self.at.last_row.0, progress.frames, self.every_frames);
        if due {
            self.write_row(progress, scores)?;
        }
        Ok(due)
    }

    /// Shows an evaluation after `frames` frames in TensorBoard.
    pub(crate) fn show_evaluation(&mut self, frames: u64, scores: &[f64]) -> Result<(), FileError> {
        let (mean, std, min, max) = statistics(scores);
        let cell = |name, value| Cell {
            group: "evaluation",
            name,
            value: Some(value),
        };
        let cells = [
            cell("mean_score", mean),
            cell("std_score", std),
            cell("min_score", min),
            cell("max_score", max),
        ];
        self.board.write(frames, &cells)
    }

    /// Shows a video of the agent after `frames` frames in TensorBoard, a GIF.
    pub(crate) fn show_video(&mut self, frames: u64, size: (usize, usize), gif: Vec<u8>) -> Result<(), FileError> {
        self.board.picture(frames, "video", size, gif)
    }

    /// Writes the last row if steps followed the previous one.
    pub(crate) fn finish(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<(), FileError> {
        if self.at.steps > 0 {
            self.write_row(progress, scores)
        } else {
            Ok(())
        }
    }

    fn write_row(&mut self, progress: &Progress<'_>, scores: &Scores) -> Result<(), FileError> {
        let seconds = self.seconds();
        let (last_frames, last_seconds) = self.at.last_row;
        let speed = (progress.frames - last_frames) as f64 / (seconds - last_seconds).max(1e-9);
        fn cell<'a>(group: &'static str, name: &'a str, value: Option<f64>) -> Cell<'a> {
            Cell { group, name, value }
        }
        let count = |group, name, value: u64| cell(group, name, Some(value as f64));
        let rounded =
            |group, name, value: Option<f64>, unit: f64| cell(group, name, value.map(|x| (x * unit).round() / unit));
        let [least, mean, greatest] = summary(progress.epsilons);
        let mut cells = vec![
            count("time", "steps", progress.steps),
            count("time", "updates", progress.updates),
            rounded("time", "seconds", Some(seconds), 1e3),
            rounded("time", "frames_per_second", Some(speed), 1e1),
            count("episode", "episodes", scores.episodes()),
            rounded("episode", "mean_score", scores.mean(), 1e3),
            rounded("episode", "mean_steps", scores.mean_steps(), 1e3),
        ];
        cells.extend(self.at.sum.means().map(|(name, mean)| cell("train", name, mean)));
        cells.extend([
            cell("explore", "epsilon_min", least),
            cell("explore", "epsilon_mean", mean),
            cell("explore", "epsilon_max", greatest),
        ]);
        self.csv.write(progress.frames, &cells)?;
        self.board.write(progress.frames, &cells)?;
        self.at.last_row = (progress.frames, seconds);
        self.at.sum.clear();
        self.at.steps = 0;
        Ok(())
    }
}

/// Minimum, mean and maximum.
fn summary(epsilons: &[f32]) -> [Option<f64>; 3] {
    if epsilons.is_empty() {
        return [None; 3];
    }
    let wide = || epsilons.iter().copied().map(f64::from);
    let mean = wide().sum::<f64>() / epsilons.len() as f64;
    [
        Some(wide().fold(f64::INFINITY, f64::min)),
        Some(mean),
        Some(wide().fold(0.0, f64::max)),
    ]
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
        let mut metrics = MetricsLog::create(&dir, 100, "").unwrap();
        let scores = Scores::default();
        let mut frames = 0;
        for (loss, epsilons) in [
            (1.0, [0.5, 0.25]),
            (2.0, [0.5, 0.25]),
            (6.0, [0.5, 0.25]),
            (8.0, [0.0, 1.0]),
        ] {
            frames += 40;
            let steps = frames / 4;
            let mut losses = Metrics::default();
            losses.record("loss", loss);
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
