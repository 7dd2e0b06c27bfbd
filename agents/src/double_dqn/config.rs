//! The settings of Double-DQN.

use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::distant::Distant;
use super::learner::{DoubleDqnBatch, DoubleDqnLearner};
use super::trainer::{DoubleDqn, network};
use crate::algorithm::{
    Algorithm, LearnerWork, Preset, Processes, RunSettings, Threading, Work, Workload, act_by_values, made_up_actions,
    made_up_numbers, made_up_obs,
};
use crate::explore::EpsilonConfig;
use crate::limits::{above_0, at_least_0, check, if_given, unit, up_to_10_000};
use crate::network::{Distribution, Head, NetworkConfig, Observation, QHead};
use crate::optim::OptimizerConfig;
use crate::replay::{ReplayConfig, SamplerConfig, Store};
use crate::schedule::Schedule;
use crate::{AgentError, Device, Policy, Section, TrainError, Trainer, ValuePolicy};

const FAST: Preset = Preset::new("fast", include_str!("../../presets/double-dqn-fast.toml"));
const PRIORITIZED: Preset = Preset::new("prioritized", include_str!("../../presets/prioritized.toml"));
const TUNED: Preset = Preset::new("double-dqn-tuned", include_str!("../../presets/double-dqn-tuned.toml"));
const C51: Preset = Preset::new("c51", include_str!("../../presets/c51.toml"));
const IQN: Preset = Preset::new("iqn", include_str!("../../presets/iqn.toml"));
const RAINBOW: Preset = Preset::new("rainbow", include_str!("../../presets/rainbow.toml"));
const QR_DQN: Preset = Preset::new("qr-dqn", include_str!("../../presets/qr-dqn.toml"));
const BTR: Preset = Preset::new("btr", include_str!("../../presets/btr.toml"));
const NATURE: Preset = Preset::new("dqn-nature", include_str!("../../presets/dqn-nature.toml"));
const CLASSIC: Preset = Preset::new("fast", include_str!("../../presets/double-dqn-classic.toml"));

/// The settings of Munchausen reinforcement learning (Vieillard et al. 2020, arXiv 2007.14430), which adds the log-policy to
/// rewards and the policy's entropy to values; the policy is the softmax of the target network's action values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Munchausen {
    /// The weight of the log-policy; 0.9 in the paper.
    pub alpha: f64,
    /// The temperature of the softmax, tau; 0.03 in the paper.
    pub temperature: f64,
    /// The lower bound of the log-policy times the temperature; -1 in the paper.
    pub low: f64,
}

impl Munchausen {
    fn validate(self) -> Result<(), AgentError> {
        unit("munchausen.alpha", self.alpha)?;
        above_0("munchausen.temperature", self.temperature)?;
        let reason = "it must be a number from -1e30 to 0";
        check((-1e30..=0.0).contains(&self.low), "munchausen.low", self.low, reason)
    }
}

/// The settings of Double-DQN.
///
/// ```
/// use coinop_agents::double_dqn::DoubleDqnConfig;
///
/// let config = DoubleDqnConfig { n_step: 5, ..DoubleDqnConfig::classic() };
/// assert_eq!((config.batch_size, config.double), (128, true));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubleDqnConfig {
    /// The number of environments, each with an actor.
    pub num_envs: usize,
    /// Whether actors step in their own threads while the learner learns. If not, they take turns, and a seed
    /// reproduces a run bit for bit.
    pub asynchronous: bool,
    /// Whether to subtract from every pixel its mean over the first batch, before learning from it. The background
    /// becomes 0, so that the network sees what moves. For pixels only.
    // Left out where it is false, so that the hashes of settings without it, in ledgers and the names of folders, stay as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub center_pixels: bool,
    /// The capacity of the replay memory in agent steps.
    pub capacity: usize,
    /// How the memory stores frames.
    pub store: Store,
    /// Frames of random actions before the first update.
    pub learning_starts: u64,
    /// Transitions per update.
    pub batch_size: usize,
    /// Agent steps, over all actors, between updates.
    pub steps_per_update: usize,
    /// Frames between updates of the target network.
    pub target_frames: u64,
    /// Whether the online network selects the action whose value the target network estimates (Double-DQN), or the
    /// target network does both (DQN).
    pub double: bool,
    /// The number of rewards summed in n-step returns.
    pub n_step: usize,
    /// Discount per agent step.
    pub gamma: f64,
    /// Bounds the gradient of an error, if given; with quantiles, the threshold kappa of the Huber loss. C51 does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_clip: Option<f64>,
    /// Clips the global norm of the gradient to this maximum, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// The epsilon of evaluations that sample.
    pub eval_epsilon: f64,
    /// The body of the network.
    pub network: NetworkConfig,
    /// The head of the network.
    pub head: Head,
    /// Learns distributions of returns instead of action values, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Makes all fully connected layers noisy, if given (Fortunato et al. 2017, arXiv 1706.10295): they draw noise for every
    /// step and every update, with deviations that are learned and begin at this `sigma_0 / sqrt(inputs)`. Noise explores
    /// instead of an epsilon, which should then be 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noisy: Option<f64>,
    /// Adds the log-policy to rewards and values, if given; with n-step returns, to the first reward. It averages over next
    /// actions instead of selecting one, so `double` must be false. It cannot be combined with C51.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub munchausen: Option<Munchausen>,
    /// How transitions are sampled.
    pub sampler: SamplerConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Exploration.
    pub epsilon: EpsilonConfig,
}

