//! The options of environments, by family.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Deserializer, Serialize};

use super::Family;
use super::atari::AtariOptions;
use crate::factory::AnyFactory;
use crate::normalize::{NormalizeObservation, NormalizeReward};
use crate::{Elem, EnvError, EnvFactory};

/// The options of all families. Environments ignore the options of other families.
///
/// ```
/// use coinop_envs::registry::{AtariOptions, EnvOptions, find};
///
/// let atari = AtariOptions { mode: Some(1), difficulty: 3, ..AtariOptions::default() };
/// let factory = find("pong")?.factory(&EnvOptions { atari, ..EnvOptions::default() })?;
/// assert_eq!(factory.spec().num_actions, 6);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvOptions {
    /// Options of Atari games.
    pub atari: AtariOptions,
    /// Options of classic control, of gym-rs's environments, and of those from other crates.
    pub normalize: NormalizeOptions,
}

/// Whether observations and rewards are [normalised](crate::normalize) by running statistics.
///
/// ```
/// use coinop_envs::registry::{EnvOptions, NormalizeOptions, find};
///
/// let normalize = NormalizeOptions { normalize_observations: true, normalize_rewards: Some(0.99) };
/// let factory = find("pendulum")?.factory(&EnvOptions { normalize, ..EnvOptions::default() })?;
/// assert_eq!(factory.spec().num_actions, 5);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeOptions {
    /// Whether features have mean 0 and variance 1.
    #[serde(skip_serializing_if = "is_off")]
    pub normalize_observations: bool,
    /// If not `None`, rewards are divided by the standard deviation of the return, which is discounted by this per step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize_rewards: Option<f64>,
}

fn is_off(on: &bool) -> bool {
    !on
}

impl NormalizeOptions {
    /// The options that have no value unless the user sets one.
    pub(super) const WITHOUT_DEFAULT: &[&str] = &["normalize_observations", "normalize_rewards"];

    /// Wraps the factory of the environment `name`.
    pub(super) fn wrap(&self, name: &str, factory: AnyFactory) -> Result<AnyFactory, EnvError> {
        if self
            .normalize_rewards
            .is_some_and(|gamma| !(0.0..=1.0).contains(&gamma))
        {
            let gamma = self.normalize_rewards.unwrap_or_default();
            return Err(EnvError::BadSetting(format!(
                "normalize_rewards = {gamma}: it must be between 0 and 1"
            )));
        }
        Ok(match factory {
            AnyFactory::Features(mut factory) => {
                if self.normalize_observations {
                    factory = Arc::new(NormalizeObservation::of(factory));
                }
                AnyFactory::Features(self.wrap_rewards(factory))
            }
            AnyFactory::Pixels(_) if self.normalize_observations => {
                return Err(EnvError::BadSetting(format!(
                    "normalize_observations = true: {name} has pixels, and only features can be normalised"
                )));
            }
            AnyFactory::Pixels(factory) => AnyFactory::Pixels(self.wrap_rewards(factory)),
        })
    }

    fn wrap_rewards<O: Elem>(&self, factory: Arc<dyn EnvFactory<Obs = O>>) -> Arc<dyn EnvFactory<Obs = O>> {
        match self.normalize_rewards {
            Some(gamma) => Arc::new(NormalizeReward::of(factory, gamma)),
            None => factory,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum OptionsOf<'a> {
    Atari(&'a AtariOptions),
    Normalize(&'a NormalizeOptions),
    None(NoOptions),
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
            Family::Atari => AtariOptions::deserialize(from).map(|atari| Self {
                atari,
                ..Self::default()
            }),
            Family::Classic | Family::GymRs | Family::Custom => {
                NormalizeOptions::deserialize(from).map(|normalize| Self {
                    normalize,
                    ..Self::default()
                })
            }
            Family::Arcade => NoOptions::deserialize(from).map(|_| Self::default()),
        }
    }

    /// The schema of the options of one family, whose descriptions say what each means; `None` if it has none.
    #[must_use]
    pub fn schema(family: Family) -> Option<Schema> {
        match family {
            Family::Atari => Some(schema_for!(AtariOptions)),
            Family::Classic | Family::GymRs | Family::Custom => Some(schema_for!(NormalizeOptions)),
            Family::Arcade => None,
        }
    }

    /// Returns the options of one family, to be serialised.
    #[must_use]
    pub fn of(&self, family: Family) -> impl Serialize + '_ {
        match family {
            Family::Atari => OptionsOf::Atari(&self.atari),
            Family::Classic | Family::GymRs | Family::Custom => OptionsOf::Normalize(&self.normalize),
            Family::Arcade => OptionsOf::None(NoOptions {}),
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
        assert_eq!(read(Family::Arcade, "{}").unwrap(), EnvOptions::default());
        assert!(read(Family::Arcade, r#"{"protocol": "machado"}"#).is_err());
        let written = serde_json::to_value(options.of(Family::Arcade)).unwrap();
        assert_eq!(written, serde_json::json!({}));
        let options = read(Family::Classic, r#"{"normalize_rewards": 0.9}"#).unwrap();
        assert_eq!(options.normalize.normalize_rewards, Some(0.9));
        let written = serde_json::to_value(options.of(Family::Classic)).unwrap();
        assert_eq!(written, serde_json::json!({"normalize_rewards": 0.9}));
    }

    #[test]
    fn what_cannot_be_normalised_is_named() {
        use crate::registry::find;

        let options = |normalize_observations, normalize_rewards| NormalizeOptions {
            normalize_observations,
            normalize_rewards,
        };
        let wrap = |options: NormalizeOptions, name: &str| {
            let factory = find(name).unwrap().factory(&EnvOptions::default()).unwrap();
            options.wrap(name, factory)
        };
        let error = wrap(options(false, Some(1.5)), "cartpole").err().unwrap().to_string();
        assert_eq!(error, "normalize_rewards = 1.5: it must be between 0 and 1");
        let error = wrap(options(true, None), "snake").err().unwrap().to_string();
        assert_eq!(
            error,
            "normalize_observations = true: snake has pixels, and only features can be normalised"
        );
        assert!(wrap(options(false, Some(0.9)), "snake").is_ok());
    }
}
