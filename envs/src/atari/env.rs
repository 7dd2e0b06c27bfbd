//! The Atari environment for training, fused into one pass.
//!
//! ```text
//! frame ─ frame ─ frame ─ frame     one agent step: the action is repeated
//!                   └─max───┘       the last two screens, in shades of gray
//!                       └─ 84x84    by area
//!                            └─ stack of 4, oldest first
//! ```
//!
//! It equals the chain of [wrappers](crate::wrappers) byte for byte, without rendering frames that nobody sees.

use coinop_atari::{Action, Atari, Rom};

use super::game::AtariGame;
use super::protocol::AtariConfig;
use crate::resize::AreaResizer;
use crate::rng::Rng;
use crate::snapshot::{bad, open, seal};
use crate::wrappers::fused::{Stack, draw_noops, is_pooled, lost_life, max_into, noop_stream, sign};
use crate::wrappers::{FireStart, Lives};
use crate::{End, Env, EnvError, Picture, Shape, Step, Viewer};

/// Height and width of an observation.
const SIZE: usize = 84;

/// An Atari game preprocessed for training; observations have the shape `[4, 84, 84]`.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::atari::{AtariEnv, Protocol};
/// use coinop_envs::coinop_atari::{Rom, find_game};
///
/// let rom = Rom::find(find_game("pong")?, None)?;
/// let mut env = AtariEnv::new(&rom, &Protocol::Sb3.config())?;
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// let step = env.step(2, &mut obs)?;
/// assert_eq!((env.obs_shape().to_string(), step.reward), ("4x84x84".to_owned(), 0.0));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone)]
pub struct AtariEnv {
    game: AtariGame,
    config: AtariConfig,
    /// Whether the game waits for FIRE, so that [`AtariConfig::fire_start`] applies.
    fires: bool,
    noops: Rng,
    resizer: AreaResizer,
    stack: Stack<u8>,
    screen: Vec<u8>,
    before_last: Vec<u8>,
    lives: u32,
    steps: u32,
    over: bool,
}

impl AtariEnv {
    /// Creates a game with a configuration, e.g. that of a [`Protocol`](super::Protocol). Switching on a machine
    /// takes as long as about 130 frames; cloning an environment is much cheaper and equivalent.
    ///
    /// # Errors
    ///
    /// If the machine rejects the settings, or `frame_skip`, `pooled_frames` or `stack` is 0.
    pub fn new(rom: &Rom, config: &AtariConfig) -> Result<Self, EnvError> {
        if config.frame_skip == 0 || config.pooled_frames == 0 || config.stack == 0 {
            let text = format!(
                "frame_skip = {}, pooled_frames = {} and stack = {}: they must be at least 1",
                config.frame_skip, config.pooled_frames, config.stack
            );
            return Err(EnvError::BadSetting(text));
        }
        let game = AtariGame::new(rom, config, Picture::Gray)?;
        let height = game.machine.height();
        let pixels = height * Atari::WIDTH;
        let fires = config.fire_start && game.actions().len() >= 3 && game.actions()[1] == Action::Fire;
        Ok(Self {
            fires,
            noops: noop_stream(0),
            resizer: AreaResizer::new((height, Atari::WIDTH), (SIZE, SIZE)),
            stack: Stack::new(config.stack, SIZE * SIZE),
            screen: vec![0; pixels],
            before_last: vec![0; pixels],
            lives: 0,
            steps: 0,
            over: true,
            game,
            config: config.clone(),
        })
    }

    /// The approximate memory of one environment: two machines, two screens, the stack and the resizer's tables.
    pub(crate) const BYTES: u64 = 300_000;

