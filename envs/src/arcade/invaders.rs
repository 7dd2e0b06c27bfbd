//! Shoot a descending fleet.

use serde::{Deserialize, Serialize};

use super::{ArcadeGame, Color, Screen, WIDTH, below};
use crate::rng::Rng;

const ROWS: i32 = 6;
const COLUMNS: i32 = 6;
/// The distance between ships of the fleet, and their size.
const PITCH_X: i32 = 16;
const PITCH_Y: i32 = 14;
const SHIP_WIDTH: i32 = 9;
const SHIP_HEIGHT: i32 = 8;
const TOP: i32 = 24;
const PLAYER_Y: i32 = 190;
const PLAYER_WIDTH: i32 = 9;
const PLAYER_SPEED: i32 = 2;
const SHOT_SPEED: i32 = 4;
const BOMB_SPEED: i32 = 2;
const BOMBS: usize = 3;
/// Frames of pause after a lost life.
const PAUSE: u32 = 60;
const COLORS: [Color; ROWS as usize] = [
    Color::Blue,
    Color::Green,
    Color::Yellow,
    Color::Orange,
    Color::Red,
    Color::White,
];

/// The fleet moves from side to side and descends one step at each border. It gets faster as ships are shot and with
/// every new fleet. Its bombs cost a life; when it lands, all lives are lost. The player has one shot in the air at a
/// time.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Invaders};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Lives;
///
/// let mut env = Arcade::<Invaders>::new(Picture::Gray);
/// let mut screen = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut screen)?;
/// assert_eq!((env.num_actions(), env.lives()), (6, 3));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invaders {
    player: i32,
    /// The position of the player's shot, if there is one.
    shot: Option<(i32, i32)>,
    bombs: [Option<(i32, i32)>; BOMBS],
    /// The upper left corner of the fleet, and its direction.
    x: i32,
    y: i32,
    dx: i32,
    /// A bit for each ship of a row, from the lowest row up.
    fleet: [u8; ROWS as usize],
    /// Frames until the fleet moves next.
    wait: u32,
    /// Frames left of a pause.
    pause: u32,
    wave: u32,
    lives: u32,
}

impl Invaders {
    fn ships(&self) -> u32 {
        self.fleet.iter().map(|row| row.count_ones()).sum()
    }

    /// Frames between two moves of the fleet.
    fn rhythm(&self) -> u32 {
        (2 + self.ships() / 2).saturating_sub(2 * self.wave.min(5)).max(2)
    }

    fn send_fleet(&mut self) {
        self.fleet = [(1 << COLUMNS) - 1; ROWS as usize];
        (self.x, self.y, self.dx) = (16, TOP, 2);
        self.wait = 30;
    }

    /// The upper left corner of a ship; rows count from the lowest up.
    fn place(&self, row: i32, column: i32) -> (i32, i32) {
        (self.x + column * PITCH_X, self.y + (ROWS - 1 - row) * PITCH_Y)
    }

    fn each_ship(&self) -> impl Iterator<Item = (i32, i32)> + '_ {
        let is_there = move |row: i32, column: i32| self.fleet[row as usize] >> column & 1 == 1;
        (0..ROWS)
            .flat_map(move |row| (0..COLUMNS).map(move |column| (row, column)))
            .filter(move |&(row, column)| is_there(row, column))
    }

    /// Moves the fleet; returns whether it has landed.
    fn march(&mut self) -> bool {
        let columns = self.fleet.iter().fold(0, |all, row| all | row);
        let (first, last) = (columns.trailing_zeros() as i32, 7 - columns.leading_zeros() as i32);
        let (left, right) = (self.x + first * PITCH_X, self.x + last * PITCH_X + SHIP_WIDTH);
        if left + self.dx < 2 || right + self.dx > WIDTH as i32 - 2 {
            self.dx = -self.dx;
            self.y += 6;
        } else {
            self.x += self.dx;
        }
        let lowest = self.fleet.iter().position(|row| *row != 0).unwrap_or(0) as i32;
        self.place(lowest, 0).1 + SHIP_HEIGHT >= PLAYER_Y
    }

    /// Moves the player's shot; returns the points of what it hits.
    fn shoot(&mut self) -> i32 {
        let Some((x, y)) = self.shot else { return 0 };
        let y = y - SHOT_SPEED;
        self.shot = (y > TOP - 8).then_some((x, y));
        let hit = self.each_ship().find(|&(row, column)| {
            let (left, top) = self.place(row, column);
            (left..left + SHIP_WIDTH).contains(&x) && (top..top + SHIP_HEIGHT).contains(&y)
        });
        let Some((row, column)) = hit else { return 0 };
        self.fleet[row as usize] &= !(1 << column);
        self.shot = None;
        row + 1
    }

    /// Moves the bombs and drops new ones; returns whether one hit the player.
    fn bomb(&mut self, random: &mut Rng) -> bool {
        let mut is_hit = false;
        for slot in 0..BOMBS {
            self.bombs[slot] = match self.bombs[slot] {
                Some((x, y)) => {
                    let y = y + BOMB_SPEED;
                    let meets = y >= PLAYER_Y && (self.player..self.player + PLAYER_WIDTH).contains(&x);
                    is_hit |= meets;
                    (!meets && y < PLAYER_Y + 10).then_some((x, y))
                }
                // Each slot drops one about every second, from the lowest ship of a column.
                None if below(60, random) == 0 => {
                    let column = below(COLUMNS, random);
                    let row = (0..ROWS).find(|row| self.fleet[*row as usize] >> column & 1 == 1);
                    row.map(|row| self.place(row, column))
                        .map(|(x, y)| (x + SHIP_WIDTH / 2, y + SHIP_HEIGHT))
                }
                None => None,
            };
        }
        is_hit
    }
}

