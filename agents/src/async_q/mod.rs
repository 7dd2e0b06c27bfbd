//! The asynchronous value methods of Mnih et al. (2016), arXiv 1602.01783: one-step Q-learning, one-step Sarsa and
//! n-step Q-learning, in threads that each play and learn on their own, with shared weights and a shared target
//! network.

mod config;
mod learner;
mod trainer;

pub use config::{AsyncQConfig, NStepQ, OneStepQ, OneStepSarsa};

#[cfg(test)]
mod tests;
