//! The [`Env`] trait and the vocabulary that the rest of coinop shares.
//!
//! An [`Env`] writes each observation into a slice provided by its caller. One call of [`Env::step`] is one *agent
//! step*; with frame skip it covers several *frames*.
//!
//! ```text
//!  reset ──► obs_0 ──step(a_0)──► Step_1, obs_1 ──step(a_1)──► … ──► Step_n with end != No, obs_n (the last of the episode)
//!                                                                     └── only reset() may follow
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{EnvError, Shape, Viewer};

/// The kind of observations.
///
/// ```
/// use coinop_envs::Observations;
/// use coinop_envs::registry::find;
///
/// assert_eq!(find("cartpole")?.observations, Observations::Features);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observations {
    /// Pixels, `u8`.
    Pixels,
    /// Features, `f32`.
    Features,
}

impl Observations {
    /// The name of this kind: `pixels` or `features`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Observations::Pixels => u8::NAME,
            Observations::Features => f32::NAME,
        }
    }
}

/// The element type of an observation: `u8` for pixels, `f32` for features.
///
/// Sealed, because networks read exactly these two types.
///
/// ```
/// use coinop_envs::Elem;
///
/// fn bytes_of<O: Elem>(obs: &[O]) -> usize {
///     size_of_val(obs)
/// }
/// assert_eq!((bytes_of(&[0u8; 4]), bytes_of(&[0f32; 4])), (4, 16));
/// ```
pub trait Elem:
    sealed::Sealed
    + Copy
    + Default
    + From<u8>
    + PartialEq
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + std::fmt::Debug
    + 'static
{
    /// The kind of observation made of this element type.
    const OBSERVATIONS: Observations;

    /// The name of this kind of observation.
    const NAME: &str;
}

impl Elem for u8 {
    const OBSERVATIONS: Observations = Observations::Pixels;
    const NAME: &str = "pixels";
}

impl Elem for f32 {
    const OBSERVATIONS: Observations = Observations::Features;
    const NAME: &str = "features";
}

pub(crate) mod sealed {
    use std::sync::Arc;

    use crate::{AnyFactory, EnvFactory};

    pub trait Sealed: Sized {
        /// Wraps a factory with this element type as an [`AnyFactory`].
        fn any(factory: Arc<dyn EnvFactory<Obs = Self>>) -> AnyFactory
        where
            Self: super::Elem;

        /// Returns the factory if its observations have this element type.
        fn pick(factory: AnyFactory) -> Option<Arc<dyn EnvFactory<Obs = Self>>>
        where
            Self: super::Elem;

        /// Returns the first element that is NaN or exceeds `magnitude`, with its index.
        fn first_beyond(elements: &[Self], magnitude: f32) -> Option<(usize, f32)>;

        /// Returns a checksum of all bits.
        fn checksum(elements: &[Self]) -> u32;
    }

    impl Sealed for u8 {
        fn any(factory: Arc<dyn EnvFactory<Obs = Self>>) -> AnyFactory {
            AnyFactory::Pixels(factory)
        }

        fn pick(factory: AnyFactory) -> Option<Arc<dyn EnvFactory<Obs = Self>>> {
            match factory {
                AnyFactory::Pixels(factory) => Some(factory),
                AnyFactory::Features(_) => None,
            }
        }

        fn first_beyond(_elements: &[Self], _magnitude: f32) -> Option<(usize, f32)> {
            None
        }

        fn checksum(elements: &[Self]) -> u32 {
            crc32fast::hash(elements)
        }
    }

    impl Sealed for f32 {
        fn any(factory: Arc<dyn EnvFactory<Obs = Self>>) -> AnyFactory {
            AnyFactory::Features(factory)
        }

        fn pick(factory: AnyFactory) -> Option<Arc<dyn EnvFactory<Obs = Self>>> {
            match factory {
                AnyFactory::Features(factory) => Some(factory),
                AnyFactory::Pixels(_) => None,
            }
        }

