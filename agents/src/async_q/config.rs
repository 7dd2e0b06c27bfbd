//! The settings of the asynchronous value methods.

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::actor_learners::{check_rates, check_workers, rate_schedule};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, check, unit, up_to_10_000};
use crate::network::NetworkConfig;
use crate::schedule::Schedule;
use crate::shared::SharedOptimizerConfig;

/// The target of an action's value. `Q'` is the target network.
///
/// ```
/// use coinop_agents::async_q::ValueMethod;
///
/// /// What `coinop train --algo NAME` learns by.
/// fn method(name: &str) -> Option<ValueMethod> {
///     match name {
///         "async-q" => Some(ValueMethod::OneStepQ),
///         "async-sarsa" => Some(ValueMethod::OneStepSarsa),
///         "async-nstep-q" => Some(ValueMethod::NStepQ),
///         _ => None,
///     }
/// }
/// # let _ = method;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueMethod {
    /// `r + γ max_b Q'(s', b)`: algorithm 1.
    OneStepQ,
    /// `r + γ Q'(s', a')` with the action taken next.
    OneStepSarsa,
    /// `r + γ r' + … + γⁿ max_b Q'(sⁿ, b)`, over the remaining steps of the rollout: algorithm S2.
    NStepQ,
}

/// The settings of an asynchronous value method. There are no defaults here; presets are part of the program.
///
/// ```
/// use coinop_agents::async_q::AsyncQConfig;
///
/// // The section of a preset, as the program `coinop` reads it.
/// let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/async-classic.toml")).parse()?;
/// let config: AsyncQConfig = preset["async"].clone().try_into()?;
/// config.validate()?;
/// assert_eq!((config.workers, config.target_frames), (4, 400));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsyncQConfig {
    /// The number of worker threads, each with its own environment.
    pub workers: usize,
    /// Whether workers lock the weights while reading and changing them; otherwise they use Hogwild, as in the paper.
    pub locked: bool,
    /// Agent steps between updates: `I_AsyncUpdate`, or `t_max` of n-step Q.
    pub rollout_steps: usize,
    /// Frames of the run, over all workers, between updates of the target network, `I_target`.
    pub target_frames: u64,
    /// Discount per agent step.
    pub gamma: f64,
    /// The initial learning rate.
    pub learning_rate: f64,
    /// If above 0, the initial learning rate is drawn log-uniformly between `learning_rate` and this for each seed,
    /// as in the paper.
    pub max_learning_rate: f64,
    /// Frames over which the learning rate decreases linearly to 0; 0 for the whole run.
    pub anneal_frames: u64,
    /// The maximum norm of a rollout's gradient, which is a sum over its steps.
    pub max_grad_norm: f64,
    /// The probability of a random action in evaluations that sample.
    pub eval_epsilon: f64,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: SharedOptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl AsyncQConfig {
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
        let reason = "it must be at least 1";
        check(self.target_frames > 0, "target_frames", self.target_frames, reason)?;
        unit("gamma", self.gamma)?;
        check_rates(self.learning_rate, self.max_learning_rate)?;
        above_0("max_grad_norm", self.max_grad_norm)?;
        unit("eval_epsilon", self.eval_epsilon)?;
        self.network.validate()?;
        self.network.check_feed_forward()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }
}
