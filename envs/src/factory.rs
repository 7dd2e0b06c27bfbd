//! Factories: create the environments of a run, one by one or as vectorised environments.

use std::sync::Arc;

use crate::Observations;
use crate::guard::{Guarded, catch};
use crate::normalize::Normalization;
use crate::vec_env::{Pooled, Remote, Serial, Threaded};
use crate::{Elem, Env, EnvError, EnvSpec, VecEnv, memory};

/// Creates environments of one kind.
///
/// Algorithms that step environments in batches call [`make_vec`](Self::make_vec); those whose actors step one
/// environment each call [`make`](Self::make). Environments start out identical unless the factory distinguishes them
/// by number; the seed passed to [`Env::reset`] makes their episodes differ.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Env, EnvFactory, FromFn, VecEnv};
///
/// let factory = FromFn::new(|| Ok(CartPole::v1()))?;
/// // Environment 0 by itself, and those from 0 to 7 on two threads.
/// let (one, many) = (factory.make(0)?, factory.make_vec(0, 8, 2)?);
/// assert_eq!((one.num_actions(), many.num_envs()), (factory.spec().num_actions, 8));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait EnvFactory: Send + Sync {
    /// The element type of observations.
    type Obs: Elem;

    /// The constants that all created environments share.
    fn spec(&self) -> EnvSpec;

    /// Creates environment `number` of a run, to be stepped on its own. The factory may create a different
    /// environment for each number.
    ///
    /// # Errors
    ///
    /// If the environment cannot be created.
    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = Self::Obs> + Send>, EnvError>;

    /// Creates the `count` environments of a run that start at number `first`, stepped by `threads` threads
    /// (sequentially if that is 1). Seeds and error indices count from 0, regardless of `first`: see
    /// [`VecEnv::reset`] and [`EnvError::counted_from`].
    ///
    /// # Errors
    ///
    /// [`EnvError::Memory`], or if a thread cannot be started.
    ///
    /// # Panics
    ///
    /// If `count` or `threads` is 0.
    fn make_vec(
        &self,
        first: usize,
        count: usize,
        threads: usize,
    ) -> Result<Box<dyn VecEnv<Obs = Self::Obs> + Send>, EnvError>;

    /// What the environments learn from everything that they show, as those of [`normalize`](crate::normalize) do. A run
    /// saves it and resumes with it. `None`, the default, if they learn nothing.
    fn learned(&self) -> Option<Arc<dyn Learned>> {
        None
    }

    /// Returns the factory of environments for an evaluation, which use what those of the training had
    /// [learned](Self::learned), as it was [saved](Learned::save), and learn nothing more. `None`, the default, if they
    /// learn nothing.
    ///
    /// # Errors
    ///
    /// [`EnvError::BadSnapshot`].
    fn frozen(&self, learned: &[u8]) -> Result<Option<Arc<dyn EnvFactory<Obs = Self::Obs>>>, EnvError> {
        let _ = learned;
        Ok(None)
    }

    /// Turns an observation from elsewhere, for example of a robot, into what the environments show an agent, without
    /// learning from it. Does nothing by default.
    fn observe(&self, obs: &mut [Self::Obs]) {
        let _ = obs;
    }

    /// What [`observe`](Self::observe) does, in numbers, for agents that leave this library; `None`, the default, if it does
    /// nothing.
    fn normalization(&self) -> Option<Normalization> {
        None
    }
}

/// What environments have learned: see [`EnvFactory::learned`].
pub trait Learned: Send + Sync {
    /// Saves it.
    fn save(&self) -> Vec<u8>;

    /// Makes the environments of the factory continue with what was saved.
    ///
    /// # Errors
    ///
    /// [`EnvError::BadSnapshot`].
    fn load(&self, saved: &[u8]) -> Result<(), EnvError>;

