//! The update of PAAC.

use tch::{Device, Kind, Tensor};

use super::config::PaacConfig;
use crate::device::upload;
use crate::losses::{
    clipped_policy_loss, entropy, mixture_log_probability, policy_change, policy_gradient_loss, value_loss,
};
use crate::network::{ActorCritic, RecurrentState, rows};
use crate::optim::{Optimizer, clip_grad_norm};
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Row, Section};

/// The batch of an update: tensors whose first dimension is the sample, on the network's device.
///
/// ```
/// use coinop_agents::paac::{PaacBatch, PaacConfig};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/paac-classic.toml")).parse()?;
/// # let config: PaacConfig = preset["paac"].clone().try_into()?;
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// // A step of eight environments.
/// let n = 8;
/// let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// let batch = PaacBatch {
///     obs: network.body().input(&vec![0.1f32; n * 4])?,
///     actions: Tensor::from_slice(&vec![1i64; n]),
///     epsilons: floats(0.0),
///     log_probabilities: floats(0.5f32.ln()),
///     advantages: floats(1.0),
///     returns: floats(2.0),
///     begins: vec![false; n],
///     state: network.initial_state(n)?,
///     learning_rate: 1e-3,
/// };
/// assert_eq!(batch.obs.size(), [8, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PaacBatch {
    /// Observations `[n, obs_shape…]`.
    pub obs: Tensor,
    /// Actions `[n]`.
    pub actions: Tensor,
    /// The epsilons of the actions `[n]`.
    pub epsilons: Tensor,
    /// The log-probabilities of the actions when they were chosen `[n]`.
    pub log_probabilities: Tensor,
    /// Advantages `[n]`; constants to the loss.
    pub advantages: Tensor,
    /// Returns `[n]`, the targets of the values.
    pub returns: Tensor,
    /// Whether each observation starts an episode `[n]`; ignored by feed-forward networks.
    pub begins: Vec<bool>,
    /// The recurrent state of every environment of the batch before the first step. If the network is recurrent,
    /// samples are ordered by step.
    pub state: RecurrentState,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

/// The samples of a minibatch.
///
/// ```
/// use coinop_agents::paac::{Minibatch, PaacBatch, PaacConfig};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/paac-classic.toml")).parse()?;
/// # let config: PaacConfig = preset["paac"].clone().try_into()?;
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// # let n = 8;
/// # let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// # let batch = PaacBatch {
/// #     obs: network.body().input(&vec![0.1f32; n * 4])?,
/// #     actions: Tensor::from_slice(&vec![1i64; n]),
/// #     epsilons: floats(0.0),
/// #     log_probabilities: floats(0.5f32.ln()),
/// #     advantages: floats(1.0),
/// #     returns: floats(2.0),
/// #     begins: vec![false; n],
/// #     state: network.initial_state(n)?,
/// #     learning_rate: 1e-3,
/// # };
/// // Two of eight samples.
/// let part = batch.select(&Minibatch { samples: vec![6, 1], envs: vec![6, 1] })?;
/// assert_eq!(part.obs.size(), [2, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Minibatch {
    /// The indices of its samples.
    pub samples: Vec<i64>,
    /// The indices of its environments, with all of their steps; empty for feed-forward networks.
    pub envs: Vec<i64>,
}

impl PaacBatch {
    /// Gathers some of the samples.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn select(&self, part: &Minibatch) -> Result<Self, AgentError> {
        let samples = upload(&part.samples, &[part.samples.len() as i64], self.obs.device())?;
        let pick = |tensor: &Tensor| tensor.f_index_select(0, &samples);
        Ok(Self {
            obs: rows(&self.obs, &samples)?,
            actions: pick(&self.actions)?,
            epsilons: pick(&self.epsilons)?,
            log_probabilities: pick(&self.log_probabilities)?,
            advantages: pick(&self.advantages)?,
            returns: pick(&self.returns)?,
            begins: part
                .samples
                .iter()
                .map(|&sample| self.begins[sample as usize])
                .collect(),
            state: self.state.rows(&part.envs)?,
            learning_rate: self.learning_rate,
        })
    }
}

