//! What the run loop sees of an algorithm.

use crate::{Checkpoint, Row, TrainError};

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
    /// Numbers to watch, recorded with every update of this step. The names are the same from the first step on, so that a trainer whose
    /// first steps update nothing begins with [`Row::of`] its names.
    pub metrics: &'a Row,
    /// The epsilon with which each actor explores now.
    pub epsilons: &'a [f32],
}

/// How a trainer that was loaded from a checkpoint goes on, beside the one that the checkpoint is of. With another number of threads of libtorch
/// numbers are added up in another order, so that no run is exact then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// In the same way, bit for bit.
    Exact,
    /// With new episodes, because the environments have no [snapshots](coinop_envs::Env::snapshot).
    NewEpisodes,
    /// In the same way but for the timing of threads, which is never the same.
    Timing,
}

/// An algorithm at work: environments, networks, learner and memory, advanced by [`step`](Self::step).
///
/// What it observes is its own matter, so that one run loop serves all. Its [`Checkpoint`] holds what was learned and all that learning
/// depends on, and [`resumption`](Self::resumption) says what is not in it.
pub trait Trainer: Checkpoint {
    /// How one that is loaded from a checkpoint of this one goes on.
    fn resumption(&self) -> Resumption;

    /// The smallest piece of training that makes sense to the algorithm, e.g. one rollout and its update.
    ///
    /// # Errors
    ///
    /// When an environment or the agent fails. Afterwards the trainer may be saved, because what it learned before is not lost, but not
    /// stepped.
    fn step(&mut self) -> Result<Progress<'_>, TrainError>;
}
