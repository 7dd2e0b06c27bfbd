//! A car in a valley, too weak to drive straight up the hill.
//!
//! ```text
//!                      ⚑ 0.5
//!   ╲                ╱
//!     ╲            ╱
//!       ╲  [car] ╱        actions: 0 pushes left, 1 does nothing, 2 pushes right
//!         ╲____╱
//!  -1.2    -0.52     0.6
//! ```
//!
//! The task of Moore (1990, "Efficient Memory-based Learning for Robot Control", chapter 4) with the numbers of Sutton and Barto (2018,
//! example 10.1), and the rules of Gymnasium's `MountainCar-v0`: each step pays -1, the one that reaches the flag too, and after 200 steps the
//! episode is truncated. `envs/tests/classic.rs` compares it with trajectories that were recorded there.

use rand::RngExt;

use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, Shape, Step};

/// What an action adds to the speed, and what gravity does at most.
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;
const LEFT: f64 = -1.2;
const RIGHT: f64 = 0.6;
const MOST_SPEED: f64 = 0.07;
/// Where the flag is.
const GOAL: f64 = 0.5;
/// The car starts at rest, uniformly between these.
const START: std::ops::Range<f64> = -0.6..-0.4;

/// The car in its valley. Observations `[2]`: position and speed.
///
/// Without a limit of steps; [`MountainCar::v0`] has Gymnasium's.
#[derive(Clone, Debug)]
pub struct MountainCar {
    random: Rng,
    /// Position and speed.
    state: [f64; 2],
    over: bool,
}

impl MountainCar {
    /// Steps after which Gymnasium's `MountainCar-v0` truncates an episode.
    pub const V0_STEPS: u32 = 200;

    /// A car in its valley.
    #[must_use]
    pub fn new() -> Self {
        Self {
            random: stream(0, "mountain_car", 0),
            state: [0.0; 2],
            over: true,
        }
    }

    /// What Gymnasium calls `MountainCar-v0`.
    #[must_use]
    pub fn v0() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V0_STEPS)
    }

    /// Begins an episode at a state of one's choice, in the order of an observation.
    pub fn begin_at(&mut self, state: [f64; 2], obs: &mut [f32]) {
        self.state = state;
        self.over = false;
        self.observe(obs);
    }

    /// The state in double precision.
    #[must_use]
    pub fn state(&self) -> [f64; 2] {
        self.state
    }

    fn observe(&self, obs: &mut [f32]) {
        obs.copy_from_slice(&self.state.map(|value| value as f32));
    }
}

impl Default for MountainCar {
    fn default() -> Self {
        Self::new()
    }
}

impl Env for MountainCar {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[2])
    }

    fn num_actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "mountain_car", 0);
        }
        let position = self.random.random_range(START);
        self.begin_at([position, 0.0], obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action >= 3 {
            return Err(EnvError::InvalidAction { action, num_actions: 3 });
        }
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let [position, speed] = self.state;
        let push = (f64::from(action) - 1.0) * FORCE + (3.0 * position).cos() * -GRAVITY;
        let mut speed = (speed + push).clamp(-MOST_SPEED, MOST_SPEED);
        let position = (position + speed).clamp(LEFT, RIGHT);
        if position == LEFT && speed < 0.0 {
            // The wall on the left takes all of it.
            speed = 0.0;
        }
        self.state = [position, speed];
        self.observe(obs);
        self.over = position >= GOAL && speed >= 0.0;
        Ok(if self.over {
            Step::terminated(-1.0)
        } else {
            Step::going_on(-1.0)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("MountainCar", 1, &(&self.random, self.state, self.over), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((random, state, over), rest): ((Rng, [f64; 2], bool), _) = open("MountainCar", 1, snapshot)?;
        if !(rest.is_empty() && state.iter().all(|value| value.is_finite())) {
            return Err(bad("MountainCar", "there is no such state"));
        }
        (self.random, self.state, self.over) = (random, state, over);
        Ok(())
    }
}