/// Statistics of one update.
///
/// ```
/// use coinop_agents::paac::PaacStats;
///
/// // How far an update went, in nats and in probability ratios beyond the clip.
/// fn went_far(stats: &PaacStats) -> bool {
///     stats.approx_kl > 0.05 || stats.clip_fraction > 0.5
/// }
/// assert!(!went_far(&PaacStats::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PaacStats {
    /// The whole loss.
    pub loss: f64,
    /// `-mean(A log pi)`, or its clipped form.
    pub policy_loss: f64,
    /// `mean((R - V)²)`.
    pub value_loss: f64,
    /// The mean entropy of the policy, in nats.
    pub entropy: f64,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The estimated Kullback-Leibler divergence from the policy that played, in nats: see [`policy_change`].
    pub approx_kl: f64,
    /// The fraction of samples beyond the clip range.
    pub clip_fraction: f64,
}

/// The names of all metrics of an update, in order: those of [`PaacStats`], and those that the trainer adds. A
/// rollout that is not learned from has none.
pub(super) const NAMES: [&str; 11] = [
    "loss",
    "policy_loss",
    "value_loss",
    "entropy",
    "grad_norm",
    "approx_kl",
    "clip_fraction",
    "epochs",
    "learning_rate",
    "mean_value",
    "explained_variance",
];

impl PaacStats {
    /// From its numbers, in order.
    fn read(numbers: &Tensor) -> Result<Self, AgentError> {
        let numbers = Vec::<f32>::try_from(numbers)?;
        let number = |i: usize| f64::from(numbers[i]);
        Ok(Self {
            loss: number(0),
            policy_loss: number(1),
            value_loss: number(2),
            entropy: number(3),
            grad_norm: number(4),
            approx_kl: number(5),
            clip_fraction: number(6),
        })
    }

    /// Returns an error if the update diverged; `updates` came before it.
    fn check(&self, updates: u64) -> Result<(), AgentError> {
        for (what, value) in [("the loss", self.loss), ("the norm of the gradient", self.grad_norm)] {
            if !value.is_finite() {
                return Err(AgentError::NotFinite { what, value, updates });
            }
        }
        Ok(())
    }

    pub(super) fn record(&self, metrics: &mut Row) {
        let values = [
            self.loss,
            self.policy_loss,
            self.value_loss,
            self.entropy,
            self.grad_norm,
            self.approx_kl,
            self.clip_fraction,
        ];
        for (name, value) in NAMES.into_iter().zip(values) {
            metrics.record(name, value);
        }
    }
}

/// The network of PAAC and its optimiser.
///
/// The loss is `scale · (-mean(A log pi(a|s)) - beta mean(H) + c mean((R - V)²))` (Clemente 2017, arXiv 1705.04862,
/// section 4, which states the gradients of policy and value separately).
///
/// ```
/// use coinop_agents::Learner;
/// use coinop_agents::paac::{PaacBatch, PaacConfig, PaacLearner};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/paac-classic.toml")).parse()?;
/// # let config: PaacConfig = preset["paac"].clone().try_into()?;
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// # let n = 8;
/// # let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// # let batch = PaacBatch {
/// #     obs: network.body().input(&vec![0.1f32; n * 4])?,
/// #     actions: Tensor::from_slice(&vec![1i64; n]),
/// #     epsilons: floats(0.0),
/// #     log_probabilities: floats(0.5f32.ln()),
/// #     advantages: floats(1.0),
/// #     returns: floats(2.0),
/// #     begins: vec![false; n],
/// #     state: network.initial_state(n)?,
/// #     learning_rate: 1e-3,
/// # };
/// let mut learner = PaacLearner::new(&config, network)?;
/// let first = learner.learn(&batch)?;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.value_loss < first.value_loss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PaacLearner {
    network: ActorCritic,
    optimizer: Optimizer,
    entropy_weight: f64,
    value_weight: f64,
    loss_scale: f64,
    max_grad_norm: f64,
    clip_ratio: f64,
    updates: u64,
}

