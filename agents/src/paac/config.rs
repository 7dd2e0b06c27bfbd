//! The settings of PAAC.

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

const FAST: Preset = Preset::new("fast", include_str!("../../presets/paac-fast.toml"));
const PAAC: Preset = Preset::new("paac", include_str!("../../presets/paac.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/paac-classic.toml"));

/// The settings of PAAC.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::paac::PaacConfig;
///
/// let config = PaacConfig { num_envs: 64, ..PaacConfig::paac() };
/// config.validate()?;
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaacConfig {
    /// The number of environments, `n_e`.
    pub num_envs: usize,
    /// Whether to subtract from every pixel its mean over the first rollout, which is not learned from. The
    /// background becomes 0, so that the network sees what moves. For pixels only.
    pub center_pixels: bool,
    /// Agent steps per environment and rollout, `t_max`.
    pub rollout_steps: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// The lambda of generalised advantage estimation (arXiv 1506.02438); 1 is the paper's n-step return.
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
    /// Weight of the entropy bonus, beta.
    pub entropy_weight: f64,
    /// Weight of the value loss.
    pub value_weight: f64,
    /// A factor of the total loss. Use it for papers that sum over a rollout where others average.
    pub loss_scale: f64,
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

impl PaacConfig {
    /// The preset `fast`: for Atari games on a small machine.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `paac`: the authors' program.
    #[must_use]
    pub fn paac() -> Self {
        PAAC.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl From<&PaacConfig> for OnPolicyConfig {
    fn from(config: &PaacConfig) -> Self {
        Self {
            num_envs: config.num_envs,
            center_pixels: config.center_pixels,
            rollout_steps: config.rollout_steps,
            epochs: 1,
            target_kl: None,
            minibatches: 1,
            clip_ratio: None,
            value_clip: None,
            gamma: config.gamma,
            gae_lambda: config.gae_lambda,
            normalize_advantages: config.normalize_advantages,
            min_advantage_std: config.min_advantage_std,
            learning_rate: config.learning_rate,
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            loss_scale: config.loss_scale,
            max_grad_norm: config.max_grad_norm,
            cuda_graphs: config.cuda_graphs,
            network: config.network.clone(),
            optimizer: config.optimizer,
            epsilon: config.epsilon.clone(),
        }
    }
}

impl Algorithm for PaacConfig {
    const NAME: &'static str = "paac";
    const ABOUT: &'static str = "Parallel advantage actor-critic (Clemente et al. 2017)";
    const OPTIONAL: &'static [&'static str] = &[
        "cuda_graphs",
        "learning_rate.frames",
        "max_grad_norm",
        "min_advantage_std",
    ];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, PAAC],
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
        // Clemente 2017, and the defaults of the authors' program.
        let paac = PaacConfig::paac();
        assert_eq!(
            (
                paac.num_envs,
                paac.rollout_steps,
                paac.gamma,
                paac.learning_rate.start()
            ),
            (32, 5, 0.99, 0.0224)
        );
        assert_eq!((paac.entropy_weight, paac.max_grad_norm), (0.01, Some(40.0)));
        let OptimizerConfig::RmsProp(rms_prop) = paac.optimizer else {
            panic!("{:?}", paac.optimizer);
        };
        // TensorFlow's RMSProp starts from a mean square of 1.
        assert_eq!((rms_prop.epsilon, rms_prop.initial_mean_square), (0.1, 1.0));
    }
}
