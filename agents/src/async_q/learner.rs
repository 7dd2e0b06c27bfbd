//! The update of the asynchronous value methods: the gradient of a rollout, computed with a worker's own network and
//! applied to the shared weights.

use std::sync::Arc;

use tch::Tensor;

use super::config::AsyncQConfig;
use crate::actor_learners::Exchange;
use crate::collect::copy_to;
use crate::losses::action_value;
use crate::metrics::statistics;
use crate::network::QNetwork;
use crate::returns::mean;
use crate::shared::{SharedParams, SharedTarget};
use crate::{AgentError, Learner};

/// The batch of an update: a rollout of `n` steps.
#[derive(Debug)]
pub(super) struct AsyncQBatch {
    /// Observations `[n, obs_shape…]`.
    pub(super) obs: Tensor,
    /// Actions `[n]`.
    pub(super) actions: Tensor,
    /// The targets of their values, `n`.
    pub(super) targets: Vec<f32>,
    /// The learning rate of this update.
    pub(super) learning_rate: f64,
}

statistics! {
    /// Statistics of one update.
    pub(super) struct AsyncQStats {
        /// `mean((y - Q(s, a))²)`.
        loss,
        /// The mean value of the actions taken.
        mean_value,
        /// The norm of the gradient before clipping.
        grad_norm,
    }
}

/// A worker's own networks and the shared weights.
///
/// The loss is `sum((y - Q(s, a))²)` over the steps of a rollout (Mnih 2016, arXiv 1602.01783, algorithms 1 and S2).
pub(super) struct AsyncQLearner {
    pub(super) network: QNetwork,
    pub(super) target: QNetwork,
    exchange: Exchange,
    shared: Arc<SharedParams>,
    shared_target: Arc<SharedTarget>,
    /// The version of the shared target network that the worker's own one is a copy of.
    target_version: u64,
}

impl AsyncQLearner {
    /// Creates a learner from two networks of the same architecture.
    pub(super) fn new(
        config: &AsyncQConfig,
        network: QNetwork,
        target: QNetwork,
        shared: Arc<SharedParams>,
        shared_target: Arc<SharedTarget>,
    ) -> Self {
        Self {
            network,
            target,
            exchange: Exchange::new(Arc::clone(&shared), config.max_grad_norm),
            shared,
            shared_target,
            target_version: 0,
        }
    }

    /// Copies the shared weights, and those of the target network if they changed.
    pub(super) fn synchronize(&mut self, frames: u64) -> Result<(), AgentError> {
        self.shared_target.refresh(&self.shared, frames);
        let (target, seen) = (&self.shared_target, &mut self.target_version);
        self.exchange.read_target(target, seen, self.target.params())?;
        self.exchange.read(self.network.params())
    }

    /// Replaces the shared weights by the worker's own; `frames` of the run have been played.
    pub(super) fn publish(&self, frames: u64) -> Result<(), AgentError> {
        self.exchange.publish(self.network.params())?;
        self.shared_target.write(&self.target.params().flat(), frames)
    }
}

impl Learner for AsyncQLearner {
    type Batch = AsyncQBatch;
    type Stats = AsyncQStats;

    fn learn(&mut self, batch: &AsyncQBatch) -> Result<AsyncQStats, AgentError> {
        let chosen = action_value(&self.network.forward(&batch.obs)?, &batch.actions)?;
        let mut values = vec![0.0; batch.targets.len()];
        copy_to(&chosen, &mut values)?;
        // Few numbers take less time here than as operations of tensors.
        let errors: Vec<f32> = batch.targets.iter().zip(&values).map(|(y, q)| y - q).collect();
        let squares: Vec<f32> = errors.iter().map(|error| error * error).collect();
        let slopes: Vec<f32> = errors.iter().map(|error| -2.0 * error).collect();
        let (loss, mean_value) = (mean(&squares), mean(&values));
        // A product with constants, whose gradient is that of the loss.
        let terms = chosen.f_mul(&self.network.body().numbers(&slopes)?)?;
        let (params, steps) = (self.network.params(), errors.len());
        let rate = batch.learning_rate;
        let grad_norm = self.exchange.update(params, &[&terms], loss, steps, rate)?;
        Ok(AsyncQStats::of([loss, mean_value, grad_norm]))
    }
}
