//! Breakout: a ball, a paddle and a wall of bricks.

use serde::{Deserialize, Serialize};

use super::{ArcadeGame, Color, HEIGHT, Screen, WIDTH, below};
use crate::rng::Rng;

const ROWS: i32 = 6;
const COLUMNS: i32 = 16;
const BRICK_WIDTH: i32 = 10;
const BRICK_HEIGHT: i32 = 6;
/// The top of the wall, and of the space above it.
const WALL_Y: i32 = 40;
const TOP: i32 = 16;
const PADDLE_WIDTH: i32 = 18;
const PADDLE_Y: i32 = 192;
const PADDLE_SPEED: i32 = 3;
const BALL: i32 = 3;
/// Units of the ball's position and speed per pixel.
const PART: i32 = 16;
/// Points per brick, from the lowest row up.
const POINTS: [i32; ROWS as usize] = [1, 1, 4, 4, 7, 7];
const COLORS: [Color; ROWS as usize] = [
    Color::Blue,
    Color::Green,
    Color::Yellow,
    Color::Orange,
    Color::Red,
    Color::Gray,
];

/// The ball bounces off walls, bricks and the paddle; on the paddle, the angle depends on where it hits. It gets
/// faster with every twelfth hit of the paddle. A missed ball costs a life. A cleared wall is rebuilt.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Bricks};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Lives;
///
/// let mut env = Arcade::<Bricks>::new(Picture::Gray);
/// let mut screen = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut screen)?;
/// assert_eq!((env.num_actions(), env.lives()), (3, 5));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bricks {
    paddle: i32,
    /// The ball's corner and speed, in parts of a pixel.
    x: i32,
    y: i32,
    dx: i32,
    dy: i32,
    /// A bit for each brick of a row, from the lowest row up.
    wall: [u16; ROWS as usize],
    hits: u32,
    /// Frames until the ball is served.
    wait: u32,
    lives: u32,
}

impl Bricks {
    /// Parts of a pixel per frame, downwards or upwards.
    fn speed(&self) -> i32 {
        (24 + 4 * (self.hits as i32 / 12)).min(56)
    }

    fn serve(&mut self, random: &mut Rng) {
        self.x = (40 + below(80, random)) * PART;
        self.y = 100 * PART;
        self.dx = if below(2, random) == 0 { -16 } else { 16 };
        self.dy = self.speed();
        self.wait = 30;
    }

    /// Removes the brick at a pixel and returns its points.
    fn hit(&mut self, x: i32, y: i32) -> i32 {
        let from_top = (y - WALL_Y).div_euclid(BRICK_HEIGHT);
        if !(0..ROWS).contains(&from_top) || !(0..WIDTH as i32).contains(&x) {
            return 0;
        }
        let (row, bit) = ((ROWS - 1 - from_top) as usize, 1 << (x / BRICK_WIDTH));
        if self.wall[row] & bit == 0 {
            return 0;
        }
        self.wall[row] &= !bit;
        POINTS[row]
    }
}

impl ArcadeGame for Bricks {
    const NAME: &'static str = "bricks";
    const ACTIONS: &'static [&'static str] = &["nothing", "left", "right"];

    fn begin(&mut self, random: &mut Rng) {
        *self = Self {
            paddle: (WIDTH as i32 - PADDLE_WIDTH) / 2,
            wall: [u16::MAX; ROWS as usize],
            lives: 5,
            ..Self::default()
        };
        self.serve(random);
    }

    fn tick(&mut self, action: u32, random: &mut Rng) -> i32 {
        let step = [0, -PADDLE_SPEED, PADDLE_SPEED][action as usize];
        self.paddle = (self.paddle + step).clamp(0, WIDTH as i32 - PADDLE_WIDTH);
        if self.wait > 0 {
            self.wait -= 1;
            return 0;
        }
        self.x += self.dx;
        self.y += self.dy;
        let most_x = (WIDTH as i32 - BALL) * PART;
        if self.x <= 0 || self.x >= most_x {
            self.x = self.x.clamp(0, most_x);
            self.dx = -self.dx;
        }
        if self.y <= TOP * PART {
            self.y = TOP * PART;
            self.dy = self.dy.abs();
        }
        let (x, y) = (self.x / PART + BALL / 2, self.y / PART + BALL / 2);
        let points = self.hit(x, y);
        if points > 0 {
            self.dy = -self.dy;
            if self.wall.iter().all(|row| *row == 0) {
                self.wall = [u16::MAX; ROWS as usize];
            }
        }
        let meets =
            (PADDLE_Y..PADDLE_Y + 6).contains(&y) && (self.paddle - 1..=self.paddle + PADDLE_WIDTH).contains(&x);
        if self.dy > 0 && meets {
            self.hits = (self.hits + 1).min(1_000_000);
            // From the edges it leaves at a flatter angle.
            let off = x - (self.paddle + PADDLE_WIDTH / 2);
            self.dx = (off * 4).clamp(-36, 36);
            if self.dx == 0 {
                self.dx = if below(2, random) == 0 { -4 } else { 4 };
            }
            self.dy = -self.speed();
        }
        if y >= HEIGHT as i32 {
            self.lives -= 1;
            self.serve(random);
        }
        points
    }

    fn lives(&self) -> u32 {
        self.lives
    }

    fn draw(&self, screen: &mut Screen) {
        screen.lives(self.lives);
        screen.fill(0, TOP - 3, WIDTH as i32, 3, Color::Gray);
        for (row, bits) in self.wall.iter().enumerate() {
            let y = WALL_Y + (ROWS - 1 - row as i32) * BRICK_HEIGHT;
            for column in (0..COLUMNS).filter(|column| bits >> column & 1 == 1) {
                screen.fill(column * BRICK_WIDTH, y, BRICK_WIDTH - 1, BRICK_HEIGHT - 1, COLORS[row]);
            }
        }
        screen.fill(self.x / PART, self.y / PART, BALL, BALL, Color::White);
        screen.fill(self.paddle, PADDLE_Y, PADDLE_WIDTH, 4, Color::Orange);
    }

    fn is_possible(&self) -> bool {
        (0..WIDTH as i32).contains(&self.paddle)
            && (0..WIDTH as i32 * PART).contains(&self.x)
            && (0..HEIGHT as i32 * PART).contains(&self.y)
            && self.dx.abs() <= 64
            && self.dy.abs() <= 64
            && self.hits <= 1_000_000
            && self.wait <= 30
            && self.lives <= 5
    }
}
