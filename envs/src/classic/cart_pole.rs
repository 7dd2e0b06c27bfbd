//! A pole on a cart that must be kept upright.
//!
//! ```text
//!            ╱  theta, to the right of upright
//!           ╱
//!   ─────[cart]─────  x, to the right of the middle     actions: 0 pushes left, 1 pushes right
//! ```
//!
//! The task of Barto, Sutton and Anderson (1983), with the frictionless equations of Florian (2007, "Correct
//! equations for the dynamics of the cart-pole system") and the rules of Gymnasium's `CartPole-v1`: each step has a
//! reward of 1, including the last one, and the episode is truncated after 500 steps. `envs/tests/cart_pole.rs`
//! compares it with recorded trajectories of Gymnasium.

use rand::RngExt;

use super::{Canvas, ClassicControl, Physics};
use crate::Step;
use crate::rng::Rng;
use crate::wrappers::TimeLimit;

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = CART_MASS + POLE_MASS;
/// Half of the pole's length, in metres.
const LENGTH: f64 = 0.5;
/// In newtons, constant over a step.
const FORCE: f64 = 10.0;
/// Seconds per step.
const STEP_SECONDS: f64 = 0.02;

/// The episode ends beyond these: 12 degrees and 2.4 metres.
const MOST_THETA: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
const MOST_X: f64 = 2.4;
/// At the start, each of the four numbers is uniform between -START and START.
const START: f64 = 0.05;

/// A cart and its pole. Observations `[4]`: position and velocity of the cart, angle and angular velocity of the
/// pole, in metres, radians and seconds.
///
/// Has no step limit; [`CartPole::v1`] adds Gymnasium's.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::CartPole;
///
/// let mut env = CartPole::v1();
/// let mut obs = [0.0; 4];
/// env.reset(Some(1), &mut obs)?;
/// let mut steps = 1;
/// while !env.step(1, &mut obs)?.end.is_over() {
///     steps += 1;
/// }
/// assert!(steps <= 500);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub type CartPole = ClassicControl<CartPolePhysics>;

/// The physics of [`CartPole`]. A state has the order of an observation.
///
/// ```
/// use coinop_envs::classic::{Physics, CartPolePhysics};
///
/// assert_eq!((CartPolePhysics::OBS_LEN, CartPolePhysics::NUM_ACTIONS), (4, 2));
/// ```
#[derive(Clone, Debug)]
pub struct CartPolePhysics;

impl CartPole {
    /// The number of steps after which Gymnasium's `CartPole-v1` truncates an episode.
    pub const V1_STEPS: u32 = 500;

    /// Creates Gymnasium's `CartPole-v1`.
    #[must_use]
    pub fn v1() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V1_STEPS)
    }
}

impl Physics for CartPolePhysics {
    const NAME: &'static str = "cart_pole";
    const OBS_LEN: usize = 4;
    const NUM_ACTIONS: usize = 2;

    type State = [f64; 4];

    fn start(random: &mut Rng) -> [f64; 4] {
        std::array::from_fn(|_| random.random_range(-START..START))
    }

    fn step(state: &mut [f64; 4], action: u32) -> Step {
        let force = if action == 1 { FORCE } else { -FORCE };
        let [x, speed, theta, spin] = *state;
        let (sin, cos) = theta.sin_cos();
        // Florian 2007, equations 23 and 24 without friction, solved for the accelerations.
        let push = (force + POLE_MASS * LENGTH * (spin * spin) * sin) / TOTAL_MASS;
        let spin_up = (GRAVITY * sin - cos * push) / (LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS));
        let speed_up = push - POLE_MASS * LENGTH * spin_up * cos / TOTAL_MASS;
        // Euler's method: positions move at the speed from before the step.
        *state = [
            x + STEP_SECONDS * speed,
            speed + STEP_SECONDS * speed_up,
            theta + STEP_SECONDS * spin,
            spin + STEP_SECONDS * spin_up,
        ];
        if state[0].abs() > MOST_X || state[2].abs() > MOST_THETA {
            Step::terminated(1.0)
        } else {
            Step::going_on(1.0)
        }
    }

    fn observe(state: &[f64; 4], obs: &mut [f32]) {
        obs.copy_from_slice(&state.map(|value| value as f32));
    }

    const ACTIONS: &'static [&'static str] = &["left", "right"];
    const STEPS_PER_SECOND: Option<f64> = Some(1.0 / STEP_SECONDS);

    fn draw(&[x, _, theta, _]: &[f64; 4], canvas: &mut Canvas) {
        canvas.look_at((0.0, 0.6), 2.0 * MOST_X);
        canvas.line((-MOST_X, 0.0), (MOST_X, 0.0), 0.02, [0, 0, 0]);
        let [left, right, bottom, top] = [x - 0.25, x + 0.25, -0.12, 0.12];
        canvas.polygon(&[(left, bottom), (left, top), (right, top), (right, bottom)], [0, 0, 0]);
        let tip = (x + 2.0 * LENGTH * theta.sin(), 2.0 * LENGTH * theta.cos());
        canvas.line((x, 0.0), tip, 0.1, [202, 152, 101]);
        canvas.disc((x, 0.0), 0.05, [129, 132, 203]);
    }
}
