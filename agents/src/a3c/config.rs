//! The settings of A3C.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::actor_learners::{check_rates, check_workers, rate_schedule};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, unit, up_to_10_000};
use crate::network::NetworkConfig;
use crate::schedule::Schedule;
use crate::shared::SharedOptimizerConfig;

/// The settings of A3C. Every one must be given: presets and files are the program's matter.
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
    /// Threads, each with an environment of its own.
    pub workers: usize,
    /// Whether workers wait for each other when they read and change the weights; if not, that is Hogwild, as in the paper.
    pub locked: bool,
    /// Agent steps of a rollout, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// Mixes returns of different lengths as in generalised advantage estimation (arXiv 1506.02438); 1 is the paper's plain n-step return.
    pub gae_lambda: f64,
    /// The learning rate at the start.
    pub learning_rate: f64,
    /// If above 0, the learning rate at the start is drawn for each seed, log-uniformly between `learning_rate` and this, as the paper does.
    pub max_learning_rate: f64,
    /// Frames over which the learning rate falls linearly to 0; 0 for the length of the run.
    pub anneal_frames: u64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the squared error of the value.
    pub value_weight: f64,
    /// The norm of the gradient of a rollout, which is a sum over its steps, is clipped to this.
    pub max_grad_norm: f64,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: SharedOptimizerConfig,
    /// Exploration beyond the policy's own.
    pub epsilon: EpsilonConfig,
}

impl A3cConfig {
    /// The learning rate over a run of `total_frames` frames that was seeded with `seed`.
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

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] with the first invalid value.
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
