//! The environments of the crate [gym-rs](https://docs.rs/gym-rs), version 0.3: `gym-rs/CartPole-v1` and `gym-rs/MountainCar-v0`.
//!
//! With the feature `gym-rs`, which needs CMake, SDL2 and SDL2_gfx. What gym-rs leaves to others is added here: seeds for every episode (its own
//! `reset(None)` asks the system for entropy), limits of steps, an error for a step after the end, snapshots. Its environments must stay in the
//! thread in which they were made, so that each has one of its own ([`Remote`](crate::vec_env::Remote)).
//!
//! They differ from Gymnasium's, after which they are named, and from ours in [`classic`](crate::classic):
//!
//! * CartPole adds the pole's mass and half of its length where the equations, and Gymnasium, multiply them; its pole falls more easily.
//! * CartPole begins with all four numbers between -0.5 and 0.5 unless it is told otherwise, mostly beyond the angle that ends an episode. Here it
//!   is told the -0.05 to 0.05 of its documentation.
//! * Neither truncates.
//!
//! With pictures as observations they are `gym-rs/CartPole-v1-pixels` and `gym-rs/MountainCar-v0-pixels`: gym-rs draws, and the wrappers of the
//! Atari make stacks of four pictures of 84x84 in shades of gray ([`pixels`]).
//!
//! `gymnasia` is a fork of gym-rs without SDL2; this adapter takes gym-rs itself.

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
use crate::{Env, EnvError, Shape, Step};

pub use pictures::{GymRsPixels, pixels};

/// What the adapter has to know of an environment of gym-rs.
pub trait GymRsEnv: Gym<Action = usize> + EnvProperties<ActionSpace = Discrete> + 'static {
    /// The name that it is listed under.
    const NAME: &'static str;

    /// One that draws nothing.
    fn fresh() -> Self;

    /// One that draws when [`Gym::render`] asks for it.
    fn model() -> Self;

    /// Where its episodes begin, if not where it begins them itself.
    fn start() -> Option<BoxR<Self::Observation>> {
        None
    }

    /// Its state, as an observation.
    fn state(&self) -> Vec<f64>;

    /// Puts it into a state; `false` if that is none.
    fn set_state(&mut self, state: &[f64]) -> bool;
}

impl GymRsEnv for CartPoleEnv {
    const NAME: &'static str = "gym-rs/CartPole-v1";

    fn fresh() -> Self {
        Self::new(RenderMode::None)
    }

    fn model() -> Self {
        // One that is told to draw keeps the pictures of its own steps instead.
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
    /// Each episode has a seed of its own from here.
    seeds: Rng,
    len: usize,
    over: bool,
}

impl<E: GymRsEnv> GymRs<E> {
    /// Without a limit of steps.
    #[must_use]
    pub fn new() -> Self {
        let env = E::fresh();
        Self {
            len: env.state().len(),
            env,
            seeds: stream(0, "gym-rs", 0),
            over: true,
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

/// gym-rs's CartPole, with the limit of 500 steps that its documentation has.
#[must_use]
pub fn cart_pole() -> TimeLimit<GymRs<CartPoleEnv>> {
    TimeLimit::new(GymRs::new(), 500)
}

/// gym-rs's MountainCar, with Gymnasium's limit of 200 steps.
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

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.seeds = stream(seed, "gym-rs", 0);
        }
        let (observation, _) = self.env.reset(Some(self.seeds.random()), false, E::start());
        self.observe(observation, obs);
        self.over = false;
        Ok(())
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
