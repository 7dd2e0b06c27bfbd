//! Eat without hitting a wall or yourself.

use serde::{Deserialize, Serialize};

use super::{ArcadeGame, Color, Screen, below};
use crate::rng::Rng;

/// Cells of the field, and pixels per cell.
const COLUMNS: i32 = 19;
const ROWS: i32 = 23;
const CELL: i32 = 8;
const LEFT: i32 = 4;
const TOP: i32 = 20;
/// The maximum length of the snake.
const MOST: usize = 128;

/// The snake moves one cell at a time, faster the more it has eaten, and grows with each bite. Hitting a wall or
/// itself costs a life; it then restarts at its initial length.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snake {
    /// Columns and rows, the head first.
    body: Vec<(i32, i32)>,
    /// The current direction, and the direction of the next move.
    heading: (i32, i32),
    next: (i32, i32),
    food: (i32, i32),
    /// Frames until the next move.
    wait: u32,
    eaten: u32,
    lives: u32,
}

const HEADINGS: [(i32, i32); 4] = [(0, -1), (1, 0), (-1, 0), (0, 1)];

impl Snake {
    /// Frames between two moves.
    fn pause(&self) -> u32 {
        8u32.saturating_sub(self.eaten / 5).max(3)
    }

    fn start(&mut self, random: &mut Rng) {
        self.body.clear();
        self.body.extend((0..4).map(|i| (COLUMNS / 2 - i, ROWS / 2)));
        (self.heading, self.next) = (HEADINGS[1], HEADINGS[1]);
        self.wait = 8;
        self.feed(random);
    }

    fn feed(&mut self, random: &mut Rng) {
        // The snake covers a small part of the field.
        loop {
            self.food = (below(COLUMNS, random), below(ROWS, random));
            if !self.body.contains(&self.food) {
                break;
            }
        }
    }
}

fn is_inside((column, row): (i32, i32)) -> bool {
    (0..COLUMNS).contains(&column) && (0..ROWS).contains(&row)
}

impl ArcadeGame for Snake {
    const NAME: &'static str = "snake";
    const ACTIONS: &'static [&'static str] = &["nothing", "up", "right", "left", "down"];

    fn begin(&mut self, random: &mut Rng) {
        let body = std::mem::take(&mut self.body);
        *self = Self {
            body,
            lives: 3,
            ..Self::default()
        };
        // Once for all games, so that no later one allocates.
        self.body.reserve(MOST + 1);
        self.start(random);
    }

    fn tick(&mut self, action: u32, random: &mut Rng) -> i32 {
        if let Some(&wish) = (action as usize).checked_sub(1).and_then(|way| HEADINGS.get(way)) {
            // It cannot turn on the spot.
            if wish != (-self.heading.0, -self.heading.1) {
                self.next = wish;
            }
        }
        if self.wait > 0 {
            self.wait -= 1;
            return 0;
        }
        self.wait = self.pause();
        self.heading = self.next;
        let (column, row) = self.body[0];
        let head = (column + self.heading.0, row + self.heading.1);
        // The tail moves on, so that its place is free.
        if !is_inside(head) || self.body[..self.body.len() - 1].contains(&head) {
            self.lives -= 1;
            self.start(random);
            return 0;
        }
        let eats = head == self.food;
        if !eats || self.body.len() == MOST {
            self.body.pop();
        }
        self.body.insert(0, head);
        if eats {
            self.eaten = (self.eaten + 1).min(1_000_000);
            self.feed(random);
        }
        i32::from(eats)
    }

    fn lives(&self) -> u32 {
        self.lives
    }

    fn draw(&self, screen: &mut Screen) {
        screen.lives(self.lives);
        let (width, height) = (COLUMNS * CELL, ROWS * CELL);
        screen.fill(LEFT - 2, TOP - 2, width + 4, height + 4, Color::Gray);
        screen.fill(LEFT, TOP, width, height, Color::Black);
        let mut cell = |(column, row): (i32, i32), color| {
            screen.fill(LEFT + column * CELL, TOP + row * CELL, CELL - 1, CELL - 1, color);
        };
        cell(self.food, Color::Red);
        for (i, part) in self.body.iter().enumerate() {
            cell(*part, if i == 0 { Color::White } else { Color::Green });
        }
    }

    fn is_possible(&self) -> bool {
        (2..=MOST).contains(&self.body.len())
            && self.body.iter().all(|cell| is_inside(*cell))
            && HEADINGS.contains(&self.heading)
            && HEADINGS.contains(&self.next)
            && is_inside(self.food)
            && self.wait <= 8
            && self.eaten <= 1_000_000
            && self.lives <= 3
    }
}
