//! The options of environments, by family.

use serde::{Deserialize, Deserializer, Serialize};

use super::Family;
use super::atari::AtariOptions;

/// The options of all families. Environments ignore the options of other families.
///
/// ```
/// use coinop_envs::registry::{AtariOptions, EnvOptions, find};
///
/// let atari = AtariOptions { mode: Some(1), difficulty: 3, ..AtariOptions::default() };
/// let factory = find("pong")?.factory(&EnvOptions { atari })?;
/// assert_eq!(factory.spec().num_actions, 6);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvOptions {
    /// Options of Atari games.
    pub atari: AtariOptions,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OptionsOf<'a> {
    Atari(&'a AtariOptions),
    Others(NoOptions),
}

/// The options of families that have none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl EnvOptions {
    /// Reads the options of one family, e.g. from a section of a configuration.
    ///
    /// # Errors
    ///
    /// If an option is unknown or invalid.
    pub fn read<'de, D: Deserializer<'de>>(family: Family, from: D) -> Result<Self, D::Error> {
        match family {
            Family::Atari => AtariOptions::deserialize(from).map(|atari| Self { atari }),
            Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => {
                NoOptions::deserialize(from).map(|_| Self::default())
            }
        }
    }

    /// Returns the options of one family, to be serialised.
    #[must_use]
    pub fn of(&self, family: Family) -> impl Serialize + '_ {
        match family {
            Family::Atari => OptionsOf::Atari(&self.atari),
            Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => OptionsOf::Others(NoOptions {}),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "atari")]
mod tests {
    use super::*;
    use crate::atari::Protocol;

    #[test]
    fn a_family_reads_and_writes_its_own_options_alone() {
        let read = |family, text: &str| EnvOptions::read(family, &mut serde_json::Deserializer::from_str(text));
        let options = read(Family::Atari, r#"{"protocol": "machado", "mode": 2}"#).unwrap();
        assert_eq!(
            (options.atari.protocol, options.atari.mode),
            (Protocol::Machado, Some(2))
        );
        let defaults = serde_json::to_value(EnvOptions::default().of(Family::Atari)).unwrap();
        for name in Family::Atari.options_without_default() {
            assert!(defaults.get(name).is_none(), "{name}");
            assert!(read(Family::Atari, &format!(r#"{{"{name}": null}}"#)).is_ok(), "{name}");
        }
        let written = serde_json::to_value(options.of(Family::Atari)).unwrap();
        assert_eq!(
            written,
            serde_json::json!({"protocol": "machado", "mode": 2, "difficulty": 0})
        );
        assert_eq!(read(Family::Classic, "{}").unwrap(), EnvOptions::default());
        assert!(read(Family::Classic, r#"{"protocol": "machado"}"#).is_err());
        let written = serde_json::to_value(options.of(Family::Classic)).unwrap();
        assert_eq!(written, serde_json::json!({}));
    }
}
