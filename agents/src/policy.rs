//! From observations to actions.

use crate::AgentError;
use coinop_envs::Elem;

/// How a policy chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the policy's distribution says.
    Sample,
    /// The most probable (or most valuable) action.
    Greedy,
}

/// Turns a batch of observations into actions.
pub trait Policy {
    /// The element type of observations.
    type Obs: Elem;

    /// Writes one action per observation. `obs` holds `actions.len()` observations, one after another.
    ///
    /// # Errors
    ///
    /// When the network fails.
    ///
    /// # Panics
    ///
    /// If `obs` is not `actions.len()` observations long.
    fn act(&mut self, obs: &[Self::Obs], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError>;
}
