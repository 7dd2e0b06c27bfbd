//! Reading settings, with errors that name the setting.

use serde::de::DeserializeOwned;
use toml::Value;

/// A section of a configuration that cannot be read.
///
/// ```
/// use coinop_agents::algorithm::SettingError;
/// use coinop_agents::ppo::PpoConfig;
///
/// let section: toml::Table = toml::from_str("num_envs = 'many'")?;
/// let error = SettingError::catch::<PpoConfig>("ppo", section.into()).unwrap_err();
/// assert_eq!(error.to_string(), "invalid type: string \"many\", expected usize in `ppo.num_envs`");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} in `{path}`")]
pub struct SettingError {
    path: String,
    message: String,
}

impl SettingError {
    /// An error in the section `section`.
    #[must_use]
    pub fn new(section: &str, message: impl Into<String>) -> Self {
        Self {
            path: section.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Reads a section, whose name the error will have.
    ///
    /// # Errors
    ///
    /// If a setting is missing, unknown or of the wrong type.
    pub fn catch<T: DeserializeOwned>(section: &str, value: Value) -> Result<T, Self> {
        Self::catch_by(section, value, |from| T::deserialize(from))
    }

    /// The same with a function that deserialises.
    ///
    /// # Errors
    ///
    /// Those of the function.
    pub fn catch_by<T>(
        section: &str,
        value: Value,
        read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, Value>) -> Result<T, toml::de::Error>,
    ) -> Result<T, Self> {
        let mut track = serde_path_to_error::Track::new();
        read(serde_path_to_error::Deserializer::new(value, &mut track)).map_err(|error| {
            let within = track.path().to_string();
            let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            match within.as_str() {
                "." => Self::new(section, message),
                within => Self::new(&format!("{section}.{within}"), message),
            }
        })
    }
}
