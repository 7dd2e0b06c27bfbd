//! One game with the preprocessing of ale-py's vector environment.

use std::sync::Arc;

use coinop_envs::coinop_atari::{Action, Atari, AtariSettings, Rom};
use coinop_envs::rng::{Rng, stream};
use coinop_envs::snapshot::{bad, open, seal};
use coinop_envs::{AreaResizer, EnvError};

/// The settings that all games of a set share; the names are those of the Python class.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) frameskip: u32,
    pub(crate) stack_num: usize,
    pub(crate) img_height: usize,
    pub(crate) img_width: usize,
    pub(crate) grayscale: bool,
    pub(crate) maxpool: bool,
    pub(crate) noop_max: u32,
    pub(crate) use_fire_reset: bool,
    pub(crate) episodic_life: bool,
    pub(crate) life_loss_info: bool,
    pub(crate) reward_clipping: bool,
    pub(crate) max_num_frames_per_episode: u32,
    pub(crate) full_action_space: bool,
    pub(crate) repeat_action_probability: f32,
    pub(crate) mode: Option<u32>,
    pub(crate) difficulty: u32,
}

impl Settings {
    /// Bytes of one picture.
    fn picture_len(&self) -> usize {
        self.img_height * self.img_width * if self.grayscale { 1 } else { 3 }
    }

    /// Bytes of an observation.
    pub(crate) fn obs_len(&self) -> usize {
        self.stack_num * self.picture_len()
    }
}

/// What came of a reset or a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reward: i32,
    pub(crate) terminated: bool,
    pub(crate) truncated: bool,
    pub(crate) lives: i32,
    pub(crate) frame_number: i32,
    pub(crate) episode_frame_number: i32,
}

