//! The synchronous actor-critic that [PAAC](crate::paac) and [PPO](crate::ppo) share: all environments step together,
//! and one model is updated from their rollouts.
//!
//! PAAC updates once per rollout, with the plain policy gradient. PPO updates several times, within a clip.

mod config;
mod learner;
mod recorded;
mod trainer;

pub use config::OnPolicyConfig;
pub use learner::{Minibatch, OnPolicyBatch, OnPolicyLearner, OnPolicyStats};
pub use trainer::OnPolicy;

#[cfg(test)]
mod tests;
