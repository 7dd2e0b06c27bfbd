//! Environments by name.

use std::path::PathBuf;

use coinop_atari::{Rom, find_game, games};
use serde::{Deserialize, Serialize};

use crate::atari::{AtariEnv, Protocol};
use crate::vec_env::{Rayon, Serial};
use crate::{EnvError, Shape, VecEnv, memory};

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

impl EnvInfo {
    /// The shape of its observations.
    #[must_use]
    pub fn obs_shape(&self, options: &EnvOptions) -> Shape {
        AtariEnv::shape(&options.protocol.config())
    }
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
    /// The folder of ROMs, if not the one that set-up provides. The program makes it absolute before it is written down.
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

/// The environment of a full or a short name, in capitals or not: `atari/pong`, `pong`, `Pong`, `SpaceInvaders`.
///
/// # Errors
///
/// [`EnvError::GymnasiumName`] for a name like `ALE/Pong-v5`, because that also stands for rules; else [`EnvError::UnknownEnv`] with the
/// nearest name.
pub fn find(name: &str) -> Result<EnvInfo, EnvError> {
    let envs = list();
    let called = |name: &str| {
        let squeezed = squeeze(name);
        envs.iter()
            .find(|info| info.id == name || squeeze(info.short) == squeezed)
    };
    if let Some(info) = called(name) {
        return Ok(info.clone());
    }
    if let Some((game, protocol, rules)) = gymnasium_name(name)
        && let Some(info) = called(game)
    {
        return Err(EnvError::GymnasiumName {
            name: name.to_owned(),
            short: info.short,
            protocol,
            rules,
        });
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

/// A name without what people write differently.
fn squeeze(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The game of a name like `ALE/Pong-v5`, `PongNoFrameskip-v4` or `Pong-v0`, the protocol that comes nearest to what Gymnasium plays
/// under that name and to the wrappers that people put around it, and what they have in common.
fn gymnasium_name(name: &str) -> Option<(&str, Protocol, &'static str)> {
    let (game, version) = name.strip_prefix("ALE/").unwrap_or(name).rsplit_once("-v")?;
    let bare = game.strip_suffix("NoFrameskip").or(game.strip_suffix("Deterministic"));
    let (protocol, rules) = match version {
        "0" | "5" => (Protocol::Machado, "sticky actions with probability 0.25"),
        "4" => (Protocol::Sb3, "no sticky actions, and the usual wrappers around it"),
        _ => return None,
    };
    Some((bare.unwrap_or(game), protocol, rules))
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
    memory::require(
        || format!("a set of {num_envs} environments"),
        num_envs as u64 * AtariEnv::BYTES,
        "ask for fewer",
    )?;
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
        for (name, short) in [
            ("Pong", "pong"),
            ("SpaceInvaders", "space_invaders"),
            ("BEAM_RIDER", "beam_rider"),
        ] {
            assert_eq!(find(name).unwrap().short, short);
        }
    }

    #[test]
    fn a_name_of_gymnasium_is_an_error_that_says_what_it_is_here() {
        let error = |name| find(name).unwrap_err().to_string();
        assert_eq!(
            error("ALE/Pong-v5"),
            "`ALE/Pong-v5` is a name of Gymnasium: here that is `pong`, and `--set protocol=machado` has the rules that come nearest (sticky \
             actions with probability 0.25)"
        );
        for name in [
            "SpaceInvadersNoFrameskip-v4",
            "SpaceInvadersDeterministic-v4",
            "SpaceInvaders-v4",
        ] {
            let text = error(name);
            assert!(
                text.contains("here that is `space_invaders`, and `--set protocol=sb3`"),
                "{text}"
            );
        }
        assert!(error("PongNoFrameskip-v0").contains("protocol=machado"));
        assert_eq!(
            error("CartPole-v1"),
            "there is no environment `CartPole-v1`; `coinop envs` lists all"
        );
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
