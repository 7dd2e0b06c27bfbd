//! Names of Gymnasium that denote a game and its rules.

use super::{EnvInfo, Family, list, squeeze};
use crate::atari::Protocol;

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
    let info = list()
        .into_iter()
        .find(|info| info.family == Family::Atari && squeeze(info.short) == squeeze(game))?;
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