    /// Adds what other environments learned between two states of theirs, `before` and `after`.
    ///
    /// # Errors
    ///
    /// If that cannot be added, the default, and [`EnvError::BadSnapshot`].
    fn add(&self, before: &[u8], after: &[u8]) -> Result<(), EnvError> {
        let _ = (before, after);
        let text = "what these environments learn cannot be added up: train in one process";
        Err(EnvError::BadSetting(text.to_owned()))
    }
}

/// The result of [`EnvFactory::make_vec`].
type MadeVec<O> = Result<Box<dyn VecEnv<Obs = O> + Send>, EnvError>;

/// Creates environments by cloning one.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Copies, EnvFactory};
///
/// let factory = Copies::of(CartPole::v1(), 200);
/// assert_eq!(factory.make_vec(0, 3, 1)?.num_envs(), 3);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Copies<E> {
    original: E,
    bytes: u64,
}

impl<E> Copies<E> {
    /// Clones `original`; each clone takes about `bytes` bytes of memory, buffers included.
    #[must_use]
    pub fn of(original: E, bytes: u64) -> Self {
        Self { original, bytes }
    }
}

impl<E: Env + Clone + Send + Sync + 'static> EnvFactory for Copies<E> {
    type Obs = E::Obs;

    fn spec(&self) -> EnvSpec {
        self.original.spec()
    }

    fn make(&self, _number: usize) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(Guarded::new(self.original.clone())?))
    }

    fn make_vec(&self, _first: usize, count: usize, threads: usize) -> MadeVec<E::Obs> {
        let what = || format!("a set of {count} environments");
        memory::require(what, (count as u64).saturating_mul(self.bytes), "ask for fewer")?;
        stepped_by(vec![self.original.clone(); count], threads)
    }
}

/// Creates environments by calling a closure.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{FromFn, EnvFactory};
///
/// let factory = FromFn::new(|| Ok(CartPole::v1()))?;
/// assert_eq!(factory.make_vec(0, 3, 1)?.num_envs(), 3);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FromFn<F> {
    make: F,
    spec: EnvSpec,
}

impl FromFn<()> {
    /// Calls `make` for each environment; it must return a newly constructed one.
    ///
    /// # Errors
    ///
    /// The error of `make`, which is called once; [`EnvError::Panicked`] if it panics, and [`EnvError::BadSpec`] if a
    /// constant is invalid.
    pub fn new<E: Env, F: Fn() -> Result<E, EnvError>>(
        make: F,
    ) -> Result<FromFn<impl Fn(usize) -> Result<E, EnvError> + use<E, F>>, EnvError> {
        FromFn::numbered(move |_| make())
    }
}

impl<E: Env, F: Fn(usize) -> Result<E, EnvError>> FromFn<F> {
    /// Calls `make` with the number of each environment of the run, counted from 0, e.g. to give each its own level.
    /// All environments must have the same observation shape, actions and frame counts.
    ///
    /// ```
    /// use coinop_envs::classic::CartPole;
    /// use coinop_envs::wrappers::TimeLimit;
    /// use coinop_envs::{EnvFactory, FromFn};
    ///
    /// // The second has twice the time of the first.
    /// let factory = FromFn::numbered(|number| Ok(TimeLimit::new(CartPole::v1(), 100 * (1 + number as u32))))?;
    /// assert_eq!(factory.make_vec(0, 2, 1)?.num_envs(), 2);
    /// # Ok::<(), coinop_envs::EnvError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `make`, which is called once with 0; [`EnvError::Panicked`] if it panics, and
    /// [`EnvError::BadSpec`] if a constant is invalid.
    pub fn numbered(make: F) -> Result<Self, EnvError> {
        let spec = made_by(&make, 0)?.spec();
        Ok(Self { make, spec })
    }
}

/// Calls a constructor and guards the environment; a panic becomes an error.
fn made_by<E: Env>(make: impl FnOnce(usize) -> Result<E, EnvError>, number: usize) -> Result<Guarded<E>, EnvError> {
    let made = catch(|| make(number)).unwrap_or_else(|message| {
        let what = "constructor";
        Err(EnvError::Panicked { what, message, step: 0 })
    });
    Guarded::new(made?)
}

