//! From a batch to better weights.

use crate::AgentError;

/// Turns a batch into better weights.
pub trait Learner {
    /// What it learns from.
    type Batch;
    /// What it reports of an update.
    type Stats;

    /// One update of the weights.
    ///
    /// # Errors
    ///
    /// When the network fails, or the loss is not finite.
    fn learn(&mut self, batch: &Self::Batch) -> Result<Self::Stats, AgentError>;
}
