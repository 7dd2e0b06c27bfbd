//! The options of environments, by family.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::Family;
use crate::atari::Protocol;

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

/// Options of Atari games.
///
/// ```
/// use coinop_envs::atari::Protocol;
/// use coinop_envs::registry::{AtariOptions, EnvOptions, make_vec};
///
/// let atari = AtariOptions { protocol: Protocol::Machado, ..AtariOptions::default() };
/// let envs = make_vec::<u8>("breakout", &EnvOptions { atari }, 8, 2)?;
/// assert_eq!(envs.spec().num_actions, 18);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtariOptions {
    /// The evaluation protocol.
    pub protocol: Protocol,
    /// Probability per frame of repeating the previous action; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_action_probability: Option<f32>,
    /// The number of frames at the end of an agent step whose maximum is observed; overrides the protocol, which has
    /// 2. With 4, no flickering object is missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooled_frames: Option<u32>,
    /// The game mode; the game's default if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The game's difficulty.
    pub difficulty: u32,
    /// Whether the agent has all 18 actions instead of the game's minimal set; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_actions: Option<bool>,
    /// Whether a lost life stops the return, though the episode goes on; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_life_stops_return: Option<bool>,
    /// The folder of ROMs, if not the one provided by set-up. The program stores it as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roms: Option<PathBuf>,
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
mod tests {
    use super::*;

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