/// Checks that environment `number` has the constants of the first one.
fn as_said<E: Env>(env: E, first: EnvSpec, number: usize) -> Result<E, EnvError> {
    let found = env.spec();
    if found == first {
        return Ok(env);
    }
    let (found, first) = (Box::new(found), Box::new(first));
    Err(EnvError::Mixed { number, found, first })
}

impl<E, F> EnvFactory for FromFn<F>
where
    E: Env + Send + 'static,
    F: Fn(usize) -> Result<E, EnvError> + Send + Sync,
{
    type Obs = E::Obs;

    fn spec(&self) -> EnvSpec {
        self.spec
    }

    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(as_said(made_by(&self.make, number)?, self.spec, number)?))
    }

    fn make_vec(&self, first: usize, count: usize, threads: usize) -> MadeVec<E::Obs> {
        let made = |number: usize| {
            let env = made_by(&self.make, first + number).map_err(|error| error.of(number))?;
            as_said(env, self.spec, first + number)
        };
        let envs = (0..count).map(made).collect::<Result<Vec<_>, EnvError>>()?;
        stepped_by(envs, threads)
    }
}

/// Creates different environments that share their observation shape and actions: with `k` kinds, environment `i` is
/// of kind `i % k`. This lets one network learn several games, e.g. Atari games with all 18 actions.
///
/// ```no_run
/// use coinop_envs::registry::{AtariOptions, EnvOptions, find};
/// use coinop_envs::{EnvFactory, Mixed};
///
/// let atari = AtariOptions { all_actions: Some(true), ..AtariOptions::default() };
/// let options = EnvOptions { atari, ..EnvOptions::default() };
/// let games = ["pong", "breakout", "seaquest"].map(|game| find(game)?.factory(&options)?.pixels(game));
/// let envs = Mixed::of(games.into_iter().collect::<Result<_, _>>()?)?.make_vec(0, 12, 2)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub struct Mixed<O> {
    kinds: Vec<Arc<dyn EnvFactory<Obs = O>>>,
}

impl<O: Elem> Mixed<O> {
    /// Mixes these kinds.
    ///
    /// # Errors
    ///
    /// [`EnvError::Mixed`] if one differs from the first in observation shape, actions or frames.
    ///
    /// # Panics
    ///
    /// If `kinds` is empty.
    pub fn of(kinds: Vec<Arc<dyn EnvFactory<Obs = O>>>) -> Result<Self, EnvError> {
        let first = kinds.first().expect("at least one kind of environment").spec();
        match kinds.iter().position(|kind| kind.spec() != first) {
            Some(number) => Err(EnvError::Mixed {
                number,
                found: Box::new(kinds[number].spec()),
                first: Box::new(first),
            }),
            None => Ok(Self { kinds }),
        }
    }
}

impl<O: Elem> EnvFactory for Mixed<O> {
    type Obs = O;

    fn spec(&self) -> EnvSpec {
        self.kinds[0].spec()
    }

    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = O> + Send>, EnvError> {
        self.kinds[number % self.kinds.len()].make(number)
    }

    fn make_vec(&self, first: usize, count: usize, threads: usize) -> MadeVec<O> {
        let made = |number: usize| self.make(first + number).map_err(|error| error.of(number));
        let envs = (0..count).map(made).collect::<Result<Vec<_>, EnvError>>()?;
        stepped_by(envs, threads)
    }
}

/// Builds a vectorised environment with `threads` threads.
fn stepped_by<E: Env + Send + 'static>(envs: Vec<E>, threads: usize) -> MadeVec<E::Obs> {
    Ok(if threads == 1 {
        Box::new(Serial::try_new(envs)?)
    } else {
        Box::new(Pooled::new(envs, threads)?)
    })
}

/// Creates environments that must stay in the thread that constructed them: each gets a thread of its own.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{InThreads, EnvFactory};
///
/// let factory = InThreads::new(|| Ok(CartPole::v1()))?;
/// assert_eq!(factory.make_vec(0, 3, 1)?.num_envs(), 3);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InThreads<F> {
    make: F,
    spec: EnvSpec,
}

