//! What the run loop sees of an algorithm.

use crate::{Checkpoint, Policy, TrainError};
use coinop_envs::Elem;

/// An episode that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The actor (environment) that played it.
    pub actor: usize,
    /// The sum of the unclipped rewards.
    pub score: f64,
    /// Its length in agent steps.
    pub steps: u64,
}

/// What one [`Trainer::step`] did, and where the run stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Emulator frames so far, over all actors: agent steps times the frames per step.
    pub frames: u64,
    /// Agent steps so far, over all actors.
    pub steps: u64,
    /// Updates of the weights so far.
    pub updates: u64,
    /// The episodes that ended within this step.
    pub episodes: &'a [Episode],
    /// The values of [`Trainer::metric_names`], of the latest update.
    pub metrics: &'a [f64],
    /// The epsilon with which each actor explores now.
    pub epsilons: &'a [f32],
}

/// An algorithm at work: environments, networks, learner and memory, advanced by [`step`](Self::step).
///
/// Its [`Checkpoint`] holds what was learned and all that learning depends on; each algorithm says whether the environments are in it.
pub trait Trainer: Checkpoint {
    /// The element type of observations.
    type Obs: Elem;

    /// The names of the numbers in [`Progress::metrics`]; constant.
    fn metric_names(&self) -> &'static [&'static str];

    /// The smallest piece of training that makes sense to the algorithm, e.g. one rollout and its update.
    ///
    /// # Errors
    ///
    /// When an environment or the agent fails. The trainer must not be used afterwards.
    fn step(&mut self) -> Result<Progress<'_>, TrainError>;

    /// The current policy, to evaluate it; it shares the trainer's weights, and uses none of its random streams.
    fn policy(&mut self) -> Box<dyn Policy<Obs = Self::Obs> + '_>;
}
