//! The interface of all algorithms, built in or from other crates: everything that a command line, a benchmark or a
//! library user needs to know about one.
//!
//! An [`Algorithm`] is its settings. [`AlgorithmInfo`] is what is known of an algorithm without any settings, and
//! [`AnyAlgorithm`] holds the settings of an algorithm that is known only by name.

mod any;
mod guard;
mod preset;
mod settings;
mod workload;

use std::fmt::Debug;
use std::sync::Arc;

use crate::distill::Teacher;
use crate::distributed::Ranks;
use coinop_envs::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvFactory, EnvSpec};
use schemars::Schema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::network::{NetworkConfig, Observation};
use crate::{AgentError, Device, Policy, Section, TrainError, Trainer};

pub use any::{AlgorithmInfo, AnyAlgorithm};
pub use preset::Preset;
pub use settings::SettingError;
pub(crate) use workload::{
    LearnerWork, act_by_policy, act_by_values, made_up_actions, made_up_numbers, made_up_obs, made_up_rng,
};
pub use workload::{Work, Workload};

/// An algorithm, which is its settings: a struct that is read from its section of a configuration.
///
/// Everything that the program `coinop` does with an algorithm goes through this trait, which the built-in ones
/// implement too. `examples/custom_algorithm.rs` is a complete algorithm in a crate of its own.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_agents::algorithm::{Algorithm, Preset, RunSettings};
/// use coinop_agents::network::Observation;
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_agents::{AgentError, Device, Policy, Section, TrainError, Trainer};
/// use coinop_envs::Observations;
/// use coinop_envs::rng::Rng;
/// use coinop_envs::{EnvFactory, EnvSpec};
///
/// /// PPO with only one setting, the learning rate.
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SimplePpo {
///     learning_rate: f64,
/// }
///
/// const PRESET: &str = r#"
/// [run]
/// frames = 100_000
/// seed = 1
/// env_threads = 1
/// torch_threads = 1
/// device = "cpu"
/// metrics_frames = 5_000
///
/// [simple-ppo]
/// learning_rate = 0.003
/// "#;
///
/// impl SimplePpo {
///     fn ppo(&self) -> PpoConfig {
///         PpoConfig { learning_rate: self.learning_rate.into(), ..PpoConfig::classic() }
///     }
/// }
///
/// impl Algorithm for SimplePpo {
///     const NAME: &'static str = "simple-ppo";
///     const ABOUT: &'static str = "PPO with one setting";
///
///     fn presets(observations: Observations) -> Vec<Preset> {
///         match observations {
///             Observations::Features => vec![Preset::new("fast", PRESET)],
///             Observations::Pixels => Vec::new(),
///         }
///     }
///
///     fn validate(&self) -> Result<(), AgentError> {
///         self.ppo().validate()
///     }
///
///     fn num_envs(&self) -> usize {
///         self.ppo().num_envs
///     }
///
///     fn trainer<O: Observation>(
///         &self,
///         factory: Arc<dyn EnvFactory<Obs = O>>,
///         run: &RunSettings,
///     ) -> Result<Box<dyn Trainer>, TrainError> {
///         self.ppo().trainer(factory, run)
///     }
///
///     fn policy<O: Observation>(
///         &self,
///         spec: &EnvSpec,
///         from: &Section,
///         rng: Rng,
///         device: Device,
///     ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
///         self.ppo().policy(spec, from, rng, device)
///     }
/// }
///
/// // In a program's `main`, `coinop::Program::new().algorithm::<SimplePpo>()` has `train cartpole --algo simple-ppo`
/// // and all other commands.
/// assert_eq!(SimplePpo::presets(Observations::Features)[0].settings::<SimplePpo>()?.learning_rate, 0.003);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
pub trait Algorithm: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the algorithm, in lower-case letters, digits and `-`: the value of `--algo`, and its section of a
    /// configuration.
    const NAME: &'static str;

    /// What it is, in one line for `--help`.
    const ABOUT: &'static str;

    /// The settings that may be absent, and so may be missing from a preset.
    const OPTIONAL: &'static [&'static str] = &[];

    /// The presets for environments with these observations, the default first; none if the algorithm cannot learn
    /// from them.
    fn presets(observations: Observations) -> Vec<Preset>;

    /// What each setting means: the schema of the type, e.g. `Some(schemars::schema_for!(Self))` of one that derives
    /// `JsonSchema`, whose descriptions are the comments of its fields. `coinop settings` shows them.
    fn schema() -> Option<Schema> {
        None
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    fn validate(&self) -> Result<(), AgentError> {
        Ok(())
    }

    /// The number of environments to train with.
    fn num_envs(&self) -> usize;

    /// How its threads share the cores.
    fn threading(&self) -> Threading {
        Threading::Turns
    }

    /// How several processes train together. An algorithm that is not for one alone uses [`RunSettings::ranks`].
    fn processes(&self) -> Processes {
        Processes::One
    }

    /// The settings of the network; `None` if it has a network of its own.
    fn network(&self) -> Option<&NetworkConfig> {
        None
    }

    /// The same, mutable, so that a precision that depends on the machine can be resolved.
    fn network_mut(&mut self) -> Option<&mut NetworkConfig> {
        None
    }

    /// Returns warnings about settings that are probably mistakes in a run of this length.
    fn warnings(&self, frames: u64) -> Vec<String> {
        let _ = frames;
        Vec::new()
    }

    /// Adapts the settings to a short demonstration run, and describes the changes.
    fn shorten(&mut self, frames: u64) -> Vec<String> {
        let _ = frames;
        Vec::new()
    }

    /// The network operations in a unit of training, for benchmarks.
    fn workload(&self) -> Option<Workload> {
        None
    }

    /// Creates the network and the learner with made-up observations, for benchmarks. Acting answers `batch`
    /// observations at a time. Required if there is a [`workload`](Self::workload).
    ///
    /// # Errors
    ///
    /// If the network does not fit the observations, or there is not enough memory.
    fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        let _ = (spec, batch, device);
        Ok(None)
    }

    /// Creates a trainer for a new run.
    ///
    /// # Errors
    ///
    /// If a setting does not fit the environments, or there is not enough memory.
    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError>;

    /// Loads the policy from a checkpoint of the trainer, for environments with the constants `spec`; it draws from
    /// `rng`.
    ///
    /// # Errors
    ///
    /// If the checkpoint does not match.
    fn policy<O: Observation>(
        &self,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError>;
}

