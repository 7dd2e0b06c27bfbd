//! PQN, the parallelised Q-network of Gallici et al. (2024), arXiv 2407.04811: PAAC's relative for action values. All
//! environments step together, and one network of action values learns the Q(lambda) returns of their rollouts, without
//! replay and without a target network. Layer normalisation keeps it from diverging.
//!
//! ```text
//! PAAC   log pi(a|s) · advantage, V     one update per rollout
//! PQN    (R - Q(s, a))²                 some epochs of minibatches per rollout
//! ```

mod config;
mod learner;
mod trainer;

pub use config::PqnConfig;
pub use learner::{PqnBatch, PqnLearner, PqnStats};
pub use trainer::Pqn;

#[cfg(test)]
mod tests;
