//! Errors of agents and of training.

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
    /// The loss or the weights are NaN or infinite.
    #[error("{what} is {value} after {updates} updates: training diverged; try a lower learning rate")]
    NotFinite {
        /// The name of the value, e.g. `loss`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The number of updates so far.
        updates: u64,
    },
    /// The network of a policy produced a non-finite value.
    #[error("the network produced {value} as {what}; these weights are unusable, use another checkpoint")]
    Useless {
        /// What the value should have been.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A network cannot read observations of this shape.
    #[error("the network `{network}` cannot read observations of shape {shape}: {reason}")]
    Shape {
        /// The network's name.
        network: String,
        /// The shape of the observation.
        shape: String,
        /// What the network requires.
        reason: String,
    },
    /// There is no network of this name.
    #[error("network.body = \"{name}\": there is no such network; use {}", known.join(", "))]
    UnknownNetwork {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The processes of a run no longer have the same weights.
    #[error(
        "{what} of rank {rank} differs from that of rank 0: the ranks must run the same program on the same kind of processor"
    )]
    RanksDiffer {
        /// What differs.
        what: &'static str,
        /// Where.
        rank: usize,
    },
    /// A trainer resumes only with as many processes as saved it.
    #[error("this algorithm resumes only with as many processes as saved it")]
    OtherRanks,
    /// MPI cannot be used.
    #[error("MPI: {0}")]
    Mpi(String),
    /// A setting has an invalid value.
    #[error("{name} = {value}: {reason}")]
    BadConfig {
        /// The setting, as in a config file.
        name: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        reason: &'static str,
    },
    /// Frames could not be compressed or decompressed.
    #[error(
        "frames of the replay memory can't be compressed or opened: {0}; lower the memory's capacity, or choose the store `raw`"
    )]
    Compression(std::io::Error),
    /// There is not enough memory for the network.
    #[error(transparent)]
    Memory(EnvError),
    /// A third-party algorithm failed or panicked.
    #[error("the algorithm {name}: {cause}")]
    Algorithm {
        /// Its name.
        name: &'static str,
        /// The cause.
        cause: String,
    },
    /// A trainer does not take the weights of another run.
    #[error("this algorithm does not take the weights of another run")]
    NoWeights,
    /// A preset of an algorithm cannot be read.
    #[error("the preset `{preset}` of {algorithm} can't be read: {cause}")]
    Preset {
        /// The algorithm's name.
        algorithm: &'static str,
        /// The preset's name.
        preset: &'static str,
        /// The cause.
        cause: String,
    },
    /// There is no such device.
    #[error("{0}")]
    Device(String),
}

/// Returns the first line of a libtorch error; a C++ backtrace follows it.
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
        /// The index of the worker.
        number: usize,
        /// The error.
        cause: Box<TrainError>,
    },
    /// An actor or worker thread panicked.
    #[error(
        "the thread of actor or worker {number} panicked; its message is above: this is a fault of coinop, please report it"
    )]
    ActorDied {
        /// The index of the actor or worker.
        number: usize,
    },
}

impl TrainError {
    /// Whether training diverged, which makes the weights unusable.
    #[must_use]
    pub fn is_divergence(&self) -> bool {
        match self {
            Self::Agent(error) => matches!(error, AgentError::NotFinite { .. }),
            Self::Worker { cause, .. } => cause.is_divergence(),
            Self::Env(_) | Self::Checkpoint(_) | Self::ActorDied { .. } => false,
        }
    }

    /// Converts non-finite network outputs into the error they indicate during training: diverged weights.
    pub(crate) fn of_training(self, updates: u64) -> Self {
        match self {
            Self::Agent(AgentError::Useless { what, value }) => AgentError::NotFinite { what, value, updates }.into(),
            other => other,
        }
    }
}
