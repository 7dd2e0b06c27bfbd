//! Evaluations during training: a row per episode in `eval.csv`, and the best checkpoint.

use std::path::Path;

use serde::Deserialize;

use super::dir::RunDir;
use super::sinks::{Csv, Mark, Sink};
use crate::evaluation::{Played, statistics};
use crate::files::{self, FileError, failed};

/// The columns that are read back.
#[derive(Debug, Deserialize)]
struct EvalRow {
    frames: u64,
    score: f64,
}

/// The evaluation of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evaluated {
    /// The frames of the checkpoint.
    pub(crate) frames: u64,
    /// The mean score.
    pub(crate) mean: f64,
    pub(crate) episodes: usize,
}

/// All evaluations of a run.
#[derive(Debug, Default)]
pub(crate) struct Evaluations(Vec<Evaluated>);

impl Evaluations {
    /// Reads the evaluations in a file; empty if there is none.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = files::read(path)?;
        // A process that was killed may have left half a row.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut table = csv::Reader::from_reader(whole.as_bytes());
        let mut scores: Vec<(u64, Vec<f64>)> = Vec::new();
        for row in table.deserialize() {
            let EvalRow { frames, score } = row.map_err(|error| failed("can't read", path)(error.into()))?;
            match scores.last_mut() {
                Some((last, scores)) if *last == frames => scores.push(score),
                _ => scores.push((frames, vec![score])),
            }
        }
        let evaluated = |(frames, scores): (u64, Vec<f64>)| Evaluated {
            frames,
            mean: statistics(&scores).0,
            episodes: scores.len(),
        };
        Ok(Self(scores.into_iter().map(evaluated).collect()))
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[Evaluated] {
        &self.0
    }

    /// The last one.
    pub(crate) fn last(&self) -> Option<Evaluated> {
        self.0.last().copied()
    }

    /// The evaluation with the highest finite mean score; the latest one on ties.
    pub(crate) fn best(&self) -> Option<Evaluated> {
        let finite = self.0.iter().copied().filter(|evaluated| evaluated.mean.is_finite());
        finite.max_by(|a, b| a.mean.total_cmp(&b.mean))
    }
}

/// Writes evaluations.
pub(crate) struct EvalFile {
    csv: Csv,
    evaluations: Evaluations,
}

impl EvalFile {
    pub(crate) fn create(dir: &RunDir) -> Result<Self, FileError> {
        Ok(Self {
            csv: Csv::create(&dir.evaluations())?,
            evaluations: Evaluations::default(),
        })
    }

    /// Continues the file of a resumed run.
    pub(crate) fn resume(dir: &RunDir, mark: &Mark) -> anyhow::Result<Self> {
        let csv = Csv::resume(&dir.evaluations(), mark)?;
        let evaluations = Evaluations::read(&dir.evaluations())?;
        Ok(Self { csv, evaluations })
    }

    pub(crate) fn mark(&self) -> Result<Mark, FileError> {
        self.csv.mark()
    }

    /// Adds an evaluation of the checkpoint after `frames` frames.
    pub(crate) fn add(&mut self, frames: u64, played: &Played) -> Result<Evaluated, FileError> {
        for (episode, (score, steps)) in played.episodes.iter().enumerate() {
            let row = [
                frames.to_string(),
                episode.to_string(),
                score.to_string(),
                steps.to_string(),
            ];
            self.csv.row(["frames", "episode", "score", "steps"], row)?;
        }
        let evaluated = Evaluated {
            frames,
            mean: statistics(&played.scores()).0,
            episodes: played.episodes.len(),
        };
        self.evaluations.0.push(evaluated);
        Ok(evaluated)
    }

    /// The best evaluation so far.
    pub(crate) fn best(&self) -> Option<Evaluated> {
        self.evaluations.best()
    }

    /// The frames of the last evaluation; 0 if there was none.
    pub(crate) fn last(&self) -> u64 {
        self.evaluations.last().map_or(0, |last| last.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_one_with_the_highest_mean_and_is_known_again() {
        let base = tempfile::tempdir().unwrap();
        let dir = RunDir::create(&base.path().join("run")).unwrap();
        assert_eq!(Evaluations::read(&dir.evaluations()).unwrap().best(), None);
        let mut file = EvalFile::create(&dir).unwrap();
        assert_eq!(Evaluations::read(&dir.evaluations()).unwrap().best(), None);
        let played = |scores: &[f64]| Played {
            episodes: scores.iter().map(|score| (*score, 10)).collect(),
            frames_per_step: 4,
        };
        let mut mark = None;
        for (frames, scores) in [
            (100, [1.0, 2.0]),
            (200, [5.0, 4.0]),
            (300, [4.0, 5.0]),
            (400, [9.0, -9.0]),
        ] {
            let evaluated = file.add(frames, &played(&scores)).unwrap();
            assert_eq!(evaluated.mean, f64::midpoint(scores[0], scores[1]));
            if frames == 200 {
                mark = Some(file.mark().unwrap());
            }
        }
        let best = |file: &EvalFile| file.best().map(|best| (best.frames, best.mean));
        assert_eq!((best(&file), file.last()), (Some((300, 4.5)), 400));
        let text = std::fs::read_to_string(dir.evaluations()).unwrap();
        assert!(
            text.starts_with("frames,episode,score,steps\n100,0,1,10\n100,1,2,10\n200,0,5,10\n"),
            "{text}"
        );
        assert_eq!(Evaluations::read(&dir.evaluations()).unwrap().best(), file.best());
        file.add(500, &played(&[f64::NAN, 99.0])).unwrap();
        file.add(600, &played(&[f64::INFINITY, 99.0])).unwrap();
        assert_eq!(best(&file), Some((300, 4.5)));
        // A run resumed from a checkpoint discards what came later.
        let resumed = EvalFile::resume(&dir, &mark.unwrap()).unwrap();
        assert_eq!((best(&resumed), resumed.last()), (Some((200, 4.5)), 200));
    }
}