        fn first_beyond(elements: &[Self], magnitude: f32) -> Option<(usize, f32)> {
            // The common case first, without a branch for each element. NaN is not below anything.
            if elements
                .iter()
                .fold(true, |good, element| good & (element.abs() <= magnitude))
            {
                return None;
            }
            let found = elements
                .iter()
                .position(|element| element.is_nan() || element.abs() > magnitude)?;
            Some((found, elements[found]))
        }

        fn checksum(elements: &[Self]) -> u32 {
            let mut sum = crc32fast::Hasher::new();
            elements
                .iter()
                .for_each(|element| sum.update(&element.to_bits().to_le_bytes()));
            sum.finalize()
        }
    }
}

/// Whether, and why, a step ended the episode. The terms are Gymnasium's.
///
/// ```
/// use coinop_envs::End;
///
/// assert!(End::Truncated.is_over() && End::Terminated.is_over() && !End::No.is_over());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The episode continues.
    #[default]
    No,
    /// The environment reached a terminal state.
    Terminated,
    /// Something outside the task, such as a time limit, cut the episode off.
    Truncated,
}

impl End {
    /// True when the episode is over, for either reason.
    #[must_use]
    pub fn is_over(self) -> bool {
        self != End::No
    }

    /// The end that is `number` as an integer, such as one that was saved.
    ///
    /// ```
    /// use coinop_envs::End;
    ///
    /// assert_eq!((End::of(End::Truncated as u8), End::of(3)), (Some(End::Truncated), None));
    /// ```
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [End::No, End::Terminated, End::Truncated]
            .get(usize::from(number))
            .copied()
    }
}

/// The result of one agent step. Its four values are easily confused:
///
/// * `reward` is what the agent learns from; wrappers may clip it.
/// * `score` is the raw reward of the environment; no wrapper changes it. Published scores are its sum over an
///   episode.
/// * `discount` multiplies all later rewards: 0 where the return ends (a terminal state, or a lost life under
///   `EpisodicLife`), else 1. A truncated step keeps 1, so that a learner bootstraps from the last observation.
/// * `end` tells whether `reset` must be called next.
///
/// ```
/// use coinop_envs::{End, Step};
///
/// // A lost life: the return ends, the episode continues, and the score counts what the agent's reward does not.
/// let step = Step { discount: 0.0, reward: 0.0, ..Step::going_on(50.0) };
/// assert_eq!((step.score, step.end), (50.0, End::No));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The reward to learn from, possibly clipped.
    pub reward: f32,
    /// The raw reward.
    pub score: f32,
    /// 0 where the return ends, else 1; the learner multiplies it by its own gamma.
    pub discount: f32,
    /// Whether the episode is over.
    pub end: End,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            reward: 0.0,
            score: 0.0,
            discount: 1.0,
            end: End::No,
        }
    }
}

impl Step {
    /// A step within an episode; `score` equals `reward`, and the return continues.
    #[must_use]
    pub fn going_on(reward: f32) -> Self {
        Self {
            reward,
            score: reward,
            ..Self::default()
        }
    }

    /// The last step of an episode that reached a terminal state.
    #[must_use]
    pub fn terminated(reward: f32) -> Self {
        Self {
            reward,
            score: reward,
            discount: 0.0,
            end: End::Terminated,
        }
    }

    /// The last step of an episode that was cut off; the return continues beyond it.
    #[must_use]
    pub fn truncated(reward: f32) -> Self {
        Self {
            reward,
            score: reward,
            discount: 1.0,
            end: End::Truncated,
        }
    }
}

/// The constants of an environment: everything that a network, a policy or a replay memory needs to know about it.
///
/// ```
/// use coinop_envs::{EnvSpec, Shape};
///
/// let spec = EnvSpec { frames_per_step: 4, ..EnvSpec::new(Shape::new(&[4, 84, 84]), 6) };
/// assert_eq!((spec.obs_shape.len(), spec.num_actions), (28_224, 6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvSpec {
    /// The shape of one observation.
    pub obs_shape: Shape,
    /// The number of actions.
    pub num_actions: usize,
    /// The number of emulator frames per agent step.
    pub frames_per_step: u32,
    /// The number of frames stacked along the first dimension of an observation, oldest first; 1 without stacking.
    pub stacked_frames: usize,
}

