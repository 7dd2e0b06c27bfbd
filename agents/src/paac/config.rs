//! The settings of PAAC.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, unit, up_to_10_000};
use crate::network::{Core, NetworkConfig};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;

/// The settings of PAAC. There are no defaults here; presets are part of the program.
///
/// ```
/// use coinop_agents::paac::PaacConfig;
///
/// // The section of a preset, as the program `coinop` reads it.
/// let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/paac-classic.toml")).parse()?;
/// let config: PaacConfig = preset["paac"].clone().try_into()?;
/// config.validate()?;
/// assert!(config.num_envs > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaacConfig {
    /// The number of environments, `n_e`.
    pub num_envs: usize,
    /// Whether to subtract from every pixel its mean over the first rollout, which is not learned from. The
    /// background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and rollout, `t_max`.
    pub rollout_steps: usize,
    /// Passes over the samples of a rollout. The paper makes one.
    pub epochs: usize,
    /// If the mean of [`PaacStats::approx_kl`](super::PaacStats::approx_kl) over an epoch exceeds this, no further
    /// epoch follows: the policy has moved too far from the one that played. 0 for no bound.
    pub target_kl: f64,
    /// Updates per epoch, each on its share of the shuffled samples. The paper makes one, on all samples.
    pub minibatches: usize,
    /// The clip range `1 ± clip_ratio` of the probability ratio (PPO, arXiv 1707.06347, equation 7), which bounds the
    /// effect of several updates per rollout. 0 is the paper's plain policy gradient.
    pub clip_ratio: f64,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation (arXiv 1506.02438); 1 is the paper's n-step return.
    pub gae_lambda: f64,
    /// Whether to normalise the advantages of a rollout to mean 0 and standard deviation 1.
    pub normalize_advantages: bool,
    /// The initial learning rate.
    pub learning_rate: f64,
    /// Frames over which the learning rate decreases linearly to 0; 0 for the whole run.
    pub anneal_frames: u64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// A factor of the total loss. Use it for papers that sum over a rollout where others average.
    pub loss_scale: f64,
    /// The maximum global norm of the gradient.
    pub max_grad_norm: f64,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration in addition to the policy's own randomness.
    pub epsilon: EpsilonConfig,
}

impl PaacConfig {
    /// The learning rate over a run of `total_frames` frames.
    #[must_use]
    pub fn learning_rate_schedule(&self, total_frames: u64) -> Schedule {
        let frames = if self.anneal_frames == 0 {
            total_frames
        } else {
            self.anneal_frames
        };
        Schedule::Linear {
            from: self.learning_rate,
            to: 0.0,
            frames,
        }
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        up_to_10_000("epochs", self.epochs)?;
        at_least_0("target_kl", self.target_kl)?;
        let samples = self.num_envs * self.rollout_steps;
        let divides = self.minibatches > 0 && samples.is_multiple_of(self.minibatches);
        let reason = "it must divide num_envs times rollout_steps";
        check(divides, "minibatches", self.minibatches, reason)?;
        self.network.validate()?;
        let whole = self.network.core == Core::None || self.num_envs.is_multiple_of(self.minibatches);
        let reason = "all steps of an environment stay together for an LSTM: it must divide num_envs";
        check(whole, "minibatches", self.minibatches, reason)?;
        at_least_0("clip_ratio", self.clip_ratio)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        above_0("learning_rate", self.learning_rate)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("loss_scale", self.loss_scale)?;
        above_0("max_grad_norm", self.max_grad_norm)?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::RmsPropConfig;

    #[test]
    fn a_value_that_can_not_be_is_named_with_the_reason() {
        let config = super::super::tests::config();
        config.validate().unwrap();
        type Spoil = fn(&mut PaacConfig);
        let cases: [(Spoil, &str); 9] = [
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
                |c| c.learning_rate = f64::NAN,
                "learning_rate = NaN: it must be a number above 0, at most 1e30",
            ),
            (
                |c| c.clip_ratio = 1e39,
                "clip_ratio = 1000000000000000000000000000000000000000: it must be a number from 0 to 1e30",
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
