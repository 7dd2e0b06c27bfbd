//! The settings of distillation.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::learner::{DistillBatch, DistillLearner};
use super::trainer::{Distill, network};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Work, Workload, act_by_policy, made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, if_given, up_to_10_000};
use crate::network::{NetworkConfig, Observation};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{ActorCriticPolicy, AgentError, Device, Policy, Section, TrainError, Trainer};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/distill-fast.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/distill-classic.toml"));

/// The settings of distillation.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::distill::DistillConfig;
///
/// let config = DistillConfig { temperature: Some(2.0), ..DistillConfig::fast() };
/// config.validate()?;
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// The run of the agent to learn from: a folder, or its name under `runs/`.
    pub teacher: String,
    /// What the teacher's answers are divided by before their softmax: more makes them softer. Without it, 1 for
    /// probabilities, and 0.01 for action values, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The number of environments.
    pub num_envs: usize,
    /// Whether to subtract from every pixel its mean over the first rollout, which is not learned from. The
    /// background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and update.
    pub rollout_steps: usize,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Weight of the squared error between the values of student and teacher, relative to these, if the teacher has any.
    pub value_weight: f64,
    /// Clips the global norm of the gradient to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The student's network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration in addition to the student's policy, which leads to more observations.
    pub epsilon: EpsilonConfig,
}

impl DistillConfig {
    /// The preset `fast`: for Atari games on a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset for features.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl Algorithm for DistillConfig {
    const NAME: &'static str = "distill";
    const ABOUT: &'static str = "Policy distillation: a network learns from another agent (Rusu et al. 2015)";
    const OPTIONAL: &'static [&'static str] = &["temperature", "learning_rate.frames", "max_grad_norm"];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        if_given("temperature", self.temperature, above_0)?;
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        self.learning_rate.check("learning_rate", above_0, at_least_0)?;
        at_least_0("value_weight", self.value_weight)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        self.network.validate()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn processes(&self) -> Processes {
        Processes::Synchronous
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

    /// Without the teacher's answers.
    fn workload(&self) -> Option<Workload> {
        let (n, steps) = (self.num_envs, self.rollout_steps);
        Some(Workload {
            act_batch: n,
            acts: steps as f64,
            learn_batch: n * steps,
            learns: 1.0,
            steps: (n * steps) as f64,
            workers: 1,
            replay: None,
        })
    }

    fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        let network = network(self, spec, 0, device)?;
        let (body, n) = (network.body(), self.num_envs * self.rollout_steps);
        let targets = vec![1.0 / spec.num_actions as f32; n * spec.num_actions];
        let learned = DistillBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            targets: body.numbers(&targets)?.f_view([n as i64, spec.num_actions as i64])?,
            values: Some(body.numbers(&made_up_numbers(n))?),
            is_first: vec![false; n],
            state: network.initial_state(self.num_envs)?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        let (is_first, mut state) = (vec![false; batch], network.initial_state(batch)?);
        Ok(Some(Box::new(LearnerWork {
            learner: DistillLearner::new(self, network)?,
            batch: learned,
            act: move |learner: &DistillLearner| act_by_policy(learner.network(), &answered, &is_first, &mut state),
        })))
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(Distill::for_run(self, factory.as_ref(), run)?))
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
