//! The settings of the asynchronous value methods.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::learner::{AsyncQBatch, AsyncQLearner};
use super::trainer::{initial, trainer};
use crate::actor_learners::{check_rates, check_workers, drawn_rate};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Threading, Work, Workload, act_by_values, made_up_actions,
    made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, check, if_given, unit, up_to_10_000};
use crate::network::{NetworkConfig, Observation};
use crate::schedule::Schedule;
use crate::shared::{SharedOptimizerConfig, SharedParams, SharedTarget};
use crate::{AgentError, Device, Policy, Section, TrainError, Trainer, ValuePolicy};

const FAST: Preset = Preset::shared("fast", "async", include_str!("../../presets/async-fast.toml"));
const ASYNC: Preset = Preset::shared("async", "async", include_str!("../../presets/async.toml"));
const CLASSIC: Preset = Preset::shared("fast", "async", include_str!("../../presets/async-classic.toml"));

/// The target of an action's value. `Q'` is the target network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueMethod {
    /// `r + γ max_b Q'(s', b)`: algorithm 1.
    OneStepQ,
    /// `r + γ Q'(s', a')` with the action taken next.
    OneStepSarsa,
    /// `r + γ r' + … + γⁿ max_b Q'(sⁿ, b)`, over the remaining steps of the rollout: algorithm S2.
    NStepQ,
}

/// The settings of an asynchronous value method. [`OneStepQ`], [`OneStepSarsa`] and [`NStepQ`] are the algorithms.
///
/// ```
/// use coinop_agents::async_q::AsyncQConfig;
///
/// let config = AsyncQConfig { workers: 2, ..AsyncQConfig::classic() };
/// assert_eq!(config.target_frames, 1_000);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsyncQConfig {
    /// The number of worker threads, each with its own environment.
    pub workers: usize,
    /// Whether workers lock the weights while reading and changing them; otherwise they use Hogwild, as in the paper.
    pub locked: bool,
    /// Whether to subtract from every pixel its mean over the first 256 observations of all workers, which are not learned
    /// from. The background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps between updates: `I_AsyncUpdate`, or `t_max` of n-step Q.
    pub rollout_steps: usize,
    /// Frames of the run, over all workers, between updates of the target network, `I_target`.
    pub target_frames: u64,
    /// Discount per agent step.
    pub gamma: f64,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// If given, the initial learning rate is drawn log-uniformly between that of `learning_rate` and this for each
    /// seed, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_learning_rate: Option<f64>,
    /// Clips the norm of a rollout's gradient, a sum over its steps, to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The probability of a random action in evaluations that sample.
    pub eval_epsilon: f64,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: SharedOptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl AsyncQConfig {
    /// The learning rate of a run with the given seed.
    #[must_use]
    pub fn drawn_learning_rate(&self, seed: u64) -> Schedule {
        drawn_rate(self.learning_rate, self.max_learning_rate, seed)
    }

    /// The preset `fast`: meant for a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in::<OneStepQ>().0
    }

    /// The preset `async`: the paper's settings.
    #[must_use]
    pub fn paper() -> Self {
        ASYNC.built_in::<OneStepQ>().0
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in::<OneStepQ>().0
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        check_workers(self.workers)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        let reason = "it must be at least 1";
        check(self.target_frames > 0, "target_frames", self.target_frames, reason)?;
        unit("gamma", self.gamma)?;
        check_rates(self.learning_rate, self.max_learning_rate)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        unit("eval_epsilon", self.eval_epsilon)?;
        self.network.validate()?;
        self.network.check_for_workers()?;
        self.network.check_feed_forward()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    fn work<O: Observation>(&self, spec: &EnvSpec, batch: usize, device: Device) -> Result<Box<dyn Work>, AgentError> {
        let network = || initial(self, spec, 0, device);
        let (online, n) = (network()?, self.rollout_steps);
        let body = online.body();
        let learned = AsyncQBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            actions: body.numbers(&made_up_actions(spec, n))?,
            targets: made_up_numbers(n),
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        let flat = online.params().flat();
        let shared = Arc::new(SharedParams::new(&flat, self.optimizer, self.locked)?);
        let target = Arc::new(SharedTarget::new(&flat, self.target_frames)?);
        Ok(Box::new(LearnerWork {
            learner: AsyncQLearner::new(self, online, network()?, shared, target),
            batch: learned,
            act: move |learner: &AsyncQLearner| act_by_values(&learner.network, &answered),
        }))
    }
}

