//! The update of PQN.

use std::slice;

use tch::{Kind, Tensor};

use super::PqnConfig;
use crate::device::upload;
use crate::distributed::Ranks;
use crate::losses::{action_value, td_loss};
use crate::metrics::{Unread, check_finite, statistics};
use crate::network::{QNetwork, rows};
use crate::optim::{Optimizer, clip_grad_norm};
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Section};

/// The batch of an update: tensors whose first dimension is the sample, on the network's device.
#[derive(Debug)]
pub struct PqnBatch {
    /// Observations `[n, obs_shape…]`.
    pub obs: Tensor,
    /// Actions `[n]`.
    pub actions: Tensor,
    /// Q(lambda) returns `[n]`; constants to the loss.
    pub returns: Tensor,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

impl PqnBatch {
    /// Gathers the samples with these indices.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn select(&self, samples: &[i64]) -> Result<Self, AgentError> {
        let samples = upload(samples, &[samples.len() as i64], self.obs.device())?;
        Ok(Self {
            obs: rows(&self.obs, &samples)?,
            actions: self.actions.f_index_select(0, &samples)?,
            returns: self.returns.f_index_select(0, &samples)?,
            learning_rate: self.learning_rate,
        })
    }
}

statistics! {
    /// Statistics of one update.
    ///
    /// ```
    /// use coinop_agents::pqn::PqnStats;
    ///
    /// fn went_far(stats: &PqnStats) -> bool {
    ///     stats.grad_norm > 10.0
    /// }
    /// assert!(!went_far(&PqnStats::default()));
    /// ```
    pub struct PqnStats {
        /// `mean((R - Q)²) / 2`.
        loss,
        /// The norm of the gradient before clipping.
        grad_norm,
    }
}

impl PqnStats {
    /// Returns an error if the update diverged; `updates` came before it.
    fn check(&self, updates: u64) -> Result<(), AgentError> {
        let numbers = [("the loss", self.loss), ("the norm of the gradient", self.grad_norm)];
        check_finite(&numbers, updates)
    }
}

/// The network of PQN and its optimiser.
///
/// The loss is `mean((R - Q(s, a))²) / 2` with the Q(lambda) return `R` (Gallici et al. 2024, arXiv 2407.04811; for `R`
/// see [`lambda_returns`](crate::returns::lambda_returns)).
///
/// ```
/// use coinop_agents::network::QNetwork;
/// use coinop_agents::pqn::{PqnBatch, PqnConfig, PqnLearner};
/// use coinop_agents::tch::Tensor;
/// use coinop_agents::{Device, Learner};
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
///
/// let config = PqnConfig::classic();
/// let spec = CartPole::v1().spec();
/// let network = QNetwork::new(&config.network, config.head, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let batch = PqnBatch {
///     obs: network.body().input(&[0.1f32; 8 * 4])?,
///     actions: Tensor::from_slice(&[1i64; 8]),
///     returns: Tensor::from_slice(&[2f32; 8]),
///     learning_rate: 1e-3,
/// };
/// let mut learner = PqnLearner::new(&config, network)?;
/// let first = learner.learn(&batch)?;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.loss < first.loss);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct PqnLearner {
    network: QNetwork,
    optimizer: Optimizer,
    max_grad_norm: Option<f64>,
    ranks: Ranks,
    updates: u64,
}

impl PqnLearner {
    /// Creates a learner for a network with its initial weights.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics.
    pub fn new(config: &PqnConfig, network: QNetwork) -> Result<Self, AgentError> {
        Ok(Self {
            optimizer: Optimizer::new(config.optimizer, &network.params().flat())?,
            network,
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
    pub fn network(&self) -> &QNetwork {
        &self.network
    }

    /// The network, for centering and loading.
    pub(super) fn network_mut(&mut self) -> &mut QNetwork {
        &mut self.network
    }

    /// The number of updates so far.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Starts an update; a GPU may still be computing it when this returns.
    ///
    /// Non-finite values are an error here or, on a GPU, when the statistics are [read](Self::read).
    pub(super) fn update(&mut self, batch: &PqnBatch) -> Result<Unread, AgentError> {
        let values = action_value(&self.network.forward(&batch.obs)?, &batch.actions)?;
        let loss = td_loss(&values, &batch.returns, &batch.returns.f_ones_like()?, None)?;
        let mut gradient = self.network.params().mean_gradient(&loss, &self.ranks)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
        let stats = Unread::of(&[loss.f_to_kind(Kind::Float)?, grad_norm])?;
        if stats.is_there() {
            PqnStats::of(Unread::read(slice::from_ref(&stats))?[0]).check(self.updates)?;
        }
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        self.ranks
            .check_now_and_then(self.updates, &self.network.params().flat())?;
        Ok(stats)
    }

    /// Reads the statistics of the last updates, waiting for a GPU only once.
    pub(super) fn read(&self, updates: &[Unread]) -> Result<Vec<PqnStats>, AgentError> {
        let first = self.updates - updates.len() as u64;
        let numbers = Unread::read(updates)?.into_iter().map(PqnStats::of);
        (first..)
            .zip(numbers)
            .map(|(before, stats)| stats.check(before).map(|()| stats))
            .collect()
    }
}

impl Learner for PqnLearner {
    type Batch = PqnBatch;
    type Stats = PqnStats;

    fn learn(&mut self, batch: &PqnBatch) -> Result<PqnStats, AgentError> {
        let update = self.update(batch)?;
        Ok(self.read(&[update])?[0])
    }
}

impl Checkpoint for PqnLearner {
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
