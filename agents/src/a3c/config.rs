//! The settings of A3C.

use coinop_envs::rng::stream;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::limits::{above_0, at_least_0, check, unit, up_to_10_000};
use crate::network::{NetworkConfig, NetworkKind, Precision};
use crate::schedule::Schedule;
use crate::shared::SharedRmsPropConfig;

/// The settings of A3C. Every one must be given: presets and files are the program's matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A3cConfig {
    /// Threads, each with an environment of its own.
    pub workers: usize,
    /// Whether workers wait for each other when they read and change the weights; if not, that is Hogwild, as in the paper.
    pub locked: bool,
    /// Agent steps of a rollout, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// Mixes returns of different lengths as in generalised advantage estimation (arXiv 1506.02438); 1 is the paper's plain n-step return.
    pub gae_lambda: f64,
    /// The learning rate at the start.
    pub learning_rate: f64,
    /// If above 0, the learning rate at the start is drawn for each seed, log-uniformly between `learning_rate` and this, as the paper does.
    pub max_learning_rate: f64,
    /// Frames over which the learning rate falls linearly to 0; 0 for the length of the run.
    pub anneal_frames: u64,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the squared error of the value.
    pub value_weight: f64,
    /// The norm of the gradient of a rollout, which is a sum over its steps, is clipped to this.
    pub max_grad_norm: f64,
    /// The network.
    pub network: NetworkKind,
    /// How precisely it computes.
    pub precision: Precision,
    /// Its initial weights.
    pub init: Init,
    /// The optimiser.
    pub optimizer: SharedRmsPropConfig,
    /// Exploration beyond the policy's own.
    pub epsilon: EpsilonConfig,
}

impl A3cConfig {
    /// The settings of the network.
    #[must_use]
    pub fn network_config(&self) -> NetworkConfig {
        NetworkConfig {
            kind: self.network,
            init: self.init,
            precision: self.precision,
        }
    }

    /// The learning rate over a run of `total_frames` frames that was seeded with `seed`.
    #[must_use]
    pub fn learning_rate_schedule(&self, total_frames: u64, seed: u64) -> Schedule {
        rate_schedule(
            self.learning_rate,
            self.max_learning_rate,
            self.anneal_frames,
            total_frames,
            seed,
        )
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] with the first that can not be.
    pub fn validate(&self) -> Result<(), AgentError> {
        check_workers(self.workers)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        check_rates(self.learning_rate, self.max_learning_rate)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("max_grad_norm", self.max_grad_norm)?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }
}

/// Threads are not made by the thousand.
pub(crate) fn check_workers(workers: usize) -> Result<(), AgentError> {
    let reason = "it must be between 1 and 1024";
    check((1..=1024).contains(&workers), "workers", workers, reason)
}

pub(crate) fn check_rates(learning_rate: f64, max_learning_rate: f64) -> Result<(), AgentError> {
    above_0("learning_rate", learning_rate)?;
    at_least_0("max_learning_rate", max_learning_rate)?;
    let reason = "it must be 0, or at least learning_rate";
    let good = max_learning_rate == 0.0 || max_learning_rate >= learning_rate;
    check(good, "max_learning_rate", max_learning_rate, reason)
}

pub(crate) fn rate_schedule(low: f64, high: f64, anneal_frames: u64, total_frames: u64, seed: u64) -> Schedule {
    let from = if high > 0.0 {
        let share = stream(seed, "learning_rate", 0).random::<f64>();
        (low.ln() + share * (high.ln() - low.ln())).exp()
    } else {
        low
    };
    let frames = if anneal_frames == 0 {
        total_frames
    } else {
        anneal_frames
    };
    Schedule::Linear { from, to: 0.0, frames }
}
