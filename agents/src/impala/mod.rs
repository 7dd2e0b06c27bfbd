//! IMPALA, the importance weighted actor-learner architecture of Espeholt et al. (2018), arXiv 1802.01561: actor threads
//! play with weights that are a few updates old and send rollouts to one learner, which corrects for the difference by
//! V-trace.
//!
//! ```text
//! actor 0   weights · rollout, weights · rollout …  ──┐
//! actor 1   weights · rollout, weights · rollout …  ──┴── queue ──► learner   batch of rollouts · V-trace · update
//!              ▲                                                      │
//!              └────────────── newest weights ────────────────────────┘
//! ```
//!
//! It stands between A3C and PAAC:
//!
//! ```text
//!          who computes gradients       batch of an update     policy that played
//! a3c      every worker                 one rollout            a few updates of others old, uncorrected
//! impala   the learner                  rollouts of actors     a few updates old, corrected by V-trace
//! paac     the learner                  all environments       the newest; environments wait for the update
//! ```

mod actor;
mod config;
mod learner;
mod trainer;

pub use config::ImpalaConfig;
pub use learner::{ImpalaBatch, ImpalaLearner, ImpalaStats};
pub use trainer::Impala;

#[cfg(test)]
mod tests;
