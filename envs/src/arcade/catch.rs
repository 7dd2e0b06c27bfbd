//! Catch falling balls with a paddle.

use serde::{Deserialize, Serialize};

use super::{ArcadeGame, Color, HEIGHT, Screen, WIDTH, below};
use crate::rng::Rng;

const PADDLE_WIDTH: i32 = 20;
const PADDLE_Y: i32 = 194;
const PADDLE_SPEED: i32 = 3;
const BALL: i32 = 6;
/// The top of the playing field, below the lives.
const TOP: i32 = 16;

/// One ball falls at a time, and falls faster the more were caught. A ball that reaches the ground costs a life.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Lives;
///
/// let mut env = Arcade::<Catch>::new(Picture::Gray);
/// let mut screen = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut screen)?;
/// assert_eq!((env.num_actions(), env.lives()), (3, 5));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catch {
    paddle: i32,
    x: i32,
    y: i32,
    caught: u32,
    lives: u32,
}

impl Catch {
    /// Pixels per frame: one more for every eight catches, up to six.
    fn speed(&self) -> i32 {
        (2 + self.caught as i32 / 8).min(6)
    }

    fn drop_another(&mut self, random: &mut Rng) {
        self.x = below(WIDTH as i32 - BALL, random);
        self.y = TOP;
    }
}

impl ArcadeGame for Catch {
    const NAME: &'static str = "catch";
    const ACTIONS: &'static [&'static str] = &["nothing", "left", "right"];

    fn begin(&mut self, random: &mut Rng) {
        *self = Self {
            paddle: (WIDTH as i32 - PADDLE_WIDTH) / 2,
            lives: 5,
            ..Self::default()
        };
        self.drop_another(random);
    }

    fn tick(&mut self, action: u32, random: &mut Rng) -> i32 {
        let step = [0, -PADDLE_SPEED, PADDLE_SPEED][action as usize];
        self.paddle = (self.paddle + step).clamp(0, WIDTH as i32 - PADDLE_WIDTH);
        self.y += self.speed();
        let at_paddle = self.y + BALL >= PADDLE_Y;
        if at_paddle && self.x + BALL > self.paddle && self.x < self.paddle + PADDLE_WIDTH {
            self.caught = (self.caught + 1).min(1_000_000);
            self.drop_another(random);
            return 1;
        }
        if self.y >= HEIGHT as i32 {
            self.lives -= 1;
            self.drop_another(random);
        }
        0
    }

    fn lives(&self) -> u32 {
        self.lives
    }

    fn draw(&self, screen: &mut Screen) {
        screen.lives(self.lives);
        screen.fill(self.x, self.y, BALL, BALL, Color::Yellow);
        screen.fill(self.paddle, PADDLE_Y, PADDLE_WIDTH, 4, Color::Red);
    }

    fn is_possible(&self) -> bool {
        (0..WIDTH as i32).contains(&self.paddle)
            && (0..WIDTH as i32).contains(&self.x)
            && (0..HEIGHT as i32).contains(&self.y)
            && self.caught <= 1_000_000
            && self.lives <= 5
    }
}
