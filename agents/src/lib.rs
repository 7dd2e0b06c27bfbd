//! Networks, optimisers, rollouts and trainers for coinop: the only crate that links libtorch.
//!
//! A [`Policy`] maps a batch of observations to actions, a [`Learner`] updates weights from a batch, and a
//! [`Trainer`] connects both to environments and advances by one [`step`](Trainer::step). Everything with state is a
//! [`Checkpoint`]. An [`Algorithm`] is the settings of one trainer, and its name. Each algorithm is a folder with the
//! files `config.rs`, `learner.rs` and `trainer.rs`; those of PAAC and PPO share [`on_policy`].

pub mod a3c;
mod actor_learners;
pub mod algorithm;
pub mod async_q;
mod center;
pub mod checkpoint;
mod collect;
mod cuda_graph;
mod device;
pub mod distill;
pub mod distributed;
pub mod double_dqn;
mod episodes;
mod error;
pub mod explore;
pub mod impala;
pub mod init;
mod learner;
mod limits;
pub mod losses;
mod metrics;
pub mod network;
pub mod on_policy;
pub mod optim;
pub mod paac;
pub mod params;
mod policy;
pub mod ppo;
pub mod pqn;
mod producers;
pub mod replay;
pub mod returns;
pub mod rollout;
pub mod schedule;
mod shared;
mod sync_actors;
#[cfg(test)]
mod test_help;
pub mod times;
mod trainer;
mod under_way;
mod workers;

pub use algorithm::Algorithm;
pub use checkpoint::{Checkpoint, CheckpointError, Section};
pub use device::{device, set_torch_threads};
pub use episodes::Episodes;
pub use error::{AgentError, TrainError};
pub use learner::Learner;
pub use metrics::Metrics;
pub use policy::{ActorCriticPolicy, AnyPolicy, Mode, Outputs, Policy, ValuePolicy};
pub use schemars;
pub use shared::{SharedOptimizerConfig, SharedRmsPropConfig};
pub use tch::{self, Device};
pub use trainer::{Episode, Progress, Resumption, Trainer};
pub use under_way::learned_by_envs;
