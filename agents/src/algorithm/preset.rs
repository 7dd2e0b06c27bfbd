//! Presets.

use toml::{Table, Value};

use super::Algorithm;
use crate::AgentError;

/// Named settings of a run, as TOML with the sections `run` (at least `frames`, `seed`, `env_threads`,
/// `torch_threads`, `device` and `metrics_frames`), perhaps `env`, and that of the algorithm.
///
/// ```
/// use coinop_agents::algorithm::Algorithm;
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_envs::Observations;
///
/// let names: Vec<&str> = PpoConfig::presets(Observations::Pixels).iter().map(|preset| preset.name()).collect();
/// assert_eq!(names, ["fast", "ppo", "pong"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    name: &'static str,
    toml: &'static str,
    /// The name of the algorithm's section, if several algorithms share the preset.
    shared: Option<&'static str>,
}

impl Preset {
    /// A preset of one algorithm.
    #[must_use]
    pub const fn new(name: &'static str, toml: &'static str) -> Self {
        Self {
            name,
            toml,
            shared: None,
        }
    }

    /// A preset that several algorithms share, which calls their section `section`.
    #[must_use]
    pub const fn shared(name: &'static str, section: &'static str, toml: &'static str) -> Self {
        Self {
            name,
            toml,
            shared: Some(section),
        }
    }

    /// The name, as `--preset` takes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Parses the preset of the algorithm `algorithm`, whose section then has its name.
    ///
    /// # Errors
    ///
    /// [`AgentError::Preset`] if it is not TOML.
    pub fn table(&self, algorithm: &'static str) -> Result<Table, AgentError> {
        let mut table: Table = toml::from_str(self.toml).map_err(|error| self.failed(algorithm, error.message()))?;
        if let Some(section) = self.shared.and_then(|shared| table.remove(shared)) {
            table.insert(algorithm.to_owned(), section);
        }
        Ok(table)
    }

    /// Reads the settings of the algorithm.
    ///
    /// # Errors
    ///
    /// [`AgentError::Preset`] if they are missing or wrong.
    pub fn settings<A: Algorithm>(&self) -> Result<A, AgentError> {
        let section = self.table(A::NAME)?.remove(A::NAME);
        let section = section.ok_or_else(|| self.failed(A::NAME, "it has no section of that name"))?;
        Value::try_into(section).map_err(|error: toml::de::Error| self.failed(A::NAME, error.message()))
    }

    /// The settings of a preset of this crate, which a test has read.
    pub(crate) fn built_in<A: Algorithm>(&self) -> A {
        self.settings()
            .unwrap_or_else(|error| panic!("a preset that cannot be read: {error}"))
    }

    fn failed(&self, algorithm: &'static str, cause: &str) -> AgentError {
        AgentError::Preset {
            algorithm,
            preset: self.name,
            cause: cause.lines().collect::<Vec<_>>().join(" "),
        }
    }
}
