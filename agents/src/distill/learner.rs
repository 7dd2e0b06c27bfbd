//! The update of distillation.

use std::slice;

use tch::{Kind, TchError, Tensor};

use super::DistillConfig;
use crate::distributed::Ranks;
use crate::losses::{distillation_loss, entropy, value_loss};
use crate::metrics::{Unread, check_finite, statistics};
use crate::network::{ActorCritic, RecurrentState};
use crate::optim::{Optimizer, clip_grad_norm};
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Section};

/// The batch of an update: tensors whose first dimension is the sample, on the network's device.
#[derive(Debug)]
pub struct DistillBatch {
    /// Observations `[n, obs_shape…]`.
    pub obs: Tensor,
    /// The teacher's probabilities, softened `[n, actions]`.
    pub targets: Tensor,
    /// The teacher's values `[n]`, if it has any.
    pub values: Option<Tensor>,
    /// Whether each observation starts an episode `[n]`; ignored by feed-forward networks.
    pub is_first: Vec<bool>,
    /// The student's recurrent state before the first step. If it is recurrent, samples are ordered by step.
    pub state: RecurrentState,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

statistics! {
    /// Statistics of one update.
    ///
    /// ```
    /// use coinop_agents::distill::DistillStats;
    ///
    /// fn is_learned(stats: &DistillStats) -> bool {
    ///     stats.agreement > 0.95
    /// }
    /// assert!(!is_learned(&DistillStats::default()));
    /// ```
    pub struct DistillStats {
        /// The whole loss.
        loss,
        /// The Kullback-Leibler divergence of the student's policy from the softened answers of the teacher, in nats.
        divergence,
        /// `mean((V_teacher - V)²) / max(1, mean(V_teacher²))`; 0 if the teacher has no values.
        value_loss,
        /// The mean entropy of the student's policy, in nats.
        entropy,
        /// How often both find the same action best.
        agreement,
        /// The norm of the gradient before clipping.
        grad_norm,
    }
}

impl DistillStats {
    /// Returns an error if the update diverged; `updates` came before it.
    fn check(&self, updates: u64) -> Result<(), AgentError> {
        let numbers = [("the loss", self.loss), ("the norm of the gradient", self.grad_norm)];
        check_finite(&numbers, updates)
    }
}

/// The student's network and its optimiser.
///
/// The loss is the [`distillation_loss`] (Rusu et al. 2015, arXiv 1511.06295) plus `c` times the value
/// loss of [`DistillStats`].
///
/// ```
/// use coinop_agents::distill::{DistillBatch, DistillConfig, DistillLearner};
/// use coinop_agents::network::ActorCritic;
/// use coinop_agents::tch::Tensor;
/// use coinop_agents::{Device, Learner};
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
///
/// let config = DistillConfig::classic();
/// let spec = CartPole::v1().spec();
/// let network = ActorCritic::new(&config.network, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let batch = DistillBatch {
///     obs: network.body().input(&[0.1f32; 2 * 4])?,
///     targets: Tensor::from_slice2(&[[0.9f32, 0.1], [0.9, 0.1]]),
///     values: None,
///     is_first: vec![true; 2],
///     state: network.initial_state(2)?,
///     learning_rate: 1e-3,
/// };
/// let mut learner = DistillLearner::new(&config, network)?;
/// let first = learner.learn(&batch)?;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.divergence < first.divergence);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct DistillLearner {
    network: ActorCritic,
    optimizer: Optimizer,
    value_weight: f64,
    max_grad_norm: Option<f64>,
    ranks: Ranks,
    updates: u64,
}

impl DistillLearner {
    /// Creates a learner for a network with its initial weights.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics.
    pub fn new(config: &DistillConfig, network: ActorCritic) -> Result<Self, AgentError> {
        Ok(Self {
            optimizer: Optimizer::new(config.optimizer, &network.params().flat())?,
            network,
            value_weight: config.value_weight,
            max_grad_norm: config.max_grad_norm,
            ranks: Ranks::default(),
            updates: 0,
        })
    }

    /// Learns together with others: gradients are those of all ranks.
    #[must_use]
    pub fn with(self, ranks: Ranks) -> Self {
        Self { ranks, ..self }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &ActorCritic {
        &self.network
    }

    /// The network, for centering and loading.
    pub(super) fn network_mut(&mut self) -> &mut ActorCritic {
        &mut self.network
    }

    /// The number of updates so far.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

impl Learner for DistillLearner {
    type Batch = DistillBatch;
    type Stats = DistillStats;

    fn learn(&mut self, batch: &DistillBatch) -> Result<DistillStats, AgentError> {
        let (logits, values) = self
            .network
            .forward(&batch.obs, &batch.is_first, &mut batch.state.copy()?)?;
        let divergence = distillation_loss(&logits, &batch.targets)?;
        let value_loss = match &batch.values {
            Some(of_teacher) => value_loss(&values, of_teacher)?.f_div(&scale(of_teacher)?)?,
            None => values.f_zeros_like()?.f_mean(Kind::Float)?,
        };
        let loss = divergence.f_add(&value_loss.f_mul_scalar(self.value_weight)?)?;
        let mut gradient = self.network.params().mean_gradient(&loss, &self.ranks)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
        let logits = logits.f_detach()?;
        let same = logits
            .f_argmax(1, false)?
            .f_eq_tensor(&batch.targets.f_argmax(1, false)?)?;
        let entropy = entropy(&logits.f_log_softmax(1, Kind::Float)?)?.f_mean(Kind::Float)?;
        let agreement = same.f_to_kind(Kind::Float)?.f_mean(Kind::Float)?;
        let stats = Unread::of(&[loss, divergence, value_loss, entropy, agreement, grad_norm])?;
        let stats = DistillStats::of(Unread::read(slice::from_ref(&stats))?[0]);
        stats.check(self.updates)?;
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        self.ranks
            .check_now_and_then(self.updates, &self.network.params().flat())?;
        Ok(stats)
    }
}

/// What errors of values are measured by: the mean square of the teacher's, at least 1. Rewards, and so values, may be of
/// any size, and a large error must not hide the policy's.
fn scale(values: &Tensor) -> Result<Tensor, TchError> {
    values.f_square()?.f_mean(Kind::Float)?.f_clamp_min(1.0)
}

impl Checkpoint for DistillLearner {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.network.save(out.section_mut("network"))?;
        self.optimizer.save(out.section_mut("optimizer"))?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.network.load(from.section("network")?)?;
        self.optimizer.load(from.section("optimizer")?)?;
        self.updates = from.get("updates")?;
        Ok(())
    }
}
