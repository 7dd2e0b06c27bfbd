//! Two links that hang from a bar and must be swung up.
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
//! The task of Sutton (1996, "Generalization in Reinforcement Learning: Successful Examples Using Sparse Coarse
//! Coding") with the equations of Sutton and Barto's book (1998, section 11.3) and the rules of Gymnasium's
//! `Acrobot-v1`: each step has a reward of -1, the step that reaches the goal 0, and the episode is truncated after
//! 500 steps. `envs/tests/classic.rs` compares it with recorded trajectories of Gymnasium.

use std::f64::consts::{FRAC_PI_2, PI};

use rand::RngExt;

use super::{Canvas, ClassicControl, Physics};
use crate::Step;
use crate::rng::Rng;
use crate::wrappers::TimeLimit;

/// Both links: length in metres, mass in kilograms, distance of the centre of mass from the upper end, moment of
/// inertia.
const LENGTH: f64 = 1.0;
const MASS: f64 = 1.0;
const CENTRE: f64 = 0.5;
const INERTIA: f64 = 1.0;
const GRAVITY: f64 = 9.8;
/// Seconds per step, integrated in one go.
const STEP_SECONDS: f64 = 0.2;
/// Bounds of the angular speeds.
const MOST_SPIN: [f64; 2] = [4.0 * PI, 9.0 * PI];
/// At the start, each of the four numbers is uniform between -START and START.
const START: f64 = 0.1;

/// Angles and angular speeds: theta1, theta2, and how fast each changes.
type State = [f64; 4];

/// Two links. Observations `[6]`: cosine and sine of both angles, then both angular velocities.
///
/// Has no step limit; [`Acrobot::v1`] adds Gymnasium's.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::Acrobot;
///
/// let mut env = Acrobot::v1();
/// let mut obs = [0.0; 6];
/// env.reset(Some(1), &mut obs)?;
/// let mut steps = 1;
/// while !env.step(1, &mut obs)?.end.is_over() {
///     steps += 1;
/// }
/// assert!(steps <= 500);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub type Acrobot = ClassicControl<AcrobotPhysics>;

/// The physics of [`Acrobot`]. A state is theta1, theta2, and their angular velocities.
///
/// ```
/// use coinop_envs::classic::{Physics, AcrobotPhysics};
///
/// assert_eq!((AcrobotPhysics::OBS_LEN, AcrobotPhysics::NUM_ACTIONS), (6, 3));
/// ```
#[derive(Clone, Debug)]
pub struct AcrobotPhysics;

impl Acrobot {
    /// The number of steps after which Gymnasium's `Acrobot-v1` truncates an episode.
    pub const V1_STEPS: u32 = 500;

    /// Creates Gymnasium's `Acrobot-v1`.
    #[must_use]
    pub fn v1() -> TimeLimit<Self> {
        TimeLimit::new(Self::new(), Self::V1_STEPS)
    }
}

/// The derivative of a state under a torque.
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

/// One step of the classical fourth-order Runge-Kutta method.
fn integrate(state: State, torque: f64, seconds: f64) -> State {
    let moved = |by: State, seconds: f64| std::array::from_fn(|i| state[i] + seconds * by[i]);
    let k1 = derivative(state, torque);
    let k2 = derivative(moved(k1, seconds / 2.0), torque);
    let k3 = derivative(moved(k2, seconds / 2.0), torque);
    let k4 = derivative(moved(k3, seconds), torque);
    std::array::from_fn(|i| state[i] + seconds / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

/// Wraps an angle to between -pi and pi.
fn wrapped(angle: f64) -> f64 {
    if (-PI..=PI).contains(&angle) {
        angle
    } else {
        (angle + PI).rem_euclid(2.0 * PI) - PI
    }
}

impl Physics for AcrobotPhysics {
    const NAME: &'static str = "acrobot";
    const OBS_LEN: usize = 6;
    const NUM_ACTIONS: usize = 3;

    type State = State;

    fn start(random: &mut Rng) -> State {
        std::array::from_fn(|_| random.random_range(-START..START))
    }

    fn step(state: &mut State, action: u32) -> Step {
        let [theta1, theta2, spin1, spin2] = integrate(*state, f64::from(action) - 1.0, STEP_SECONDS);
        let [most1, most2] = MOST_SPIN;
        let (theta1, theta2) = (wrapped(theta1), wrapped(theta2));
        *state = [theta1, theta2, spin1.clamp(-most1, most1), spin2.clamp(-most2, most2)];
        if -theta1.cos() - (theta2 + theta1).cos() > 1.0 {
            Step::terminated(0.0)
        } else {
            Step::going_on(-1.0)
        }
    }

    fn observe(&[theta1, theta2, spin1, spin2]: &State, obs: &mut [f32]) {
        let values = [theta1.cos(), theta1.sin(), theta2.cos(), theta2.sin(), spin1, spin2];
        obs.copy_from_slice(&values.map(|value| value as f32));
    }

    const ACTIONS: &'static [&'static str] = &["torque -1", "torque 0", "torque 1"];
    const STEPS_PER_SECOND: Option<f64> = Some(15.0);

    fn draw(&[theta1, theta2, ..]: &State, canvas: &mut Canvas) {
        canvas.look_at((0.0, 0.0), 7.2);
        canvas.line((-3.6, LENGTH), (3.6, LENGTH), 0.02, [0, 0, 0]);
        let joint = (LENGTH * theta1.sin(), -LENGTH * theta1.cos());
        let tip = (
            joint.0 + LENGTH * (theta1 + theta2).sin(),
            joint.1 - LENGTH * (theta1 + theta2).cos(),
        );
        canvas.line((0.0, 0.0), joint, 0.2, [0, 114, 178]);
        canvas.line(joint, tip, 0.2, [86, 180, 233]);
        canvas.disc((0.0, 0.0), 0.1, [204, 204, 0]);
        canvas.disc(joint, 0.1, [204, 204, 0]);
    }
}
