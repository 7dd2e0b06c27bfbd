//! The algorithms by name: the one place that knows which there are. Each question about an algorithm is one function here, and a new
//! algorithm is a variant of both enums and an arm in each.

use std::sync::Arc;

use clap::ValueEnum;
use coinop_agents::a3c::{self, A3c, A3cConfig};
use coinop_agents::async_q::{self, AsyncQ, AsyncQConfig, ValueMethod};
use coinop_agents::double_dqn::{self, DoubleDqn, DoubleDqnConfig};
use coinop_agents::network::{NetworkConfig, Observation};
use coinop_agents::paac::{self, Paac, PaacConfig};
use coinop_agents::{AgentError, Device, Policy, Section, TrainError, Trainer};
use coinop_envs::registry::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::config::RunConfig;

/// An algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algo {
    /// Parallel advantage actor-critic (Clemente et al. 2017)
    #[default]
    Paac,
    /// Action values from replay, and DQN itself (Mnih et al. 2015, van Hasselt et al. 2015, Schaul et al. 2015)
    DoubleDqn,
    /// Asynchronous advantage actor-critic (Mnih et al. 2016)
    A3c,
    /// Asynchronous one-step Q-learning (Mnih et al. 2016)
    AsyncQ,
    /// Asynchronous one-step Sarsa (Mnih et al. 2016)
    AsyncSarsa,
    /// Asynchronous n-step Q-learning (Mnih et al. 2016)
    AsyncNstepQ,
}

impl Algo {
    /// Its name, which is also that of its section of a configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algo::Paac => "paac",
            Algo::DoubleDqn => "double-dqn",
            Algo::A3c => "a3c",
            Algo::AsyncQ => "async-q",
            Algo::AsyncSarsa => "async-sarsa",
            Algo::AsyncNstepQ => "async-nstep-q",
        }
    }

    /// Its presets for environments with such observations, each a name and a TOML text; the first is the default. In texts that several algorithms share,
    /// their section is `async`.
    pub(crate) fn presets(self, observations: Observations) -> &'static [(&'static str, &'static str)] {
        match (self, observations) {
            (Algo::Paac, Observations::Pixels) => &[
                ("fast", include_str!("../configs/paac-fast.toml")),
                ("paac", include_str!("../configs/paac.toml")),
            ],
            (Algo::Paac, Observations::Features) => &[("fast", include_str!("../configs/paac-classic.toml"))],
            (Algo::DoubleDqn, Observations::Pixels) => &[
                ("fast", include_str!("../configs/double-dqn-fast.toml")),
                ("prioritized", include_str!("../configs/prioritized.toml")),
                ("double-dqn-tuned", include_str!("../configs/double-dqn-tuned.toml")),
                ("dqn-nature", include_str!("../configs/dqn-nature.toml")),
            ],
            (Algo::DoubleDqn, Observations::Features) => {
                &[("fast", include_str!("../configs/double-dqn-classic.toml"))]
            }
            (Algo::A3c, Observations::Pixels) => &[
                ("fast", include_str!("../configs/a3c-fast.toml")),
                ("a3c", include_str!("../configs/a3c.toml")),
            ],
            (Algo::A3c, Observations::Features) => &[("fast", include_str!("../configs/a3c-classic.toml"))],
            (Algo::AsyncQ | Algo::AsyncSarsa | Algo::AsyncNstepQ, Observations::Pixels) => &[
                ("fast", include_str!("../configs/async-fast.toml")),
                ("async", include_str!("../configs/async.toml")),
            ],
            (Algo::AsyncQ | Algo::AsyncSarsa | Algo::AsyncNstepQ, Observations::Features) => {
                &[("fast", include_str!("../configs/async-classic.toml"))]
            }
        }
    }

    /// Reads its section of a configuration.
    pub(crate) fn read(self, section: Value) -> Result<AlgoConfig, toml::de::Error> {
        match self {
            Algo::Paac => section.try_into().map(AlgoConfig::Paac),
            Algo::DoubleDqn => section.try_into().map(AlgoConfig::DoubleDqn),
            Algo::A3c => section.try_into().map(AlgoConfig::A3c),
            Algo::AsyncQ => section.try_into().map(AlgoConfig::AsyncQ),
            Algo::AsyncSarsa => section.try_into().map(AlgoConfig::AsyncSarsa),
            Algo::AsyncNstepQ => section.try_into().map(AlgoConfig::AsyncNstepQ),
        }
    }
}

/// The settings of the chosen algorithm. Written down, it is the section of that name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AlgoConfig {
    Paac(PaacConfig),
    DoubleDqn(DoubleDqnConfig),
    A3c(A3cConfig),
    AsyncQ(AsyncQConfig),
    AsyncSarsa(AsyncQConfig),
    AsyncNstepQ(AsyncQConfig),
}

/// How threads that step environments and threads of libtorch share the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threading {
    /// They take turns, so that both kinds may have all cores.
    Turns,
    /// Environments are stepped while libtorch learns, so that each kind needs cores of its own.
    AtOnce,
    /// Each environment has a thread that steps it and learns from it.
    Workers,
}

