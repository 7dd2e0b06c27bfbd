//! Evaluation protocols by name. Scores are comparable only under the same protocol.
//!
//! | | `nature` | `machado` | `sb3` |
//! |---|---|---|---|
//! | source | Mnih 2015 | Machado 2018, arXiv 1709.06009 | the wrappers of Stable-Baselines3 2.9.2, which CleanRL uses too |
//! | sticky actions | 0 | 0.25 | 0 |
//! | no-ops at the start | 1 to 30 | none | 1 to 30 |
//! | a lost life ends the return | yes | no | yes |
//! | a NOOP step after a lost life | no | no | yes |
//! | FIRE at the start and after a lost life | no | no | in games with the action FIRE |
//! | actions | the game's minimal set | all 18 | the game's minimal set |
//! | rewards for learning | sign | sign | sign |
//!
//! All protocols use a frame skip of 4 with the maximum of the last two frames, 84x84 in gray, stacks of 4 frames,
//! and truncate an episode after 108,000 frames (30 minutes).
//!
//! `sb3` equals `AtariWrapper` action by action: `envs/tests/sb3.rs` compares rewards, lost lives, ends and lives
//! with recorded episodes. It differs where the Python wrappers depend on their surroundings:
//!
//! * Stable-Baselines3 treats a lost life as the end of an episode, so its `VecFrameStack` clears the stack of frames
//!   there. Here the stack is kept.
//! * After a reset that stack holds zeros and the first frame; here it holds the first frame four times, like
//!   Gymnasium's.
//! * If the game ends during a NOOP or FIRE that the agent did not choose, the episode ends with that step and a
//!   complete reset follows; `FireResetEnv` continues with its second action.
//! * The limit of 108,000 frames counts agent steps only; Gymnasium's also counts no-ops and FIRE.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The protocol of the Nature DQN paper.
    Nature,
    /// The protocol of Machado et al.: sticky actions, the whole game as one episode, all actions.
    Machado,
    /// The protocol of Stable-Baselines3 and CleanRL.
    #[default]
    Sb3,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Protocol; 3] = [Protocol::Nature, Protocol::Machado, Protocol::Sb3];

    /// The name used in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Nature => "nature",
            Protocol::Machado => "machado",
            Protocol::Sb3 => "sb3",
        }
    }

    /// The settings that the name stands for.
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

/// The settings of an [`AtariEnv`](super::AtariEnv). Start from [`Protocol::config`].
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
    /// Probability per frame of repeating the previous action.
    pub repeat_action_probability: f32,
    /// The maximum number of no-ops at the start, at least one of which is done; 0 for none.
    pub max_noops: u32,
    /// Whether a lost life sets the discount to 0 if lives are left. The episode continues.
    pub lost_life_stops_return: bool,
    /// Whether a NOOP step follows a lost life, before FIRE.
    pub noop_after_lost_life: bool,
    /// Whether to press FIRE at the start and after a lost life, in games with FIRE as the second of three or more
    /// actions.
    pub fire_start: bool,
    /// Whether the agent has all 18 actions instead of the game's minimal set.
    pub all_actions: bool,
    /// Whether to replace the reward by its sign.
    pub clip_reward: bool,
    /// Frames per agent step.
    pub frame_skip: u32,
    /// The number of frames at the end of an agent step whose maximum is observed.
    pub pooled_frames: u32,
    /// Frames per observation.
    pub stack: usize,
    /// Frames until an episode is truncated, counted in agent steps from the agent's first action; 0 for no limit.
    pub max_frames: u32,
    /// The game mode; `None` for the default.
    pub mode: Option<u32>,
    /// The game difficulty.
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