/// Defines the algorithm of a value method.
macro_rules! value_algorithm {
    ($(#[$attribute:meta])* $algorithm:ident, $method:expr, $name:literal, $about:literal) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $algorithm(
            /// The settings.
            pub AsyncQConfig,
        );

        impl Algorithm for $algorithm {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const OPTIONAL: &'static [&'static str] = &["learning_rate.frames", "max_grad_norm", "max_learning_rate"];

            fn presets(observations: Observations) -> Vec<Preset> {
                match observations {
                    Observations::Pixels => vec![FAST, ASYNC],
                    Observations::Features => vec![CLASSIC],
                }
            }

            fn schema() -> Option<Schema> {
                Some(schema_for!(Self))
            }

            fn validate(&self) -> Result<(), AgentError> {
                self.0.validate()
            }

            fn num_envs(&self) -> usize {
                self.0.workers
            }

            fn threading(&self) -> Threading {
                Threading::Workers
            }

            fn processes(&self) -> Processes {
                Processes::Asynchronous
            }

            fn network(&self) -> Option<&NetworkConfig> {
                Some(&self.0.network)
            }

            fn network_mut(&mut self) -> Option<&mut NetworkConfig> {
                Some(&mut self.0.network)
            }

            fn warnings(&self, frames: u64) -> Vec<String> {
                self.0.learning_rate.warn_of_early_end(frames)
            }

            fn workload(&self) -> Option<Workload> {
                Some(Workload::of_workers(self.0.workers, self.0.rollout_steps))
            }

            fn work<O: Observation>(
                &self,
                spec: &EnvSpec,
                batch: usize,
                device: Device,
            ) -> Result<Option<Box<dyn Work>>, AgentError> {
                self.0.work::<O>(spec, batch, device).map(Some)
            }

            fn trainer<O: Observation>(
                &self,
                factory: Arc<dyn EnvFactory<Obs = O>>,
                run: &RunSettings,
            ) -> Result<Box<dyn Trainer>, TrainError> {
                Ok(Box::new(trainer($method, &self.0, factory.as_ref(), run)?))
            }

            fn policy<O: Observation>(
                &self,
                spec: &EnvSpec,
                from: &Section,
                rng: Rng,
                device: Device,
            ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
                let network = initial(&self.0, spec, 0, device)?;
                let epsilon = self.0.eval_epsilon as f32;
                Ok(Box::new(ValuePolicy::load(network, epsilon, from, rng)?))
            }
        }
    };
}

value_algorithm!(
    /// Asynchronous one-step Q-learning: algorithm 1 of the paper.
    ///
    /// ```
    /// use coinop_agents::algorithm::{Algorithm, RunSettings};
    /// use coinop_agents::async_q::{AsyncQConfig, OneStepQ};
    /// use coinop_envs::FromFn;
    /// use coinop_envs::classic::CartPole;
    ///
    /// let (algorithm, run) = (OneStepQ(AsyncQConfig::classic()), RunSettings::new(2_000, 1));
    /// let mut trainer = algorithm.trainer(std::sync::Arc::new(FromFn::new(|| Ok(CartPole::v1()))?), &run)?;
    /// while trainer.step()?.frames < run.frames {}
    /// # Ok::<(), coinop_agents::TrainError>(())
    /// ```
    OneStepQ,
    ValueMethod::OneStepQ,
    "async-q",
    "Asynchronous one-step Q-learning (Mnih et al. 2016)"
);
value_algorithm!(
    /// Asynchronous one-step Sarsa.
    OneStepSarsa,
    ValueMethod::OneStepSarsa,
    "async-sarsa",
    "Asynchronous one-step Sarsa (Mnih et al. 2016)"
);
value_algorithm!(
    /// Asynchronous n-step Q-learning: algorithm S2 of the paper.
    NStepQ,
    ValueMethod::NStepQ,
    "async-nstep-q",
    "Asynchronous n-step Q-learning (Mnih et al. 2016)"
);
