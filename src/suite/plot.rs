//! Learning curves of a suite: a panel for each environment, a curve for each agent, the mean over its seeds.

use anyhow::{anyhow, bail};

use super::curves::Curves;
use super::file::SuiteFile;
use super::plan::Job;
use crate::commands::plot::{MEAN_SCORE, Series};
use crate::report::curve::{Curve, Over, Panel, draw_grid};

/// Draws what the runs have played so far, finished or not. Of runs whose folders are elsewhere it draws the curves beside the ledger.
pub(crate) fn svg(suite: &SuiteFile, jobs: &[Job], over: Over) -> anyhow::Result<String> {
    let series = Series::of(MEAN_SCORE, 1);
    let finished = Curves::read(&suite.ledger)?;
    let points = |job: &Job| match job.folder.exists() {
        true => series.read(&job.folder),
        false => Ok(finished.of(job)),
    };
    let mut panels = Vec::new();
    for env in &suite.envs {
        let mut curves = Vec::new();
        for (number, agent) in suite.agents.iter().enumerate() {
            let is_of = |job: &&Job| (&job.agent, &job.env) == (&agent.name, env);
            let runs = jobs.iter().filter(is_of).map(points);
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
        bail!(
            "no run in `{}` has a score yet, and neither has a finished one beside `{}`",
            suite.runs.display(),
            suite.ledger.display()
        );
    }
    draw_grid(&panels, over, &series.title()).map_err(|error| anyhow!("can't draw the curves: {error}"))
}
