//! The environments of the crate [gym-rs](https://docs.rs/gym-rs), version 0.3: `gym-rs/CartPole-v1` and `gym-rs/MountainCar-v0`.
//!
//! Requires the feature `gym-rs`, and with it CMake, SDL2 and SDL2_gfx. The adapter adds what gym-rs lacks: a seed for
//! every episode (`reset(None)` of gym-rs reads the system's entropy), step limits, an error for a step after the
//! end, and snapshots. The environments must stay in the thread that created them, so each gets its own
//! ([`Remote`](crate::vec_env::Remote)).
//!
//! They differ from Gymnasium's environments of the same names, and from ours in [`classic`](crate::classic):
//!
//! * CartPole adds the pole's mass and half length where the equations, and Gymnasium, multiply them; its pole falls
//!   more easily.
//! * CartPole starts with all four values between -0.5 and 0.5 by default, mostly beyond the angle that ends an
//!   episode. The adapter passes -0.05 to 0.05, the range in gym-rs's documentation.
//! * Neither truncates episodes.
//!
//! `gym-rs/CartPole-v1-pixels` and `gym-rs/MountainCar-v0-pixels` observe the pictures that gym-rs draws, which the
//! Atari wrappers turn into stacks of four 84x84 frames in gray ([`pixels`]).
//!
//! `gymnasia` is a fork of gym-rs without SDL2; this adapter uses gym-rs itself.

mod pictures;

use gym_rs::core::{Env as Gym, EnvProperties};
use gym_rs::envs::classical_control::cartpole::{CartPoleEnv, CartPoleObservation};
use gym_rs::envs::classical_control::mountain_car::{MountainCarEnv, MountainCarObservation};
use gym_rs::spaces::{BoxR, Discrete};
use gym_rs::utils::custom::types::O64;
use gym_rs::utils::renderer::RenderMode;
use rand::RngExt;

use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, Shape, Step, Viewer};

use pictures::Painter;
pub use pictures::{GymRsPixels, pixels};

/// What the adapter needs to know about an environment of gym-rs.
pub trait GymRsEnv: Gym<Action = usize> + EnvProperties<ActionSpace = Discrete> + 'static {
    /// The name in the registry.
    const NAME: &'static str;

    /// How many steps make a second, for human eyes: Gymnasium's `render_fps`.
    const STEPS_PER_SECOND: f64;
    /// What each action does.
    const ACTIONS: &'static [&'static str];

    /// Creates an environment that does not draw.
    fn fresh() -> Self;

    /// Creates an environment that draws on [`Gym::render`].
    fn model() -> Self;

    /// The range of initial states, if not the default of gym-rs.
    fn start() -> Option<BoxR<Self::Observation>> {
        None
    }

    /// The state, as an observation.
    fn state(&self) -> Vec<f64>;

    /// Sets the state; returns `false` if it is invalid.
    fn set_state(&mut self, state: &[f64]) -> bool;
}

impl GymRsEnv for CartPoleEnv {
    const NAME: &'static str = "gym-rs/CartPole-v1";
    const STEPS_PER_SECOND: f64 = 50.0;
    const ACTIONS: &'static [&'static str] = &["left", "right"];

    fn fresh() -> Self {
        Self::new(RenderMode::None)
    }

    fn model() -> Self {
        // An environment that draws stores the pictures of its own steps instead.
        Self::new(RenderMode::None)
    }

    fn start() -> Option<BoxR<CartPoleObservation>> {
        let bound = |b: f64| CartPoleObservation::new(O64::from(b), O64::from(b), O64::from(b), O64::from(b));
        Some(BoxR::new(bound(-0.05), bound(0.05)))
    }

    fn state(&self) -> Vec<f64> {
        self.state.into()
    }

    fn set_state(&mut self, state: &[f64]) -> bool {
        let &[x, speed, theta, spin] = state else { return false };
        self.state = CartPoleObservation::new(x.into(), speed.into(), theta.into(), spin.into());
        self.steps_beyond_terminated = None;
        true
    }
}

