//! The settings of A3C.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::learner::{A3cBatch, A3cLearner};
use super::trainer::{initial, trainer};
use crate::actor_learners::{check_rates, check_workers, drawn_rate};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Threading, Work, Workload, act_by_policy, made_up_actions,
    made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, if_given, unit, up_to_10_000};
use crate::network::{NetworkConfig, Observation};
use crate::schedule::Schedule;
use crate::shared::{SharedOptimizerConfig, SharedParams};
use crate::{ActorCriticPolicy, AgentError, Device, Policy, Section, TrainError, Trainer};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/a3c-fast.toml"));
const A3C: Preset = Preset::new("a3c", include_str!("../../presets/a3c.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/a3c-classic.toml"));

/// The settings of A3C.
///
/// One [`step`](crate::Trainer::step) of its trainer receives one rollout of one worker.
///
/// ```
/// use coinop_agents::a3c::A3cConfig;
/// use coinop_agents::algorithm::{Algorithm, RunSettings};
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let config = A3cConfig { workers: 2, ..A3cConfig::classic() };
/// let run = RunSettings::new(2_000, 1);
/// let mut trainer = config.trainer(std::sync::Arc::new(FromFn::new(|| Ok(CartPole::v1()))?), &run)?;
/// while trainer.step()?.frames < run.frames {}
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct A3cConfig {
    /// The number of worker threads, each with its own environment.
    pub workers: usize,
    /// Whether workers lock the weights while reading and changing them; otherwise they use Hogwild, as in the paper.
    pub locked: bool,
    /// Whether to subtract from every pixel its mean over the first 256 observations of all workers, which are not learned
    /// from. The background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per rollout, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation (arXiv 1506.02438); 1 is the paper's n-step return.
    pub gae_lambda: f64,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// If given, the initial learning rate is drawn log-uniformly between that of `learning_rate` and this for each
    /// seed, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_learning_rate: Option<f64>,
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// Clips the norm of a rollout's gradient, a sum over its steps, to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: SharedOptimizerConfig,
    /// Exploration in addition to the policy's own randomness.
    pub epsilon: EpsilonConfig,
}

impl A3cConfig {
    /// The learning rate of a run with the given seed.
    #[must_use]
    pub fn drawn_learning_rate(&self, seed: u64) -> Schedule {
        drawn_rate(self.learning_rate, self.max_learning_rate, seed)
    }

    /// The preset `fast`: meant for a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `a3c`: the paper's settings.
    #[must_use]
    pub fn a3c() -> Self {
        A3C.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl Algorithm for A3cConfig {
    const NAME: &'static str = "a3c";
    const ABOUT: &'static str = "Asynchronous advantage actor-critic (Mnih et al. 2016)";
    const OPTIONAL: &'static [&'static str] = &["learning_rate.frames", "max_grad_norm", "max_learning_rate"];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, A3C],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        check_workers(self.workers)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        unit("gamma", self.gamma)?;
        unit("gae_lambda", self.gae_lambda)?;
        check_rates(self.learning_rate, self.max_learning_rate)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        self.network.validate()?;
        self.network.check_for_workers()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    fn num_envs(&self) -> usize {
        self.workers
    }

    fn threading(&self) -> Threading {
        Threading::Workers
    }

    fn processes(&self) -> Processes {
        Processes::Asynchronous
    }

    fn network(&self) -> Option<&NetworkConfig> {
        Some(&self.network)
    }

    fn network_mut(&mut self) -> Option<&mut NetworkConfig> {
        Some(&mut self.network)
    }

    fn warnings(&self, frames: u64) -> Vec<String> {
        self.learning_rate.warn_of_early_end(frames)
    }

    fn workload(&self) -> Option<Workload> {
        Some(Workload::of_workers(self.workers, self.rollout_steps))
    }

    fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        let network = initial(self, spec, 0, device)?;
        let (body, n) = (network.body(), self.rollout_steps);
        let numbers = made_up_numbers(n);
        let learned = A3cBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            actions: made_up_actions(spec, n),
            epsilons: vec![0.0; n],
            advantages: numbers.clone(),
            returns: numbers,
            is_first: vec![false; n],
            state: network.initial_state(1)?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        let (is_first, mut state) = (vec![false; batch], network.initial_state(batch)?);
        let shared = SharedParams::new(&network.params().flat(), self.optimizer, self.locked)?;
        Ok(Some(Box::new(LearnerWork {
            learner: A3cLearner::new(self, network, Arc::new(shared)),
            batch: learned,
            act: move |learner: &A3cLearner| act_by_policy(&learner.network, &answered, &is_first, &mut state),
        })))
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(trainer(self, factory.as_ref(), run)?))
    }

    fn policy<O: Observation>(
        &self,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        Ok(Box::new(ActorCriticPolicy::load(
            &self.network,
            spec,
            from,
            rng,
            device,
        )?))
    }
}
