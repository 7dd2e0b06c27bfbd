//! What can go wrong in an agent and in training.

use crate::CheckpointError;
use coinop_envs::EnvError;

/// An error of a network, a policy or a learner.
///
/// ```
/// use coinop_agents::{AgentError, device};
///
/// assert!(matches!(device("tpu"), Err(AgentError::Device(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// libtorch reported an error.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// The loss or the weights are no longer finite numbers.
    #[error("{what} is {value} after {updates} updates: training diverged; try a lower learning rate")]
    NotFinite {
        /// What was found, e.g. `loss`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Updates done so far.
        updates: u64,
    },
    /// The network of a policy produced a non-finite value.
    #[error("the network produced {value} as {what}; these weights are unusable, use another checkpoint")]
    Useless {
        /// What it should be.
        what: &'static str,
        /// What it is.
        value: f64,
    },
    /// A network cannot read these observations.
    #[error("the network `{network}` cannot read observations of shape {shape}: {reason}")]
    Shape {
        /// The network's name.
        network: &'static str,
        /// The observation's shape.
        shape: String,
        /// What it needs instead.
        reason: String,
    },
    /// A setting has an invalid value.
    #[error("{name} = {value}: {reason}")]
    BadConfig {
        /// The setting, as in a config file.
        name: &'static str,
        /// Its value.
        value: String,
        /// What values it may have.
        reason: &'static str,
    },
    /// Frames could not be compressed or opened.
    #[error(
        "frames of the replay memory can't be compressed or opened: {0}; lower the memory's capacity, or choose the store `raw`"
    )]
    Compression(std::io::Error),
    /// The network would not fit into memory.
    #[error(transparent)]
    Memory(EnvError),
    /// An algorithm of another crate failed in a way of its own, or panicked.
    #[error("the algorithm {name}: {cause}")]
    Algorithm {
        /// Its name.
        name: &'static str,
        /// What happened.
        cause: String,
    },
    /// The device is not there.
    #[error("{0}")]
    Device(String),
}

/// libtorch puts a C++ backtrace below its message.
fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Why training stopped.
///
/// ```
/// use coinop_agents::TrainError;
/// use coinop_envs::EnvError;
///
/// let error = TrainError::from(EnvError::ResetNeeded);
/// assert!(!error.is_divergence());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An environment failed.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A worker failed.
    #[error("worker {number}: {cause}")]
    Worker {
        /// Its number, from 0.
        number: usize,
        /// Of what.
        cause: Box<TrainError>,
    },
    /// A thread of actors ended without an error of its own.
    #[error(
        "the thread of actor or worker {number} panicked; its message is above: this is a fault of coinop, please report it"
    )]
    ActorDied {
        /// Its number.
        number: usize,
    },
}

impl TrainError {
    /// Whether training diverged, so that what was learned is of no use.
    #[must_use]
    pub fn is_divergence(&self) -> bool {
        match self {
            Self::Agent(error) => matches!(error, AgentError::NotFinite { .. }),
            Self::Worker { cause, .. } => cause.is_divergence(),
            Self::Env(_) | Self::Checkpoint(_) | Self::ActorDied { .. } => false,
        }
    }

    /// What a network that answers with no numbers means where its weights are being trained.
    pub(crate) fn of_training(self, updates: u64) -> Self {
        match self {
            Self::Agent(AgentError::Useless { what, value }) => AgentError::NotFinite { what, value, updates }.into(),
            other => other,
        }
    }
}
