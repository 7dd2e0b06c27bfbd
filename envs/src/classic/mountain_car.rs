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
//! The task of Moore (1990, "Efficient Memory-based Learning for Robot Control", chapter 4) with the constants of
//! Sutton and Barto (2018, example 10.1) and the rules of Gymnasium's `MountainCar-v0`: each step has a reward of -1,
//! including the one that reaches the flag, and the episode is truncated after 200 steps. `envs/tests/classic.rs`
//! compares it with recorded trajectories of Gymnasium.

use rand::RngExt;

use super::{Canvas, ClassicControl, Physics};
use crate::Step;
use crate::rng::Rng;
use crate::wrappers::TimeLimit;

/// The acceleration of an action, and the maximum acceleration of gravity.
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;
const LEFT: f64 = -1.2;
const RIGHT: f64 = 0.6;
const MOST_SPEED: f64 = 0.07;
/// The position of the flag.
const GOAL: f64 = 0.5;
/// The initial position is uniform in this range; the initial velocity is 0.
const START: std::ops::Range<f64> = -0.6..-0.4;

/// The car in its valley. Observations `[2]`: position and velocity.
///
/// Has no step limit; [`MountainCar::v0`] adds Gymnasium's.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::MountainCar;
///
/// let mut env = MountainCar::v0();
/// let mut obs = [0.0; 2];
/// env.reset(Some(1), &mut obs)?;
/// let mut steps = 1;
/// while !env.step(1, &mut obs)?.end.is_over() {
///     steps += 1;
/// }
/// assert!(steps <= 200);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub type MountainCar = ClassicControl<MountainCarPhysics>;

/// The physics of [`MountainCar`]. A state has the order of an observation.
///
/// ```
/// use coinop_envs::classic::{Physics, MountainCarPhysics};
///
/// assert_eq!((MountainCarPhysics::OBS_LEN, MountainCarPhysics::NUM_ACTIONS), (2, 3));
/// ```
#[derive(Clone, Debug)]
pub struct MountainCarPhysics;

impl MountainCar {
    /// The number of steps after which Gymnasium's `MountainCar-v0` truncates an episode.
    pub const V0_STEPS: u32 = 200;

    /// Creates Gymnasium's `MountainCar-v0`.
    #[must_use]
    pub fn v0() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V0_STEPS)
    }
}

impl Physics for MountainCarPhysics {
    const NAME: &'static str = "mountain_car";
    const OBS_LEN: usize = 2;
    const NUM_ACTIONS: usize = 3;

    type State = [f64; 2];

    fn start(random: &mut Rng) -> [f64; 2] {
        [random.random_range(START), 0.0]
    }

    fn step(state: &mut [f64; 2], action: u32) -> Step {
        let [position, speed] = *state;
        let push = (f64::from(action) - 1.0) * FORCE + (3.0 * position).cos() * -GRAVITY;
        let mut speed = (speed + push).clamp(-MOST_SPEED, MOST_SPEED);
        let position = (position + speed).clamp(LEFT, RIGHT);
        if position == LEFT && speed < 0.0 {
            // The wall on the left takes all of it.
            speed = 0.0;
        }
        *state = [position, speed];
        if position >= GOAL && speed >= 0.0 {
            Step::terminated(-1.0)
        } else {
            Step::going_on(-1.0)
        }
    }

    fn observe(state: &[f64; 2], obs: &mut [f32]) {
        obs.copy_from_slice(&state.map(|value| value as f32));
    }

    const ACTIONS: &'static [&'static str] = &["left", "nothing", "right"];
    const STEPS_PER_SECOND: Option<f64> = Some(30.0);

    fn draw(&[x, _]: &[f64; 2], canvas: &mut Canvas) {
        canvas.look_at(((LEFT + RIGHT) / 2.0, 0.5), RIGHT - LEFT);
        // The hills of Gymnasium's picture: the slope of sin(3x) is what pulls the car.
        let height = |x: f64| 0.45 * (3.0 * x).sin() + 0.45;
        let hills = (0..=100).map(|i| LEFT + (RIGHT - LEFT) * f64::from(i) / 100.0);
        canvas.curve(hills.map(|x| (x, height(x))), 0.01, [0, 0, 0]);
        let foot = height(GOAL);
        canvas.line((GOAL, foot), (GOAL, foot + 0.2), 0.01, [0, 0, 0]);
        canvas.polygon(
            &[(GOAL, foot + 0.2), (GOAL, foot + 0.13), (GOAL + 0.08, foot + 0.165)],
            [204, 204, 0],
        );
        canvas.disc((x, height(x) + 0.05), 0.05, [0, 114, 178]);
    }
}
