//! The update of Double-DQN.

use coinop_envs::rng::{Rng, stream};
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::config::{DoubleDqnConfig, Munchausen};
use crate::distributed::Ranks;
use crate::losses::{
    action_distribution, action_value, categorical_loss, munchausen_bonus, next_value, project_distribution,
    quantile_loss, soft_value, td_loss,
};
use crate::network::{Distribution, QNetwork, midpoints};
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
    /// The TD error of each transition: target minus value; with C51, the Kullback-Leibler divergence of the predicted
    /// distribution from the target.
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
/// With a [distribution](DoubleDqnConfig::distribution) of returns, the losses are those of C51, QR-DQN or IQN. Without one, the target of `Q(s, a)` is `y = R + γⁿ Q'(s', argmax_b Q(s', b))`, a constant to the loss `mean(w L(y - Q(s, a)))` (van Hasselt 2015, arXiv
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
    munchausen: Option<Munchausen>,
    /// What the fractions of IQN are drawn from; another number for each update.
    fraction_seed: u64,
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
            munchausen: config.munchausen,
            fraction_seed: 0,
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

    /// The network, for actors that draw its noise.
    pub(super) fn network_mut(&mut self) -> &mut QNetwork {
        &mut self.network
    }

    /// Draws new noise for both networks, if they are noisy, and the seed of the fractions of IQN.
    pub(super) fn draw_noise(&mut self, rng: &mut Rng) -> Result<(), AgentError> {
        if let Some(Distribution::Iqn { .. }) = self.network.distribution() {
            self.fraction_seed = rng.random();
        }
        self.network.draw_noise(rng)?;
        self.target.draw_noise(rng)
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

    /// Subtracts from every pixel its mean over these observations `[n, obs_shape…]`, `u8`, of all ranks from now on, in both
    /// networks.
    pub(super) fn center(&mut self, obs: &Tensor) -> Result<(), AgentError> {
        self.network.center_over(obs, &self.ranks)?;
        self.update_target()
    }

    /// Copies the network into the target network.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn update_target(&mut self) -> Result<(), AgentError> {
        self.target.copy_from(&self.network)
    }

    /// The losses of the transitions.
    fn losses(&self, batch: &DoubleDqnBatch) -> Result<Losses, AgentError> {
        match (self.network.distribution(), self.network.support()) {
            (None, _) => self.losses_of_values(batch),
            (Some(_), Some(atoms)) => self.losses_of_atoms(batch, atoms),
            (Some(distribution), None) => self.losses_of_quantiles(batch, distribution),
        }
    }

    fn losses_of_values(&self, batch: &DoubleDqnBatch) -> Result<Losses, AgentError> {
        let target_values = self.target.infer(&batch.next_obs)?;
        let next_value = if let Some(Munchausen { temperature, .. }) = self.munchausen {
            soft_value(&target_values.f_unsqueeze(2)?, &target_values, temperature)?.f_squeeze_dim(1)?
        } else if self.double {
            next_value(&target_values, &self.network.infer(&batch.next_obs)?)?
        } else {
            next_value(&target_values, &target_values)?
        };
        // R + γⁿ Q'(s', …).
        let targets = next_value.f_mul(&batch.discounts)?.f_add(&self.returns(batch)?)?;
        let values = action_value(&self.network.forward(&batch.obs)?, &batch.actions)?;
        let loss = td_loss(&values, &targets, &batch.weights, self.error_clip)?;
        let values = values.f_detach()?;
        let errors = targets.f_sub(&values)?;
        Ok(Losses { loss, values, errors })
    }

    /// C51. Priorities are Kullback-Leibler divergences, as in Rainbow (Hessel et al. 2017, arXiv 1710.02298): the
    /// cross-entropies without the entropies of the targets.
    fn losses_of_atoms(&self, batch: &DoubleDqnBatch, atoms: &Tensor) -> Result<Losses, AgentError> {
        let next = self.target.infer_distributions(&batch.next_obs)?;
        let next = self.next_distribution(batch, &next)?.f_softmax(1, Kind::Float)?;
        let targets = project_distribution(&next, &batch.returns, &batch.discounts, atoms)?;
        let logits = action_distribution(&self.network.forward_distributions(&batch.obs)?, &batch.actions)?;
        let losses = categorical_loss(&logits, &targets)?;
        let loss = losses.f_mul(&batch.weights)?.f_mean(Kind::Float)?;
        let values = logits.f_detach()?.f_softmax(1, Kind::Float)?.f_matmul(atoms)?;
        let errors =
            losses
                .f_detach()?
                .f_add(&targets.f_xlogy(&targets)?.f_sum_dim_intlist(1i64, false, Kind::Float)?)?;
        Ok(Losses { loss, values, errors })
    }

    /// QR-DQN and IQN. Priorities are the errors of the means, as without distributions.
    fn losses_of_quantiles(&self, batch: &DoubleDqnBatch, distribution: Distribution) -> Result<Losses, AgentError> {
        let (fractions, outputs, next) = match distribution {
            Distribution::Iqn {
                samples,
                target_samples,
                ..
            } => {
                let [fractions, of_targets] = self.fractions(batch.returns.numel(), [samples, target_samples])?;
                let next = self.target.infer_quantiles(&batch.next_obs, &of_targets)?;
                let outputs = self.network.forward_quantiles(&batch.obs, &fractions)?;
                (fractions, outputs, next)
            }
            _ => (
                midpoints(distribution.outputs(), batch.returns.device())?,
                self.network.forward_distributions(&batch.obs)?,
                self.target.infer_distributions(&batch.next_obs)?,
            ),
        };
        let targets = self
            .next_distribution(batch, &next)?
            .f_mul(&batch.discounts.f_unsqueeze(1)?)?
            .f_add(&self.returns(batch)?.f_unsqueeze(1)?)?;
        let quantiles = action_distribution(&outputs, &batch.actions)?;
        let losses = quantile_loss(&quantiles, &fractions, &targets, self.error_clip)?;
        let loss = losses.f_mul(&batch.weights)?.f_mean(Kind::Float)?;
        let mean = |quantiles: &Tensor| quantiles.f_mean_dim(1i64, false, Kind::Float);
        let values = mean(&quantiles.f_detach()?)?;
        let errors = mean(&targets)?.f_sub(&values)?;
        Ok(Losses { loss, values, errors })
    }

    /// Draws the fractions of IQN for `n` transitions, `[n, samples]` each.
    fn fractions(&self, n: usize, samples: [usize; 2]) -> Result<[Tensor; 2], AgentError> {
        let mut rng = stream(self.fraction_seed, "fractions", 0);
        let mut drawn = |samples: usize| -> Result<Tensor, AgentError> {
            let numbers: Vec<f32> = (0..n * samples).map(|_| rng.random()).collect();
            Ok(self
                .network
                .body()
                .numbers(&numbers)?
                .f_view([n as i64, samples as i64])?)
        };
        Ok([drawn(samples[0])?, drawn(samples[1])?])
    }

    /// The returns `[n]`, with the bonus of Munchausen.
    fn returns(&self, batch: &DoubleDqnBatch) -> Result<Tensor, AgentError> {
        let Some(Munchausen {
            alpha,
            temperature,
            low,
        }) = self.munchausen
        else {
            return Ok(batch.returns.shallow_clone());
        };
        let values = self.target.infer(&batch.obs)?;
        let bonus = munchausen_bonus(&values, &batch.actions, alpha, temperature, low)?;
        Ok(batch.returns.f_add(&bonus)?)
    }

    /// Selects from the target network's outputs `[n, actions, outputs]` those of the best next actions `[n, outputs]`, or
    /// averages over all actions with Munchausen.
    fn next_distribution(&self, batch: &DoubleDqnBatch, next: &Tensor) -> Result<Tensor, AgentError> {
        if let Some(Munchausen { temperature, .. }) = self.munchausen {
            return Ok(soft_value(next, &self.target.values(next)?, temperature)?);
        }
        let values = if self.double {
            self.network.infer(&batch.next_obs)?
        } else {
            self.target.values(next)?
        };
        Ok(action_distribution(next, &values.f_argmax(1, false)?)?)
    }
}

/// The losses of a batch.
struct Losses {
    /// Their weighted mean.
    loss: Tensor,
    /// The values of the actions `[n]`.
    values: Tensor,
    /// The error of each transition `[n]`, by which it is prioritised.
    errors: Tensor,
}

impl Learner for DoubleDqnLearner {
    type Batch = DoubleDqnBatch;
    type Stats = DoubleDqnStats;

    fn learn(&mut self, batch: &DoubleDqnBatch) -> Result<DoubleDqnStats, AgentError> {
        let Losses { loss, values, errors } = self.losses(batch)?;
        let mut gradient = self.network.params().mean_gradient(&loss, &self.ranks)?;
        let mean_value = values.f_mean(Kind::Float)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
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
