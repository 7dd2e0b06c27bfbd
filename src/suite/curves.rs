//! The learning curves of finished runs in a file beside the ledger, from which pictures are drawn on machines that do not have the run folders.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::Job;
use super::rows;
use crate::report::curve::Point;

/// The number of points that are kept of a run.
const POINTS: usize = 100;

/// A point of a run's curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    agent: String,
    env: String,
    seed: u64,
    /// The hash of the settings.
    settings: String,
    frames: u64,
    seconds: f64,
    /// The mean score of the last 100 episodes of training.
    mean_score: f64,
}

/// The curves of all finished runs of a suite.
#[derive(Debug)]
pub(crate) struct Curves {
    rows: Vec<Row>,
}

impl Curves {
    /// Reads the curves that belong to a ledger.
    pub(crate) fn read(ledger: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            rows: rows::read(&path(ledger))?,
        })
    }

    /// The curve of a run with its present settings; empty if it has none.
    pub(crate) fn of(&self, job: &Job) -> Vec<Point> {
        let is_of = |row: &&Row| {
            (&row.agent, &row.env, row.seed, &row.settings) == (&job.agent, &job.env, job.seed, &job.settings)
        };
        let mut points: Vec<Point> = Vec::new();
        for row in self.rows.iter().filter(is_of) {
            let frames = row.frames as f64;
            // A run that was finished twice has begun again here.
            if points.last().is_some_and(|last| frames <= last.frames) {
                points.clear();
            }
            points.push(Point {
                frames,
                seconds: row.seconds,
                value: row.mean_score,
            });
        }
        points
    }
}

/// Adds the curve of a finished run to the file that belongs to a ledger, thinned to a hundred points.
pub(crate) fn add(ledger: &Path, job: &Job, points: &[Point]) -> anyhow::Result<()> {
    let row = |point: &Point| Row {
        agent: job.agent.clone(),
        env: job.env.clone(),
        seed: job.seed,
        settings: job.settings.clone(),
        frames: point.frames as u64,
        seconds: point.seconds,
        mean_score: point.value,
    };
    rows::append(&path(ledger), thinned(points).map(row))
}

/// `atari10-curves.csv` for `atari10.csv`.
fn path(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_stem().unwrap_or_default().to_owned();
    name.push("-curves.csv");
    ledger.with_file_name(name)
}

/// Evenly chosen points, the first and the last among them.
fn thinned(points: &[Point]) -> impl Iterator<Item = &Point> {
    let kept = points.len().min(POINTS);
    (0..kept).map(move |i| {
        &points[if kept < 2 {
            i
        } else {
            i * (points.len() - 1) / (kept - 1)
        }]
    })
}

#[cfg(test)]
mod tests {
    use super::super::file::SuiteFile;
    use super::super::plan::{Selection, jobs};
    use super::*;

    fn point(frames: f64, value: f64) -> Point {
        Point {
            frames,
            seconds: frames / 4.0,
            value,
        }
    }

    #[test]
    fn a_curve_is_read_as_it_was_written_and_a_second_one_replaces_it() {
        let suite: SuiteFile = toml::from_str(
            "runs = 'runs/x'\nenvs = ['pong']\nseeds = [1, 2]\nframes = 1000\n[[agents]]\nname = 'ppo'\nalgo = 'ppo'\n",
        )
        .unwrap();
        let jobs = jobs(&suite, &Selection::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ten.csv");
        let read = |job| Curves::read(&ledger).unwrap().of(job);
        assert!(read(&jobs[0]).is_empty());
        let (short, other) = ([point(400.0, -20.5), point(800.0, -20.25)], [point(600.0, 3.0)]);
        add(&ledger, &jobs[0], &short).unwrap();
        add(&ledger, &jobs[1], &other).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("ten-curves.csv")).unwrap(),
            format!(
                "agent,env,seed,settings,frames,seconds,mean_score\n\
                 ppo,pong,1,{hash},400,100.0,-20.5\nppo,pong,1,{hash},800,200.0,-20.25\nppo,pong,2,{hash},600,150.0,3.0\n",
                hash = jobs[0].settings
            )
        );
        assert_eq!((read(&jobs[0]), read(&jobs[1])), (short.to_vec(), other.to_vec()));
        let again = [point(400.0, 1.0), point(800.0, 2.0)];
        add(&ledger, &jobs[0], &again).unwrap();
        assert_eq!((read(&jobs[0]), read(&jobs[1])), (again.to_vec(), other.to_vec()));
    }

    #[test]
    fn a_long_curve_keeps_a_hundred_points_with_both_ends() {
        let frames = |count: u32| {
            let points: Vec<Point> = (0..count).map(|i| point(f64::from(i), 0.0)).collect();
            thinned(&points).map(|point| point.frames).collect::<Vec<f64>>()
        };
        assert_eq!(frames(0), [0.0; 0]);
        assert_eq!(frames(1), [0.0]);
        assert_eq!(frames(100), (0..100).map(f64::from).collect::<Vec<f64>>());
        let many = frames(199);
        assert_eq!((many.len(), many[0], many[1], many[99]), (100, 0.0, 2.0, 198.0));
    }
}
