//! The state of a run outside its trainer: metrics, scores, and the checkpoints to keep. It is saved with every
//! checkpoint, so that a resumed run writes the same rows.

use coinop_agents::Section;

use super::dir::RunDir;
use super::evaluations::EvalFile;
use super::metrics::{MetricsLog, MetricsState, Scores};
use crate::config::Config;

/// The section's name in a checkpoint.
const SECTION: &str = "run";

/// The files and counters of a run.
pub(crate) struct Journal {
    pub(crate) metrics: MetricsLog,
    pub(crate) scores: Scores,
    /// The checkpoints that are milestones.
    pub(crate) milestones: Vec<u64>,
    pub(crate) evals: EvalFile,
    /// The state of the metrics before the final row of a finished run.
    pub(crate) end: Option<MetricsState>,
}

/// Whether a multiple of `every` lies after `last` and not after `frames`; never if `every` is 0.
pub(crate) fn is_due(last: u64, frames: u64, every: u64) -> bool {
    every > 0 && frames / every > last / every
}

impl Journal {
    /// Creates the journal of a new run.
    pub(crate) fn create(dir: &RunDir, config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            metrics: MetricsLog::create(dir, config.run.metrics_frames, &config.to_toml()?)?,
            scores: Scores::default(),
            milestones: Vec::new(),
            evals: EvalFile::create(dir)?,
            end: None,
        })
    }

    /// Restores the journal of a run from a checkpoint.
    pub(crate) fn resume(dir: &RunDir, config: &Config, from: &Section) -> anyhow::Result<Self> {
        let evals = Self::resume_evals(dir, from)?;
        let from = from.section(SECTION)?;
        Ok(Self {
            metrics: MetricsLog::resume(dir, config.run.metrics_frames, from.get("metrics")?)?,
            scores: from.get("scores")?,
            milestones: from.get("milestones")?,
            evals,
            end: None,
        })
    }

    /// Restores only the evaluations, truncated to a checkpoint.
    pub(crate) fn resume_evals(dir: &RunDir, from: &Section) -> anyhow::Result<EvalFile> {
        EvalFile::resume(dir, &from.section(SECTION)?.get("evals")?)
    }

    /// Whether a checkpoint after `frames` frames is a milestone; one is due `every` so many frames.
    pub(crate) fn is_milestone(&self, frames: u64, every: u64) -> bool {
        is_due(self.milestones.last().copied().unwrap_or(0), frames, every)
    }

    /// Whether to keep a checkpoint regardless of its age.
    pub(crate) fn spare(&self, frames: u64) -> bool {
        let is_best = self.evals.best().is_some_and(|best| best.frames == frames);
        is_best || self.milestones.contains(&frames)
    }

    pub(crate) fn save(&self, out: &mut Section) -> anyhow::Result<()> {
        let out = out.section_mut(SECTION);
        match &self.end {
            Some(before) => out.put("metrics", before)?,
            None => out.put("metrics", &self.metrics.state()?)?,
        }
        out.put("scores", &self.scores)?;
        out.put("evals", &self.evals.mark()?)?;
        Ok(out.put("milestones", &self.milestones)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_multiple_is_due_once_and_several_that_are_passed_at_once_are_one() {
        let mut last = 0;
        let due: Vec<u64> = (0..=50)
            .map(|step| 7 * step)
            .filter(|&frames| {
                let due = is_due(last, frames, 100);
                if due {
                    last = frames;
                }
                due
            })
            .collect();
        assert_eq!(due, [105, 203, 301]);
        assert!(is_due(0, 950, 100) && !is_due(950, 999, 100) && is_due(950, 1_000, 100));
        assert!(!is_due(0, 1_000, 0));
    }
}
