//! The update of Double-DQN.

use tch::{Device, Kind, Tensor};

use super::config::DoubleDqnConfig;
use crate::distributed::Ranks;
use crate::losses::{action_value, next_value, td_loss};
use crate::network::QNetwork;
use crate::optim::{Optimizer, clip_grad_norm};
use crate::policy::not_finite;
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Metrics, Section, TrainError};

/// The batch of an update: tensors whose first dimension is the transition, on the network's device.
///
/// ```
/// use coinop_agents::double_dqn::DoubleDqnBatch;
/// use coinop_agents::tch::{Kind, Tensor};
///
/// // Two transitions of observations of four numbers, where the second one ends its episode.
/// let batch = DoubleDqnBatch {
///     obs: Tensor::zeros([2, 4], (Kind::Float, coinop_agents::Device::Cpu)),
///     actions: Tensor::from_slice(&[0i64, 1]),
///     returns: Tensor::from_slice(&[1.0f32, 1.0]),
///     discounts: Tensor::from_slice(&[0.99f32, 0.0]),
///     next_obs: Tensor::zeros([2, 4], (Kind::Float, coinop_agents::Device::Cpu)),
///     weights: Tensor::from_slice(&[1.0f32, 1.0]),
///     learning_rate: 1e-3,
/// };
/// assert_eq!(batch.actions.size(), [2]);
/// ```
#[derive(Debug)]
pub struct DoubleDqnBatch {
    /// Observations `[n, obs_shape…]`.
    pub obs: Tensor,
    /// Actions `[n]`.
    pub actions: Tensor,
    /// Sums of the discounted rewards of the next n steps, `[n]`.
    pub returns: Tensor,
    /// The discount of the next observation's value, `[n]`; 0 where the return ends.
    pub discounts: Tensor,
    /// Observations after those steps `[n, obs_shape…]`.
    pub next_obs: Tensor,
    /// Importance weights `[n]`.
    pub weights: Tensor,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

/// Statistics of one update.
///
/// ```
/// use coinop_agents::double_dqn::DoubleDqnStats;
///
/// // Of the errors, the memory makes priorities.
/// fn worst(stats: &DoubleDqnStats) -> f32 {
///     stats.errors.iter().fold(0.0, |worst, error| error.abs().max(worst))
/// }
/// # let _ = worst;
/// ```
#[derive(Clone, Debug, Default)]
pub struct DoubleDqnStats {
    /// `mean(w L(error))`.
    pub loss: f64,
    /// The mean value of the batch's actions.
    pub mean_value: f64,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The TD error of each transition: target minus value.
    pub errors: Vec<f32>,
}

/// The names of the metrics, those of [`DoubleDqnStats`].
pub(super) const NAMES: [&str; 4] = ["loss", "mean_value", "mean_error", "grad_norm"];

impl DoubleDqnStats {
    pub(super) fn record(&self, metrics: &mut Metrics) {
        let errors = self.errors.iter().map(|error| f64::from(error.abs())).sum::<f64>();
        let mean_error = errors / self.errors.len().max(1) as f64;
        for (name, value) in NAMES
            .into_iter()
            .zip([self.loss, self.mean_value, mean_error, self.grad_norm])
        {
            metrics.record(name, value);
        }
    }
}

/// The network of Double-DQN, its target network and its optimiser.
///
/// The target of `Q(s, a)` is `y = R + γⁿ Q'(s', argmax_b Q(s', b))`, a constant to the loss `mean(w L(y - Q(s, a)))` (van Hasselt 2015, arXiv
/// 1509.06461, equation 4; for `L` and `w` see [`td_loss`]).
///
/// ```
/// use coinop_agents::double_dqn::{DoubleDqnBatch, DoubleDqnConfig, DoubleDqnLearner};
/// use coinop_agents::network::QNetwork;
/// use coinop_agents::tch::{Kind, Tensor};
/// use coinop_agents::{Device, Learner};
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
///
/// let config = DoubleDqnConfig::classic();
/// let spec = CartPole::v1().spec();
/// let network = || QNetwork::new(&config.network, config.head, &spec, &mut stream(1, "network", 0), Device::Cpu);
/// let mut learner = DoubleDqnLearner::new(&config, network()?, network()?)?;
/// let zeros = || Tensor::zeros([8, 4], (Kind::Float, Device::Cpu));
/// let batch = DoubleDqnBatch {
///     obs: zeros(),
///     actions: Tensor::zeros([8], (Kind::Int64, Device::Cpu)),
///     returns: Tensor::ones([8], (Kind::Float, Device::Cpu)),
///     discounts: Tensor::zeros([8], (Kind::Float, Device::Cpu)),
///     next_obs: zeros(),
///     weights: Tensor::ones([8], (Kind::Float, Device::Cpu)),
///     learning_rate: 1e-3,
/// };
/// // The same transitions again and again: the network learns what they return.
/// let first = learner.learn(&batch)?.loss;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.loss < first);
/// assert_eq!(learner.updates(), 52);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct DoubleDqnLearner {
    network: QNetwork,
    target: QNetwork,
    optimizer: Optimizer,
    double: bool,
    error_clip: Option<f64>,
    max_grad_norm: Option<f64>,
    ranks: Ranks,
    updates: u64,
}

