//! PAAC, the synchronous batched actor-critic of Clemente, Castejón and Chandra (2017), arXiv 1705.04862.

mod config;
mod learner;
mod trainer;

pub use config::PaacConfig;
pub use learner::{Minibatch, PaacBatch, PaacLearner, PaacStats};
pub use trainer::{Paac, restore_policy};

#[cfg(test)]
mod tests;
