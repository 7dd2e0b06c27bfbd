//! The [`Learner`] trait.

use crate::AgentError;

/// Updates weights from batches.
///
/// ```
/// use coinop_agents::{AgentError, Learner};
///
/// /// Learns the mean of what it sees.
/// struct Mean {
///     mean: f64,
/// }
///
/// impl Learner for Mean {
///     type Batch = f64;
///     type Stats = f64;
///
///     fn learn(&mut self, batch: &f64) -> Result<f64, AgentError> {
///         let error = batch - self.mean;
///         self.mean += 0.5 * error;
///         Ok(error)
///     }
/// }
///
/// let mut learner = Mean { mean: 0.0 };
/// assert_eq!((learner.learn(&4.0)?, learner.learn(&4.0)?), (4.0, 2.0));
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
pub trait Learner {
    /// The batch of an update.
    type Batch;
    /// The statistics of an update.
    type Stats;

    /// Performs one update.
    ///
    /// # Errors
    ///
    /// If the network fails, or the loss is not finite.
    fn learn(&mut self, batch: &Self::Batch) -> Result<Self::Stats, AgentError>;
}
