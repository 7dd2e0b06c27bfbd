//! Protocols: what exactly an agent plays, by name. A score means something only together with its protocol.
//!
//! | | `nature` | `machado` | `sb3` |
//! |---|---|---|---|
//! | source | Mnih 2015 | Machado 2018, arXiv 1709.06009 | the wrappers of Stable-Baselines3 2.9.2, which CleanRL uses too |
//! | sticky actions | 0 | 0.25 | 0 |
//! | no-ops at the start | 1 to 30 | none | 1 to 30 |
//! | a lost life stops the return | yes | no | yes |
//! | a step without action after a lost life | no | no | yes |
//! | FIRE at the start and after a lost life | no | no | where the game has it |
//! | actions | the game's minimal set | all 18 | the game's minimal set |
//! | rewards that are learned from | sign | sign | sign |
//!
//! All have a frame skip of 4 with the maximum of the last two frames, 84x84 shades of gray, stacks of 4, and truncate an episode after
//! 108,000 frames (30 minutes).
//!
//! `sb3` plays as `AtariWrapper` does, action by action: `envs/tests/sb3.rs` compares reward, lost lives, end and lives with recorded play.
//! It differs where the Python wrappers depend on what is around them:
//!
//! * Stable-Baselines3 counts a lost life as the end of an episode, so that its `VecFrameStack` clears the stack of frames there. Here the
//!   stack goes on.
//! * After a reset that stack holds zeros and the first frame; here it holds the first frame four times, as Gymnasium's does.
//! * Where the game ends within the no-op or FIRE that the agent did not choose, the episode ends with that step and the next reset is a
//!   whole one; `FireResetEnv` goes on with its second action.
//! * The limit of 108,000 frames counts the agent's steps; Gymnasium's also counts no-ops and FIRE.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EnvError;

/// A protocol by name.
///
/// ```
/// use coinop_envs::atari::Protocol;
///
/// let protocol: Protocol = "machado".parse()?;
/// assert_eq!(protocol.config().repeat_action_probability, 0.25);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// That of the Nature DQN paper.
    Nature,
    /// That of Machado et al.: sticky actions, the whole game as one episode, all actions.
    Machado,
    /// That of Stable-Baselines3 and CleanRL.
    #[default]
    Sb3,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Protocol; 3] = [Protocol::Nature, Protocol::Machado, Protocol::Sb3];

    /// Its name, as in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Nature => "nature",
            Protocol::Machado => "machado",
            Protocol::Sb3 => "sb3",
        }
    }

    /// What it means.
    #[must_use]
    pub fn config(self) -> AtariConfig {
        let nature = AtariConfig {
            repeat_action_probability: 0.0,
            max_noops: 30,
            lost_life_stops_return: true,
            noop_after_lost_life: false,
            fire_start: false,
            all_actions: false,
            clip_reward: true,
            frame_skip: 4,
            pooled_frames: 2,
            stack: 4,
            max_frames: 108_000,
            mode: None,
            difficulty: 0,
        };
        match self {
            Protocol::Nature => nature,
            Protocol::Machado => AtariConfig {
                repeat_action_probability: 0.25,
                max_noops: 0,
                lost_life_stops_return: false,
                all_actions: true,
                ..nature
            },
            Protocol::Sb3 => AtariConfig {
                noop_after_lost_life: true,
                fire_start: true,
                ..nature
            },
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protocol {
    type Err = EnvError;

    fn from_str(name: &str) -> Result<Self, EnvError> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| EnvError::BadSetting(format!("there is no protocol `{name}`: use nature, machado or sb3")))
    }
}

/// What an [`AtariEnv`](super::AtariEnv) does beyond the game. Begin with [`Protocol::config`].
///
/// ```
/// use coinop_envs::atari::{AtariConfig, Protocol};
///
/// // Double-DQN's rules with the whole joystick, on the harder side.
/// let config = AtariConfig { all_actions: true, difficulty: 1, ..Protocol::Nature.config() };
/// assert_eq!((config.frame_skip, config.stack), (4, 4));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AtariConfig {
    /// Probability per frame that the machine repeats the action before.
    pub repeat_action_probability: f32,
    /// At most so many no-ops at the start, at least one; 0 for none.
    pub max_noops: u32,
    /// A lost life sets the discount to 0, if others are left. The episode goes on.
    pub lost_life_stops_return: bool,
    /// Do one agent step without action where a lost life stopped the return, before FIRE.
    pub noop_after_lost_life: bool,
    /// Do FIRE at the start and after a lost life, where FIRE is the game's second action of three or more.
    pub fire_start: bool,
    /// All 18 actions instead of the game's minimal set.
    pub all_actions: bool,
    /// Learn from the sign of the reward.
    pub clip_reward: bool,
    /// Frames per agent step.
    pub frame_skip: u32,
    /// The maximum of so many frames, the last of an agent step, is observed.
    pub pooled_frames: u32,
    /// Frames per observation.
    pub stack: usize,
    /// Frames after which an episode is truncated, counted in whole agent steps from where the agent begins; 0 for never.
    pub max_frames: u32,
    /// The game's mode; `None` for its default.
    pub mode: Option<u32>,
    /// The game's difficulty.
    pub difficulty: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_others_list_the_known_ones() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse::<Protocol>().unwrap(), protocol);
        }
        let error = "natur".parse::<Protocol>().unwrap_err().to_string();
        assert_eq!(error, "there is no protocol `natur`: use nature, machado or sb3");
    }
}
