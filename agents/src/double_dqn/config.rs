//! The settings of Double-DQN.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, unit, up_to_10_000};
use crate::network::{Head, NetworkConfig};
use crate::optim::OptimizerConfig;
use crate::replay::{ReplayConfig, SamplerConfig, Store};

/// The settings of Double-DQN. There are no defaults here; presets are part of the program.
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
    /// The number of environments, each with an actor.
    pub num_envs: usize,
    /// Whether actors step in their own threads while the learner learns. If not, they take turns, and a seed
    /// reproduces a run bit for bit.
    pub asynchronous: bool,
    /// The capacity of the replay memory in agent steps.
    pub capacity: usize,
    /// How the memory stores frames.
    pub store: Store,
    /// Frames of random actions before the first update.
    pub learning_starts: u64,
    /// Transitions per update.
    pub batch_size: usize,
    /// Agent steps, over all actors, between updates.
    pub steps_per_update: usize,
    /// Frames between updates of the target network.
    pub target_frames: u64,
    /// Whether the online network selects the action whose value the target network estimates (Double-DQN), or the
    /// target network does both (DQN).
    pub double: bool,
    /// The number of rewards summed in n-step returns.
    pub n_step: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// The bound on an error's gradient; 0 for none.
    pub error_clip: f64,
    /// The maximum global norm of the gradient; 0 for none.
    pub max_grad_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The epsilon of evaluations that sample.
    pub eval_epsilon: f64,
    /// The body of the network.
    pub network: NetworkConfig,
    /// The head of the network.
    pub head: Head,
    /// How transitions are sampled.
    pub sampler: SamplerConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl DoubleDqnConfig {
    /// The settings of the replay memory.
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

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
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