impl EnvSpec {
    /// Creates the spec of an environment that neither skips nor stacks frames.
    #[must_use]
    pub fn new(obs_shape: Shape, num_actions: usize) -> Self {
        Self {
            obs_shape,
            num_actions,
            frames_per_step: 1,
            stacked_frames: 1,
        }
    }

    /// Checks that networks, replay memories and frame counters can be built from these constants.
    ///
    /// ```
    /// use coinop_envs::{EnvSpec, Shape};
    ///
    /// let spec = EnvSpec { frames_per_step: 0, ..EnvSpec::new(Shape::new(&[4]), 2) };
    /// assert!(spec.validate().unwrap_err().to_string().starts_with("frames_per_step is 0"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`EnvError::BadSpec`] for the first invalid constant.
    pub fn validate(&self) -> Result<(), EnvError> {
        let bad = |what, value: u64, reason: String| Err(EnvError::BadSpec { what, value, reason });
        if !(1..=1_000_000).contains(&self.num_actions) {
            let reason = "it must be between 1 and 1000000".to_owned();
            return bad("num_actions", self.num_actions as u64, reason);
        }
        if !(1..=1_000_000).contains(&self.frames_per_step) {
            let reason = "it must be between 1 and 1000000".to_owned();
            return bad("frames_per_step", u64::from(self.frames_per_step), reason);
        }
        let (stacked, shape) = (self.stacked_frames, self.obs_shape);
        if stacked == 0 || stacked > 1 && shape.dims()[0] != stacked {
            let reason = format!("it must be 1, or the first dimension of an observation, whose shape is {shape}");
            return bad("stacked_frames", stacked as u64, reason);
        }
        let elements = shape
            .dims()
            .iter()
            .try_fold(1usize, |product, dim| product.checked_mul(*dim));
        if elements.is_none_or(|elements| elements > 1 << 28) {
            let reason = format!("an observation of shape {shape} is too large: it may have 268435456 elements");
            return bad("obs_shape", elements.unwrap_or(usize::MAX) as u64, reason);
        }
        Ok(())
    }
}

/// An environment with a finite set of actions `0..num_actions()`.
///
/// # Example
///
/// A corridor of five cells; walking right to its end pays 1.
///
/// ```
/// use coinop_envs::{Env, EnvError, Shape, Step};
///
/// struct Corridor {
///     cell: usize,
/// }
///
/// impl Env for Corridor {
///     type Obs = f32;
///
///     fn obs_shape(&self) -> Shape {
///         Shape::new(&[5])
///     }
///
///     fn num_actions(&self) -> usize {
///         2
///     }
///
///     fn reset(&mut self, _seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
///         self.cell = 0;
///         self.observe(obs);
///         Ok(())
///     }
///
///     fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
///         self.cell = if action == 1 { self.cell + 1 } else { self.cell.saturating_sub(1) };
///         self.observe(obs);
///         Ok(if self.cell == 4 { Step::terminated(1.0) } else { Step::going_on(0.0) })
///     }
/// }
///
/// impl Corridor {
///     fn observe(&self, obs: &mut [f32]) {
///         obs.fill(0.0);
///         obs[self.cell] = 1.0;
///     }
/// }
///
/// let mut env = Corridor { cell: 0 };
/// let mut obs = [0.0; 5];
/// env.reset(Some(1), &mut obs)?;
/// assert_eq!(env.step(1, &mut obs)?, Step::going_on(0.0));
/// assert_eq!(obs, [0.0, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), EnvError>(())
/// ```
pub trait Env {
    /// The element type of observations.
    type Obs: Elem;

    /// The shape of one observation. Must not change over the lifetime of the environment.
    fn obs_shape(&self) -> Shape;

    /// The number of actions. Must not change over the lifetime of the environment.
    fn num_actions(&self) -> usize;

    /// The number of emulator frames per agent step, 1 unless frames are skipped. Must not change.
    ///
    /// Runs count their frames with it. No-ops and FIRE at the start of an episode, and the frames of a last step
    /// that the end of the episode cut short, are not counted separately.
    fn frames_per_step(&self) -> u32 {
        1
    }