    /// The meaning of each action number.
    #[must_use]
    pub fn actions(&self) -> &'static [Action] {
        self.game.actions()
    }

    /// Starts an episode and performs the no-ops.
    fn begin(&mut self, seed: Option<u64>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.noops = noop_stream(seed);
        }
        self.game.begin(seed)?;
        if self.config.max_noops > 0 {
            for _ in 0..draw_noops(self.config.max_noops, &mut self.noops) {
                let noop = self.game.action(0)?;
                self.game.act(noop);
                if self.game.machine.is_terminal() {
                    self.game.begin(None)?;
                }
            }
        }
        self.game.machine.grayscale(&mut self.screen);
        self.lives = self.game.lives();
        Ok(())
    }

    /// One agent step, with the no-op that may follow a lost life, as in
    /// [`EpisodicLife`](crate::wrappers::EpisodicLife).
    fn live(&mut self, action: u32) -> Result<Step, EnvError> {
        let mut step = self.skip(action)?;
        let before = std::mem::replace(&mut self.lives, self.game.lives());
        if self.config.lost_life_stops_return && lost_life(before, self.lives) {
            step.discount = 0.0;
            if self.config.noop_after_lost_life && !step.end.is_over() {
                let noop = self.skip(0)?;
                step.score += noop.score;
                step.end = noop.end;
                self.lives = self.game.lives();
            }
        }
        Ok(step)
    }

    /// Repeats an action and leaves the maximum of the last frames in `screen`.
    fn skip(&mut self, action: u32) -> Result<Step, EnvError> {
        let action = self.game.action(action)?;
        let (skip, pooled) = (self.config.frame_skip, self.config.pooled_frames);
        let mut reward = 0;
        for frame in 1..=skip {
            reward += self.game.act(action);
            let machine = &mut self.game.machine;
            if machine.is_terminal() {
                break;
            }
            if is_pooled(frame, skip, pooled) {
                if is_pooled(frame - 1, skip, pooled) {
                    machine.grayscale(&mut self.screen);
                    max_into(&mut self.before_last, &self.screen);
                } else {
                    machine.grayscale(&mut self.before_last);
                }
            }
        }
        let machine = &mut self.game.machine;
        machine.grayscale(&mut self.screen);
        let mut step = Step::going_on(reward as f32);
        if machine.is_terminal() {
            step = Step::terminated(reward as f32);
        } else if is_pooled(skip - 1, skip, pooled) {
            max_into(&mut self.screen, &self.before_last);
        }
        Ok(step)
    }

    /// Performs what [`FireStart`] does after a lost life.
    fn fire(&mut self, step: &mut Step) -> Result<(), EnvError> {
        for action in FireStart::<AtariGame>::ACTIONS {
            if step.end.is_over() {
                break;
            }
            let fired = self.live(action)?;
            step.score += fired.score;
            step.end = fired.end;
        }
        Ok(())
    }

    fn observe(&mut self) {
        self.resizer.resize(&self.screen, self.stack.newest());
    }
}

impl Env for AtariEnv {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[self.config.stack, SIZE, SIZE])
    }

    fn num_actions(&self) -> usize {
        self.game.num_actions()
    }

    fn frames_per_step(&self) -> u32 {
        self.config.frame_skip
    }

    fn stacked_frames(&self) -> usize {
        self.config.stack
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.game.set_viewer(viewer)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.game.action_meanings()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.begin(seed)?;
        if self.fires {
            for action in FireStart::<AtariGame>::ACTIONS {
                if self.live(action)?.end.is_over() {
                    self.begin(None)?;
                }
            }
        }
        self.observe();
        self.stack.fill();
        obs.copy_from_slice(self.stack.frames());
        self.steps = 0;
        self.over = false;
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let mut step = self.live(action)?;
        if self.fires && step.discount == 0.0 {
            self.fire(&mut step)?;
        }
        self.stack.shift();
        self.observe();
        obs.copy_from_slice(self.stack.frames());
        if self.config.clip_reward {
            step.reward = sign(step.reward);
        }
        self.steps += 1;
        let max_steps = self.config.max_frames / self.config.frame_skip;
        if self.steps == max_steps && step.end == End::No {
            step.end = End::Truncated;
        }
        self.over = step.end.is_over();
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        let state = (&self.noops, self.stack.frames(), self.lives, self.steps, self.over);
        Some(seal("AtariEnv", 1, &state, &self.game.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((noops, frames, lives, steps, over), game): ((Rng, Vec<u8>, u32, u32, bool), _) =
            open("AtariEnv", 1, snapshot)?;
        if steps > u32::MAX / 2 {
            return Err(bad("AtariEnv", format!("{steps} steps of an episode were done")));
        }
        self.game.restore(game)?;
        self.stack
            .restore(&frames)
            .ok_or_else(|| bad("AtariEnv", "its frames are of another number or size"))?;
        (self.noops, self.lives, self.steps, self.over) = (noops, lives, steps, over);
        Ok(())
    }
}

impl Lives for AtariEnv {
    fn lives(&self) -> u32 {
        self.game.lives()
    }
}
