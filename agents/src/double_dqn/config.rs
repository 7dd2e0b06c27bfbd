//! The settings of Double-DQN.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, unit, up_to_10_000};
use crate::network::{Head, NetworkConfig};
use crate::optim::OptimizerConfig;
use crate::replay::{ReplayConfig, SamplerConfig, Store};

/// The settings of Double-DQN. Every one must be given: presets and files are the program's matter.
///
/// ```
/// use coinop_agents::double_dqn::DoubleDqnConfig;
///
/// // The section of a preset, as the program `coinop` reads it.
/// let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/double-dqn-classic.toml")).parse()?;
/// let config: DoubleDqnConfig = preset["double-dqn"].clone().try_into()?;
/// config.validate()?;
/// assert_eq!((config.batch_size, config.n_step, config.double), (128, 3, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoubleDqnConfig {
    /// Environments, each with an actor.
    pub num_envs: usize,
    /// Whether actors step in threads of their own while the learner learns. If not, they take turns, and a seed gives the same run, bit for bit.
    pub asynchronous: bool,
    /// Agent steps that the memory keeps.
    pub capacity: usize,
    /// How it keeps their frames.
    pub store: Store,
    /// Frames of random actions before anything is learned.
    pub learning_starts: u64,
    /// Transitions of an update.
    pub batch_size: usize,
    /// Agent steps, over all actors, between two updates.
    pub steps_per_update: usize,
    /// Frames between two copies of the network to the target network.
    pub target_frames: u64,
    /// Whether the network selects the action whose value the target network tells (Double-DQN), or the target network itself does (DQN).
    pub double: bool,
    /// Steps of the return that are added up before the value of what comes then.
    pub n_step: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// Beyond this, an error's gradient does not grow; 0 for no bound.
    pub error_clip: f64,
    /// The gradient's global norm is clipped to this; 0 for no bound.
    pub max_grad_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The epsilon of evaluations.
    pub eval_epsilon: f64,
    /// The body of the network.
    pub network: NetworkConfig,
    /// Its head.
    pub head: Head,
    /// How transitions are sampled.
    pub sampler: SamplerConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl DoubleDqnConfig {
    /// The settings of the memory.
    #[must_use]
    pub fn replay_config(&self) -> ReplayConfig {
        ReplayConfig {
            capacity: self.capacity,
            store: self.store,
            n_step: self.n_step,
            gamma: self.gamma,
            sampler: self.sampler,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] with the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("batch_size", self.batch_size)?;
        self.replay_config().validate(self.num_envs, self.batch_size)?;
        let reason = "it must be at least 1";
        check(
            self.steps_per_update > 0,
            "steps_per_update",
            self.steps_per_update,
            reason,
        )?;
        check(self.target_frames > 0, "target_frames", self.target_frames, reason)?;
        at_least_0("error_clip", self.error_clip)?;
        at_least_0("max_grad_norm", self.max_grad_norm)?;
        above_0("learning_rate", self.learning_rate)?;
        unit("eval_epsilon", self.eval_epsilon)?;
        self.network.validate()?;
        self.network.check_feed_forward()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }
}
