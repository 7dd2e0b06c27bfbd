//! Double-DQN: actors fill a replay memory from which a learner of action values samples (Mnih 2015; van Hasselt,
//! Guez and Silver 2015, arXiv 1509.06461). Options: prioritized replay (Schaul 2015, arXiv 1511.05952), n-step
//! returns, a dueling head (Wang 2016, arXiv 1511.06581), distributions of returns, noisy layers, and Munchausen.

mod actors;
mod config;
mod distant;
mod learner;
mod threads;
mod trainer;

pub use config::{DoubleDqnConfig, Munchausen};
pub use learner::{DoubleDqnBatch, DoubleDqnLearner, DoubleDqnStats};
pub use trainer::DoubleDqn;

#[cfg(test)]
mod tests;
