//! Networks, optimisers, rollouts and trainers for coinop: the only crate that links libtorch.
//!
//! A [`Policy`] turns a batch of observations into actions, a [`Learner`] turns a batch into better weights, and a
//! [`Trainer`] wires both to a [`VecEnv`](coinop_envs::VecEnv) and advances by one [`step`](Trainer::step). Everything
//! with state is a [`Checkpoint`]. One algorithm is one folder with the files `config.rs`, `learner.rs`, `trainer.rs`.

pub mod checkpoint;
mod error;
mod learner;
pub mod paac;
mod policy;
mod trainer;

pub use checkpoint::{Checkpoint, CheckpointError, Section};
pub use error::{AgentError, TrainError};
pub use learner::Learner;
pub use policy::{Mode, Policy};
pub use trainer::{Episode, Progress, Trainer};
