//! The settings of PAAC.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::NetworkKind;
use crate::optim::OptimizerConfig;

/// The settings of PAAC. Every one must be given: presets and files are the program's matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaacConfig {
    /// Environments stepped together, `n_e`.
    pub num_envs: usize,
    /// Agent steps per environment and rollout, `t_max`.
    pub rollout_steps: usize,
    /// How often every sample of a rollout is learned from. The paper does it once.
    pub epochs: usize,
    /// Updates per epoch, each from its share of the samples, shuffled. The paper does one from all.
    pub minibatches: usize,
    /// Beyond `1 ± clip_ratio`, a change of an action's probability is not rewarded (PPO, arXiv 1707.06347, equation 7). It keeps
    /// several updates from one rollout in bounds. 0 is the paper's plain policy gradient.
    pub clip_ratio: f64,
    /// Discount per agent step.
    pub gamma: f64,
    /// Mixes returns of different lengths as in generalised advantage estimation (arXiv 1506.02438); 1 is the paper's plain
    /// n-step return.
    pub gae_lambda: f64,
    /// Shift and scale the advantages of a rollout to mean 0 and deviation 1.
    pub normalize_advantages: bool,
    /// The learning rate at the start.
    pub learning_rate: f64,
    /// Frames over which the learning rate falls linearly to 0; 0 for the length of the run.
    pub anneal_frames: u64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the squared error of the value.
    pub value_weight: f64,
    /// The whole loss is multiplied by this. Authors who sum over a rollout where others average express it here.
    pub loss_scale: f64,
    /// The gradient's global norm is clipped to this.
    pub max_grad_norm: f64,
    /// The network.
    pub network: NetworkKind,
    /// Its initial weights.
    pub init: Init,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration beyond the policy's own.
    pub epsilon: EpsilonConfig,
}

impl PaacConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] with the first that can not be.
    pub fn validate(&self) -> Result<(), AgentError> {
        let check = |good: bool, name, value: String, reason| {
            if good {
                Ok(())
            } else {
                Err(AgentError::BadConfig { name, value, reason })
            }
        };
        let positive = |name, value: usize| check(value > 0, name, value.to_string(), "it must be at least 1");
        let unit = |name, value: f64| {
            check(
                (0.0..=1.0).contains(&value),
                name,
                value.to_string(),
                "it must be between 0 and 1",
            )
        };
        let above_0 = |name, value: f64| {
            check(
                value.is_finite() && value > 0.0,
                name,
                value.to_string(),
                "it must be a number above 0",
            )
        };
        let at_least_0 = |name, value: f64| {
            check(
                value.is_finite() && value >= 0.0,
                name,
                value.to_string(),
                "it must be a number of at least 0",
            )
        };
        let up_to_10_000 = |name, value: usize| {
            let reason = "it must be between 1 and 10000";
            check((1..=10_000).contains(&value), name, value.to_string(), reason)
        };
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        positive("epochs", self.epochs)?;
        positive("minibatches", self.minibatches)?;
        let divides = (self.num_envs * self.rollout_steps).is_multiple_of(self.minibatches);
        let reason = "it must divide num_envs times rollout_steps";
        check(divides, "minibatches", self.minibatches.to_string(), reason)?;
        at_least_0("clip_ratio", self.clip_ratio)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        above_0("learning_rate", self.learning_rate)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("loss_scale", self.loss_scale)?;
        above_0("max_grad_norm", self.max_grad_norm)?;
        self.epsilon.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_can_not_be_is_named_with_the_reason() {
        let config = super::super::tests::config();
        config.validate().unwrap();
        type Spoil = fn(&mut PaacConfig);
        let cases: [(Spoil, &str); 4] = [
            (|c| c.num_envs = 0, "num_envs = 0: it must be between 1 and 10000"),
            (
                |c| c.minibatches = 3,
                "minibatches = 3: it must divide num_envs times rollout_steps",
            ),
            (|c| c.gamma = 1.5, "gamma = 1.5: it must be between 0 and 1"),
            (
                |c| c.learning_rate = f64::NAN,
                "learning_rate = NaN: it must be a number above 0",
            ),
        ];
        for (spoil, text) in cases {
            let mut config = config.clone();
            spoil(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), text);
        }
    }
}
