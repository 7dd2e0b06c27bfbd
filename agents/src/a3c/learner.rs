//! The update of A3C: the gradient of a rollout, computed with a worker's own network and applied to the shared
//! weights.

use std::sync::Arc;

use tch::{Kind, Tensor};

use super::config::A3cConfig;
use crate::actor_learners::{Exchange, numbers};
use crate::losses::{entropy, mixture_log_probability, policy_gradient_loss, value_loss};
use crate::metrics::statistics;
use crate::network::{ActorCritic, RecurrentState};
use crate::shared::SharedParams;
use crate::{AgentError, Learner};

/// The batch of an update: tensors whose first dimension is the step of the rollout.
#[derive(Debug)]
pub(super) struct A3cBatch {
    /// Observations `[n, obs_shape…]`.
    pub(super) obs: Tensor,
    /// Actions `[n]`.
    pub(super) actions: Tensor,
    /// The epsilons of the actions `[n]`.
    pub(super) epsilons: Tensor,
    /// Advantages `[n]`; constants to the loss.
    pub(super) advantages: Tensor,
    /// Returns `[n]`, the targets of the values.
    pub(super) returns: Tensor,
    /// Whether each observation starts an episode `[n]`; ignored by feed-forward networks.
    pub(super) is_first: Vec<bool>,
    /// The recurrent state before the first step.
    pub(super) state: RecurrentState,
    /// The learning rate of this update.
    pub(super) learning_rate: f64,
}

statistics! {
    /// Statistics of one update.
    pub(super) struct A3cStats {
        /// The total loss, as a mean over the steps.
        loss,
        /// `-mean(A log pi)`.
        policy_loss,
        /// `mean((R - V)²)`.
        value_loss,
        /// The mean entropy of the policy, in nats.
        entropy,
        /// The norm of the gradient before clipping.
        grad_norm,
    }
}

/// A worker's own network and the shared weights.
///
/// The loss is `sum(-A log pi(a|s) - beta H + c (R - V)²)` over the steps of a rollout (Mnih 2016, arXiv 1602.01783, section 4 and algorithm
/// S3).
pub(super) struct A3cLearner {
    pub(super) network: ActorCritic,
    exchange: Exchange,
    entropy_weight: f64,
    value_weight: f64,
}

impl A3cLearner {
    pub(super) fn new(config: &A3cConfig, network: ActorCritic, shared: Arc<SharedParams>) -> Self {
        Self {
            network,
            exchange: Exchange::new(shared, config.max_grad_norm),
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
        }
    }

    /// Copies the shared weights into the worker's network.
    pub(super) fn synchronize(&mut self) -> Result<(), AgentError> {
        self.exchange.read(self.network.params())
    }

    /// Replaces the shared weights by the worker's own.
    pub(super) fn publish(&self) -> Result<(), AgentError> {
        self.exchange.publish(self.network.params())
    }
}

impl Learner for A3cLearner {
    type Batch = A3cBatch;
    type Stats = A3cStats;

    fn learn(&mut self, batch: &A3cBatch) -> Result<A3cStats, AgentError> {
        let (logits, values) = self
            .network
            .forward(&batch.obs, &batch.is_first, &mut batch.state.copy()?)?;
        let log_probabilities = logits.f_log_softmax(1, Kind::Float)?;
        let chosen = mixture_log_probability(&log_probabilities, &batch.actions, &batch.epsilons)?;
        let policy_loss = policy_gradient_loss(&chosen, &batch.advantages)?;
        let entropy = entropy(&log_probabilities)?.f_mean(Kind::Float)?;
        let value_loss = value_loss(&values, &batch.returns)?;
        let loss = policy_loss
            .f_sub(&entropy.f_mul_scalar(self.entropy_weight)?)?
            .f_add(&value_loss.f_mul_scalar(self.value_weight)?)?;
        let (params, steps) = (self.network.params(), batch.obs.size()[0]);
        let (loss, grad_norm) = self.exchange.update(params, &loss, steps, batch.learning_rate)?;
        let [policy_loss, value_loss, entropy] = numbers([&policy_loss, &value_loss, &entropy])?;
        Ok(A3cStats::of([loss, policy_loss, value_loss, entropy, grad_norm]))
    }
}
