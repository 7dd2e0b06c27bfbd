//! The games of the Atari, their options, and what Gymnasium calls them. `without_atari.rs` takes the place of this file without the feature `atari`.

use std::path::PathBuf;
use std::sync::Arc;

use coinop_atari::{Rom, find_game, games};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvInfo, EnvOptions, Family, squeeze};
use crate::atari::{AtariEnv, Protocol};
use crate::factory::{AnyFactory, Copies};
use crate::{Env, EnvError, Observations};

/// Options of Atari games.
///
/// ```
/// use coinop_envs::atari::Protocol;
/// use coinop_envs::registry::{AtariOptions, EnvOptions, make_vec};
///
/// let atari = AtariOptions { protocol: Protocol::Machado, ..AtariOptions::default() };
/// let envs = make_vec::<u8>("breakout", &EnvOptions { atari, ..EnvOptions::default() }, 8, 2)?;
/// assert_eq!(envs.spec().num_actions, 18);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Whether a lost life ends the return, although the episode continues; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_life_stops_return: Option<bool>,
    /// The maximum number of no-ops at the start of an episode, drawn at random; 0 for none. Overrides the protocol, which
    /// has 30, or none if it is `machado`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_noops: Option<u32>,
    /// The frames after which an episode is truncated; overrides the protocol, which has 108,000, or 30 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_episode_frames: Option<u32>,
    /// The folder of ROMs, if not the one provided by set-up. The program stores it as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roms: Option<PathBuf>,
}

/// The options that have no value unless the user sets one.
pub(super) const WITHOUT_DEFAULT: &[&str] = &[
    "all_actions",
    "lost_life_stops_return",
    "max_episode_frames",
    "max_noops",
    "mode",
    "pooled_frames",
    "repeat_action_probability",
    "roms",
];

impl EnvInfo {
    /// The options that it has of `options`, if it is an Atari game; other families have none.
    ///
    /// ```
    /// use coinop_envs::registry::{EnvOptions, find};
    ///
    /// let options = EnvOptions::default();
    /// assert_eq!(find("pong")?.atari(&options).map(|atari| atari.difficulty), Some(0));
    /// assert!(find("cartpole")?.atari(&options).is_none());
    /// # Ok::<(), coinop_envs::EnvError>(())
    /// ```
    #[must_use]
    pub fn atari<'a>(&self, options: &'a EnvOptions) -> Option<&'a AtariOptions> {
        (self.family == Family::Atari).then_some(&options.atari)
    }

    /// The same, mutable.
    pub fn atari_mut<'a>(&self, options: &'a mut EnvOptions) -> Option<&'a mut AtariOptions> {
        (self.family == Family::Atari).then_some(&mut options.atari)
    }
}

/// All games, sorted by name.
pub(super) fn list() -> impl Iterator<Item = EnvInfo> {
    games().iter().map(|game| EnvInfo {
        family: Family::Atari,
        short: game.name,
        observations: Observations::Pixels,
        gymnasium: None,
    })
}

/// The size of the minimal set, which needs no ROM.
pub(super) fn num_actions(game: &str) -> Result<usize, EnvError> {
    Ok(find_game(game)?.minimal_actions.len())
}

pub(super) fn factory(game: &str, options: &EnvOptions) -> Result<AnyFactory, EnvError> {
    let options = &options.atari;
    let rom = Rom::find(find_game(game)?, options.roms.as_deref())?;
    let mut config = options.protocol.config();
    config.mode = options.mode;
    config.difficulty = options.difficulty;
    config.pooled_frames = options.pooled_frames.unwrap_or(config.pooled_frames);
    config.all_actions = options.all_actions.unwrap_or(config.all_actions);
    config.lost_life_stops_return = options.lost_life_stops_return.unwrap_or(config.lost_life_stops_return);
    config.max_noops = options.max_noops.unwrap_or(config.max_noops);
    if let Some(frames) = options.max_episode_frames {
        if frames < config.frame_skip {
            let text = format!(
                "max_episode_frames = {frames}: it must be at least {}, a step",
                config.frame_skip
            );
            return Err(EnvError::BadSetting(text));
        }
        config.max_frames = frames;
    }
    if let Some(probability) = options.repeat_action_probability {
        config.repeat_action_probability = probability;
    }
    let env = AtariEnv::new(&rom, &config)?;
    if options.mode.is_some() {
        // A few modes are over as soon as they begin, which is to be known before anybody trains in one.
        let mut trial = env.clone();
        trial.reset(Some(0), &mut vec![0; trial.obs_shape().len()])?;
    }
    Ok(AnyFactory::Pixels(Arc::new(Copies::of(env, AtariEnv::BYTES))))
}

/// The meaning of a Gymnasium name such as `ALE/Pong-v5`: a game and its rules.
///
/// ```
/// use coinop_envs::atari::Protocol;
/// use coinop_envs::registry::find_gymnasium;
///
/// let pong = find_gymnasium("ALE/Pong-v5").expect("a game of the Atari");
/// assert_eq!((pong.info.short, pong.protocol), ("pong", Protocol::Machado));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gymnasium {
    /// The game.
    pub info: EnvInfo,
    /// The protocol closest to what Gymnasium plays under this name with its usual wrappers.
    pub protocol: Protocol,
    /// The rules that both have in common.
    pub rules: &'static str,
}

/// Parses a name such as `ALE/Pong-v5`, `PongNoFrameskip-v4` or `Pong-v0`; returns `None` for all others.
#[must_use]
pub fn find_gymnasium(name: &str) -> Option<Gymnasium> {
    let (game, protocol, rules) = gymnasium_name(name)?;
    let info = list().find(|info| squeeze(info.short) == squeeze(game))?;
    Some(Gymnasium { info, protocol, rules })
}

/// Splits a name such as `ALE/Pong-v5` into the game, the closest protocol, and the rules that both have in common.
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

/// The error for a name of Gymnasium that denotes a game and its rules.
pub(super) fn elsewhere(name: &str) -> Option<EnvError> {
    let Gymnasium { info, protocol, rules } = find_gymnasium(name)?;
    Some(EnvError::GymnasiumName {
        name: name.to_owned(),
        short: info.short,
        protocol: protocol.name(),
        rules,
    })
}
