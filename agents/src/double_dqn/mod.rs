//! Double-DQN: actors feed a replay memory that a learner of action values samples from (Mnih 2015; van Hasselt, Guez and Silver 2015,
//! arXiv 1509.06461), with prioritized replay (Schaul 2015, arXiv 1511.05952), n-step returns and a dueling head (Wang 2016, arXiv
//! 1511.06581) as options.

mod actors;
mod config;
mod learner;
mod threads;
mod trainer;

pub use config::DoubleDqnConfig;
pub use learner::{DoubleDqnBatch, DoubleDqnLearner, DoubleDqnStats};
pub use trainer::{DoubleDqn, restore_policy};

#[cfg(test)]
mod tests;
