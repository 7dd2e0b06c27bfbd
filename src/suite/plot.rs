//! Learning curves of a suite: a panel for each environment, a curve for each agent, the mean over its seeds.

use anyhow::{anyhow, bail};

use super::file::SuiteFile;
use super::plan::Job;
use crate::commands::plot::{MEAN_SCORE, Series};
use crate::report::curve::{Curve, Over, Panel, draw_grid};

/// Draws what the runs have played so far, finished or not.
pub(crate) fn svg(suite: &SuiteFile, jobs: &[Job], over: Over) -> anyhow::Result<String> {
    let series = Series::of(MEAN_SCORE, 1);
    let mut panels = Vec::new();
    for env in &suite.envs {
        let mut curves = Vec::new();
        for (number, agent) in suite.agents.iter().enumerate() {
            let is_of = |job: &&Job| (&job.agent, &job.env) == (&agent.name, env) && job.folder.exists();
            let runs = jobs.iter().filter(is_of).map(|job| series.read(&job.folder));
            let mut runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
            runs.retain(|points| !points.is_empty());
            if !runs.is_empty() {
                curves.push((number, Curve::mean_of(agent.name.clone(), runs)));
            }
        }
        if !curves.is_empty() {
            panels.push(Panel {
                title: env.clone(),
                curves,
            });
        }
    }
    if panels.is_empty() {
        bail!("no run in `{}` has a score yet", suite.runs.display());
    }
    draw_grid(&panels, over, &series.title()).map_err(|error| anyhow!("can't draw the curves: {error}"))
}
