//! The settings of IMPALA.

use std::sync::Arc;

use coinop_envs::rng::Rng;
use coinop_envs::{End, EnvFactory, EnvSpec, Observations};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::learner::{ImpalaBatch, ImpalaLearner};
use super::trainer::{Impala, network};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Threading, Work, Workload, act_by_policy, made_up_actions,
    made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, if_given, unit, up_to_10_000};
use crate::network::{NetworkConfig, Observation};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{ActorCriticPolicy, AgentError, Device, Policy, Section, TrainError, Trainer};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/impala-fast.toml"));
const IMPALA: Preset = Preset::new("impala", include_str!("../../presets/impala.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/impala-classic.toml"));

/// The settings of IMPALA.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::impala::ImpalaConfig;
///
/// let config = ImpalaConfig { actors: 4, ..ImpalaConfig::impala() };
/// config.validate()?;
/// assert_eq!(config.num_envs(), 4 * config.envs_per_actor);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpalaConfig {
    /// The number of actors, each a thread with a copy of the network.
    pub actors: usize,
    /// Environments per actor, stepped together.
    pub envs_per_actor: usize,
    /// Whether to subtract from every pixel its mean over the first batch, which is not learned from. The background
    /// becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and rollout.
    pub rollout_steps: usize,
    /// Rollouts per update, of `envs_per_actor` trajectories each.
    pub batch_rollouts: usize,
    /// Rollouts of each actor that may wait in the queue. With more, actors and learner wait less, but policies are older.
    pub queue_rollouts: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// A factor of V-trace's coefficients `c`; 1 in the paper.
    pub lambda: f64,
    /// The upper bound of the importance ratio in temporal-difference errors and in the policy gradient, rho-bar.
    pub rho_clip: f64,
    /// The upper bound of the importance ratio in V-trace's coefficients `c`, c-bar.
    pub c_clip: f64,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Weight of the entropy bonus.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// Multiplies the total loss, which is a mean over the batch.
    pub loss_scale: f64,
    /// Clips the global norm of the gradient to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration in addition to the policy's own randomness; V-trace corrects for it.
    pub epsilon: EpsilonConfig,
}

impl ImpalaConfig {
    /// The preset `fast`: for Atari games on a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `impala`: the paper's settings for Atari games.
    #[must_use]
    pub fn impala() -> Self {
        IMPALA.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }

    /// Environments whose rollouts are learned from together.
    pub(super) fn batch_envs(&self) -> usize {
        self.batch_rollouts * self.envs_per_actor
    }
}

impl Algorithm for ImpalaConfig {
    const NAME: &'static str = "impala";
    const ABOUT: &'static str = "Importance weighted actor-learner architecture (Espeholt et al. 2018)";
    const OPTIONAL: &'static [&'static str] = &["learning_rate.frames", "max_grad_norm"];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, IMPALA],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        let reason = "it must be between 1 and 1024";
        check((1..=1024).contains(&self.actors), "actors", self.actors, reason)?;
        up_to_10_000("envs_per_actor", self.envs_per_actor)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        up_to_10_000("batch_rollouts", self.batch_rollouts)?;
        up_to_10_000("queue_rollouts", self.queue_rollouts)?;
        unit("gamma", self.gamma)?;
        unit("lambda", self.lambda)?;
        above_0("rho_clip", self.rho_clip)?;
        above_0("c_clip", self.c_clip)?;
        let reason = "the paper's proof wants it at least as large as c_clip";
        check(self.rho_clip >= self.c_clip, "rho_clip", self.rho_clip, reason)?;
        self.learning_rate.check("learning_rate", above_0, at_least_0)?;
        at_least_0("entropy_weight", self.entropy_weight)?;
        at_least_0("value_weight", self.value_weight)?;
        above_0("loss_scale", self.loss_scale)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        self.network.validate()?;
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    fn num_envs(&self) -> usize {
        self.actors * self.envs_per_actor
    }

    fn threading(&self) -> Threading {
        Threading::Actors(self.actors)
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

    fn workload(&self) -> Option<Workload> {
        let (n, steps) = (self.batch_envs(), self.rollout_steps);
        Some(Workload {
            act_batch: self.envs_per_actor,
            acts: (steps * self.batch_rollouts) as f64,
            learn_batch: n * (steps + 1),
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
        let (body, n) = (network.body(), self.batch_envs());
        let len = n * self.rollout_steps;
        let learned = ImpalaBatch {
            obs: body.input(&made_up_obs::<O>(spec, len + n))?,
            actions: body.numbers(&made_up_actions(spec, len))?,
            log_probabilities: vec![(1.0 / spec.num_actions as f32).ln(); len],
            rewards: made_up_numbers(len),
            discounts: vec![1.0; len],
            ends: vec![End::No; len],
            final_values: vec![0.0; len],
            is_first: vec![false; len + n],
            state: network.initial_state(n)?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        let (is_first, mut state) = (vec![false; batch], network.initial_state(batch)?);
        Ok(Some(Box::new(LearnerWork {
            learner: ImpalaLearner::new(self, network)?,
            batch: learned,
            act: move |learner: &ImpalaLearner| act_by_policy(learner.network(), &answered, &is_first, &mut state),
        })))
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(Impala::new(self, factory.as_ref(), run)?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{BodyKind, Core};
    use crate::optim::RmsPropConfig;

    #[test]
    fn the_paper_preset_has_the_numbers_of_the_paper() {
        // Appendix G, table G.1, and section 5.3: 32 trajectories of 20 steps.
        let impala = ImpalaConfig::impala();
        assert_eq!((impala.batch_envs(), impala.rollout_steps), (32, 20));
        assert_eq!((impala.gamma, impala.entropy_weight), (0.99, 0.01));
        assert_eq!((impala.lambda, impala.rho_clip, impala.c_clip), (1.0, 1.0, 1.0));
        // A sum over the batch, and half of the squared error, with a weight of one half.
        assert_eq!((impala.loss_scale, impala.value_weight), (640.0, 0.25));
        assert_eq!(impala.max_grad_norm, Some(40.0));
        let rms_prop = RmsPropConfig {
            decay: 0.99,
            epsilon: 0.01,
            epsilon_inside_root: true,
            centered: false,
            initial_mean_square: 1.0,
        };
        assert_eq!(impala.optimizer, OptimizerConfig::RmsProp(rms_prop));
        assert_eq!(impala.learning_rate, Schedule::over_run(0.0006, 0.0));
        assert!(matches!(impala.network.body, BodyKind::Impala(_)));
        assert_eq!(impala.network.core, Core::None);
    }

    #[test]
    fn an_invalid_value_is_named_with_the_reason() {
        type Spoil = fn(&mut ImpalaConfig);
        let cases: [(Spoil, &str); 5] = [
            (|c| c.actors = 0, "actors = 0: it must be between 1 and 1024"),
            (
                |c| c.queue_rollouts = 0,
                "queue_rollouts = 0: it must be between 1 and 10000",
            ),
            (|c| c.lambda = 1.5, "lambda = 1.5: it must be between 0 and 1"),
            (
                |c| c.c_clip = 2.0,
                "rho_clip = 1: the paper's proof wants it at least as large as c_clip",
            ),
            (
                |c| c.loss_scale = 0.0,
                "loss_scale = 0: it must be a number above 0, at most 1e30",
            ),
        ];
        for (spoil, text) in cases {
            let mut config = ImpalaConfig::impala();
            spoil(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), text);
        }
    }
}
