//! The algorithms by name, and the only place that lists them.

use std::sync::{PoisonError, RwLock};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use coinop_agents::a3c::A3cConfig;
use coinop_agents::algorithm::{Algorithm, AlgorithmInfo};
use coinop_agents::async_q::{NStepQ, OneStepQ, OneStepSarsa};
use coinop_agents::distill::DistillConfig;
use coinop_agents::double_dqn::DoubleDqnConfig;
use coinop_agents::impala::ImpalaConfig;
use coinop_agents::paac::PaacConfig;
use coinop_agents::ppo::PpoConfig;
use coinop_agents::pqn::PqnConfig;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The built-in algorithms; the first is the default.
static BUILT_IN: [Algo; 10] = [
    Algo(AlgorithmInfo::of::<PpoConfig>()),
    Algo(AlgorithmInfo::of::<PaacConfig>()),
    Algo(AlgorithmInfo::of::<DoubleDqnConfig>()),
    Algo(AlgorithmInfo::of::<PqnConfig>()),
    Algo(AlgorithmInfo::of::<ImpalaConfig>()),
    Algo(AlgorithmInfo::of::<A3cConfig>()),
    Algo(AlgorithmInfo::of::<OneStepQ>()),
    Algo(AlgorithmInfo::of::<OneStepSarsa>()),
    Algo(AlgorithmInfo::of::<NStepQ>()),
    Algo(AlgorithmInfo::of::<DistillConfig>()),
];

/// The built-in and the registered algorithms, once one has been registered. Each list is leaked; there are few.
static WITH_REGISTERED: RwLock<Option<&'static [Algo]>> = RwLock::new(None);

/// An algorithm, selected by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Algo(AlgorithmInfo);

impl std::ops::Deref for Algo {
    type Target = AlgorithmInfo;

    fn deref(&self) -> &AlgorithmInfo {
        &self.0
    }
}

impl Default for Algo {
    fn default() -> Self {
        BUILT_IN[0]
    }
}

/// Names are unique.
impl PartialEq for Algo {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl ValueEnum for Algo {
    fn value_variants<'a>() -> &'a [Self] {
        let registered = WITH_REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
        registered.unwrap_or(&BUILT_IN)
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

impl Serialize for Algo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Algo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::find(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Algo {
    /// Finds an algorithm by name.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let all = Self::value_variants();
        all.iter().find(|algo| algo.name() == name).copied().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|algo| algo.name()).collect();
            format!("there is no algorithm `{name}`: use {}", names.join(", "))
        })
    }
}

/// Registers an algorithm for the rest of the process.
pub(crate) fn register<A: Algorithm>() -> Result<(), String> {
    let name = A::NAME;
    if !AlgorithmInfo::of::<A>().has_valid_name() {
        return Err(format!(
            "`{name}` can't be the name of an algorithm: write small letters, digits and -, beginning with a letter"
        ));
    }
    let mut registered = WITH_REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let all = registered.unwrap_or(&BUILT_IN);
    if all.iter().any(|algo| algo.name() == name) || ["run", "env", "async"].contains(&name) {
        return Err(format!("there is an algorithm `{name}` already: choose another name"));
    }
    *registered = Some([all, &[Algo(AlgorithmInfo::of::<A>())]].concat().leak());
    Ok(())
}

#[cfg(test)]
mod tests {
    use coinop_envs::Observations;

    use super::*;

    #[test]
    fn names_are_unique_and_valid_and_every_algorithm_has_a_default_preset() {
        for (i, algo) in BUILT_IN.iter().enumerate() {
            assert!(algo.has_valid_name() && !BUILT_IN[..i].contains(algo));
            for observations in [Observations::Pixels, Observations::Features] {
                assert_eq!(algo.presets(observations)[0].name(), "fast");
            }
        }
    }

    #[test]
    fn a_name_that_is_taken_is_refused() {
        assert_eq!(
            register::<PpoConfig>().unwrap_err(),
            "there is an algorithm `ppo` already: choose another name"
        );
    }
}
