//! A pole on a cart, to be kept upright.
//!
//! ```text
//!            ╱  theta, to the right of upright
//!           ╱
//!   ─────[cart]─────  x, to the right of the middle     actions: 0 pushes left, 1 pushes right
//! ```
//!
//! The task of Barto, Sutton and Anderson (1983), with the equations of Florian (2007, "Correct equations for the dynamics of the cart-pole
//! system") without friction, and the rules of Gymnasium's `CartPole-v1`: each step pays 1, the one that ends the episode too, and after 500
//! steps it is truncated. `envs/tests/cart_pole.rs` compares it with trajectories that were recorded there.

use rand::RngExt;

use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, Shape, Step};

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = CART_MASS + POLE_MASS;
/// Half of the pole's length, in metres.
const LENGTH: f64 = 0.5;
/// In newtons, for the whole of a step.
const FORCE: f64 = 10.0;
/// Seconds per step.
const STEP_SECONDS: f64 = 0.02;

/// Beyond these, the episode is over: 12 degrees, and 2.4 metres.
const MOST_THETA: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
const MOST_X: f64 = 2.4;
/// At the start, each of the four numbers is uniform between -START and START.
const START: f64 = 0.05;

/// The cart and its pole. Observations `[4]`: the position and speed of the cart, the angle and angular speed of the pole, in metres, radians
/// and seconds.
///
/// Without a limit of steps; [`CartPole::v1`] has Gymnasium's.
#[derive(Clone, Debug)]
pub struct CartPole {
    random: Rng,
    state: [f64; 4],
    over: bool,
}

impl CartPole {
    /// Steps after which Gymnasium's `CartPole-v1` truncates an episode.
    pub const V1_STEPS: u32 = 500;

    /// A cart and its pole.
    #[must_use]
    pub fn new() -> Self {
        Self {
            random: stream(0, "cart_pole", 0),
            state: [0.0; 4],
            over: true,
        }
    }

    /// What Gymnasium calls `CartPole-v1`.
    #[must_use]
    pub fn v1() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V1_STEPS)
    }

    /// Begins an episode at a state of one's choice, in the order of an observation.
    pub fn begin_at(&mut self, state: [f64; 4], obs: &mut [f32]) {
        self.state = state;
        self.over = false;
        self.observe(obs);
    }

    fn observe(&self, obs: &mut [f32]) {
        assert_eq!(obs.len(), self.state.len(), "elements of an observation");
        obs.iter_mut()
            .zip(self.state)
            .for_each(|(out, value)| *out = value as f32);
    }
}

impl Default for CartPole {
    fn default() -> Self {
        Self::new()
    }
}

impl Env for CartPole {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[4])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "cart_pole", 0);
        }
        let state = std::array::from_fn(|_| self.random.random_range(-START..START));
        self.begin_at(state, obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        let force = match action {
            0 => -FORCE,
            1 => FORCE,
            _ => return Err(EnvError::InvalidAction { action, num_actions: 2 }),
        };
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let [x, speed, theta, spin] = self.state;
        let (sin, cos) = theta.sin_cos();
        // Florian 2007, equations 23 and 24 without friction, solved for the accelerations.
        let push = (force + POLE_MASS * LENGTH * (spin * spin) * sin) / TOTAL_MASS;
        let spin_up = (GRAVITY * sin - cos * push) / (LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS));
        let speed_up = push - POLE_MASS * LENGTH * spin_up * cos / TOTAL_MASS;
        // Euler's method: positions move at the speed from before the step.
        self.state = [
            x + STEP_SECONDS * speed,
            speed + STEP_SECONDS * speed_up,
            theta + STEP_SECONDS * spin,
            spin + STEP_SECONDS * spin_up,
        ];
        self.observe(obs);
        self.over = self.state[0].abs() > MOST_X || self.state[2].abs() > MOST_THETA;
        Ok(if self.over {
            Step::terminated(1.0)
        } else {
            Step::going_on(1.0)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("CartPole", 1, &(&self.random, self.state, self.over), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((random, state, over), rest): ((Rng, [f64; 4], bool), _) = open("CartPole", 1, snapshot)?;
        if !(rest.is_empty() && state.iter().all(|value| value.is_finite())) {
            return Err(bad("CartPole", "there is no such state"));
        }
        (self.random, self.state, self.over) = (random, state, over);
        Ok(())
    }
}
