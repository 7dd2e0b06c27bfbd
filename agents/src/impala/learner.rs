//! The update of IMPALA.

use coinop_envs::End;
use tch::{Kind, Tensor};

use super::ImpalaConfig;
use crate::collect::{check_finite, copy_to};
use crate::distributed::Ranks;
use crate::losses::{entropy, policy_gradient_loss, value_loss};
use crate::metrics::{self, statistics};
use crate::network::{ActorCritic, RecurrentState};
use crate::optim::{Optimizer, clip_grad_norm};
use crate::returns::{Rewards, VTrace, explained_variance, mean, v_trace};
use crate::{AgentError, Checkpoint, CheckpointError, Learner, Section};

/// The batch of an update: `t` steps of `n` environments, step by step.
#[derive(Debug)]
pub struct ImpalaBatch {
    /// Observations `[(t + 1) · n, obs_shape…]`, on the network's device; the last row follows the last step.
    pub obs: Tensor,
    /// Actions `[t · n]`, on the network's device.
    pub actions: Tensor,
    /// The log-probabilities of the actions when they were chosen, epsilon included `[t · n]`.
    pub log_probabilities: Vec<f32>,
    /// Rewards `[t · n]`.
    pub rewards: Vec<f32>,
    /// 0 where the return ends, else 1 `[t · n]`.
    pub discounts: Vec<f32>,
    /// Whether each step ended the episode `[t · n]`.
    pub ends: Vec<End>,
    /// The values of the final observations of truncated episodes, as the actors estimated them `[t · n]`.
    pub final_values: Vec<f32>,
    /// Whether each observation starts an episode `[(t + 1) · n]`; ignored by feed-forward networks.
    pub is_first: Vec<bool>,
    /// The recurrent state of every environment before the first step, as the actors had it.
    pub state: RecurrentState,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

statistics! {
    /// Statistics of one update.
    ///
    /// ```
    /// use coinop_agents::impala::ImpalaStats;
    ///
    /// // How far the policy is from those that played, in nats and in probability ratios beyond rho-bar.
    /// fn is_far(stats: &ImpalaStats) -> bool {
    ///     stats.approx_kl > 0.1 || stats.clip_fraction > 0.5
    /// }
    /// assert!(!is_far(&ImpalaStats::default()));
    /// ```
    pub struct ImpalaStats {
        /// The whole loss.
        loss,
        /// `-mean(A log pi)`.
        policy_loss,
        /// `mean((v - V)²)`.
        value_loss,
        /// The mean entropy of the policy, in nats.
        entropy,
        /// The norm of the gradient before clipping.
        grad_norm,
        /// The estimated Kullback-Leibler divergence of the policy from those that played, in nats.
        approx_kl,
        /// The fraction of ratios above rho-bar.
        clip_fraction,
        /// The mean value.
        mean_value,
        /// How much of the variance of the targets the values explain.
        explained_variance,
    }
}

/// The network of IMPALA and its optimiser.
///
/// The loss is `scale · (-mean(A log pi(a|s)) - beta mean(H) + c mean((v - V)²))` with the targets `v` and the advantages
/// `A` of V-trace (Espeholt et al. 2018, arXiv 1802.01561, section 4.2): see [`v_trace`].
///
/// ```
/// use coinop_agents::impala::{ImpalaBatch, ImpalaConfig, ImpalaLearner};
/// use coinop_agents::network::ActorCritic;
/// use coinop_agents::tch::Tensor;
/// use coinop_agents::{Device, Learner};
/// use coinop_envs::End;
/// # use coinop_envs::Env;
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
///
/// let config = ImpalaConfig::classic();
/// let spec = CartPole::v1().spec();
/// let network = ActorCritic::new(&config.network, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// // One step of eight environments, which ends every episode.
/// let n = 8;
/// let batch = ImpalaBatch {
///     obs: network.body().input(&vec![0.1f32; 2 * n * 4])?,
///     actions: Tensor::from_slice(&vec![1i64; n]),
///     log_probabilities: vec![0.5f32.ln(); n],
///     rewards: vec![2.0; n],
///     discounts: vec![0.0; n],
///     ends: vec![End::Terminated; n],
///     final_values: vec![0.0; n],
///     is_first: vec![true; 2 * n],
///     state: network.initial_state(n)?,
///     learning_rate: 1e-3,
/// };
/// let mut learner = ImpalaLearner::new(&config, network)?;
/// let first = learner.learn(&batch)?;
/// (0..50).try_for_each(|_| learner.learn(&batch).map(|_| ()))?;
/// assert!(learner.learn(&batch)?.value_loss < first.value_loss);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct ImpalaLearner {
    network: ActorCritic,
    optimizer: Optimizer,
    trace: VTrace,
    entropy_weight: f64,
    value_weight: f64,
    loss_scale: f64,
    max_grad_norm: Option<f64>,
    ranks: Ranks,
    updates: u64,
}

