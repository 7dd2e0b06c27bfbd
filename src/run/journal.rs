//! What a run keeps beside its trainer: rows of metrics, scores, which checkpoints to spare. It is saved with every checkpoint, so that a run that
//! goes on writes the rows that it would have written.

use coinop_agents::Section;
use serde::{Deserialize, Serialize};

use super::dir::RunDir;
use super::evaluations::EvalFile;
use super::metrics::{Metrics, MetricsState, Scores};
use crate::config::Config;

/// The section's name in a checkpoint.
const SECTION: &str = "run";

/// The files and numbers of a run.
pub(crate) struct Journal {
    pub(crate) metrics: Metrics,
    pub(crate) scores: Scores,
    pub(crate) marks: Marks,
    pub(crate) evals: EvalFile,
    /// Where the metrics stood before the row that a run writes when it ends.
    pub(crate) end: Option<MetricsState>,
}

/// Checkpoints that are special.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// The frames after which the next milestone is due; 0 for none.
    pub(crate) next_milestone: u64,
    /// The checkpoints that were milestones.
    pub(crate) milestones: Vec<u64>,
}

impl Marks {
    pub(crate) fn is_milestone(&self, frames: u64) -> bool {
        (1..=frames).contains(&self.next_milestone)
    }

    /// A checkpoint was written; `every` so many frames one is a milestone.
    pub(crate) fn note(&mut self, frames: u64, every: u64) {
        if self.is_milestone(frames) {
            self.next_milestone = (frames / every + 1) * every;
            self.milestones.push(frames);
        }
    }
}

impl Journal {
    /// Of a new run.
    pub(crate) fn create(dir: &RunDir, config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            metrics: Metrics::create(dir, config.run.metrics_frames)?,
            scores: Scores::default(),
            marks: Marks {
                next_milestone: config.run.milestone_frames,
                ..Marks::default()
            },
            evals: EvalFile::create(dir)?,
            end: None,
        })
    }

    /// Of a run that goes on where a checkpoint of it was written.
    pub(crate) fn resume(dir: &RunDir, config: &Config, from: &Section) -> anyhow::Result<Self> {
        let from = from.section(SECTION)?;
        Ok(Self {
            metrics: Metrics::resume(dir, config.run.metrics_frames, from.get("metrics")?)?,
            scores: from.get("scores")?,
            marks: from.get("marks")?,
            evals: EvalFile::resume(dir, &from.get("evals")?)?,
            end: None,
        })
    }

    /// Whether a checkpoint is not to be removed for its age.
    pub(crate) fn spare(&self, frames: u64) -> bool {
        let is_best = self.evals.best().is_some_and(|best| best.frames == frames);
        is_best || self.marks.milestones.contains(&frames)
    }

    pub(crate) fn save(&self, out: &mut Section) -> anyhow::Result<()> {
        let out = out.section_mut(SECTION);
        match &self.end {
            Some(before) => out.put("metrics", before)?,
            None => out.put("metrics", &self.metrics.state()?)?,
        }

        out.put("scores", &self.scores)?;
        out.put("evals", &self.evals.mark()?)?;
        Ok(out.put("marks", &self.marks)?)
    }
}
