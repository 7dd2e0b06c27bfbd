//! Two links that hang from a bar, to be swung up.
//!
//! ```text
//!   ─ ─ ─ ─ ─ ─ ─ ─ ─  the tip is to rise above this line, one link above the bar
//!
//!   ────●────          theta1 of the first link, from hanging straight down
//!        ╲
//!         ●            theta2 of the second, from the direction of the first
//!        ╱             actions: a torque of -1, 0, 1 at the joint between them
//! ```
//!
//! The task of Sutton (1996, "Generalization in Reinforcement Learning: Successful Examples Using Sparse Coarse Coding") with the equations of
//! Sutton and Barto's book (1998, section 11.3) and the rules of Gymnasium's `Acrobot-v1`: each step pays -1, the one that swings it up 0, and
//! after 500 steps the episode is truncated. `envs/tests/classic.rs` compares it with trajectories that were recorded there.

use std::f64::consts::{FRAC_PI_2, PI};

use rand::RngExt;

use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, Shape, Step};

/// Of both links: length in metres, mass in kilograms, the distance of its centre from its upper end, moment of inertia.
const LENGTH: f64 = 1.0;
const MASS: f64 = 1.0;
const CENTRE: f64 = 0.5;
const INERTIA: f64 = 1.0;
const GRAVITY: f64 = 9.8;
/// Seconds per step, integrated at once.
const STEP_SECONDS: f64 = 0.2;
/// Bounds of the angular speeds.
const MOST_SPIN: [f64; 2] = [4.0 * PI, 9.0 * PI];
/// At the start, each of the four numbers is uniform between -START and START.
const START: f64 = 0.1;

/// Angles and angular speeds: theta1, theta2, and how fast each changes.
type State = [f64; 4];

/// The two links. Observations `[6]`: cosine and sine of both angles, then both angular speeds.
///
/// Without a limit of steps; [`Acrobot::v1`] has Gymnasium's.
#[derive(Clone, Debug)]
pub struct Acrobot {
    random: Rng,
    state: State,
    over: bool,
}

impl Acrobot {
    /// Steps after which Gymnasium's `Acrobot-v1` truncates an episode.
    pub const V1_STEPS: u32 = 500;

    /// Two links on a bar.
    #[must_use]
    pub fn new() -> Self {
        Self {
            random: stream(0, "acrobot", 0),
            state: [0.0; 4],
            over: true,
        }
    }

    /// What Gymnasium calls `Acrobot-v1`.
    #[must_use]
    pub fn v1() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V1_STEPS)
    }

    /// Begins an episode with angles and angular speeds of one's choice: theta1, theta2, and how fast each changes.
    pub fn begin_at(&mut self, state: [f64; 4], obs: &mut [f32]) {
        self.state = state;
        self.over = false;
        self.observe(obs);
    }

    /// The state in double precision.
    #[must_use]
    pub fn state(&self) -> [f64; 4] {
        self.state
    }

    fn observe(&self, obs: &mut [f32]) {
        let [theta1, theta2, spin1, spin2] = self.state;
        let values = [theta1.cos(), theta1.sin(), theta2.cos(), theta2.sin(), spin1, spin2];
        obs.copy_from_slice(&values.map(|value| value as f32));
    }
}

/// How fast a state changes under a torque.
fn derivative([theta1, theta2, spin1, spin2]: State, torque: f64) -> State {
    let d1 = MASS * CENTRE * CENTRE
        + MASS * (LENGTH * LENGTH + CENTRE * CENTRE + 2.0 * LENGTH * CENTRE * theta2.cos())
        + INERTIA
        + INERTIA;
    let d2 = MASS * (CENTRE * CENTRE + LENGTH * CENTRE * theta2.cos()) + INERTIA;
    let phi2 = MASS * CENTRE * GRAVITY * (theta1 + theta2 - FRAC_PI_2).cos();
    let arm = MASS * LENGTH * CENTRE;
    let phi1 = -arm * spin2 * spin2 * theta2.sin() - 2.0 * arm * spin2 * spin1 * theta2.sin()
        + (MASS * CENTRE + MASS * LENGTH) * GRAVITY * (theta1 - FRAC_PI_2).cos()
        + phi2;
    let spin_up2 = (torque + d2 / d1 * phi1 - arm * spin1 * spin1 * theta2.sin() - phi2)
        / (MASS * CENTRE * CENTRE + INERTIA - d2 * d2 / d1);
    let spin_up1 = -(d2 * spin_up2 + phi1) / d1;
    [spin1, spin2, spin_up1, spin_up2]
}

/// A step of the classical method of Runge and Kutta, of fourth order.
fn integrate(state: State, torque: f64, seconds: f64) -> State {
    let moved = |by: State, seconds: f64| std::array::from_fn(|i| state[i] + seconds * by[i]);
    let k1 = derivative(state, torque);
    let k2 = derivative(moved(k1, seconds / 2.0), torque);
    let k3 = derivative(moved(k2, seconds / 2.0), torque);
    let k4 = derivative(moved(k3, seconds), torque);
    std::array::from_fn(|i| state[i] + seconds / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

/// An angle between -pi and pi.
fn wrapped(angle: f64) -> f64 {
    if (-PI..=PI).contains(&angle) {
        angle
    } else {
        (angle + PI).rem_euclid(2.0 * PI) - PI
    }
}

impl Default for Acrobot {
    fn default() -> Self {
        Self::new()
    }
}

impl Env for Acrobot {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[6])
    }

    fn num_actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "acrobot", 0);
        }
        let state = std::array::from_fn(|_| self.random.random_range(-START..START));
        self.begin_at(state, obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action >= 3 {
            return Err(EnvError::InvalidAction { action, num_actions: 3 });
        }
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let [theta1, theta2, spin1, spin2] = integrate(self.state, f64::from(action) - 1.0, STEP_SECONDS);
        let [most1, most2] = MOST_SPIN;
        self.state = [
            wrapped(theta1),
            wrapped(theta2),
            spin1.clamp(-most1, most1),
            spin2.clamp(-most2, most2),
        ];
        self.observe(obs);
        let [theta1, theta2, ..] = self.state;
        self.over = -theta1.cos() - (theta2 + theta1).cos() > 1.0;
        Ok(if self.over {
            Step::terminated(0.0)
        } else {
            Step::going_on(-1.0)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("Acrobot", 1, &(&self.random, self.state, self.over), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((random, state, over), rest): ((Rng, State, bool), _) = open("Acrobot", 1, snapshot)?;
        let [_, _, spin1, spin2] = state;
        let is_possible = state.iter().all(|value| value.is_finite())
            && state[..2].iter().all(|angle| angle.abs() <= 4.0)
            && spin1.abs() <= MOST_SPIN[0]
            && spin2.abs() <= MOST_SPIN[1];
        if !(rest.is_empty() && is_possible) {
            return Err(bad("Acrobot", "there is no such state"));
        }
        (self.random, self.state, self.over) = (random, state, over);
        Ok(())
    }
}
