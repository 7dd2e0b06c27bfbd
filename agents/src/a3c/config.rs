//! The settings of A3C.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::actor_learners::{check_rates, check_workers, rate_schedule};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, unit, up_to_10_000};
use crate::network::NetworkConfig;
use crate::schedule::Schedule;
use crate::shared::SharedOptimizerConfig;

/// The settings of A3C. There are no defaults here; presets are part of the program.
///
/// ```
/// use coinop_agents::a3c::A3cConfig;
///
/// // The section of a preset, as the program `coinop` reads it.
/// let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/a3c-classic.toml")).parse()?;
/// let config: A3cConfig = preset["a3c"].clone().try_into()?;
/// config.validate()?;
/// assert_eq!((config.workers, config.rollout_steps), (4, 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A3cConfig {
    /// The number of worker threads, each with its own environment.
    pub workers: usize,
    /// Whether workers lock the weights while reading and changing them; otherwise they use Hogwild, as in the paper.
    pub locked: bool,
    /// Agent steps per rollout, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation (arXiv 1506.02438); 1 is the paper's n-step return.
    pub gae_lambda: f64,
    /// The initial learning rate.
    pub learning_rate: f64,
    /// If above 0, the initial learning rate is drawn log-uniformly between `learning_rate` and this for each seed,
    /// as in the paper.
    pub max_learning_rate: f64,
    /// Frames over which the learning rate decreases linearly to 0; 0 for the whole run.
    pub anneal_frames: u64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// The maximum norm of a rollout's gradient, which is a sum over its steps.
    pub max_grad_norm: f64,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: SharedOptimizerConfig,
    /// Exploration in addition to the policy's own randomness.
    pub epsilon: EpsilonConfig,
}

impl A3cConfig {
    /// The learning rate over a run of `total_frames` frames with the given seed.
    #[must_use]
    pub fn learning_rate_schedule(&self, total_frames: u64, seed: u64) -> Schedule {
        rate_schedule(
            self.learning_rate,
            self.max_learning_rate,
            self.anneal_frames,
            total_frames,
            seed,
        )
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        check_workers(self.workers)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        check_rates(self.learning_rate, self.max_learning_rate)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("max_grad_norm", self.max_grad_norm)?;
        self.network.validate()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }
}
