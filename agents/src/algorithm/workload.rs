//! What a benchmark measures of an algorithm: its network and its learner, without environments or memories.

use coinop_envs::EnvSpec;
use coinop_envs::rng::{Rng, stream};
use tch::{Kind, Tensor};

use crate::network::{ActorCritic, Observation, QNetwork, RecurrentState};
use crate::replay::ReplayConfig;
use crate::{AgentError, Learner};

/// The network operations in a unit of training. They set the floor of its time: no training is faster than its
/// answers and updates alone or, where they are computed at the same time, than the slower of the two.
///
/// ```
/// use coinop_agents::algorithm::{Algorithm, Workload};
/// use coinop_agents::paac::PaacConfig;
///
/// // A rollout of 32 environments, and one more answer, for the values of the last observations.
/// let config = PaacConfig::paac();
/// let Some(Workload { act_batch, acts, learn_batch, learns, .. }) = config.workload() else { unreachable!() };
/// assert_eq!((act_batch, acts, learn_batch, learns), (32, 6.0, 160, 1.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The batch size of acting.
    pub act_batch: usize,
    /// The number of answers.
    pub acts: f64,
    /// The batch size of learning.
    pub learn_batch: usize,
    /// The number of updates.
    pub learns: f64,
    /// Agent steps in the unit.
    pub steps: f64,
    /// The number of workers doing the same in parallel, each on its own core.
    pub workers: usize,
    /// The replay memory, if there is one.
    pub replay: Option<ReplayConfig>,
}

impl Workload {
    /// The workload of workers that each answer one observation at a time and learn from whole rollouts.
    pub(crate) fn of_workers(workers: usize, rollout_steps: usize) -> Self {
        Self {
            act_batch: 1,
            acts: rollout_steps as f64 + 1.0,
            learn_batch: rollout_steps,
            learns: 1.0,
            steps: rollout_steps as f64,
            workers,
            replay: None,
        }
    }
}

/// A network and its learner with made-up observations.
pub trait Work {
    /// Answers a batch of observations and waits for the answers.
    ///
    /// # Errors
    ///
    /// If the network fails.
    fn act(&mut self) -> Result<(), AgentError>;

    /// Performs one update. The learning rate is 0, so that the weights stay as they are.
    ///
    /// # Errors
    ///
    /// If the network fails, or the loss is not finite.
    fn learn(&mut self) -> Result<(), AgentError>;
}

/// The [`Work`] of a learner: `act` answers, and `batch` is learned from.
pub(crate) struct LearnerWork<L: Learner, F> {
    pub(crate) learner: L,
    pub(crate) batch: L::Batch,
    pub(crate) act: F,
}

impl<L: Learner, F: FnMut(&L) -> Result<(), AgentError>> Work for LearnerWork<L, F> {
    fn act(&mut self) -> Result<(), AgentError> {
        (self.act)(&self.learner)
    }

    fn learn(&mut self) -> Result<(), AgentError> {
        self.learner.learn(&self.batch).map(drop)
    }
}

/// Computes action probabilities and waits for them.
pub(crate) fn act_by_policy(
    network: &ActorCritic,
    obs: &Tensor,
    is_first: &[bool],
    state: &mut RecurrentState,
) -> Result<(), AgentError> {
    let (logits, _) = network.infer(obs, is_first, state)?;
    logits.f_softmax(1, Kind::Float)?.f_double_value(&[0, 0])?;
    Ok(())
}

/// Computes action values and waits for them.
pub(crate) fn act_by_values(network: &QNetwork, obs: &Tensor) -> Result<(), AgentError> {
    network.infer(obs)?.f_double_value(&[0, 0])?;
    Ok(())
}

/// The random stream of networks at made-up work.
pub(crate) fn made_up_rng() -> Rng {
    stream(0, "bench", 0)
}

/// `n` actions, all of them in turn.
pub(crate) fn made_up_actions(spec: &EnvSpec, n: usize) -> Vec<i64> {
    (0..n).map(|i| (i % spec.num_actions) as i64).collect()
}

/// `n` numbers between -1 and 1.
pub(crate) fn made_up_numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32).sin()).collect()
}

/// `n` consecutive observations with many values.
pub(crate) fn made_up_obs<O: Observation>(spec: &EnvSpec, n: usize) -> Vec<O> {
    (0..n * spec.obs_shape.len())
        .map(|i| O::from((i.wrapping_mul(i) % 251) as u8))
        .collect()
}
