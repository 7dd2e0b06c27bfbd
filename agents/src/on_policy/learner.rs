//! The update of the synchronous actor-critic.

use std::slice;

use tch::{Kind, TchError, Tensor};

use super::OnPolicyConfig;
use super::recorded::Recorded;
use crate::device::upload;
use crate::distributed::Ranks;
use crate::limits::check;
use crate::losses::{
    clipped_policy_loss, clipped_value_loss, entropy, mixture_log_probability, policy_change, policy_gradient_loss,
    value_loss,
};
use crate::metrics::{Unread, check_finite, statistics};
use crate::network::{ActorCritic, RecurrentState, rows};
use crate::optim::{Optimizer, clip_grad_norm, fused};
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Section};

/// The batch of an update: tensors whose first dimension is the sample, on the network's device.
///
/// ```
/// use coinop_agents::on_policy::{OnPolicyBatch, OnPolicyConfig};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let config = OnPolicyConfig::from(&coinop_agents::ppo::PpoConfig::classic());
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// // A step of eight environments.
/// let n = 8;
/// let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// let batch = OnPolicyBatch {
///     obs: network.body().input(&vec![0.1f32; n * 4])?,
///     actions: Tensor::from_slice(&vec![1i64; n]),
///     epsilons: floats(0.0),
///     log_probabilities: floats(0.5f32.ln()),
///     values: floats(0.0),
///     advantages: floats(1.0),
///     returns: floats(2.0),
///     is_first: vec![false; n],
///     state: network.initial_state(n)?,
///     learning_rate: 1e-3,
/// };
/// assert_eq!(batch.obs.size(), [8, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OnPolicyBatch {
    /// Observations `[n, obs_shape…]`.
    pub obs: Tensor,
    /// Actions `[n]`.
    pub actions: Tensor,
    /// The epsilons of the actions `[n]`.
    pub epsilons: Tensor,
    /// The log-probabilities of the actions when they were chosen `[n]`.
    pub log_probabilities: Tensor,
    /// The values that were estimated when the actions were chosen `[n]`.
    pub values: Tensor,
    /// Advantages `[n]`; constants to the loss.
    pub advantages: Tensor,
    /// Returns `[n]`, the targets of the values.
    pub returns: Tensor,
    /// Whether each observation starts an episode `[n]`; ignored by feed-forward networks.
    pub is_first: Vec<bool>,
    /// The recurrent state of every environment of the batch before the first step. If the network is recurrent,
    /// samples are ordered by step.
    pub state: RecurrentState,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

/// The samples of a minibatch.
///
/// ```
/// use coinop_agents::on_policy::{Minibatch, OnPolicyBatch, OnPolicyConfig};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let config = OnPolicyConfig::from(&coinop_agents::ppo::PpoConfig::classic());
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// # let n = 8;
/// # let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// # let batch = OnPolicyBatch {
/// #     obs: network.body().input(&vec![0.1f32; n * 4])?,
/// #     actions: Tensor::from_slice(&vec![1i64; n]),
/// #     epsilons: floats(0.0),
/// #     log_probabilities: floats(0.5f32.ln()),
/// #     values: floats(0.0),
/// #     advantages: floats(1.0),
/// #     returns: floats(2.0),
/// #     is_first: vec![false; n],
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

