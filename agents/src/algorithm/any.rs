//! Algorithms that are known only by name.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use coinop_envs::Observations;
use coinop_envs::guard::catch;
use coinop_envs::rng::Rng;
use coinop_envs::{AnyFactory, EnvFactory, EnvSpec};
use schemars::Schema;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::guard::{GuardedTrainer, call, guarded_policy};
use super::{Algorithm, Preset, Processes, RunSettings, SettingError, Threading, Work, Workload};
use crate::network::{NetworkConfig, Observation, Precision};
use crate::{AgentError, AnyPolicy, Device, Section, TrainError, Trainer};

/// What is known of an algorithm without any settings.
///
/// ```
/// use coinop_agents::algorithm::AlgorithmInfo;
/// use coinop_agents::ppo::PpoConfig;
///
/// const PPO: AlgorithmInfo = AlgorithmInfo::of::<PpoConfig>();
/// assert_eq!(PPO.name(), "ppo");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AlgorithmInfo {
    name: &'static str,
    about: &'static str,
    optional: &'static [&'static str],
    presets: fn(Observations) -> Vec<Preset>,
    schema: fn() -> Option<Schema>,
    read: fn(Value) -> Result<AnyAlgorithm, SettingError>,
}

impl AlgorithmInfo {
    /// The algorithm `A`.
    #[must_use]
    pub const fn of<A: Algorithm>() -> Self {
        Self {
            name: A::NAME,
            about: A::ABOUT,
            optional: A::OPTIONAL,
            presets: A::presets,
            schema: A::schema,
            read: read::<A>,
        }
    }

    /// See [`Algorithm::NAME`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the name consists of lower-case letters, digits and `-`, and starts with a letter.
    #[must_use]
    pub fn has_valid_name(&self) -> bool {
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        self.name.starts_with(|c: char| c.is_ascii_lowercase()) && self.name.chars().all(is_valid)
    }

    /// See [`Algorithm::ABOUT`].
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// See [`Algorithm::OPTIONAL`].
    #[must_use]
    pub fn optional(&self) -> &'static [&'static str] {
        self.optional
    }

    /// See [`Algorithm::schema`].
    #[must_use]
    pub fn schema(&self) -> Option<Schema> {
        (self.schema)()
    }

    /// See [`Algorithm::presets`].
    #[must_use]
    pub fn presets(&self, observations: Observations) -> Vec<Preset> {
        (self.presets)(observations)
    }

    /// Reads the algorithm's section of a configuration. A panic in code of another crate becomes an error.
    ///
    /// # Errors
    ///
    /// If the settings are incomplete or unknown, or change when they are written and read again.
    pub fn read(&self, section: Value) -> Result<AnyAlgorithm, SettingError> {
        (self.read)(section)
    }
}

/// The settings of an algorithm that is known only by name. In a configuration, they are the section of that name.
///
/// Panics of an algorithm's functions, and those of its trainer and its policy, are errors that name it.
///
/// ```
/// use coinop_agents::algorithm::{Algorithm, AnyAlgorithm};
/// use coinop_agents::ppo::PpoConfig;
///
/// let any = AnyAlgorithm::new(PpoConfig::fast());
/// assert_eq!((any.name(), any.num_envs()), ("ppo", PpoConfig::fast().num_envs));
/// ```
#[derive(Debug)]
pub struct AnyAlgorithm(Box<dyn Erased>);

