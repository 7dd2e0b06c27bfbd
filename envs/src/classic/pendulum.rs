//! A rod on a pivot, to be swung up and held upright.
//!
//! ```text
//!            │ theta = 0
//!            ●
//!           ╱         actions: torques of -2, -1, 0, 1 and 2
//!          ╱          (5 is needed to lift the rod from the side without a swing)
//!         o
//! ```
//!
//! The equations and rewards of Gymnasium's `Pendulum-v1`, whose torque is any number from -2 to 2, with five torques
//! instead. A step has the reward `-(theta^2 + 0.1 spin^2 + 0.001 torque^2)`, with `theta` from -pi to pi, and the episode is
//! truncated after 200 steps: holding it still all along would score 0, hanging down about -2,000. `envs/tests/classic.rs`
//! compares it with recorded trajectories of Gymnasium.

use std::f64::consts::PI;

use rand::RngExt;

use super::{Canvas, ClassicControl, Physics};
use crate::Step;
use crate::rng::Rng;
use crate::wrappers::TimeLimit;

const GRAVITY: f64 = 10.0;
const MASS: f64 = 1.0;
const LENGTH: f64 = 1.0;
/// The time of a step.
const TIME: f64 = 0.05;
const MOST_SPIN: f64 = 8.0;
/// The initial angle and spin are uniform in these ranges.
const START_ANGLE: std::ops::Range<f64> = -PI..PI;
const START_SPIN: std::ops::Range<f64> = -1.0..1.0;

/// The pendulum. Observations `[3]`: cosine and sine of its angle from upright, and its spin.
///
/// Has no step limit; [`Pendulum::v1`] adds Gymnasium's.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::Pendulum;
///
/// let mut env = Pendulum::new();
/// let mut obs = [0.0; 3];
/// env.begin_at([0.0, 0.0], &mut obs);
/// // Upright and still, without a torque, it stays.
/// assert_eq!(env.step(2, &mut obs)?.reward, 0.0);
/// assert_eq!(obs, [1.0, 0.0, 0.0]);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub type Pendulum = ClassicControl<PendulumPhysics>;

/// The physics of [`Pendulum`]. A state is its angle and its spin.
///
/// ```
/// use coinop_envs::classic::{PendulumPhysics, Physics};
///
/// assert_eq!((PendulumPhysics::OBS_LEN, PendulumPhysics::NUM_ACTIONS), (3, 5));
/// ```
#[derive(Clone, Debug)]
pub struct PendulumPhysics;

impl Pendulum {
    /// The number of steps after which Gymnasium's `Pendulum-v1` truncates an episode.
    pub const V1_STEPS: u32 = 200;

    /// Creates it with the limit of Gymnasium's `Pendulum-v1`.
    #[must_use]
    pub fn v1() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V1_STEPS)
    }
}

impl Physics for PendulumPhysics {
    const NAME: &'static str = "pendulum";
    const OBS_LEN: usize = 3;
    const NUM_ACTIONS: usize = 5;

    type State = [f64; 2];

    fn start(random: &mut Rng) -> [f64; 2] {
        [random.random_range(START_ANGLE), random.random_range(START_SPIN)]
    }

    fn step(state: &mut [f64; 2], action: u32) -> Step {
        let [angle, spin] = *state;
        let torque = f64::from(action) - 2.0;
        let from_upright = (angle + PI).rem_euclid(2.0 * PI) - PI;
        let cost = from_upright.powi(2) + 0.1 * spin.powi(2) + 0.001 * torque.powi(2);
        let gravity = 3.0 * GRAVITY / (2.0 * LENGTH) * angle.sin();
        let push = 3.0 / (MASS * LENGTH.powi(2)) * torque;
        let spin = (spin + (gravity + push) * TIME).clamp(-MOST_SPIN, MOST_SPIN);
        *state = [angle + spin * TIME, spin];
        Step::going_on(-cost as f32)
    }

    fn observe(state: &[f64; 2], obs: &mut [f32]) {
        let [angle, spin] = *state;
        obs.copy_from_slice(&[angle.cos(), angle.sin(), spin].map(|value| value as f32));
    }

    const ACTIONS: &'static [&'static str] = &["torque -2", "torque -1", "torque 0", "torque 1", "torque 2"];
    const STEPS_PER_SECOND: Option<f64> = Some(1.0 / TIME);

    fn draw(&[angle, _]: &[f64; 2], canvas: &mut Canvas) {
        canvas.look_at((0.0, 0.0), 3.6);
        canvas.line(
            (0.0, 0.0),
            (-LENGTH * angle.sin(), LENGTH * angle.cos()),
            0.2,
            [204, 77, 77],
        );
        canvas.disc((0.0, 0.0), 0.05, [0, 0, 0]);
    }
}