impl PaacLearner {
    /// Creates a learner for a network with its initial weights.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics.
    pub fn new(config: &PaacConfig, network: ActorCritic) -> Result<Self, AgentError> {
        let optimizer = Optimizer::new(config.optimizer, &network.params().flat())?;
        Ok(Self {
            network,
            optimizer,
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            loss_scale: config.loss_scale,
            max_grad_norm: config.max_grad_norm,
            clip_ratio: config.clip_ratio,
            updates: 0,
        })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &ActorCritic {
        &self.network
    }

    /// The network, for centering.
    pub(super) fn network_mut(&mut self) -> &mut ActorCritic {
        &mut self.network
    }

    /// The number of updates so far.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

impl Learner for PaacLearner {
    type Batch = PaacBatch;
    type Stats = PaacStats;

    fn learn(&mut self, batch: &PaacBatch) -> Result<PaacStats, AgentError> {
        let update = self.update(batch)?;
        Ok(self.read(&[update])?[0])
    }
}

/// Statistics of one update, still on the device.
#[derive(Debug)]
pub(super) struct Unread(Tensor);

impl PaacLearner {
    /// Starts an update; a GPU may still be computing it when this returns.
    ///
    /// Non-finite values are an error here or, on a GPU, when the statistics are [read](Self::read).
    pub(super) fn update(&mut self, batch: &PaacBatch) -> Result<Unread, AgentError> {
        let (logits, values) = self
            .network
            .forward(&batch.obs, &batch.begins, &mut batch.state.copy()?)?;
        let log_probabilities = logits.f_log_softmax(1, Kind::Float)?;
        let chosen = mixture_log_probability(&log_probabilities, &batch.actions, &batch.epsilons)?;
        let policy_loss = if self.clip_ratio > 0.0 {
            clipped_policy_loss(&chosen, &batch.log_probabilities, &batch.advantages, self.clip_ratio)?
        } else {
            policy_gradient_loss(&chosen, &batch.advantages)?
        };
        let entropy = entropy(&log_probabilities)?.f_mean(Kind::Float)?;
        let value_loss = value_loss(&values, &batch.returns)?;
        let loss = policy_loss
            .f_sub(&entropy.f_mul_scalar(self.entropy_weight)?)?
            .f_add(&value_loss.f_mul_scalar(self.value_weight)?)?
            .f_mul_scalar(self.loss_scale)?;
        let mut gradient = self.network.params().gradient(&loss)?;
        let (approx_kl, clip_fraction) = policy_change(&chosen, &batch.log_probabilities, self.clip_ratio)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm)?;
        let stats = [
            loss,
            policy_loss,
            value_loss,
            entropy,
            grad_norm,
            approx_kl,
            clip_fraction,
        ];
        let stats = Tensor::f_stack(&stats, 0)?.f_detach()?;
        if stats.device() == Device::Cpu {
            PaacStats::read(&stats)?.check(self.updates)?;
        }
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        Ok(Unread(stats))
    }

    /// Reads the statistics of the last updates, waiting for a GPU only once.
    pub(super) fn read(&self, updates: &[Unread]) -> Result<Vec<PaacStats>, AgentError> {
        let stats: Vec<&Tensor> = updates.iter().map(|Unread(stats)| stats).collect();
        let stats = Tensor::f_stack(&stats, 0)?.f_to_device(Device::Cpu)?;
        let first = self.updates - updates.len() as u64;
        let read = |i: usize| {
            let stats = PaacStats::read(&stats.f_get(i as i64)?)?;
            stats.check(first + i as u64)?;
            Ok(stats)
        };
        (0..updates.len()).map(read).collect()
    }
}

impl Checkpoint for PaacLearner {
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