impl AlgoConfig {
    /// Checks every value.
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        match self {
            Self::Paac(config) => config.validate(),
            Self::DoubleDqn(config) => config.validate(),
            Self::A3c(config) => config.validate(),
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => config.validate(),
        }
    }

    /// Replaces what stands for something else on each machine.
    pub(crate) fn resolve(&mut self, device: Device) {
        let network = match self {
            Self::Paac(config) => &mut config.network,
            Self::DoubleDqn(config) => &mut config.network,
            Self::A3c(config) => &mut config.network,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => &mut config.network,
        };
        network.precision = network.precision.resolved(device);
    }

    /// The number of environments that it trains with.
    pub(crate) fn num_envs(&self) -> usize {
        match self {
            Self::Paac(config) => config.num_envs,
            Self::DoubleDqn(config) => config.num_envs,
            Self::A3c(config) => config.workers,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => config.workers,
        }
    }

    /// How its threads share the cores.
    pub(crate) fn threading(&self) -> Threading {
        match self {
            Self::DoubleDqn(config) if config.asynchronous => Threading::AtOnce,
            Self::Paac(_) | Self::DoubleDqn(_) => Threading::Turns,
            Self::A3c(_) | Self::AsyncQ(_) | Self::AsyncSarsa(_) | Self::AsyncNstepQ(_) => Threading::Workers,
        }
    }

    /// The network.
    pub(crate) fn network(&self) -> &NetworkConfig {
        match self {
            Self::Paac(config) => &config.network,
            Self::DoubleDqn(config) => &config.network,
            Self::A3c(config) => &config.network,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => &config.network,
        }
    }

    /// What can be in a run of so many frames, and is probably not meant.
    pub(crate) fn warnings(&self, frames: u64) -> Vec<String> {
        match self {
            Self::Paac(PaacConfig { anneal_frames, .. })
            | Self::A3c(A3cConfig { anneal_frames, .. })
            | Self::AsyncQ(AsyncQConfig { anneal_frames, .. })
            | Self::AsyncSarsa(AsyncQConfig { anneal_frames, .. })
            | Self::AsyncNstepQ(AsyncQConfig { anneal_frames, .. })
                if (1..frames).contains(anneal_frames) =>
            {
                vec![format!(
                    "the learning rate is 0 from frame {anneal_frames} on, and the run has {frames}: the rest learns nothing; raise \
                     anneal_frames, or set it to 0 for the length of the run"
                )]
            }
            Self::DoubleDqn(config) if config.learning_starts >= frames => vec![format!(
                "learning starts at frame {}, and the run has {frames}: nothing is learned; lower double-dqn.learning_starts",
                config.learning_starts
            )],
            _ => Vec::new(),
        }
    }

    /// Makes the settings fit a run of so many frames that only shows something, and says what it changed.
    pub(crate) fn shorten(&mut self, frames: u64) -> Vec<String> {
        match self {
            Self::DoubleDqn(config) if config.learning_starts > frames / 4 => {
                config.learning_starts = frames / 4;
                vec![format!(
                    "learning starts at frame {} here, so that there is something to compare",
                    config.learning_starts
                )]
            }
            _ => Vec::new(),
        }
    }

    /// A trainer for a new run.
    pub(crate) fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunConfig,
        device: Device,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        match self {
            Self::Paac(config) => {
                Paac::<O>::check_memory(config, factory.spec().obs_shape)?;
                let env = factory.make_vec(config.num_envs, run.env_threads)?;
                Ok(Box::new(Paac::new(config, env, run.frames, run.seed, device)?))
            }
            Self::DoubleDqn(config) => {
                let (threads, frames, seed) = (run.env_threads, run.frames, run.seed);
                Ok(Box::new(DoubleDqn::new(
                    config, factory, threads, frames, seed, device,
                )?))
            }
            Self::A3c(config) => {
                let trainer = A3c::new(config, factory.as_ref(), run.frames, run.seed, device)?;
                Ok(Box::new(trainer))
            }
            Self::AsyncQ(config) => async_q(ValueMethod::OneStepQ, config, factory.as_ref(), run, device),
            Self::AsyncSarsa(config) => async_q(ValueMethod::OneStepSarsa, config, factory.as_ref(), run, device),
            Self::AsyncNstepQ(config) => async_q(ValueMethod::NStepQ, config, factory.as_ref(), run, device),
        }
    }

    /// The policy of a checkpoint, for environments like `spec`; it draws from `rng`.
    pub(crate) fn policy<O: Observation>(
        &self,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        match self {
            Self::Paac(config) => Ok(Box::new(paac::restore_policy(config, spec, from, rng, device)?)),
            Self::DoubleDqn(config) => Ok(Box::new(double_dqn::restore_policy(config, spec, from, rng, device)?)),
            Self::A3c(config) => Ok(Box::new(a3c::restore_policy(config, spec, from, rng, device)?)),
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => {
                Ok(Box::new(async_q::restore_policy(config, spec, from, rng, device)?))
            }
        }
    }
}

fn async_q<O: Observation>(
    method: ValueMethod,
    config: &AsyncQConfig,
    factory: &dyn EnvFactory<Obs = O>,
    run: &RunConfig,
    device: Device,
) -> Result<Box<dyn Trainer>, TrainError> {
    let trainer = AsyncQ::new(method, config, factory, run.frames, run.seed, device)?;
    Ok(Box::new(trainer))
}
