//! The interface between the run loop and algorithms.

use crate::times::Times;
use crate::{AgentError, Checkpoint, Metrics, Section, TrainError};

/// A finished episode.
///
/// ```
/// use coinop_agents::Episode;
///
/// fn mean(episodes: &[Episode]) -> f64 {
///     episodes.iter().map(|episode| episode.score).sum::<f64>() / episodes.len() as f64
/// }
/// # let _ = mean;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Episode {
    /// The actor (environment) that played it.
    pub actor: usize,
    /// The sum of the unclipped rewards.
    pub score: f64,
    /// Its length in agent steps.
    pub steps: u64,
}

/// What one [`Trainer::step`] did, and the state of the run after it.
///
/// ```
/// use coinop_agents::{Progress, TrainError, Trainer};
///
/// /// Trains for a number of frames and prints scores.
/// fn run(trainer: &mut dyn Trainer, frames: u64) -> Result<(), TrainError> {
///     loop {
///         let Progress { frames: played, episodes, .. } = trainer.step()?;
///         for episode in episodes {
///             println!("{played} frames: actor {} scored {}", episode.actor, episode.score);
///         }
///         if played >= frames {
///             return Ok(());
///         }
///     }
/// }
/// # let _ = run;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Emulator frames so far, over all actors: agent steps times frames per step.
    pub frames: u64,
    /// Agent steps so far, over all actors.
    pub steps: u64,
    /// Updates of the weights so far.
    pub updates: u64,
    /// The episodes that ended during this step.
    pub episodes: &'a [Episode],
    /// Metrics, recorded with every update of this step. The names must be the same from the first step on, so a
    /// trainer that performs no updates at first returns [`Metrics::of`] with its names.
    pub metrics: &'a Metrics,
    /// The current epsilon of each actor.
    pub epsilons: &'a [f32],
}

/// How a resumed run continues, compared with an uninterrupted one. With a different number of libtorch threads, sums
/// are rounded differently, so no run is exact then.
///
/// ```
/// use coinop_agents::{Resumption, Trainer};
///
/// fn is_bit_for_bit(trainer: &dyn Trainer) -> bool {
///     trainer.resumption() == Resumption::Exact
/// }
/// # let _ = is_bit_for_bit;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumption {
    /// Bit for bit identically.
    Exact,
    /// With new episodes, because the environments do not support [snapshots](coinop_envs::Env::snapshot), or because
    /// a step failed.
    NewEpisodes,
    /// Identically except for thread timing or a GPU's order of summation, which differ between any two runs.
    Timing,
}

/// A training algorithm with its environments, networks, learner and memory, advanced by [`step`](Self::step).
///
/// The trait does not mention the observation type, so one run loop serves all. The [`Checkpoint`] of a trainer
/// contains everything that learning depends on, except for what [`resumption`](Self::resumption) says.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_agents::algorithm::{Algorithm, RunSettings};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let run = RunSettings::new(10_000, 1);
/// let mut trainer = PpoConfig::classic().trainer(Arc::new(FromFn::new(|| Ok(CartPole::v1()))?), &run)?;
/// let mut scores = Vec::new();
/// loop {
///     let progress = trainer.step()?;
///     scores.extend(progress.episodes.iter().map(|episode| episode.score));
///     if progress.frames >= run.frames {
///         break;
///     }
/// }
/// assert!(scores.len() > 50);
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
pub trait Trainer: Checkpoint {
    /// How a run resumed from a checkpoint taken now would continue.
    fn resumption(&self) -> Resumption;

    /// The time spent so far in each part of training; empty if the trainer does not measure it.
    fn times(&self) -> Times {
        Times::default()
    }

    /// Takes the weights from the checkpoint of another trainer, and nothing else: optimisers, memories, counters and
    /// random streams stay as they are.
    ///
    /// # Errors
    ///
    /// If the trainer cannot, or its network has another architecture.
    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let _ = from;
        Err(AgentError::NoWeights.into())
    }

    /// Begins new episodes with new random streams, after the state of a rank of another number of ranks was loaded:
    /// see [`Leader`](crate::distributed::Leader).
    ///
    /// # Errors
    ///
    /// If the trainer cannot, or libtorch fails.
    fn renew(&mut self) -> Result<(), TrainError> {
        Err(AgentError::OtherRanks.into())
    }

    /// Performs the smallest unit of training of the algorithm, e.g. one rollout and its update.
    ///
    /// # Errors
    ///
    /// If an environment or the agent fails. The trainer can then still be saved, so that nothing learned before is
    /// lost, but not stepped. Such a checkpoint contains no current episodes, because environments, observations and
    /// memory belong to different moments.
    fn step(&mut self) -> Result<Progress<'_>, TrainError>;
}
