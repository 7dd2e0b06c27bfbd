//! Environments by name.

use std::path::PathBuf;

use coinop_atari::{Rom, find_game, games};
use serde::{Deserialize, Serialize};

use crate::atari::{AtariEnv, Protocol};
use crate::vec_env::{Rayon, Serial};
use crate::{EnvError, VecEnv};

/// The family in front of the names of Atari games.
const ATARI: &str = "atari/";

/// An environment that is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvInfo {
    /// The full name, e.g. `atari/pong`.
    pub id: String,
    /// The short name, e.g. `pong`.
    pub short: &'static str,
    /// The number of actions in the minimal set.
    pub num_actions: usize,
}

/// What can be chosen of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvOptions {
    /// What exactly is played.
    pub protocol: Protocol,
    /// Probability per frame that the machine repeats the action before, if not the protocol's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_action_probability: Option<f32>,
    /// The game's mode, if not its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The game's difficulty.
    pub difficulty: u32,
    /// The folder of ROMs, if not the one that set-up provides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roms: Option<PathBuf>,
}

/// All environments, sorted by name.
#[must_use]
pub fn list() -> Vec<EnvInfo> {
    let info = |game: &'static coinop_atari::Game| EnvInfo {
        id: format!("{ATARI}{}", game.name),
        short: game.name,
        num_actions: game.minimal_actions.len(),
    };
    games().iter().map(info).collect()
}

/// The environment of a full or a short name.
///
/// # Errors
///
/// [`EnvError::UnknownEnv`] with the nearest name.
pub fn find(name: &str) -> Result<EnvInfo, EnvError> {
    let envs = list();
    if let Some(info) = envs.iter().find(|info| info.id == name || info.short == name) {
        return Ok(info.clone());
    }
    let wanted = name.strip_prefix(ATARI).unwrap_or(name);
    let near = |info: &EnvInfo| strsim::jaro_winkler(info.short, wanted);
    let nearest = envs
        .iter()
        .max_by(|a, b| near(a).total_cmp(&near(b)))
        .filter(|info| near(info) > 0.7);
    Err(EnvError::UnknownEnv {
        name: name.to_owned(),
        nearest: nearest.map(|info| info.short.to_owned()),
    })
}

/// `num_envs` environments of a name, stepped by `threads` threads: one after the other if that is 1.
///
/// # Errors
///
/// When there is no such environment, its ROM is missing or wrong, or an option does not fit.
///
/// # Panics
///
/// If `num_envs` or `threads` is 0.
pub fn make_vec(
    name: &str,
    options: &EnvOptions,
    num_envs: usize,
    threads: usize,
) -> Result<Box<dyn VecEnv<Obs = u8>>, EnvError> {
    let info = find(name)?;
    let rom = Rom::find(find_game(info.short)?, options.roms.as_deref())?;
    let mut config = options.protocol.config();
    config.mode = options.mode;
    config.difficulty = options.difficulty;
    if let Some(probability) = options.repeat_action_probability {
        config.repeat_action_probability = probability;
    }
    // One is switched on; the others are exact copies of it.
    let env = AtariEnv::new(&rom, &config)?;
    let envs = vec![env; num_envs];
    Ok(if threads == 1 {
        Box::new(Serial::new(envs))
    } else {
        Box::new(Rayon::new(envs, threads)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_found_by_its_full_and_its_short_name() {
        assert_eq!(find("pong").unwrap(), find("atari/pong").unwrap());
        assert_eq!(find("pong").unwrap().id, "atari/pong");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_suggests_the_nearest() {
        let text = find("pnog").unwrap_err().to_string();
        assert_eq!(
            text,
            "there is no environment `pnog`; did you mean `pong`? `coinop envs` lists all"
        );
        assert_eq!(
            find("x").unwrap_err().to_string(),
            "there is no environment `x`; `coinop envs` lists all"
        );
    }
}
