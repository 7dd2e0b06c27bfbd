//! The asynchronous value methods of Mnih et al. (2016), arXiv 1602.01783: one-step Q-learning, one-step Sarsa and n-step Q-learning, by threads
//! that each play and learn by themselves, with one set of weights and one target network.

mod config;
mod learner;
mod trainer;

pub use config::{AsyncQConfig, ValueMethod};
pub use trainer::{AsyncQ, restore_policy};

#[cfg(test)]
mod tests;
