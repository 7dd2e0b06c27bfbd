//! The settings of the synchronous actor-critic.

use coinop_envs::EnvSpec;
use tch::Device;

use super::{OnPolicyBatch, OnPolicyLearner};
use crate::AgentError;
use crate::algorithm::{
    LearnerWork, Work, Workload, act_by_policy, made_up_actions, made_up_numbers, made_up_obs, made_up_rng,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, if_given, unit, up_to_10_000};
use crate::network::{ActorCritic, Core, NetworkConfig, Observation};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;

/// The settings of the synchronous actor-critic, which those of PAAC and PPO become.
///
/// ```
/// use coinop_agents::on_policy::OnPolicyConfig;
/// use coinop_agents::paac::PaacConfig;
///
/// let paac = OnPolicyConfig::from(&PaacConfig::paac());
/// assert_eq!((paac.epochs, paac.minibatches, paac.clip_ratio), (1, 1, None));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OnPolicyConfig {
    /// The number of environments.
    pub num_envs: usize,
    /// Whether to subtract from every pixel its mean over the first rollout, which is not learned from. The
    /// background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and rollout.
    pub rollout_steps: usize,
    /// Passes over the samples of a rollout.
    pub epochs: usize,
    /// If the mean of [`approx_kl`](super::OnPolicyStats::approx_kl) over an epoch exceeds this, no further epoch
    /// follows: the policy has moved too far from the one that played.
    pub target_kl: Option<f64>,
    /// Updates per epoch, each on its share of the shuffled samples.
    pub minibatches: usize,
    /// The clip range `1 ± clip_ratio` of the probability ratio; `None` for the plain policy gradient.
    pub clip_ratio: Option<f64>,
    /// How far a value may move from the one that was estimated when the rollout was played; `None` for any distance.
    pub value_clip: Option<f64>,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation; 1 is the n-step return.
    pub gae_lambda: f64,
    /// Whether to normalise the advantages of a rollout to mean 0 and standard deviation 1.
    pub normalize_advantages: bool,
    /// The smallest standard deviation that advantages are divided by, if given.
    pub min_advantage_std: Option<f64>,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Weight of the entropy bonus.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// A factor of the total loss.
    pub loss_scale: f64,
    /// Clips the global norm of the gradient to this maximum, if given.
    pub max_grad_norm: Option<f64>,
    /// Whether to record an update once, as a CUDA graph, and replay it with one call per update. Requires a GPU, a
    /// network without LSTM or dropout, and a single process.
    pub cuda_graphs: bool,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration in addition to the policy's own randomness.
    pub epsilon: EpsilonConfig,
}

impl OnPolicyConfig {
    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        up_to_10_000("epochs", self.epochs)?;
        let samples = self.num_envs * self.rollout_steps;
        let divides = self.minibatches > 0 && samples.is_multiple_of(self.minibatches);
        let reason = "it must divide num_envs times rollout_steps";
        check(divides, "minibatches", self.minibatches, reason)?;
        self.network.validate()?;
        let whole = self.network.core == Core::None || self.num_envs.is_multiple_of(self.minibatches);
        let reason = "all steps of an environment stay together for an LSTM: it must divide num_envs";
        check(whole, "minibatches", self.minibatches, reason)?;
        for (name, value) in [
            ("target_kl", self.target_kl),
            ("clip_ratio", self.clip_ratio),
            ("value_clip", self.value_clip),
            ("max_grad_norm", self.max_grad_norm),
            ("min_advantage_std", self.min_advantage_std),
        ] {
            if_given(name, value, above_0)?;
        }
        let reason = "updates of an LSTM cannot be recorded: leave it out";
        let possible = !self.cuda_graphs || self.network.core == Core::None;
        check(possible, "cuda_graphs", self.cuda_graphs, reason)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        self.learning_rate.check("learning_rate", above_0, at_least_0)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("loss_scale", self.loss_scale)?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    /// The network operations of a rollout and its updates.
    pub(crate) fn workload(&self) -> Workload {
        let (n, steps) = (self.num_envs, self.rollout_steps);
        Workload {
            act_batch: n,
            acts: steps as f64 + 1.0,
            learn_batch: (n * steps / self.minibatches).max(1),
            learns: (self.epochs * self.minibatches) as f64,
            steps: (n * steps) as f64,
            workers: 1,
            replay: None,
        }
    }

    /// The network and the learner with a made-up minibatch.
    pub(crate) fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Box<dyn Work>, AgentError> {
        let network = ActorCritic::new(&self.network, spec, &mut made_up_rng(), device)?;
        let (body, n) = (network.body(), self.workload().learn_batch);
        let numbers = made_up_numbers(n);
        let probability = (1.0 / spec.num_actions as f32).ln();
        let learned = OnPolicyBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            actions: body.numbers(&made_up_actions(spec, n))?,
            epsilons: body.numbers(&vec![0f32; n])?,
            log_probabilities: body.numbers(&vec![probability; n])?,
            values: body.numbers(&numbers)?,
            advantages: body.numbers(&numbers)?,
            returns: body.numbers(&numbers)?,
            is_first: vec![false; n],
            state: network.initial_state((self.num_envs / self.minibatches).max(1))?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        let (is_first, mut state) = (vec![false; batch], network.initial_state(batch)?);
        Ok(Box::new(LearnerWork {
            learner: OnPolicyLearner::new(self, network)?,
            batch: learned,
            act: move |learner: &OnPolicyLearner| act_by_policy(learner.network(), &answered, &is_first, &mut state),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::RmsPropConfig;

    #[test]
    fn an_invalid_value_is_named_with_the_reason() {
        let config = super::super::tests::config();
        config.validate().unwrap();
        type Spoil = fn(&mut OnPolicyConfig);
        let cases: [(Spoil, &str); 10] = [
            (|c| c.num_envs = 0, "num_envs = 0: it must be between 1 and 10000"),
            (
                |c| c.epochs = 1 << 60,
                "epochs = 1152921504606846976: it must be between 1 and 10000",
            ),
            (
                |c| c.minibatches = 0,
                "minibatches = 0: it must divide num_envs times rollout_steps",
            ),
            (
                |c| c.minibatches = 3,
                "minibatches = 3: it must divide num_envs times rollout_steps",
            ),
            (|c| c.gamma = 1.5, "gamma = 1.5: it must be between 0 and 1"),
            (
                |c| c.learning_rate = f64::NAN.into(),
                "learning_rate = NaN: it must be a number above 0, at most 1e30",
            ),
            (
                |c| c.clip_ratio = Some(1e39),
                "clip_ratio = 1000000000000000000000000000000000000000: it must be a number above 0, at most 1e30",
            ),
            (
                |c| c.target_kl = Some(0.0),
                "target_kl = 0: it must be a number above 0, at most 1e30",
            ),
            (
                |c| c.epsilon = EpsilonConfig::Fixed { value: 2.0 },
                "epsilon.value = 2: it must be between 0 and 1",
            ),
            (
                |c| {
                    let rms_prop = RmsPropConfig {
                        decay: 2.0,
                        epsilon: 0.1,
                        epsilon_inside_root: true,
                        centered: false,
                        initial_mean_square: 0.0,
                    };
                    c.optimizer = OptimizerConfig::RmsProp(rms_prop);
                },
                "optimizer.decay = 2: it must be at least 0 and below 1",
            ),
        ];
        for (spoil, text) in cases {
            let mut config = config.clone();
            spoil(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), text);
        }
    }
}