impl<E: Env, F: Fn() -> Result<E, EnvError>> InThreads<F> {
    /// Calls `make` for each environment, in that environment's thread.
    ///
    /// # Errors
    ///
    /// The error of `make`, which is called once; [`EnvError::Panicked`] if it panics, and [`EnvError::BadSpec`] if a
    /// constant is invalid.
    pub fn new(make: F) -> Result<Self, EnvError> {
        let spec = made_by(|_| make(), 0)?.spec();
        Ok(Self { make, spec })
    }
}

impl<E, F> EnvFactory for InThreads<F>
where
    E: Env + 'static,
    F: Fn() -> Result<E, EnvError> + Clone + Send + Sync + 'static,
{
    type Obs = E::Obs;

    fn spec(&self) -> EnvSpec {
        self.spec
    }

    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(as_said(Remote::new(self.make.clone())?, self.spec, number)?))
    }

    /// Gives each environment its own thread and ignores `threads`.
    fn make_vec(&self, _first: usize, count: usize, _threads: usize) -> MadeVec<E::Obs> {
        Ok(Box::new(Threaded::new(self.make.clone(), count)?))
    }
}

/// A factory with either element type, as created by name.
///
/// ```
/// use coinop_envs::AnyFactory;
/// use coinop_envs::registry::{EnvOptions, find};
///
/// match find("catch")?.factory(&EnvOptions::default())? {
///     AnyFactory::Pixels(factory) => assert_eq!(factory.spec().obs_shape.dims(), [4, 84, 84]),
///     AnyFactory::Features(_) => unreachable!("it shows pictures"),
/// }
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone)]
pub enum AnyFactory {
    /// Observations are pixels.
    Pixels(Arc<dyn EnvFactory<Obs = u8>>),
    /// Observations are features.
    Features(Arc<dyn EnvFactory<Obs = f32>>),
}

impl<O: Elem> From<Arc<dyn EnvFactory<Obs = O>>> for AnyFactory {
    fn from(factory: Arc<dyn EnvFactory<Obs = O>>) -> Self {
        O::any(factory)
    }
}

impl AnyFactory {
    /// The kind of observations.
    #[must_use]
    pub fn observations(&self) -> Observations {
        match self {
            Self::Pixels(_) => Observations::Pixels,
            Self::Features(_) => Observations::Features,
        }
    }

    /// The constants that all created environments share.
    #[must_use]
    pub fn spec(&self) -> EnvSpec {
        match self {
            Self::Pixels(factory) => factory.spec(),
            Self::Features(factory) => factory.spec(),
        }
    }

    /// Returns the factory if observations are pixels; `name` is the environment's, for the error.
    ///
    /// # Errors
    ///
    /// [`EnvError::OtherObservations`].
    pub fn pixels(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = u8>>, EnvError> {
        self.wanted(name)
    }

    /// Returns the factory if observations are features; `name` is the environment's, for the error.
    ///
    /// # Errors
    ///
    /// [`EnvError::OtherObservations`].
    pub fn features(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = f32>>, EnvError> {
        self.wanted(name)
    }

    /// Returns the factory if observations consist of `O`.
    pub(crate) fn wanted<O: Elem>(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = O>>, EnvError> {
        let found = self.observations().name();
        self.of::<O>().ok_or_else(|| EnvError::OtherObservations {
            env: name.to_owned(),
            found,
            wanted: O::NAME,
        })
    }

    /// Returns the factory if observations consist of `O`, else `None`.
    #[must_use]
    pub fn of<O: Elem>(self) -> Option<Arc<dyn EnvFactory<Obs = O>>> {
        O::pick(self)
    }
}

impl std::fmt::Debug for AnyFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Pixels(_) => "Pixels",
            Self::Features(_) => "Features",
        };
        f.debug_tuple(name).field(&self.spec()).finish()
    }
}