impl OnPolicyBatch {
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
            values: pick(&self.values)?,
            advantages: pick(&self.advantages)?,
            returns: pick(&self.returns)?,
            is_first: part
                .samples
                .iter()
                .map(|&sample| self.is_first[sample as usize])
                .collect(),
            state: self.state.rows(&part.envs)?,
            learning_rate: self.learning_rate,
        })
    }

    /// A batch of the same size and memory format, with any numbers, for a network that is not recurrent.
    pub(super) fn blank(&self) -> Result<Self, TchError> {
        Ok(Self {
            obs: self.obs.f_empty_like()?,
            actions: self.actions.f_empty_like()?,
            epsilons: self.epsilons.f_empty_like()?,
            log_probabilities: self.log_probabilities.f_empty_like()?,
            values: self.values.f_empty_like()?,
            advantages: self.advantages.f_empty_like()?,
            returns: self.returns.f_empty_like()?,
            is_first: self.is_first.clone(),
            state: RecurrentState::default(),
            learning_rate: self.learning_rate,
        })
    }

    /// Copies the numbers of a batch of the same size, for a network that is not recurrent.
    pub(super) fn copy_from(&mut self, other: &Self) -> Result<(), TchError> {
        self.obs.f_copy_(&other.obs)?;
        self.actions.f_copy_(&other.actions)?;
        self.epsilons.f_copy_(&other.epsilons)?;
        self.log_probabilities.f_copy_(&other.log_probabilities)?;
        self.values.f_copy_(&other.values)?;
        self.advantages.f_copy_(&other.advantages)?;
        self.returns.f_copy_(&other.returns)
    }
}

statistics! {
    /// Statistics of one update.
    ///
    /// ```
    /// use coinop_agents::on_policy::OnPolicyStats;
    ///
    /// // How far an update went, in nats and in probability ratios beyond the clip.
    /// fn went_far(stats: &OnPolicyStats) -> bool {
    ///     stats.approx_kl > 0.05 || stats.clip_fraction > 0.5
    /// }
    /// assert!(!went_far(&OnPolicyStats::default()));
    /// ```
    pub struct OnPolicyStats {
        /// The whole loss.
        loss,
        /// `-mean(A log pi)`, or its clipped form.
        policy_loss,
        /// `mean((R - V)²)`, or its clipped form.
        value_loss,
        /// The mean entropy of the policy, in nats.
        entropy,
        /// The norm of the gradient before clipping.
        grad_norm,
        /// The estimated Kullback-Leibler divergence from the policy that played, in nats: see [`policy_change`].
        approx_kl,
        /// The fraction of samples beyond the clip range; 0 without one.
        clip_fraction,
    }
}

impl OnPolicyStats {
    /// Returns an error if the update diverged; `updates` came before it.
    fn check(&self, updates: u64) -> Result<(), AgentError> {
        let numbers = [("the loss", self.loss), ("the norm of the gradient", self.grad_norm)];
        check_finite(&numbers, updates)
    }
}

/// The network of the synchronous actor-critic and its optimiser.
///
/// The loss is `scale · (-mean(A log pi(a|s)) - beta mean(H) + c mean((R - V)²))` (Clemente 2017, arXiv 1705.04862,
/// section 4, which states the gradients of policy and value separately). With a clip, its first term is that of
/// Schulman 2017, arXiv 1707.06347, equation 7.
///
/// ```
/// use coinop_agents::Learner;
/// use coinop_agents::on_policy::{OnPolicyBatch, OnPolicyConfig, OnPolicyLearner};
/// # use coinop_agents::Device;
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::tch::Tensor;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # let config = OnPolicyConfig::from(&coinop_agents::ppo::PpoConfig::classic());
/// # let network = ActorCritic::new(&config.network, &CartPole::v1().spec(), &mut stream(1, "network", 0), Device::Cpu)?;
/// # let n = 8;
/// # let floats = |value: f32| Tensor::from_slice(&vec![value; n]);
/// # let batch = OnPolicyBatch {
/// #     obs: network.body().input(&vec![0.1f32; n * 4])?,
/// #     actions: Tensor::from_slice(&vec![1i64; n]),
/// #     epsilons: floats(0.0),
/// #     log_probabilities: floats(0.5f32.ln()),
/// #     values: floats(0.0),
/// #     advantages: floats(1.0),
/// #     returns: floats(2.0),
/// #     is_first: vec![false; n],
/// #     state: network.initial_state(n)?,
/// #     learning_rate: 1e-3,
/// # };
/// let mut learner = OnPolicyLearner::new(&config, network)?;
/// let first = learner.learn(&batch)?;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.value_loss < first.value_loss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OnPolicyLearner {
    network: ActorCritic,
    optimizer: Optimizer,
    entropy_weight: f64,
    value_weight: f64,
    loss_scale: f64,
    max_grad_norm: Option<f64>,
    clip_ratio: Option<f64>,
    value_clip: Option<f64>,
    ranks: Ranks,
    updates: u64,
    cuda_graphs: bool,
    /// The update that a GPU replays, if it does.
    recorded: Option<Recorded>,
}

