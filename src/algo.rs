//! The algorithms by name, and the only place that lists them. Each question about an algorithm is one function here;
//! a new algorithm is a variant of both enums and an arm in each function.

use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use coinop_agents::a3c::{self, A3c, A3cConfig};
use coinop_agents::async_q::{self, AsyncQ, AsyncQConfig, ValueMethod};
use coinop_agents::double_dqn::{self, DoubleDqn, DoubleDqnConfig};
use coinop_agents::network::{NetworkConfig, Observation, Precision};
use coinop_agents::paac::{self, Paac, PaacConfig};
use coinop_agents::{AgentError, Device, Policy, Section, TrainError, Trainer};
use coinop_envs::registry::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

use crate::config::RunConfig;
use crate::custom;

/// An algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Algo {
    #[default]
    Paac,
    DoubleDqn,
    A3c,
    AsyncQ,
    AsyncSarsa,
    AsyncNstepQ,
    /// A [registered](custom::register) algorithm, by name.
    Custom(&'static str),
}

impl ValueEnum for Algo {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: Mutex<&'static [Algo]> = Mutex::new(&[]);
        let registered = custom::all();
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() != Algo::OURS.len() + registered.len() {
            // Leaked once for each that is registered.
            let registered = registered.into_iter().map(|algorithm| Algo::Custom(algorithm.name));
            *all = Vec::leak(Algo::OURS.into_iter().chain(registered).collect());
        }
        *all
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let about = match self {
            Algo::Paac => "Parallel advantage actor-critic (Clemente et al. 2017)",
            Algo::DoubleDqn => {
                "Action values from replay, and DQN itself (Mnih et al. 2015, van Hasselt et al. 2015, Schaul et al. 2015)"
            }
            Algo::A3c => "Asynchronous advantage actor-critic (Mnih et al. 2016)",
            Algo::AsyncQ => "Asynchronous one-step Q-learning (Mnih et al. 2016)",
            Algo::AsyncSarsa => "Asynchronous one-step Sarsa (Mnih et al. 2016)",
            Algo::AsyncNstepQ => "Asynchronous n-step Q-learning (Mnih et al. 2016)",
            Algo::Custom(_) => "An algorithm of this program's own",
        };
        Some(PossibleValue::new(self.name()).help(about))
    }
}

impl Serialize for Algo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Algo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let all = Self::value_variants();
        all.iter().find(|algo| algo.name() == name).copied().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|algo| algo.name()).collect();
            D::Error::custom(format!("there is no algorithm `{name}`: use {}", names.join(", ")))
        })
    }
}

impl Algo {
    /// The built-in algorithms.
    pub(crate) const OURS: [Algo; 6] = [
        Algo::Paac,
        Algo::DoubleDqn,
        Algo::A3c,
        Algo::AsyncQ,
        Algo::AsyncSarsa,
        Algo::AsyncNstepQ,
    ];

    /// The name, which is also its section of a configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algo::Paac => "paac",
            Algo::DoubleDqn => "double-dqn",
            Algo::A3c => "a3c",
            Algo::AsyncQ => "async-q",
            Algo::AsyncSarsa => "async-sarsa",
            Algo::AsyncNstepQ => "async-nstep-q",
            Algo::Custom(name) => name,
        }
    }

    /// The presets for environments with these observations, name and TOML each; the first is the default. Presets
    /// shared by several algorithms call their section `async`.
    pub(crate) fn presets(self, observations: Observations) -> &'static [(&'static str, &'static str)] {
        match (self, observations) {
            (Algo::Custom(name), observations) => custom::find(name).presets(observations),
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

    /// Parses the algorithm's section of a configuration.
    pub(crate) fn read(self, section: Value) -> Result<AlgoConfig, toml::de::Error> {
        match self {
            Algo::Paac => section.try_into().map(AlgoConfig::Paac),
            Algo::DoubleDqn => section.try_into().map(AlgoConfig::DoubleDqn),
            Algo::A3c => section.try_into().map(AlgoConfig::A3c),
            Algo::AsyncQ => section.try_into().map(AlgoConfig::AsyncQ),
            Algo::AsyncSarsa => section.try_into().map(AlgoConfig::AsyncSarsa),
            Algo::AsyncNstepQ => section.try_into().map(AlgoConfig::AsyncNstepQ),
            Algo::Custom(name) => {
                let settings = custom::find(name).algorithm.read(section)?;
                Ok(AlgoConfig::Custom(CustomConfig { name, settings }))
            }
        }
    }
}

/// The settings of the selected algorithm, serialised as the section of its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AlgoConfig {
    Paac(PaacConfig),
    DoubleDqn(DoubleDqnConfig),
    A3c(A3cConfig),
    AsyncQ(AsyncQConfig),
    AsyncSarsa(AsyncQConfig),
    AsyncNstepQ(AsyncQConfig),
    Custom(CustomConfig),
}

