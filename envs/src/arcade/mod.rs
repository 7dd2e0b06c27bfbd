//! Our own arcade games, which need no ROM: 210x160 pixels like the Atari, several lives, and rising difficulty.
//!
//! | game | task | points | lives |
//! |---|---|---|---|
//! | `catch` | catch falling balls with a paddle | 1 per ball | 5 |
//! | `bricks` | break a wall with a ball that must not fall | 1 to 7 per brick, by row | 5 |
//! | `snake` | eat without hitting a wall or yourself | 1 per bite | 3 |
//! | `invaders` | shoot a descending fleet that shoots back | 1 to 6 per ship, by row | 3 |
//!
//! A [`ArcadeGame`] consists of a state of integers, a `tick` that advances it by one frame, and a `draw` that renders it.
//! It uses no floating-point arithmetic, so it plays identically on every machine. [`Arcade`] turns it into an
//! environment, and [`trained`] adds the [wrappers](crate::wrappers) of Atari training.

mod bricks;
mod catch;
mod invaders;
mod screen;
mod snake;

use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Picture;
use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::{ClipReward, EpisodicLife, FrameSkip, FrameStack, Lives, Resize, TimeLimit};
use crate::{Env, EnvError, Frame, Shape, Step, Viewer};

pub use bricks::Bricks;
pub use catch::Catch;
pub use invaders::Invaders;
pub use screen::{Color, HEIGHT, Screen, WIDTH};
pub use snake::Snake;

/// The rules of a game. The state consists of integers and is serialised as such.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Color, ArcadeGame, HEIGHT, Screen, WIDTH};
/// use coinop_envs::Picture;
/// use coinop_envs::rng::Rng;
///
/// /// A dot that must be kept from the edges for as long as it goes.
/// #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// struct Balance {
///     x: i32,
/// }
///
/// impl ArcadeGame for Balance {
///     const NAME: &'static str = "balance";
///     const ACTIONS: &'static [&'static str] = &["nothing", "left", "right"];
///
///     fn begin(&mut self, _: &mut Rng) {
///         self.x = WIDTH as i32 / 2 + 1;
///     }
///
///     fn tick(&mut self, action: u32, _: &mut Rng) -> i32 {
///         self.x += [0, -2, 2][action as usize] + (self.x - WIDTH as i32 / 2).signum();
///         1
///     }
///
///     fn lives(&self) -> u32 {
///         u32::from((0..WIDTH as i32).contains(&self.x))
///     }
///
///     fn draw(&self, screen: &mut Screen) {
///         screen.fill(self.x, HEIGHT as i32 / 2, 4, 4, Color::White);
///     }
///
///     fn is_possible(&self) -> bool {
///         self.x.abs() <= 2 * WIDTH as i32
///     }
/// }
///
/// let mut env = Arcade::<Balance>::new(Picture::Gray);
/// let mut screen = vec![0; WIDTH * HEIGHT];
/// env.reset(None, &mut screen)?;
/// let mut score = 0.0;
/// while score < 1000.0 {
///     let step = env.step(0, &mut screen)?;
///     score += step.reward;
///     if step.end.is_over() {
///         break;
///     }
/// }
/// assert_eq!(score, 79.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait ArcadeGame: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the game.
    const NAME: &'static str;
    /// The names of the actions; 0 is NOOP.
    const ACTIONS: &'static [&'static str];

    /// Starts a new game.
    fn begin(&mut self, random: &mut Rng);

    /// Advances by one frame while `action` is held; returns the points scored.
    fn tick(&mut self, action: u32, random: &mut Rng) -> i32;

    /// The lives left; the game is over at 0.
    fn lives(&self) -> u32;

    /// Draws the state on a black screen.
    fn draw(&self, screen: &mut Screen);

    /// Whether a deserialised state is one that the game can continue from without a panic.
    fn is_possible(&self) -> bool;
}

/// A game as an environment: one frame per step, observations of shape `[210, 160]` or `[210, 160, 3]`.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Snake};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Lives;
///
/// let mut env = Arcade::<Snake>::new(Picture::Gray);
/// let mut screen = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut screen)?;
/// assert_eq!((env.num_actions(), env.lives()), (5, 3));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arcade<G> {
    game: G,
    random: Rng,
    picture: Picture,
    screen: Screen,
    begun: bool,
    viewer: Option<Viewer>,
    /// What the viewer is shown.
    rgb: Vec<u8>,
}

