//! Exploration: each actor has its own epsilon, which can be sampled and resampled.
//!
//! An actor follows the mixture `(1 - epsilon) policy + epsilon uniform`. Policy gradient methods use the
//! log-probability under this *mixture*, because it is the distribution that chose the action.

mod actions;
mod config;
mod epsilons;

pub use actions::{epsilon_greedy, greedy_action, sample_action};
pub use config::EpsilonConfig;
pub use epsilons::Epsilons;