impl ImpalaLearner {
    /// Creates a learner for a network with its initial weights.
    ///
    /// # Errors
    ///
    /// If there is not enough memory for the optimiser's statistics.
    pub fn new(config: &ImpalaConfig, network: ActorCritic) -> Result<Self, AgentError> {
        Ok(Self {
            optimizer: Optimizer::new(config.optimizer, &network.params().flat())?,
            network,
            trace: VTrace {
                gamma: config.gamma as f32,
                lambda: config.lambda as f32,
                rho_clip: config.rho_clip as f32,
                c_clip: config.c_clip as f32,
            },
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            loss_scale: config.loss_scale,
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

impl Learner for ImpalaLearner {
    type Batch = ImpalaBatch;
    type Stats = ImpalaStats;

    fn learn(&mut self, batch: &ImpalaBatch) -> Result<ImpalaStats, AgentError> {
        let len = batch.rewards.len();
        let n = batch.is_first.len() - len;
        let (logits, all_values) = self
            .network
            .forward(&batch.obs, &batch.is_first, &mut batch.state.copy()?)?;
        let log_probabilities = logits.f_narrow(0, 0, len as i64)?.f_log_softmax(1, Kind::Float)?;
        let chosen = log_probabilities
            .f_gather(1, &batch.actions.f_unsqueeze(1)?, false)?
            .f_squeeze_dim(1)?;
        // The recursion is a loop over numbers, so that the processor has all of them, in one piece from a GPU.
        let mut numbers_of = vec![0.0; 2 * len + n];
        copy_to(&Tensor::f_cat(&[&all_values, &chosen], 0)?.f_detach()?, &mut numbers_of)?;
        let (values, new) = numbers_of.split_at(len + n);
        check_finite("a value", values, self.updates)?;
        let ratios: Vec<f32> = new
            .iter()
            .zip(&batch.log_probabilities)
            .map(|(new, old)| (new - old).exp())
            .collect();
        let (mut targets, mut advantages) = (vec![0.0; len], vec![0.0; len]);
        let rewards = Rewards {
            num_envs: n,
            rewards: &batch.rewards,
            discounts: &batch.discounts,
            ends: &batch.ends,
            final_values: &batch.final_values,
            values,
        };
        v_trace(&rewards, &ratios, self.trace, &mut targets, &mut advantages);
        let body = self.network.body();
        let policy_loss = policy_gradient_loss(&chosen, &body.numbers(&advantages)?)?;
        let entropy = entropy(&log_probabilities)?.f_mean(Kind::Float)?;
        let value_loss = value_loss(&all_values.f_narrow(0, 0, len as i64)?, &body.numbers(&targets)?)?;
        let loss = policy_loss
            .f_sub(&entropy.f_mul_scalar(self.entropy_weight)?)?
            .f_add(&value_loss.f_mul_scalar(self.value_weight)?)?
            .f_mul_scalar(self.loss_scale)?;
        let mut gradient = self.network.params().mean_gradient(&loss, &self.ranks)?;
        let grad_norm = clip_grad_norm(&mut gradient, self.max_grad_norm.unwrap_or(f64::INFINITY))?;
        let [loss, policy_loss, value_loss, entropy, grad_norm] =
            numbers([&loss, &policy_loss, &value_loss, &entropy, &grad_norm])?;
        metrics::check_finite(
            &[("the loss", loss), ("the norm of the gradient", grad_norm)],
            self.updates,
        )?;
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, batch.learning_rate)?;
        self.updates += 1;
        self.ranks
            .check_now_and_then(self.updates, &self.network.params().flat())?;
        let values = &values[..len];
        let clipped = ratios.iter().filter(|ratio| **ratio > self.trace.rho_clip).count();
        Ok(ImpalaStats::of([
            loss,
            policy_loss,
            value_loss,
            entropy,
            grad_norm,
            divergence(&ratios),
            clipped as f64 / len as f64,
            mean(values),
            explained_variance(values, &targets),
        ]))
    }
}

/// The mean of `r - 1 - log r` over the ratios of two policies, an estimate of the Kullback-Leibler divergence that is
/// never negative (Schulman 2020, "Approximating KL divergence"). A ratio of 0 counts as the smallest number above it.
fn divergence(ratios: &[f32]) -> f64 {
    let sum: f64 = ratios
        .iter()
        .map(|ratio| f64::from(ratio.max(f32::MIN_POSITIVE)))
        .map(|ratio| ratio - 1.0 - ratio.ln())
        .sum();
    sum / ratios.len() as f64
}

impl Checkpoint for ImpalaLearner {
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

/// Reads scalar tensors, waiting for a GPU only once.
fn numbers<const N: usize>(tensors: [&Tensor; N]) -> Result<[f64; N], AgentError> {
    let mut values = [0.0f32; N];
    copy_to(&Tensor::f_stack(&tensors, 0)?.f_detach()?, &mut values)?;
    Ok(values.map(f64::from))
}
