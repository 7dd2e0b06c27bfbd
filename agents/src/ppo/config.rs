//! The settings of PPO.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use crate::algorithm::{Algorithm, Preset, Processes, RunSettings, Work, Workload};
use crate::explore::EpsilonConfig;
use crate::network::{NetworkConfig, Observation};
use crate::on_policy::{OnPolicy, OnPolicyConfig};
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{ActorCriticPolicy, AgentError, Device, Policy, Section, TrainError, Trainer};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/ppo-fast.toml"));
const PPO: Preset = Preset::new("ppo", include_str!("../../presets/ppo.toml"));
const PONG: Preset = Preset::new("pong", include_str!("../../presets/ppo-pong.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/ppo-classic.toml"));

/// The settings of PPO.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::ppo::PpoConfig;
///
/// let config = PpoConfig { clip_ratio: 0.1, ..PpoConfig::fast() };
/// config.validate()?;
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PpoConfig {
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
    /// The clip range `1 ± clip_ratio` of the probability ratio (equation 7), which bounds the effect of several
    /// updates per rollout.
    pub clip_ratio: f64,
    /// How far a value may move from the one that was estimated when the rollout was played. Off in all presets: it is
    /// not in the paper, and a study of 50 such choices found that it does harm (Andrychowicz et al. 2020, arXiv
    /// 2006.05990).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_clip: Option<f64>,
    /// If the mean of [`approx_kl`](crate::on_policy::OnPolicyStats::approx_kl) over an epoch exceeds this, no further
    /// epoch follows: the policy has moved too far from the one that played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_kl: Option<f64>,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation (arXiv 1506.02438).
    pub gae_lambda: f64,
    /// Whether to normalise the advantages of a rollout to mean 0 and standard deviation 1.
    pub normalize_advantages: bool,
    /// The smallest standard deviation that advantages are divided by, if given. Without rewards, advantages consist of the
    /// noise of the values, and normalising them amplifies it. A limit below the deviation of rewarded rollouts, such as
    /// 0.01, prevents that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_advantage_std: Option<f64>,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Weight of the entropy bonus.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// Clips the global norm of the gradient to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// Whether to record an update once, as a CUDA graph, and replay it with one call per update. Requires a GPU, a
    /// network without LSTM or dropout, and a single process.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cuda_graphs: bool,
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration in addition to the policy's own randomness.
    pub epsilon: EpsilonConfig,
}

impl PpoConfig {
    /// The preset `fast`: for Atari games on a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `ppo`: the paper's settings for Atari games, as Stable-Baselines3 and CleanRL have them.
    #[must_use]
    pub fn ppo() -> Self {
        PPO.built_in()
    }

    /// The preset `pong`: tuned on Pong, which it learns in 2 million frames.
    #[must_use]
    pub fn pong() -> Self {
        PONG.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl From<&PpoConfig> for OnPolicyConfig {
    fn from(config: &PpoConfig) -> Self {
        Self {
            num_envs: config.num_envs,
            center_pixels: config.center_pixels,
            rollout_steps: config.rollout_steps,
            epochs: config.epochs,
            target_kl: config.target_kl,
            minibatches: config.minibatches,
            clip_ratio: Some(config.clip_ratio),
            value_clip: config.value_clip,
            gamma: config.gamma,
            gae_lambda: config.gae_lambda,
            normalize_advantages: config.normalize_advantages,
            min_advantage_std: config.min_advantage_std,
            learning_rate: config.learning_rate,
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            loss_scale: 1.0,
            max_grad_norm: config.max_grad_norm,
            cuda_graphs: config.cuda_graphs,
            network: config.network.clone(),
            optimizer: config.optimizer,
            epsilon: config.epsilon.clone(),
        }
    }
}

impl Algorithm for PpoConfig {
    const NAME: &'static str = "ppo";
    const ABOUT: &'static str = "Proximal policy optimisation (Schulman et al. 2017)";
    const OPTIONAL: &'static [&'static str] = &[
        "cuda_graphs",
        "learning_rate.frames",
        "max_grad_norm",
        "min_advantage_std",
        "target_kl",
        "value_clip",
    ];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, PPO, PONG],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        OnPolicyConfig::from(self).validate()
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
        Some(OnPolicyConfig::from(self).workload())
    }

    fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        OnPolicyConfig::from(self).work::<O>(spec, batch, device).map(Some)
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(OnPolicy::for_run(&self.into(), factory.as_ref(), run)?))
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

    #[test]
    fn the_paper_preset_has_the_numbers_of_the_paper() {
        // Schulman 2017, table 5, but for the epochs and the value loss: Stable-Baselines3 and CleanRL have 4 and 0.5.
        let ppo = PpoConfig::ppo();
        assert_eq!(
            (ppo.num_envs, ppo.rollout_steps, ppo.epochs, ppo.minibatches),
            (8, 128, 4, 4)
        );
        assert_eq!(
            (ppo.clip_ratio, ppo.gamma, ppo.gae_lambda, ppo.learning_rate),
            (0.1, 0.99, 0.95, Schedule::over_run(0.00025, 0.0))
        );
        assert_eq!(
            (ppo.entropy_weight, ppo.value_weight, ppo.max_grad_norm),
            (0.01, 0.5, Some(0.5))
        );
        assert_eq!((ppo.target_kl, ppo.value_clip), (None, None));
    }
}