impl DoubleDqnConfig {
    /// Everything that follows the body of the network.
    #[must_use]
    pub fn q_head(&self) -> QHead {
        QHead {
            head: self.head,
            distribution: self.distribution,
            noisy: self.noisy,
        }
    }

    /// The settings of the replay memory.
    #[must_use]
    pub fn replay_config(&self) -> ReplayConfig {
        ReplayConfig {
            capacity: self.capacity,
            store: self.store,
            n_step: self.n_step,
            gamma: self.gamma,
            sampler: self.sampler,
        }
    }

    /// The preset `fast`: tuned for wall-clock time on Atari games.
    #[must_use]
    pub fn fast() -> Self {
        FAST.built_in()
    }

    /// The preset `prioritized`: Schaul et al. 2015, proportional.
    #[must_use]
    pub fn prioritized() -> Self {
        PRIORITIZED.built_in()
    }

    /// The preset `double-dqn-tuned`: van Hasselt et al. 2015, tuned.
    #[must_use]
    pub fn tuned() -> Self {
        TUNED.built_in()
    }

    /// The preset `dqn-nature`: Mnih et al. 2015.
    #[must_use]
    pub fn nature() -> Self {
        NATURE.built_in()
    }

    /// The preset `c51`: Bellemare et al. 2017.
    #[must_use]
    pub fn c51() -> Self {
        C51.built_in()
    }

    /// The preset `qr-dqn`: Dabney et al. 2017.
    #[must_use]
    pub fn qr_dqn() -> Self {
        QR_DQN.built_in()
    }

    /// The preset `iqn`: Dabney et al. 2018.
    #[must_use]
    pub fn iqn() -> Self {
        IQN.built_in()
    }

    /// The preset `rainbow`: Hessel et al. 2017.
    #[must_use]
    pub fn rainbow() -> Self {
        RAINBOW.built_in()
    }

    /// The preset `btr`: Clark et al. 2024, Beyond The Rainbow.
    #[must_use]
    pub fn btr() -> Self {
        BTR.built_in()
    }

    /// The preset for features, tuned on CartPole.
    #[must_use]
    pub fn classic() -> Self {
        CLASSIC.built_in()
    }
}