impl Outcome {
    pub(crate) fn is_over(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// A game, its pictures, and its counters.
#[derive(Clone)]
pub(crate) struct Player {
    settings: Arc<Settings>,
    machine: Atari,
    /// The machine just after it was switched on, to which a seeded reset returns.
    fresh: Box<Atari>,
    actions: &'static [Action],
    noops: Rng,
    resizer: AreaResizer,
    /// The screens of the last two frames, and one colour of a screen before and after it is resized.
    screen: Vec<u8>,
    before_last: Vec<u8>,
    plane: Vec<u8>,
    small_plane: Vec<u8>,
    /// The pictures of an observation, the oldest first; black before there are as many.
    stack: Vec<u8>,
    lives: u32,
    /// Frames since the reset was done, which the limit of an episode counts.
    frames: u32,
    is_over: bool,
}

/// The name and version of a saved state.
const NAME: &str = "AtariVectorEnv";
const VERSION: u8 = 1;

impl Player {
    pub(crate) fn new(rom: &Rom, settings: &Arc<Settings>) -> Result<Self, EnvError> {
        let machine = Atari::new(
            rom,
            &AtariSettings {
                repeat_action_probability: settings.repeat_action_probability,
                mode: settings.mode,
                difficulty: settings.difficulty,
                ..AtariSettings::default()
            },
        )?;
        let (height, width) = (machine.height(), Atari::WIDTH);
        let (to_height, to_width) = (settings.img_height, settings.img_width);
        let fits = |to: usize, from: usize| (from.div_ceil(3)..=from).contains(&to);
        if !fits(to_height, height) || !fits(to_width, width) {
            return Err(EnvError::BadSetting(format!(
                "img_height = {to_height} and img_width = {to_width}: for {}, they must be from {} to {height} and from {} to {width}",
                rom.game().name,
                height.div_ceil(3),
                width.div_ceil(3)
            )));
        }
        let pixels = height * width;
        let colours = if settings.grayscale { 1 } else { 3 };
        Ok(Self {
            fresh: Box::new(machine.clone()),
            actions: if settings.full_action_space {
                &Action::ALL
            } else {
                rom.game().minimal_actions
            },
            noops: stream(0, "noops", 0),
            resizer: AreaResizer::new((height, width), (to_height, to_width)),
            screen: vec![0; pixels * colours],
            before_last: vec![0; pixels * colours],
            plane: vec![0; pixels],
            small_plane: vec![0; to_height * to_width],
            stack: vec![0; settings.obs_len()],
            lives: 0,
            frames: 0,
            is_over: true,
            machine,
            settings: Arc::clone(settings),
        })
    }

    pub(crate) fn actions(&self) -> &'static [Action] {
        self.actions
    }

    pub(crate) fn ram(&self) -> &[u8; 128] {
        self.machine.ram()
    }

    /// The current observation.
    pub(crate) fn obs(&self) -> &[u8] {
        &self.stack
    }

    /// Whether the episode has ended, so that only a reset can follow.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Starts an episode: no-ops, FIRE if the game has it, and a first picture.
    pub(crate) fn reset(&mut self, seed: Option<i32>) -> Result<Outcome, EnvError> {
        if let Some(seed) = seed {
            self.machine.clone_from(&self.fresh);
            self.machine.seed(seed);
            self.noops = stream(seed as u64, "noops", 0);
        }
        self.restart()?;
        if self.settings.noop_max > 0 {
            let noops = rand::RngExt::random_range(&mut self.noops, 0..self.settings.noop_max);
            for _ in 0..noops {
                self.machine.act(Action::Noop);
                if self.machine.is_terminal() {
                    self.restart()?;
                }
            }
        }
        if self.settings.use_fire_reset && self.actions.contains(&Action::Fire) {
            self.machine.act(Action::Fire);
            if self.machine.is_terminal() {
                self.restart()?;
            }
        }
        self.look();
        self.stack.fill(0);
        self.show();
        self.lives = self.machine.lives();
        (self.frames, self.is_over) = (0, false);
        Ok(self.outcome(0))
    }

    fn restart(&mut self) -> Result<(), EnvError> {
        self.machine.reset();
        if self.machine.is_terminal() {
            let name = self.machine.game().name;
            return Err(EnvError::BadSetting(format!(
                "{name} is over as soon as it begins in this mode; choose another one"
            )));
        }
        Ok(())
    }

    /// Plays one step; the episode must not be over.
    pub(crate) fn step(&mut self, action: usize) -> Outcome {
        let action = self.actions[action];
        let settings = Arc::clone(&self.settings);
        let (mut reward, mut ended, mut lost) = (0, false, false);
        for frame in 1..=settings.frameskip {
            reward += self.machine.act(action);
            self.frames += 1;
            let lives = self.machine.lives();
            lost |= lives < self.lives;
            self.lives = lives;
            let limit = settings.max_num_frames_per_episode;
            ended = self.machine.is_terminal() || (limit > 0 && self.frames >= limit);
            if ended || (lost && settings.episodic_life) {
                break;
            }
            if settings.maxpool && frame + 1 == settings.frameskip {
                self.look();
                std::mem::swap(&mut self.screen, &mut self.before_last);
            }
        }
        self.look();
        // An episode that ends within a step shows its last frame.
        let stopped = ended || (lost && settings.episodic_life);
        if settings.maxpool && settings.frameskip > 1 && !stopped {
            let pairs = self.screen.iter_mut().zip(&self.before_last);
            pairs.for_each(|(pixel, before)| *pixel = (*pixel).max(*before));
        }
        self.show();
        let mut outcome = self.outcome(reward);
        let terminal = self.machine.is_terminal();
        outcome.terminated = terminal || (lost && (settings.episodic_life || settings.life_loss_info));
        outcome.truncated = ended && !terminal;
        self.is_over = terminal || outcome.truncated || (lost && settings.episodic_life);
        outcome
    }

    /// Takes the machine's screen.
    fn look(&mut self) {
        if self.settings.grayscale {
            self.machine.grayscale(&mut self.screen);
        } else {
            self.machine.rgb(&mut self.screen);
        }
    }

    /// Adds the screen to the pictures.
    fn show(&mut self) {
        let len = self.settings.picture_len();
        self.stack.copy_within(len.., 0);
        let newest = self.stack.len() - len;
        let newest = &mut self.stack[newest..];
        if self.settings.grayscale {
            self.resizer.resize(&self.screen, newest);
            return;
        }
        for colour in 0..3 {
            for (one, pixel) in self.plane.iter_mut().zip(self.screen.chunks_exact(3)) {
                *one = pixel[colour];
            }
            self.resizer.resize(&self.plane, &mut self.small_plane);
            for (pixel, one) in newest.chunks_exact_mut(3).zip(&self.small_plane) {
                pixel[colour] = *one;
            }
        }
    }

    pub(crate) fn outcome(&self, reward: i32) -> Outcome {
        Outcome {
            reward: if self.settings.reward_clipping {
                reward.signum()
            } else {
                reward
            },
            terminated: false,
            truncated: false,
            lives: self.machine.lives() as i32,
            frame_number: self.machine.frame_number() as i32,
            episode_frame_number: self.machine.episode_frame_number() as i32,
        }
    }

    /// Saves everything but the settings.
    pub(crate) fn save(&self) -> Vec<u8> {
        let state = (&self.noops, &self.stack, self.lives, self.frames, self.is_over);
        seal(NAME, VERSION, &state, &self.machine.save_state())
    }

    /// Restores it.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<(), EnvError> {
        type State = (Rng, Vec<u8>, u32, u32, bool);
        let ((noops, stack, lives, frames, is_over), machine): (State, _) = open(NAME, VERSION, saved)?;
        if stack.len() != self.stack.len() {
            return Err(bad(NAME, "its observations have another shape"));
        }
        self.machine.load_state(machine)?;
        (self.noops, self.stack) = (noops, stack);
        (self.lives, self.frames, self.is_over) = (lives, frames, is_over);
        Ok(())
    }
}