    /// The number of frames in an observation, 1 unless frames are stacked. Must not change.
    ///
    /// A value `n` above 1 promises that the first dimension of an observation holds `n` frames, oldest first; that
    /// each step drops the oldest and appends one; and that the first observation of an episode repeats one frame `n`
    /// times. This allows a replay memory to store each frame once.
    fn stacked_frames(&self) -> usize {
        1
    }

    /// Shows `viewer` every frame from now on, also those that a frame skip hides from the agent, beginning with the next
    /// `reset` or `step`; `None` shows them to nobody. Must not change what the environment does. Returns the number of
    /// frames that make a second, or `None`, the default, if the environment has no pictures.
    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        let _ = viewer;
        None
    }

    /// What each action does, in a word or two, for human eyes; empty, the default, if the environment does not say.
    fn action_meanings(&self) -> Vec<String> {
        Vec::new()
    }

    /// All constants in one struct.
    fn spec(&self) -> EnvSpec {
        EnvSpec {
            obs_shape: self.obs_shape(),
            num_actions: self.num_actions(),
            frames_per_step: self.frames_per_step(),
            stacked_frames: self.stacked_frames(),
        }
    }

    /// Starts an episode and writes its first observation.
    ///
    /// `Some(seed)` restarts the environment's random stream: the same seed and actions give the same episodes. `None`
    /// continues the stream (an environment that never got a seed uses 0). Nothing here reads the system's entropy.
    ///
    /// # Errors
    ///
    /// Any error of the environment itself.
    ///
    /// # Panics
    ///
    /// If `obs.len()` is not `obs_shape().len()`.
    fn reset(&mut self, seed: Option<u64>, obs: &mut [Self::Obs]) -> Result<(), EnvError>;

    /// Applies `action` and writes the resulting observation, which after the last step of an episode is its final
    /// one. Never resets automatically.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidAction`] if `action` is not below `num_actions()`, [`EnvError::ResetNeeded`] if the episode
    /// is over or none was started, and any error of the environment itself.
    ///
    /// # Panics
    ///
    /// If `obs.len()` is not `obs_shape().len()`.
    fn step(&mut self, action: u32, obs: &mut [Self::Obs]) -> Result<Step, EnvError>;

    /// Returns the complete state, including the current episode and the random streams, or `None` if the environment
    /// does not support snapshots. Without them, a resumed run starts new episodes. See [`snapshot`](crate::snapshot)
    /// for how to write one.
    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    /// Restores a state that [`snapshot`](Self::snapshot) returned, of this environment or of one constructed with
    /// the same arguments. The last observation is not part of a snapshot; callers that need it store it themselves.
    ///
    /// # Errors
    ///
    /// [`EnvError::BadSnapshot`] if the bytes are damaged or belong to something else; the environment then needs
    /// `reset`. [`EnvError::NoSnapshots`] if it does not support them.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let _ = snapshot;
        Err(EnvError::NoSnapshots)
    }
}

/// Implements [`Env`] for pointers to environments.
macro_rules! forward_through {
    ($($pointer:ty),*) => {$(
        impl<E: Env + ?Sized> Env for $pointer {
            type Obs = E::Obs;

            fn obs_shape(&self) -> Shape {
                (**self).obs_shape()
            }

            fn num_actions(&self) -> usize {
                (**self).num_actions()
            }

            fn frames_per_step(&self) -> u32 {
                (**self).frames_per_step()
            }

            fn stacked_frames(&self) -> usize {
                (**self).stacked_frames()
            }

            fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
                (**self).set_viewer(viewer)
            }

            fn action_meanings(&self) -> Vec<String> {
                (**self).action_meanings()
            }

            fn reset(&mut self, seed: Option<u64>, obs: &mut [Self::Obs]) -> Result<(), EnvError> {
                (**self).reset(seed, obs)
            }

            fn step(&mut self, action: u32, obs: &mut [Self::Obs]) -> Result<Step, EnvError> {
                (**self).step(action, obs)
            }

            fn snapshot(&self) -> Option<Vec<u8>> {
                (**self).snapshot()
            }

            fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
                (**self).restore(snapshot)
            }
        }
    )*};
}

forward_through!(&mut E, Box<E>);