impl OnPolicyLearner {
    /// Creates a learner for a network with its initial weights.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics, or updates are to be recorded and cannot be.
    pub fn new(config: &OnPolicyConfig, network: ActorCritic) -> Result<Self, AgentError> {
        Recorded::check(config, network.body())?;
        let optimizer = Optimizer::new(config.optimizer, &network.params().flat())?;
        Ok(Self {
            network,
            optimizer,
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            loss_scale: config.loss_scale,
            max_grad_norm: config.max_grad_norm,
            clip_ratio: config.clip_ratio,
            value_clip: config.value_clip,
            ranks: Ranks::default(),
            updates: 0,
            cuda_graphs: config.cuda_graphs,
            recorded: None,
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

    /// The network, for centering and new weights.
    pub(super) fn network_mut(&mut self) -> &mut ActorCritic {
        // A recording uses the tensors that the network had.
        self.recorded = None;
        &mut self.network
    }

    /// The number of updates so far.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

impl Learner for OnPolicyLearner {
    type Batch = OnPolicyBatch;
    type Stats = OnPolicyStats;

    fn learn(&mut self, batch: &OnPolicyBatch) -> Result<OnPolicyStats, AgentError> {
        let update = self.update(batch)?;
        Ok(self.read(&[update])?[0])
    }
}

impl OnPolicyLearner {
    /// Starts an update; a GPU may still be computing it when this returns.
    ///
    /// Non-finite values are an error here or, on a GPU, when the statistics are [read](Self::read).
    pub(super) fn update(&mut self, batch: &OnPolicyBatch) -> Result<Unread, AgentError> {
        if self.cuda_graphs {
            return self.update_by_recording(batch);
        }
        let (gradient, stats) = self.gradient(batch)?;
        if stats.is_there() {
            OnPolicyStats::of(Unread::read(slice::from_ref(&stats))?[0]).check(self.updates)?;
        }
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        self.ranks
            .check_now_and_then(self.updates, &self.network.params().flat())?;
        Ok(stats)
    }

    /// The same, with operations that can be recorded.
    fn update_by_recording(&mut self, batch: &OnPolicyBatch) -> Result<Unread, AgentError> {
        let known = self.recorded.take().filter(|recorded| recorded.fits(batch));
        let mut recorded = known.map_or_else(|| Recorded::new(batch), Ok)?;
        recorded.take(batch, self.optimizer.next_step(batch.learning_rate))?;
        let stats = recorded.update(|batch, varying| {
            let (gradient, stats) = self.gradient(batch)?;
            let mut params = self.network.params().flat();
            self.optimizer.apply(&mut params, &gradient, varying)?;
            // Masks drawn while recording would be those of every update.
            let reason = "dropout draws its masks on the CPU: leave it out";
            check(!self.network.body().draws_masks(), "cuda_graphs", true, reason)?;
            Ok(stats)
        })?;
        // libtorch does not count changes by a replay.
        fused::count_change(&self.network.params().flat())?;
        self.recorded = Some(recorded);
        self.updates += 1;
        Ok(stats)
    }

    /// Computes the gradient, clipped, and the statistics.
    fn gradient(&self, batch: &OnPolicyBatch) -> Result<(Tensor, Unread), AgentError> {
        let (logits, values) = self
            .network
            .forward(&batch.obs, &batch.is_first, &mut batch.state.copy()?)?;
        let log_probabilities = logits.f_log_softmax(1, Kind::Float)?;
        let chosen = mixture_log_probability(&log_probabilities, &batch.actions, &batch.epsilons)?;
        let policy_loss = match self.clip_ratio {
            Some(clip_ratio) => clipped_policy_loss(&chosen, &batch.log_probabilities, &batch.advantages, clip_ratio)?,
            None => policy_gradient_loss(&chosen, &batch.advantages)?,
        };
        let entropy = entropy(&log_probabilities)?.f_mean(Kind::Float)?;
        let value_loss = match self.value_clip {
            Some(value_clip) => clipped_value_loss(&values, &batch.values, &batch.returns, value_clip)?,
            None => value_loss(&values, &batch.returns)?,
        };
        let loss = policy_loss
            .f_sub(&entropy.f_mul_scalar(self.entropy_weight)?)?
            .f_add(&value_loss.f_mul_scalar(self.value_weight)?)?
            .f_mul_scalar(self.loss_scale)?;
        let mut gradient = self.network.params().mean_gradient(&loss, &self.ranks)?;
        let (approx_kl, clip_fraction) = policy_change(
            &chosen,
            &batch.log_probabilities,
            self.clip_ratio.unwrap_or(f64::INFINITY),
        )?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
        let stats = [
            loss,
            policy_loss,
            value_loss,
            entropy,
            grad_norm,
            approx_kl,
            clip_fraction,
        ];
        Ok((gradient, Unread::of(&stats)?))
    }

    /// Reads the statistics of the last updates, waiting for a GPU only once.
    pub(super) fn read(&self, updates: &[Unread]) -> Result<Vec<OnPolicyStats>, AgentError> {
        let first = self.updates - updates.len() as u64;
        let numbers = Unread::read(updates)?.into_iter().map(OnPolicyStats::of);
        (first..)
            .zip(numbers)
            .map(|(before, stats)| stats.check(before).map(|()| stats))
            .collect()
    }
}

impl Checkpoint for OnPolicyLearner {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.network.save(out.section_mut("network"))?;
        self.optimizer.save(out.section_mut("optimizer"))?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.network_mut().load(from.section("network")?)?;
        self.optimizer.load(from.section("optimizer")?)?;
        self.updates = from.get("updates")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::{Rng, stream};
    use coinop_envs::{EnvSpec, Shape};
    use rand::RngExt;
    use tch::Device;

    use super::super::tests::config;
    use super::*;
    use crate::init::Init;
    use crate::network::{BodyKind, Core, NetworkConfig, Precision};
    use crate::optim::{AdamConfig, OptimizerConfig};

    /// Small pictures and three actions.
    fn spec() -> EnvSpec {
        EnvSpec::new(Shape::new(&[4, 36, 36]), 3)
    }

    fn batch(network: &ActorCritic, n: usize, rng: &mut Rng) -> OnPolicyBatch {
        let pixels: Vec<u8> = (0..n * spec().obs_shape.len()).map(|_| rng.random()).collect();
        let mut numbers = || Tensor::from_slice(&(0..n).map(|_| rng.random()).collect::<Vec<f32>>());
        OnPolicyBatch {
            obs: network.body().input(&pixels).unwrap(),
            actions: (numbers() * 3.0).to_kind(Kind::Int64),
            epsilons: numbers() * 0.1,
            log_probabilities: numbers() * -2.0,
            values: numbers(),
            advantages: numbers() - 0.5,
            returns: numbers(),
            is_first: vec![false; n],
            state: RecurrentState::default(),
            learning_rate: 1e-4,
        }
    }

    #[test]
    fn an_update_that_can_be_recorded_is_the_same_to_the_last_bits() {
        let adam = AdamConfig {
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-5,
        };
        for optimizer in [
            config().optimizer,
            OptimizerConfig::Adam(adam),
            OptimizerConfig::RAdam(adam),
        ] {
            let config = OnPolicyConfig {
                clip_ratio: Some(0.2),
                value_clip: Some(0.5),
                network: NetworkConfig {
                    body: BodyKind::Nature,
                    core: Core::None,
                    init: Init::Orthogonal,
                    precision: Precision::Float32,
                },
                optimizer,
                ..config()
            };
            let mut rng = stream(1, "test", 0);
            let learner = || {
                let network = ActorCritic::new(&config.network, &spec(), &mut stream(1, "network", 0), Device::Cpu);
                OnPolicyLearner::new(&config, network.unwrap()).unwrap()
            };
            let (mut plain, mut recorded) = (learner(), learner());
            // Here nothing is recorded: what would be is computed each time.
            recorded.cuda_graphs = true;
            let first = plain.network().params().flat().copy();
            for update in 0..12 {
                // A batch of another size would be recorded anew.
                let n = if update < 8 { 16 } else { 8 };
                let mut batch = batch(plain.network(), n, &mut rng);
                batch.learning_rate = 1e-4 * f64::from(12 - update);
                let (expected, found) = (plain.learn(&batch).unwrap(), recorded.learn(&batch).unwrap());
                assert!((expected.loss - found.loss).abs() < 1e-5, "{expected:?} {found:?}");
                assert!(
                    (expected.grad_norm - found.grad_norm).abs() < 1e-4,
                    "{expected:?} {found:?}"
                );
                recorded.recorded.as_mut().unwrap().warm_ups = u32::MAX;
            }
            let largest = |difference: Tensor| difference.abs().max().double_value(&[]);
            let flat = |learner: &OnPolicyLearner| learner.network().params().flat();
            let off = largest(flat(&plain) - flat(&recorded));
            let moved = largest(flat(&plain) - first);
            assert!(off < 1e-5 && moved > 1e-3, "{off} of {moved}");
            assert_eq!(recorded.updates(), 12);
            // New weights may lie elsewhere.
            let mut section = Section::default();
            plain.save(&mut section).unwrap();
            recorded.load(&section).unwrap();
            assert!(recorded.recorded.is_none());
        }
    }

    #[test]
    fn what_cannot_be_recorded_says_why() {
        let config = OnPolicyConfig {
            cuda_graphs: true,
            ..config()
        };
        let network = ActorCritic::new(&config.network, &spec(), &mut stream(1, "network", 0), Device::Cpu).unwrap();
        assert_eq!(
            OnPolicyLearner::new(&config, network).unwrap_err().to_string(),
            "cuda_graphs = true: it is for a GPU: add `--device cuda`, or leave it out"
        );
        let mut recurrent = config.clone();
        recurrent.network.core = Core::Lstm;
        assert_eq!(
            recurrent.validate().unwrap_err().to_string(),
            "cuda_graphs = true: updates of an LSTM cannot be recorded: leave it out"
        );
    }

    #[test]
    fn masks_that_would_be_the_same_in_every_update_are_refused() {
        let mut config = config();
        let body = r#"{"layers":{"convolutions":[],"hidden":[9],"activation":"relu","norm":"none","skip":false,"dropout":0.1}}"#;
        config.network.body = serde_json::from_str(body).unwrap();
        let network = ActorCritic::new(&config.network, &spec(), &mut stream(1, "network", 0), Device::Cpu).unwrap();
        let batch = batch(&network, 4, &mut stream(1, "test", 0));
        let mut learner = OnPolicyLearner::new(&config, network).unwrap();
        learner.learn(&batch).unwrap();
        learner.cuda_graphs = true;
        assert_eq!(
            learner.learn(&batch).unwrap_err().to_string(),
            "cuda_graphs = true: dropout draws its masks on the CPU: leave it out"
        );
    }
}
