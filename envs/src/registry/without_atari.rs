//! What stands in for `atari.rs` in a build without the feature `atari`: no games.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvInfo, EnvOptions, unknown};
use crate::EnvError;
use crate::factory::AnyFactory;

/// The options of no games.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AtariOptions {}

pub(super) const WITHOUT_DEFAULT: &[&str] = &[];

pub(super) fn list() -> impl Iterator<Item = EnvInfo> {
    std::iter::empty()
}

pub(super) fn num_actions(game: &str) -> Result<usize, EnvError> {
    Err(unknown(game))
}

pub(super) fn factory(game: &str, _: &EnvOptions) -> Result<AnyFactory, EnvError> {
    Err(unknown(game))
}

pub(super) fn elsewhere(name: &str) -> Option<EnvError> {
    let is_atari = name.starts_with("atari/") || name.starts_with("ALE/");
    is_atari.then(|| {
        EnvError::BadSetting(format!(
            "`{name}` is a game of the Atari, which is not built in: build coinop-envs with its feature `atari`"
        ))
    })
}