/// The settings of a run that a trainer needs and that do not belong to its algorithm.
///
/// ```
/// use coinop_agents::algorithm::RunSettings;
///
/// let mut run = RunSettings::new(1_000_000, 7);
/// assert_eq!(run.env_threads, 1);
/// run.env_threads = 2;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSettings {
    /// Emulator frames to train for, over all environments.
    pub frames: u64,
    /// The seed of every random stream.
    pub seed: u64,
    /// The number of threads that step environments.
    pub env_threads: usize,
    /// The device of the network.
    pub device: Device,
    /// The processes that train together, for algorithms that [can](Algorithm::processes).
    pub ranks: Ranks,
    /// The agent to learn from, for [distillation](crate::distill).
    pub teacher: Option<Teacher>,
}

impl RunSettings {
    /// A run of `frames` frames on the CPU, with one thread for environments.
    #[must_use]
    pub fn new(frames: u64, seed: u64) -> Self {
        Self {
            frames,
            seed,
            env_threads: 1,
            device: Device::Cpu,
            ranks: Ranks::default(),
            teacher: None,
        }
    }
}

/// How environment threads and libtorch threads share the cores.
///
/// ```
/// use coinop_agents::a3c::A3cConfig;
/// use coinop_agents::algorithm::{Algorithm, Threading};
///
/// assert_eq!(A3cConfig::fast().threading(), Threading::Workers);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// They take turns, so each kind can use all cores.
    Turns,
    /// They run at the same time, so each kind needs its own cores.
    AtOnce,
    /// Each worker thread steps its environment and learns.
    Workers,
    /// So many actor threads step environments, while libtorch learns with threads of its own.
    Actors(usize),
}

/// How several processes train together.
///
/// ```
/// use coinop_agents::algorithm::{Algorithm, Processes};
/// use coinop_agents::double_dqn::DoubleDqnConfig;
///
/// let mut config = DoubleDqnConfig::classic();
/// assert_eq!(config.processes(), Processes::Synchronous);
/// config.asynchronous = true;
/// assert_eq!(config.processes(), Processes::Asynchronous);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// Only one can train.
    One,
    /// All make the same updates, with the mean of their gradients: see [`Leader`](crate::distributed::Leader).
    Synchronous,
    /// Rank 0 learns from what the others send it: see [`assist`](crate::distributed::assist).
    Asynchronous,
}