/// An [`Algorithm`] without its types.
trait Erased: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn cloned(&self) -> Box<dyn Erased>;
    fn as_any(&self) -> &dyn Any;
    fn table(&self) -> Result<Table, toml::ser::Error>;
    fn validate(&self) -> Result<(), AgentError>;
    fn num_envs(&self) -> Result<usize, AgentError>;
    fn threading(&self) -> Threading;
    fn processes(&self) -> Processes;
    fn network(&self) -> Option<&NetworkConfig>;
    fn network_mut(&mut self) -> Option<&mut NetworkConfig>;
    fn warnings(&self, frames: u64) -> Vec<String>;
    fn shorten(&mut self, frames: u64) -> Vec<String>;
    fn workload(&self) -> Option<Workload>;
    fn work(
        &self,
        observations: Observations,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError>;
    fn trainer(&self, factory: AnyFactory, run: &RunSettings) -> Result<Box<dyn Trainer>, TrainError>;
    fn policy(
        &self,
        observations: Observations,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<AnyPolicy, TrainError>;
}

fn read<A: Algorithm>(section: Value) -> Result<AnyAlgorithm, SettingError> {
    let failed = |what: String| SettingError::new(A::NAME, format!("the algorithm {}: its settings {what}", A::NAME));
    catch(|| {
        let settings: A = SettingError::catch(A::NAME, section)?;
        // What is written to a run folder must be what is read from it.
        let table = Table::try_from(&settings).map_err(|error| failed(format!("can't be written: {error}")))?;
        let again: Result<A, SettingError> = SettingError::catch(A::NAME, table.clone().into());
        let again = again.map_err(|error| {
            failed(format!(
                "can't be read again when they are written: {}",
                error.message()
            ))
        })?;
        match Table::try_from(again) {
            Ok(again) if again == table => Ok(AnyAlgorithm::new(settings)),
            _ => Err(failed("are others when they are written and read again".to_owned())),
        }
    })
    .unwrap_or_else(|message| Err(failed(format!("panicked: {message}"))))
}

impl<A: Algorithm> Erased for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn cloned(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table(&self) -> Result<Table, toml::ser::Error> {
        Table::try_from(self)
    }

    fn validate(&self) -> Result<(), AgentError> {
        call(A::NAME, "validate()", || Algorithm::validate(self))?;
        Erased::num_envs(self).map(drop)
    }

    fn num_envs(&self) -> Result<usize, AgentError> {
        call(A::NAME, "num_envs()", || Ok(Algorithm::num_envs(self)))
    }

    fn threading(&self) -> Threading {
        Algorithm::threading(self)
    }

    fn processes(&self) -> Processes {
        Algorithm::processes(self)
    }

    fn network(&self) -> Option<&NetworkConfig> {
        Algorithm::network(self)
    }

    fn network_mut(&mut self) -> Option<&mut NetworkConfig> {
        Algorithm::network_mut(self)
    }

    fn warnings(&self, frames: u64) -> Vec<String> {
        Algorithm::warnings(self, frames)
    }

    fn shorten(&mut self, frames: u64) -> Vec<String> {
        Algorithm::shorten(self, frames)
    }

    fn workload(&self) -> Option<Workload> {
        Algorithm::workload(self)
    }

    fn work(
        &self,
        observations: Observations,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        call(A::NAME, "work()", || match observations {
            Observations::Pixels => Algorithm::work::<u8>(self, spec, batch, device),
            Observations::Features => Algorithm::work::<f32>(self, spec, batch, device),
        })
    }

    fn trainer(&self, factory: AnyFactory, run: &RunSettings) -> Result<Box<dyn Trainer>, TrainError> {
        if Algorithm::processes(self) == Processes::One && !run.ranks.is_alone() {
            return Err(AgentError::BadConfig {
                name: "algo",
                value: A::NAME.to_owned(),
                reason: "it trains in one process; the built-in algorithms train in several",
            }
            .into());
        }
        let trainer = call(A::NAME, "trainer()", || match factory {
            AnyFactory::Pixels(factory) => Algorithm::trainer(self, factory, run),
            AnyFactory::Features(factory) => Algorithm::trainer(self, factory, run),
        })?;
        Ok(Box::new(GuardedTrainer::new(A::NAME, trainer)))
    }

    fn policy(
        &self,
        observations: Observations,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<AnyPolicy, TrainError> {
        call(A::NAME, "policy()", || {
            Ok(match observations {
                Observations::Pixels => {
                    let policy = Algorithm::policy(self, spec, from, rng, device)?;
                    AnyPolicy::Pixels(guarded_policy(A::NAME, policy))
                }
                Observations::Features => {
                    let policy = Algorithm::policy(self, spec, from, rng, device)?;
                    AnyPolicy::Features(guarded_policy(A::NAME, policy))
                }
            })
        })
    }
}

impl Clone for AnyAlgorithm {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

/// Compares what is written of the settings.
impl PartialEq for AnyAlgorithm {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.0.table() == other.0.table()
    }
}

/// A map with one entry: the settings under the algorithm's name.
impl Serialize for AnyAlgorithm {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(self.name(), &self.0.table().map_err(S::Error::custom)?)?;
        map.end()
    }
}

impl AnyAlgorithm {
    /// Takes the settings of an algorithm.
    #[must_use]
    pub fn new<A: Algorithm>(settings: A) -> Self {
        Self(Box::new(settings))
    }

    /// The settings, if they are of the algorithm `A`.
    #[must_use]
    pub fn downcast_ref<A: Algorithm>(&self) -> Option<&A> {
        self.0.as_any().downcast_ref()
    }

    /// The name of the algorithm.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        self.0.validate()
    }

    /// See [`Algorithm::num_envs`].
    #[must_use]
    pub fn num_envs(&self) -> usize {
        // It was called without a panic when the settings were checked.
        self.0.num_envs().unwrap_or(1)
    }

    /// See [`Algorithm::threading`].
    #[must_use]
    pub fn threading(&self) -> Threading {
        self.0.threading()
    }

    /// See [`Algorithm::processes`].
    #[must_use]
    pub fn processes(&self) -> Processes {
        self.0.processes()
    }

    /// See [`Algorithm::network`].
    #[must_use]
    pub fn network(&self) -> Option<&NetworkConfig> {
        self.0.network()
    }

    /// See [`Algorithm::warnings`].
    #[must_use]
    pub fn warnings(&self, frames: u64) -> Vec<String> {
        self.0.warnings(frames)
    }

    /// See [`Algorithm::shorten`].
    pub fn shorten(&mut self, frames: u64) -> Vec<String> {
        self.0.shorten(frames)
    }

    /// See [`Algorithm::workload`].
    #[must_use]
    pub fn workload(&self) -> Option<Workload> {
        self.0.workload()
    }

    /// See [`Algorithm::work`].
    ///
    /// # Errors
    ///
    /// If the network does not fit the observations, or there is not enough memory.
    pub fn work<O: Observation>(
        &self,
        spec: &EnvSpec,
        batch: usize,
        device: Device,
    ) -> Result<Option<Box<dyn Work>>, AgentError> {
        self.0.work(O::OBSERVATIONS, spec, batch, device)
    }

    /// Resolves [`Precision::Auto`] of its network by a trial on this machine.
    ///
    /// # Errors
    ///
    /// If the network cannot be built.
    pub fn choose_precision(&mut self, spec: &EnvSpec, device: Device) -> Result<(), AgentError> {
        let batch = self.0.workload().map_or(1, |workload| workload.learn_batch);
        if let Some(network) = self.0.network_mut()
            && network.precision == Precision::Auto
        {
            network.precision = Precision::tried(network, spec, batch, device)?;
        }
        Ok(())
    }

    /// See [`Algorithm::trainer`].
    ///
    /// # Errors
    ///
    /// If a setting does not fit the environments, or there is not enough memory.
    pub fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        self.0.trainer(factory.into(), run)
    }

    /// See [`Algorithm::policy`].
    ///
    /// # Errors
    ///
    /// If the checkpoint does not match.
    pub fn policy(
        &self,
        observations: Observations,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<AnyPolicy, TrainError> {
        self.0.policy(observations, spec, from, rng, device)
    }
}