impl DoubleDqnLearner {
    /// Creates a learner from a network with its initial weights and another one of the same architecture, which
    /// becomes the target network.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics.
    pub fn new(config: &DoubleDqnConfig, network: QNetwork, mut target: QNetwork) -> Result<Self, AgentError> {
        let optimizer = Optimizer::new(config.optimizer, &network.params().flat())?;
        target.copy_from(&network)?;
        Ok(Self {
            network,
            target,
            optimizer,
            double: config.double,
            error_clip: config.error_clip,
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

    /// The number of updates so far.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Takes the weights of a saved network, for the target network, too.
    pub(super) fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        self.network.load(from)?;
        Ok(self.update_target()?)
    }

    /// Copies the network into the target network.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn update_target(&mut self) -> Result<(), AgentError> {
        self.target.copy_from(&self.network)
    }

    /// `R + γⁿ Q'(s', …)`.
    fn targets(&self, batch: &DoubleDqnBatch) -> Result<Tensor, AgentError> {
        let target_values = self.target.infer(&batch.next_obs)?;
        let next_value = if self.double {
            next_value(&target_values, &self.network.infer(&batch.next_obs)?)?
        } else {
            next_value(&target_values, &target_values)?
        };
        Ok(next_value.f_mul(&batch.discounts)?.f_add(&batch.returns)?)
    }
}

impl Learner for DoubleDqnLearner {
    type Batch = DoubleDqnBatch;
    type Stats = DoubleDqnStats;

    fn learn(&mut self, batch: &DoubleDqnBatch) -> Result<DoubleDqnStats, AgentError> {
        let targets = self.targets(batch)?;
        let values = action_value(&self.network.forward(&batch.obs)?, &batch.actions)?;
        let loss = td_loss(&values, &targets, &batch.weights, self.error_clip)?;
        let mut gradient = self.ranks.mean(self.network.params().gradient(&loss)?)?;
        let values = values.f_detach()?;
        let mean_value = values.f_mean(Kind::Float)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
        let errors = targets.f_sub(&values)?;
        let numbers = Tensor::f_stack(&[loss.f_detach()?, mean_value, grad_norm], 0)?;
        // All in one piece: a GPU is waited for once.
        let mut numbers = Vec::<f32>::try_from(Tensor::f_cat(&[numbers, errors], 0)?.f_to_device(Device::Cpu)?)?;
        let errors = numbers.split_off(3);
        let stats = DoubleDqnStats {
            loss: numbers[0].into(),
            mean_value: numbers[1].into(),
            grad_norm: numbers[2].into(),
            errors,
        };
        let numbers = [
            ("the error of a transition", not_finite(&stats.errors)),
            (
                "the norm of the gradient",
                Some(stats.grad_norm).filter(|norm| !norm.is_finite()),
            ),
        ];
        for (what, value) in numbers {
            if let Some(value) = value {
                let updates = self.updates;
                return Err(AgentError::NotFinite { what, value, updates });
            }
        }
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        self.ranks
            .check_now_and_then(self.updates, &self.network.params().flat())?;
        Ok(stats)
    }
}

impl Checkpoint for DoubleDqnLearner {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.network.save(out.section_mut("network"))?;
        self.target.save(out.section_mut("target"))?;
        self.optimizer.save(out.section_mut("optimizer"))?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.network.load(from.section("network")?)?;
        self.target.load(from.section("target")?)?;
        self.optimizer.load(from.section("optimizer")?)?;
        self.updates = from.get("updates")?;
        Ok(())
    }
}