/// The settings of a registered algorithm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CustomConfig {
    name: &'static str,
    pub(crate) settings: Table,
}

impl CustomConfig {
    fn algorithm(&self) -> &'static dyn custom::Erased {
        custom::find(self.name).algorithm
    }
}

impl Serialize for AlgoConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        match self {
            Self::Paac(config) => map.serialize_entry(Algo::Paac.name(), config)?,
            Self::DoubleDqn(config) => map.serialize_entry(Algo::DoubleDqn.name(), config)?,
            Self::A3c(config) => map.serialize_entry(Algo::A3c.name(), config)?,
            Self::AsyncQ(config) => map.serialize_entry(Algo::AsyncQ.name(), config)?,
            Self::AsyncSarsa(config) => map.serialize_entry(Algo::AsyncSarsa.name(), config)?,
            Self::AsyncNstepQ(config) => map.serialize_entry(Algo::AsyncNstepQ.name(), config)?,
            Self::Custom(config) => map.serialize_entry(config.name, &config.settings)?,
        }
        map.end()
    }
}

/// How environment threads and libtorch threads share the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threading {
    /// They take turns, so each kind can use all cores.
    Turns,
    /// They run at the same time, so each kind needs its own cores.
    AtOnce,
    /// Each worker thread steps its environment and learns.
    Workers,
}

impl AlgoConfig {
    /// Checks all values.
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        match self {
            Self::Paac(config) => config.validate(),
            Self::DoubleDqn(config) => config.validate(),
            Self::A3c(config) => config.validate(),
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => config.validate(),
            Self::Custom(config) => config.algorithm().check(&config.settings),
        }
    }

    /// Resolves a precision that depends on the machine.
    pub(crate) fn choose_precision(&mut self, spec: &EnvSpec, device: Device) -> Result<(), AgentError> {
        let Some(workload) = self.workload() else {
            // An algorithm that was registered chooses itself.
            return Ok(());
        };
        let network = match self {
            Self::Paac(config) => &mut config.network,
            Self::DoubleDqn(config) => &mut config.network,
            Self::A3c(config) => &mut config.network,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => &mut config.network,
            Self::Custom(_) => return Ok(()),
        };
        if network.precision == Precision::Auto {
            network.precision = Precision::tried(network, spec, workload.learn_batch, device)?;
        }
        Ok(())
    }

    /// The number of environments to train with.
    pub(crate) fn num_envs(&self) -> usize {
        match self {
            Self::Paac(config) => config.num_envs,
            Self::DoubleDqn(config) => config.num_envs,
            Self::A3c(config) => config.workers,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => config.workers,
            // As it was when the settings were checked.
            Self::Custom(config) => config.algorithm().num_envs(&config.settings).unwrap_or(1),
        }
    }

    /// How its threads share the cores.
    pub(crate) fn threading(&self) -> Threading {
        match self {
            Self::DoubleDqn(config) if config.asynchronous => Threading::AtOnce,
            Self::Paac(_) | Self::DoubleDqn(_) | Self::Custom(_) => Threading::Turns,
            Self::A3c(_) | Self::AsyncQ(_) | Self::AsyncSarsa(_) | Self::AsyncNstepQ(_) => Threading::Workers,
        }
    }

    /// The network; `None` for registered algorithms.
    pub(crate) fn network(&self) -> Option<&NetworkConfig> {
        Some(match self {
            Self::Paac(config) => &config.network,
            Self::DoubleDqn(config) => &config.network,
            Self::A3c(config) => &config.network,
            Self::AsyncQ(config) | Self::AsyncSarsa(config) | Self::AsyncNstepQ(config) => &config.network,
            Self::Custom(_) => return None,
        })
    }

    /// Warnings about settings that are probably mistakes in a run of this length.
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

    /// Adapts the settings to a short run for demonstration, and describes the changes.
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

    /// Creates a trainer for a new run.
    pub(crate) fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunConfig,
        device: Device,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        match self {
            Self::Paac(config) => {
                Paac::<O>::check_memory(config, factory.spec().obs_shape)?;
                let env = factory.make_vec(0, config.num_envs, run.env_threads)?;
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
            Self::Custom(config) => {
                let run = custom::RunSettings {
                    frames: run.frames,
                    seed: run.seed,
                    env_threads: run.env_threads,
                };
                config
                    .algorithm()
                    .trainer(&config.settings, factory.into(), &run, device)
            }
        }
    }

    /// Loads the policy from a checkpoint, for environments with the constants `spec`; it draws from `rng`.
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
            Self::Custom(config) => {
                let (algorithm, settings) = (config.algorithm(), &config.settings);
                let policy = algorithm.policy(O::OBSERVATIONS, settings, spec, from, rng, device)?;
                match policy.downcast::<Box<dyn Policy<Obs = O>>>() {
                    Ok(policy) => Ok(*policy),
                    Err(_) => unreachable!("a policy for {} was asked for", O::NAME),
                }
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
