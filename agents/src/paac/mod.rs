//! PAAC, the synchronous batched actor-critic of Clemente, Castejón and Chandra (2017), arXiv 1705.04862.

mod config;
mod learner;
mod trainer;

pub use config::PaacConfig;
pub use learner::{PaacBatch, PaacLearner, PaacStats, Part};
pub use trainer::{Paac, restore_policy};

#[cfg(test)]
mod tests;
