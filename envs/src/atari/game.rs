//! A game frame by frame: the start of a chain of wrappers.

use coinop_atari::{Action, Atari, AtariSettings, Rom};

use super::protocol::AtariConfig;
use crate::snapshot::{open, seal};
use crate::wrappers::Lives;
use crate::{Env, EnvError, Frame, Picture, Shape, Step, Viewer};

/// Of an NTSC television, almost; a few games are for PAL's 50.
const FRAMES_PER_SECOND: f64 = 60.0;

/// An Atari game without preprocessing: one frame per step, the whole screen, raw rewards.
///
/// ```
/// use coinop_envs::atari::{AtariGame, Protocol};
/// use coinop_envs::coinop_atari::{Rom, find_game};
/// use coinop_envs::wrappers::{FrameSkip, Resize};
/// use coinop_envs::{Env, Picture};
///
/// // A chain of one's own: every eighth frame, 105x80.
/// let rom = Rom::find(find_game("pong")?, None)?;
/// let game = AtariGame::new(&rom, &Protocol::Nature.config(), Picture::Gray)?;
/// let env = Resize::new(FrameSkip::new(game, 8), 105, 80);
/// assert_eq!(env.obs_shape().dims(), [105, 80]);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone)]
pub struct AtariGame {
    pub(super) machine: Atari,
    /// The machine just after power-on. A seeded reset returns to it, because resetting a console again can lead to a
    /// different state than the first time.
    fresh: Box<Atari>,
    actions: &'static [Action],
    picture: Picture,
    begun: bool,
    viewer: Option<Viewer>,
    /// What the viewer is shown.
    rgb: Vec<u8>,
}

impl AtariGame {
    /// Creates a game with the actions, mode, difficulty and sticky actions of `config`; the other settings are for
    /// wrappers.
    ///
    /// # Errors
    ///
    /// If the machine rejects the settings.
    pub fn new(rom: &Rom, config: &AtariConfig, picture: Picture) -> Result<Self, EnvError> {
        let settings = AtariSettings {
            repeat_action_probability: config.repeat_action_probability,
            mode: config.mode,
            difficulty: config.difficulty,
            ..AtariSettings::default()
        };
        let machine = Atari::new(rom, &settings)?;
        let actions = if config.all_actions {
            &Action::ALL
        } else {
            rom.game().minimal_actions
        };
        Ok(Self {
            fresh: Box::new(machine.clone()),
            machine,
            actions,
            picture,
            begun: false,
            viewer: None,
            rgb: Vec::new(),
        })
    }

    /// The meaning of each action number.
    #[must_use]
    pub fn actions(&self) -> &'static [Action] {
        self.actions
    }

    /// Starts an episode without rendering.
    pub(super) fn begin(&mut self, seed: Option<u64>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.machine.clone_from(&self.fresh);
            self.machine.seed(seed as i32);
        }
        self.machine.reset();
        self.begun = true;
        if self.machine.is_terminal() {
            // So it is with ALE: Demon Attack in its modes 3, 5 and 7.
            let name = self.machine.game().name;
            let text = format!("{name} is over as soon as it begins in this mode; choose another one");
            return Err(EnvError::BadSetting(text));
        }
        self.show();
        Ok(())
    }

    /// Plays one frame; returns the reward.
    #[inline]
    pub(super) fn act(&mut self, action: Action) -> i32 {
        let reward = self.machine.act(action);
        self.show();
        reward
    }

    #[inline]
    fn show(&mut self) {
        if self.viewer.is_some() {
            self.show_picture();
        }
    }

    #[cold]
    fn show_picture(&mut self) {
        let (width, height) = (Atari::WIDTH, self.machine.height());
        self.rgb.resize(3 * width * height, 0);
        self.machine.rgb(&mut self.rgb);
        if let Some(viewer) = &self.viewer {
            viewer.show(Frame {
                width,
                height,
                pixel_aspect: 2,
                rgb: &self.rgb,
            });
        }
    }

    /// Looks up the action of a number; fails if the game is over.
    pub(super) fn action(&self, number: u32) -> Result<Action, EnvError> {
        let num_actions = self.actions.len();
        let action = self.actions.get(number as usize).ok_or(EnvError::InvalidAction {
            action: number,
            num_actions,
        })?;
        if !self.begun || self.machine.is_terminal() {
            return Err(EnvError::ResetNeeded);
        }
        Ok(*action)
    }

    fn look(&mut self, obs: &mut [u8]) {
        match self.picture {
            Picture::Gray => self.machine.grayscale(obs),
            Picture::Rgb => self.machine.rgb(obs),
        }
    }
}

impl Env for AtariGame {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        let (height, width) = (self.machine.height(), Atari::WIDTH);
        match self.picture {
            Picture::Gray => Shape::new(&[height, width]),
            Picture::Rgb => Shape::new(&[height, width, 3]),
        }
    }

    fn num_actions(&self) -> usize {
        self.actions.len()
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.viewer = viewer;
        Some(FRAMES_PER_SECOND)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.actions.iter().map(|action| action.name().to_owned()).collect()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.begin(seed)?;
        self.look(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let action = self.action(action)?;
        let reward = self.act(action) as f32;
        self.look(obs);
        Ok(if self.machine.is_terminal() {
            Step::terminated(reward)
        } else {
            Step::going_on(reward)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("AtariGame", 1, &self.begun, &self.machine.save_state()))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (begun, machine) = open("AtariGame", 1, snapshot)?;
        self.machine.load_state(machine)?;
        self.begun = begun;
        Ok(())
    }
}

impl Lives for AtariGame {
    fn lives(&self) -> u32 {
        self.machine.lives()
    }
}
