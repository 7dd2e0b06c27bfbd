//! The settings of PQN.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::learner::{PqnBatch, PqnLearner};
use super::trainer::{Pqn, network};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Work, Workload, act_by_values, made_up_actions,
    made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, if_given, unit, up_to_10_000};
use crate::network::{Head, NetworkConfig, Observation};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{AgentError, Device, Policy, Section, TrainError, Trainer, ValuePolicy};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/pqn-fast.toml"));
const PQN: Preset = Preset::new("pqn", include_str!("../../presets/pqn.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/pqn-classic.toml"));

/// The settings of PQN.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::pqn::PqnConfig;
///
/// let config = PqnConfig { num_envs: 64, ..PqnConfig::pqn() };
/// config.validate()?;
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PqnConfig {
    /// The number of environments.
    pub num_envs: usize,
    /// Whether to subtract from every pixel its mean over the first rollout, which is not learned from. The
    /// background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and rollout.
    pub rollout_steps: usize,
    /// Passes over the samples of a rollout.
    pub epochs: usize,
    /// Updates per epoch, each on its share of the shuffled samples.
    pub minibatches: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of the Q(lambda) returns; 0 is one-step Q-learning.
    pub lambda: f64,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Clips the global norm of the gradient to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The epsilon of evaluations that sample.
    pub eval_epsilon: f64,
    /// The body of the network.
    pub network: NetworkConfig,
    /// The head of the network.
    pub head: Head,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl PqnConfig {
    /// The preset `fast`: for Atari games on a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `pqn`: the authors' program.
    #[must_use]
    pub fn pqn() -> Self {
        PQN.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl Algorithm for PqnConfig {
    const NAME: &'static str = "pqn";
    const ABOUT: &'static str = "Parallelised Q-network: Q(lambda) without replay (Gallici et al. 2024)";
    const OPTIONAL: &'static [&'static str] = &["learning_rate.frames", "max_grad_norm"];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, PQN],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("rollout_steps", self.rollout_steps)?;
        up_to_10_000("epochs", self.epochs)?;
        let samples = self.num_envs * self.rollout_steps;
        let divides = self.minibatches > 0 && samples.is_multiple_of(self.minibatches);
        let reason = "it must divide num_envs times rollout_steps";
        check(divides, "minibatches", self.minibatches, reason)?;
        unit("gamma", self.gamma)?;
        unit("lambda", self.lambda)?;
        self.learning_rate.check("learning_rate", above_0, at_least_0)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        unit("eval_epsilon", self.eval_epsilon)?;
        self.network.validate()?;
        self.network.check_feed_forward()?;
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

    fn workload(&self) -> Option<Workload> {
        let (n, steps) = (self.num_envs, self.rollout_steps);
        Some(Workload {
            act_batch: n,
            acts: steps as f64 + 1.0,
            learn_batch: (n * steps / self.minibatches).max(1),
            learns: (self.epochs * self.minibatches) as f64,
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
        let (body, n) = (network.body(), self.num_envs * self.rollout_steps / self.minibatches);
        let learned = PqnBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            actions: body.numbers(&made_up_actions(spec, n))?,
            returns: body.numbers(&made_up_numbers(n))?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        Ok(Some(Box::new(LearnerWork {
            learner: PqnLearner::new(self, network)?,
            batch: learned,
            act: move |learner: &PqnLearner| act_by_values(learner.network(), &answered),
        })))
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(Pqn::for_run(self, factory.as_ref(), run)?))
    }

    fn policy<O: Observation>(
        &self,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        let (network, epsilon) = (network(self, spec, 0, device)?, self.eval_epsilon as f32);
        Ok(Box::new(ValuePolicy::load(network, epsilon, from, rng)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{BodyKind, Layers, Norm};

    #[test]
    fn the_paper_preset_has_the_numbers_of_the_authors_program() {
        // purejaxql, config/alg/pqn_atari.yaml: 10 million steps, epsilon from 1 to 0.001 over a tenth of them.
        let pqn = PqnConfig::pqn();
        assert_eq!(
            (pqn.num_envs, pqn.rollout_steps, pqn.epochs, pqn.minibatches),
            (128, 32, 2, 32)
        );
        assert_eq!(
            (pqn.gamma, pqn.lambda, pqn.learning_rate, pqn.max_grad_norm),
            (0.99, 0.65, 0.00025.into(), Some(10.0))
        );
        let epsilon = EpsilonConfig::Linear {
            from: 1.0,
            to: 0.001,
            frames: 4_000_000,
        };
        assert_eq!(pqn.epsilon, epsilon);
        let layers = Layers {
            convolutions: vec![(32, 8, 4), (64, 4, 2), (64, 3, 1)],
            hidden: vec![512],
            norm: Norm::Layer,
            ..Layers::default()
        };
        assert_eq!(pqn.network.body, BodyKind::Layers(layers));
        assert!(matches!(pqn.optimizer, OptimizerConfig::RAdam(_)));
    }

    #[test]
    fn an_invalid_value_is_named_with_the_reason() {
        type Spoil = fn(&mut PqnConfig);
        let cases: [(Spoil, &str); 4] = [
            (|c| c.num_envs = 0, "num_envs = 0: it must be between 1 and 10000"),
            (
                |c| c.minibatches = 3,
                "minibatches = 3: it must divide num_envs times rollout_steps",
            ),
            (|c| c.lambda = 1.5, "lambda = 1.5: it must be between 0 and 1"),
            (
                |c| c.network.core = crate::network::Core::Lstm,
                "network.core = lstm: action values come from feed-forward networks: it must be none",
            ),
        ];
        for (spoil, text) in cases {
            let mut config = PqnConfig::pqn();
            spoil(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), text);
        }
    }
}