impl Algorithm for DoubleDqnConfig {
    const NAME: &'static str = "double-dqn";
    const ABOUT: &'static str =
        "Action values from replay, and DQN itself (Mnih et al. 2015, van Hasselt et al. 2015, Schaul et al. 2015)";
    const OPTIONAL: &'static [&'static str] = &[
        "center_pixels",
        "distribution",
        "error_clip",
        "learning_rate.frames",
        "max_grad_norm",
        "munchausen",
        "noisy",
    ];

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![FAST, PRIORITIZED, TUNED, NATURE, C51, QR_DQN, IQN, RAINBOW, BTR],
            Observations::Features => vec![CLASSIC],
        }
    }

    fn schema() -> Option<Schema> {
        Some(schema_for!(Self))
    }

    fn validate(&self) -> Result<(), AgentError> {
        up_to_10_000("num_envs", self.num_envs)?;
        up_to_10_000("batch_size", self.batch_size)?;
        self.replay_config().validate(self.num_envs, self.batch_size)?;
        let reason = "it must be at least 1";
        check(
            self.steps_per_update > 0,
            "steps_per_update",
            self.steps_per_update,
            reason,
        )?;
        check(self.target_frames > 0, "target_frames", self.target_frames, reason)?;
        if_given("error_clip", self.error_clip, above_0)?;
        if_given("max_grad_norm", self.max_grad_norm, above_0)?;
        self.learning_rate.check("learning_rate", above_0, at_least_0)?;
        unit("eval_epsilon", self.eval_epsilon)?;
        self.network.validate()?;
        self.network.check_feed_forward()?;
        self.q_head().validate()?;
        if let Some(munchausen) = self.munchausen {
            munchausen.validate()?;
            let reason = "munchausen averages over all next actions: it must be false";
            check(!self.double, "double", true, reason)?;
            let is_c51 = matches!(self.distribution, Some(Distribution::C51 { .. }));
            let reason = "munchausen has no targets for it: it must be quantile or iqn, or left out";
            check(!is_c51, "distribution.kind", "c51", reason)?;
        }
        self.optimizer.validate()?;
        self.epsilon.validate()
    }

    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn threading(&self) -> Threading {
        if self.asynchronous {
            Threading::AtOnce
        } else {
            Threading::Turns
        }
    }

    fn processes(&self) -> Processes {
        if self.asynchronous {
            Processes::Asynchronous
        } else {
            Processes::Synchronous
        }
    }

    fn network(&self) -> Option<&NetworkConfig> {
        Some(&self.network)
    }

    fn network_mut(&mut self) -> Option<&mut NetworkConfig> {
        Some(&mut self.network)
    }

    fn warnings(&self, frames: u64) -> Vec<String> {
        let mut warnings = self.learning_rate.warn_of_early_end(frames);
        if self.learning_starts >= frames {
            warnings.push(format!(
                "learning starts at frame {}, and the run has {frames}: nothing is learned; lower double-dqn.learning_starts",
                self.learning_starts
            ));
        }
        warnings
    }

    fn shorten(&mut self, frames: u64) -> Vec<String> {
        if self.learning_starts <= frames / 4 {
            return Vec::new();
        }
        self.learning_starts = frames / 4;
        vec![format!(
            "learning starts at frame {} here, so that there is something to compare",
            self.learning_starts
        )]
    }

    fn workload(&self) -> Option<Workload> {
        Some(Workload {
            act_batch: self.num_envs,
            acts: self.steps_per_update as f64 / self.num_envs as f64,
            learn_batch: self.batch_size,
            learns: 1.0,
            steps: self.steps_per_update as f64,
            workers: 1,
            replay: Some(self.replay_config()),
        })
    }

    fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        let network = || network(self, spec, 0, device);
        let (online, n) = (network()?, self.batch_size);
        let (body, numbers) = (online.body(), made_up_numbers(n));
        let learned = DoubleDqnBatch {
            obs: body.input(&made_up_obs::<O>(spec, n))?,
            actions: body.numbers(&made_up_actions(spec, n))?,
            returns: body.numbers(&numbers)?,
            discounts: body.numbers(&vec![self.gamma as f32; n])?,
            next_obs: body.input(&made_up_obs::<O>(spec, n))?,
            weights: body.numbers(&vec![1f32; n])?,
            learning_rate: 0.0,
        };
        let answered = body.input(&made_up_obs::<O>(spec, batch))?;
        Ok(Some(Box::new(LearnerWork {
            learner: DoubleDqnLearner::new(self, online, network()?)?,
            batch: learned,
            act: move |learner: &DoubleDqnLearner| act_by_values(learner.network(), &answered),
        })))
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        if self.asynchronous && run.ranks.rank() > 0 {
            return Ok(Box::new(Distant::new(self, factory.as_ref(), run)?));
        }
        Ok(Box::new(DoubleDqn::new(self, factory, run)?))
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
    use crate::optim::AdamConfig;

    #[test]
    fn a_run_that_ends_before_it_learns_is_warned_of() {
        let nature = DoubleDqnConfig::nature();
        assert_eq!([200_000, 200_001].map(|frames| nature.warnings(frames).len()), [1, 0]);
    }

    #[test]
    fn the_presets_of_the_dqn_papers_differ_as_the_papers_do() {
        // Mnih 2015, extended data table 1, in frames; van Hasselt 2015, appendix; Schaul 2015, table 3.
        let nature = DoubleDqnConfig::nature();
        assert_eq!(
            (
                nature.capacity,
                nature.learning_starts,
                nature.batch_size,
                nature.steps_per_update
            ),
            (1_000_000, 200_000, 32, 4)
        );
        assert_eq!(
            (nature.double, nature.target_frames, nature.gamma, nature.learning_rate),
            (false, 40_000, 0.99, 0.00025.into())
        );
        let linear = |to| EpsilonConfig::Linear {
            from: 1.0,
            to,
            frames: 4_000_000,
        };
        assert_eq!(nature.epsilon, linear(0.1));
        let tuned = DoubleDqnConfig {
            double: true,
            target_frames: 120_000,
            eval_epsilon: 0.001,
            head: Head::SharedBias,
            epsilon: linear(0.01),
            ..nature
        };
        assert_eq!(DoubleDqnConfig::tuned(), tuned);
        let prioritized = DoubleDqnConfig::prioritized();
        let SamplerConfig::Proportional { alpha, beta, .. } = prioritized.sampler else {
            panic!("{:?}", prioritized.sampler);
        };
        assert_eq!((alpha, beta), (0.6, Schedule::over_run(0.4, 1.0)));
        let of_tuned = DoubleDqnConfig {
            learning_rate: (0.00025 / 4.0).into(),
            sampler: prioritized.sampler,
            optimizer: prioritized.optimizer,
            ..tuned
        };
        assert_eq!(prioritized, of_tuned);
    }

    #[test]
    fn the_presets_of_distributions_differ_from_dqn_as_their_papers_do() {
        // DQN Zoo's run_atari.py of c51, qrdqn and iqn; Hessel et al. 2017, table 1.
        let nature = DoubleDqnConfig::nature();
        let adam = |epsilon| {
            OptimizerConfig::Adam(AdamConfig {
                beta1: 0.9,
                beta2: 0.999,
                epsilon,
            })
        };
        let c51 = DoubleDqnConfig {
            error_clip: None,
            max_grad_norm: Some(10.0),
            eval_epsilon: 0.001,
            distribution: Some(Distribution::C51 {
                atoms: 51,
                low: -10.0,
                high: 10.0,
            }),
            optimizer: adam(0.01 / 32.0),
            epsilon: EpsilonConfig::Linear {
                from: 1.0,
                to: 0.01,
                frames: 4_000_000,
            },
            ..nature
        };
        assert_eq!(DoubleDqnConfig::c51(), c51);
        let qr_dqn = DoubleDqnConfig {
            error_clip: Some(1.0),
            max_grad_norm: None,
            learning_rate: 0.000_05.into(),
            distribution: Some(Distribution::Quantile { quantiles: 201 }),
            ..c51.clone()
        };
        assert_eq!(DoubleDqnConfig::qr_dqn(), qr_dqn);
        let iqn = DoubleDqnConfig {
            learning_starts: 80_000,
            distribution: Some(Distribution::Iqn {
                cosines: 64,
                samples: 64,
                target_samples: 64,
                policy_samples: 64,
            }),
            ..qr_dqn
        };
        assert_eq!(DoubleDqnConfig::iqn(), iqn);
        let rainbow = DoubleDqnConfig::rainbow();
        assert!(matches!(
            rainbow.sampler,
            SamplerConfig::Proportional { alpha: 0.5, .. }
        ));
        let of_c51 = DoubleDqnConfig {
            max_grad_norm: None,
            learning_starts: 80_000,
            target_frames: 32_000,
            double: true,
            n_step: 3,
            learning_rate: 0.000_062_5.into(),
            eval_epsilon: 0.0,
            head: Head::Dueling,
            noisy: Some(0.5),
            sampler: rainbow.sampler,
            optimizer: adam(0.000_15),
            epsilon: EpsilonConfig::Fixed { value: 0.0 },
            ..c51
        };
        assert_eq!(rainbow, of_c51);
        // Clark et al. 2024, the authors' program.
        let btr = DoubleDqnConfig::btr();
        let of_rainbow = DoubleDqnConfig {
            num_envs: 64,
            capacity: 1 << 20,
            learning_starts: 4 * 200_000,
            batch_size: 256,
            steps_per_update: 64,
            target_frames: 4 * 500 * 64,
            double: false,
            gamma: 0.997,
            error_clip: Some(1.0),
            max_grad_norm: Some(10.0),
            learning_rate: 0.0001.into(),
            eval_epsilon: 0.01,
            distribution: Some(Distribution::Iqn {
                cosines: 64,
                samples: 8,
                target_samples: 8,
                policy_samples: 8,
            }),
            munchausen: Some(Munchausen {
                alpha: 0.9,
                temperature: 0.03,
                low: -1.0,
            }),
            network: btr.network.clone(),
            sampler: SamplerConfig::Proportional {
                alpha: 0.2,
                beta: Schedule::over_run(0.4, 1.0),
                priority_epsilon: 1e-6,
                normalize: crate::replay::Normalize::Batch,
            },
            optimizer: adam(0.005 / 256.0),
            epsilon: EpsilonConfig::Linear {
                from: 1.0,
                to: 0.01,
                frames: 8_000_000,
            },
            ..rainbow
        };
        assert_eq!(btr, of_rainbow);
    }
}