impl GymRsEnv for MountainCarEnv {
    const NAME: &'static str = "gym-rs/MountainCar-v0";
    const STEPS_PER_SECOND: f64 = 30.0;
    const ACTIONS: &'static [&'static str] = &["left", "nothing", "right"];

    fn fresh() -> Self {
        Self::new(RenderMode::None)
    }

    fn model() -> Self {
        // gym-rs looks at the mode the other way round than in CartPole.
        let mut model = Self::new(RenderMode::None);
        model.render_mode = RenderMode::RgbArray;
        model
    }

    fn state(&self) -> Vec<f64> {
        self.state.into()
    }

    fn set_state(&mut self, state: &[f64]) -> bool {
        let &[position, velocity] = state else { return false };
        self.state = MountainCarObservation::new(position.into(), velocity.into());
        true
    }
}

/// An environment of gym-rs.
#[derive(Clone, Debug)]
pub struct GymRs<E> {
    env: E,
    /// The source of each episode's seed.
    seeds: Rng,
    len: usize,
    over: bool,
    /// Who watches, and who draws for them.
    viewer: Option<(Viewer, Painter)>,
}

impl<E: GymRsEnv> GymRs<E> {
    /// Creates the environment, without a step limit.
    #[must_use]
    pub fn new() -> Self {
        let env = E::fresh();
        Self {
            len: env.state().len(),
            env,
            seeds: stream(0, "gym-rs", 0),
            over: true,
            viewer: None,
        }
    }

    fn show(&mut self) -> Result<(), EnvError> {
        match &mut self.viewer {
            Some((viewer, painter)) => painter.show::<E>(self.env.state(), viewer),
            None => Ok(()),
        }
    }

    fn observe(&self, observation: E::Observation, obs: &mut [f32]) {
        let values: Vec<f64> = observation.into();
        assert_eq!(
            (obs.len(), values.len()),
            (self.len, self.len),
            "elements of an observation"
        );
        obs.iter_mut().zip(values).for_each(|(out, value)| *out = value as f32);
    }
}

impl<E: GymRsEnv> Default for GymRs<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// gym-rs's CartPole with the 500-step limit from its documentation.
#[must_use]
pub fn cart_pole() -> TimeLimit<GymRs<CartPoleEnv>> {
    TimeLimit::new(GymRs::new(), 500)
}

/// gym-rs's MountainCar with Gymnasium's 200-step limit.
#[must_use]
pub fn mountain_car() -> TimeLimit<GymRs<MountainCarEnv>> {
    TimeLimit::new(GymRs::new(), 200)
}

impl<E: GymRsEnv> Env for GymRs<E> {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[self.len])
    }

    fn num_actions(&self) -> usize {
        self.env.action_space().0
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.viewer = viewer.map(|viewer| (viewer, Painter::new()));
        Some(E::STEPS_PER_SECOND)
    }

    fn action_meanings(&self) -> Vec<String> {
        E::ACTIONS.iter().map(|&name| name.to_owned()).collect()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.seeds = stream(seed, "gym-rs", 0);
        }
        let (observation, _) = self.env.reset(Some(self.seeds.random()), false, E::start());
        self.observe(observation, obs);
        self.over = false;
        self.show()
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        let num_actions = self.num_actions();
        if action as usize >= num_actions {
            return Err(EnvError::InvalidAction { action, num_actions });
        }
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let answer = self.env.step(action as usize);
        self.observe(answer.observation, obs);
        let reward = answer.reward.into_inner() as f32;
        let step = match (answer.done, answer.truncated) {
            (true, _) => Step::terminated(reward),
            (false, true) => Step::truncated(reward),
            (false, false) => Step::going_on(reward),
        };
        self.over = step.end.is_over();
        self.show()?;
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal(E::NAME, 1, &(&self.seeds, self.env.state(), self.over), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((seeds, state, over), rest): ((Rng, Vec<f64>, bool), _) = open(E::NAME, 1, snapshot)?;
        let is_possible = rest.is_empty() && state.iter().all(|value| value.is_finite());
        if !(is_possible && self.env.set_state(&state)) {
            return Err(bad(E::NAME, "there is no such state"));
        }
        (self.seeds, self.over) = (seeds, over);
        Ok(())
    }
}