impl<G: ArcadeGame> Arcade<G> {
    /// Creates the game, rendered in gray or in colour.
    #[must_use]
    pub fn new(picture: Picture) -> Self {
        Self {
            game: G::default(),
            random: stream(0, G::NAME, 0),
            picture,
            screen: Screen::new(),
            begun: false,
            viewer: None,
            rgb: Vec::new(),
        }
    }

    /// The state of the game.
    #[must_use]
    pub fn game(&self) -> &G {
        &self.game
    }

    fn look(&mut self, obs: &mut [u8]) {
        self.screen.clear();
        self.game.draw(&mut self.screen);
        match self.picture {
            Picture::Gray => self.screen.gray(obs),
            Picture::Rgb => self.screen.rgb(obs),
        }
        if let Some(viewer) = &self.viewer {
            self.rgb.resize(3 * WIDTH * HEIGHT, 0);
            self.screen.rgb(&mut self.rgb);
            viewer.show(Frame {
                width: WIDTH,
                height: HEIGHT,
                pixel_aspect: 2,
                rgb: &self.rgb,
            });
        }
    }
}

impl<G: ArcadeGame> Env for Arcade<G> {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        match self.picture {
            Picture::Gray => Shape::new(&[HEIGHT, WIDTH]),
            Picture::Rgb => Shape::new(&[HEIGHT, WIDTH, 3]),
        }
    }

    fn num_actions(&self) -> usize {
        G::ACTIONS.len()
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.viewer = viewer;
        Some(60.0)
    }

    fn action_meanings(&self) -> Vec<String> {
        G::ACTIONS.iter().map(|&name| name.to_owned()).collect()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, G::NAME, 0);
        }
        self.game.begin(&mut self.random);
        self.begun = true;
        self.look(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let num_actions = self.num_actions();
        if action as usize >= num_actions {
            return Err(EnvError::InvalidAction { action, num_actions });
        }
        if !self.begun || self.game.lives() == 0 {
            return Err(EnvError::ResetNeeded);
        }
        let reward = self.game.tick(action, &mut self.random) as f32;
        self.look(obs);
        Ok(if self.game.lives() == 0 {
            Step::terminated(reward)
        } else {
            Step::going_on(reward)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal(G::NAME, 1, &(&self.game, &self.random, self.begun), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((game, random, begun), rest): ((G, Rng, bool), _) = open(G::NAME, 1, snapshot)?;
        if !(rest.is_empty() && game.is_possible()) {
            return Err(bad(G::NAME, "there is no such state"));
        }
        (self.game, self.random, self.begun) = (game, random, begun);
        Ok(())
    }
}

impl<G: ArcadeGame> Lives for Arcade<G> {
    fn lives(&self) -> u32 {
        self.game.lives()
    }
}

/// The type of [`trained`].
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Snake, Trained, trained};
///
/// let env: Trained<Snake> = trained();
/// assert_eq!(env.obs_shape().dims(), [4, 84, 84]);
/// ```
pub type Trained<G> = TimeLimit<ClipReward<FrameStack<Resize<EpisodicLife<FrameSkip<Arcade<G>>>>>>>;

/// Creates the game with the wrappers of Atari training: a frame skip of 4 with the maximum of the last two frames; a
/// lost life ends the return; 84x84 in gray, 4 frames stacked; rewards clipped to their sign; at most 108,000 frames.
/// Observations have the shape `[4, 84, 84]`.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Snake, trained};
///
/// let env = trained::<Snake>();
/// assert_eq!((env.obs_shape().dims(), env.frames_per_step()), (&[4, 84, 84][..], 4));
/// ```
#[must_use]
pub fn trained<G: ArcadeGame>() -> Trained<G> {
    let lives = EpisodicLife::new(FrameSkip::new(Arcade::<G>::new(Picture::Gray), 4));
    let frames = FrameStack::new(Resize::new(lives, 84, 84), 4);
    TimeLimit::new(ClipReward::new(frames), 108_000 / 4)
}

/// Draws an integer below `n`.
fn below(n: i32, random: &mut Rng) -> i32 {
    random.random_range(0..n)
}
