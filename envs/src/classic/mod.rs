//! Classic control: small physics simulations with features instead of pixels. They are solved in seconds, so try a
//! new learner here first.
//!
//! A task implements [`Physics`]; [`ClassicControl`] turns it into an environment.

mod acrobot;
mod canvas;
mod cart_pole;
mod mountain_car;
mod pendulum;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::{Env, EnvError, Shape, Step, Viewer};

pub use acrobot::{Acrobot, AcrobotPhysics};
pub use canvas::Canvas;
pub use cart_pole::{CartPole, CartPolePhysics};
pub use mountain_car::{MountainCar, MountainCarPhysics};
pub use pendulum::{Pendulum, PendulumPhysics};

/// The physics and rules of one task.
///
/// ```
/// use coinop_envs::classic::{ClassicControl, Physics};
/// use coinop_envs::rng::Rng;
/// use coinop_envs::{Env, Step};
///
/// /// A ball that rolls away from the top of a hill.
/// #[derive(Clone, Debug)]
/// struct Ball;
///
/// impl Physics for Ball {
///     const NAME: &'static str = "ball";
///     const OBS_LEN: usize = 1;
///     const NUM_ACTIONS: usize = 3;
///
///     type State = [f64; 1];
///
///     fn start(_: &mut Rng) -> [f64; 1] {
///         [0.1]
///     }
///
///     fn step([x]: &mut [f64; 1], action: u32) -> Step {
///         *x = *x * 1.5 + 0.1 * (f64::from(action) - 1.0);
///         if x.abs() < 1.0 { Step::going_on(1.0) } else { Step::terminated(0.0) }
///     }
///
///     fn observe([x]: &[f64; 1], obs: &mut [f32]) {
///         obs[0] = *x as f32;
///     }
/// }
///
/// let mut env = ClassicControl::<Ball>::new();
/// let mut obs = [0.0];
/// env.reset(None, &mut obs)?;
/// env.step(0, &mut obs)?;
/// assert!((obs[0] - 0.05).abs() < 1e-6);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait Physics: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The name of the task and of its random stream.
    const NAME: &'static str;
    /// The length of an observation.
    const OBS_LEN: usize;
    /// The number of actions.
    const NUM_ACTIONS: usize;

    /// The state, an array of numbers.
    type State: Copy + Default + std::fmt::Debug + AsRef<[f64]> + Serialize + DeserializeOwned + Send + Sync;

    /// Draws the initial state of an episode.
    fn start(random: &mut Rng) -> Self::State;

    /// Advances a state by one step; `end` of the result tells whether the new state is terminal.
    fn step(state: &mut Self::State, action: u32) -> Step;

    /// Writes the observation of a state.
    fn observe(state: &Self::State, obs: &mut [f32]);

    /// What each action does; empty, the default, if that is not said.
    const ACTIONS: &'static [&'static str] = &[];

    /// How many steps make a second, for human eyes; `None`, the default, if [`draw`](Self::draw) draws nothing.
    const STEPS_PER_SECOND: Option<f64> = None;

    /// Draws a state for human eyes.
    fn draw(state: &Self::State, canvas: &mut Canvas) {
        let _ = (state, canvas);
    }
}

/// A classic control task as an environment, without a step limit.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::{CartPolePhysics, ClassicControl};
///
/// let mut env = ClassicControl::<CartPolePhysics>::new();
/// let mut obs = [0.0; 4];
/// // Where to begin may be said, instead of drawn.
/// env.begin_at([0.0, 0.0, 0.05, 0.0], &mut obs);
/// env.step(1, &mut obs)?;
/// assert!(obs[1] > 0.0, "pushed to the right");
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClassicControl<P: Physics> {
    random: Rng,
    state: P::State,
    over: bool,
    /// Who watches, and what is drawn on.
    viewer: Option<(Viewer, Box<Canvas>)>,
}

impl<P: Physics> ClassicControl<P> {
    /// Creates the environment; it needs a `reset` first.
    #[must_use]
    pub fn new() -> Self {
        Self {
            random: stream(0, P::NAME, 0),
            state: P::State::default(),
            over: true,
            viewer: None,
        }
    }

    /// Starts an episode in a given state.
    pub fn begin_at(&mut self, state: P::State, obs: &mut [f32]) {
        self.state = state;
        self.over = false;
        self.observe(obs);
        self.show();
    }

    fn show(&mut self) {
        if let Some((viewer, canvas)) = &mut self.viewer {
            canvas.clear();
            P::draw(&self.state, canvas);
            canvas.show(viewer);
        }
    }

    /// The state in double precision.
    #[must_use]
    pub fn state(&self) -> P::State {
        self.state
    }

    fn observe(&self, obs: &mut [f32]) {
        assert_eq!(obs.len(), P::OBS_LEN, "elements of an observation");
        P::observe(&self.state, obs);
    }
}

impl<P: Physics> Default for ClassicControl<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Physics> Env for ClassicControl<P> {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[P::OBS_LEN])
    }

    fn num_actions(&self) -> usize {
        P::NUM_ACTIONS
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        let steps = P::STEPS_PER_SECOND?;
        self.viewer = viewer.map(|viewer| (viewer, Box::default()));
        Some(steps)
    }

    fn action_meanings(&self) -> Vec<String> {
        P::ACTIONS.iter().map(|&name| name.to_owned()).collect()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, P::NAME, 0);
        }
        let state = P::start(&mut self.random);
        self.begin_at(state, obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        let num_actions = P::NUM_ACTIONS;
        if action as usize >= num_actions {
            return Err(EnvError::InvalidAction { action, num_actions });
        }
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        let step = P::step(&mut self.state, action);
        self.observe(obs);
        self.show();
        self.over = step.end.is_over();
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal(P::NAME, 1, &(&self.random, self.state, self.over), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((random, state, over), rest): ((Rng, P::State, bool), _) = open(P::NAME, 1, snapshot)?;
        if !(rest.is_empty() && state.as_ref().iter().all(|value| value.is_finite())) {
            return Err(bad(P::NAME, "there is no such state"));
        }
        (self.random, self.state, self.over) = (random, state, over);
        Ok(())
    }
}