impl ArcadeGame for Invaders {
    const NAME: &'static str = "invaders";
    const ACTIONS: &'static [&'static str] = &["nothing", "fire", "right", "left", "right and fire", "left and fire"];

    fn begin(&mut self, _random: &mut Rng) {
        *self = Self {
            player: (WIDTH as i32 - PLAYER_WIDTH) / 2,
            lives: 3,
            ..Self::default()
        };
        self.send_fleet();
    }

    fn tick(&mut self, action: u32, random: &mut Rng) -> i32 {
        if self.pause > 0 {
            self.pause -= 1;
            return 0;
        }
        let step = match action {
            2 | 4 => PLAYER_SPEED,
            3 | 5 => -PLAYER_SPEED,
            _ => 0,
        };
        self.player = (self.player + step).clamp(0, WIDTH as i32 - PLAYER_WIDTH);
        if matches!(action, 1 | 4 | 5) && self.shot.is_none() {
            self.shot = Some((self.player + PLAYER_WIDTH / 2, PLAYER_Y - 2));
        }
        let points = self.shoot();
        if self.ships() == 0 {
            self.wave = (self.wave + 1).min(1_000_000);
            self.send_fleet();
        }
        if self.bomb(random) {
            self.lives -= 1;
            self.pause = PAUSE;
            (self.bombs, self.shot) = ([None; BOMBS], None);
        }
        if self.wait > 0 {
            self.wait -= 1;
        } else {
            self.wait = self.rhythm();
            if self.march() {
                self.lives = 0;
            }
        }
        points
    }

    fn lives(&self) -> u32 {
        self.lives
    }

    fn draw(&self, screen: &mut Screen) {
        screen.lives(self.lives);
        for (row, column) in self.each_ship() {
            let (x, y) = self.place(row, column);
            screen.fill(x, y, SHIP_WIDTH, SHIP_HEIGHT - 3, COLORS[row as usize]);
            screen.fill(x + 2, y + SHIP_HEIGHT - 3, SHIP_WIDTH - 4, 3, COLORS[row as usize]);
        }
        if let Some((x, y)) = self.shot {
            screen.fill(x, y, 1, 6, Color::White);
        }
        for (x, y) in self.bombs.iter().flatten() {
            screen.fill(*x, *y, 2, 5, Color::Yellow);
        }
        screen.fill(self.player, PLAYER_Y + 4, PLAYER_WIDTH, 6, Color::Green);
        screen.fill(self.player + PLAYER_WIDTH / 2 - 1, PLAYER_Y, 3, 4, Color::Green);
        screen.fill(0, 204, WIDTH as i32, 2, Color::Gray);
    }

    fn is_possible(&self) -> bool {
        let on_screen = |(x, y): &(i32, i32)| (-20..400).contains(x) && (-20..400).contains(y);
        (0..WIDTH as i32).contains(&self.player)
            && self.shot.iter().chain(self.bombs.iter().flatten()).all(on_screen)
            && (-200..200).contains(&self.x)
            && (0..400).contains(&self.y)
            && self.dx.abs() == 2
            && self.fleet.iter().all(|row| row >> COLUMNS == 0)
            && self.ships() > 0
            && self.wait <= 60
            && self.pause <= PAUSE
            && self.wave <= 1_000_000
            && self.lives <= 3
    }
}
