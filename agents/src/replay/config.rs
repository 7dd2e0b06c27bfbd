//! The settings of a replay memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SamplerConfig, Store};
use crate::AgentError;
use crate::limits::{check, unit};

/// The settings of [`Replay`](super::Replay).
///
/// ```
/// use coinop_agents::replay::{ReplayConfig, SamplerConfig, Store};
///
/// let config = ReplayConfig {
///     capacity: 1_000_000,
///     store: Store::Compressed,
///     n_step: 3,
///     gamma: 0.99,
///     sampler: SamplerConfig::PROPORTIONAL,
/// };
/// let (actors, batch_size) = (8, 32);
/// config.validate(actors, batch_size)?;
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayConfig {
    /// The capacity in agent steps, over all actors.
    pub capacity: usize,
    /// How frames are stored.
    pub store: Store,
    /// The number of rewards summed in n-step returns.
    pub n_step: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// How transitions are sampled.
    pub sampler: SamplerConfig,
}

impl ReplayConfig {
    /// Checks all values for `actors` actors and batches of `batch_size`.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self, actors: usize, batch_size: usize) -> Result<(), AgentError> {
        let reason = "it must be between 1 and 4000000000";
        check(
            (1..=4_000_000_000).contains(&self.capacity),
            "capacity",
            self.capacity,
            reason,
        )?;
        let reason = "it must be at least batch_size";
        check(self.capacity >= batch_size, "capacity", self.capacity, reason)?;
        check(self.n_step > 0, "n_step", self.n_step, "it must be at least 1")?;
        self.check_share(actors, 1)?;
        unit("gamma", self.gamma)?;
        self.sampler.validate()
    }

    /// Checks that each actor's share can hold complete stacks and returns.
    pub(super) fn check_share(&self, actors: usize, stack: usize) -> Result<(), AgentError> {
        let share = self.capacity / actors.max(1);
        let reason = "each environment's share of the capacity must be more than n_step and a stack of frames";
        let value = format!(
            "{} for {actors} environments and n_step = {}",
            self.capacity, self.n_step
        );
        check(share > self.n_step.saturating_add(stack), "capacity", value, reason)
    }
}
