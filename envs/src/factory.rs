//! Factories: what makes environments of one kind, as many as an algorithm needs and in whichever threads it needs them.

use std::sync::Arc;

use crate::guard::{Guarded, catch};
use crate::registry::Observations;
use crate::vec_env::{Pooled, Remote, Serial, Threaded};
use crate::{Elem, Env, EnvError, EnvSpec, VecEnv, memory};

/// Makes environments that are alike.
///
/// An algorithm that steps many together asks for [`make_vec`](Self::make_vec); one whose actors step theirs alone, for [`make`](Self::make).
/// Both begin at [`Env::reset`] with a seed, which is what tells them apart.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Env, EnvFactory, Made, VecEnv};
///
/// let factory = Made::by(|| Ok(CartPole::v1()))?;
/// // Environment 0 by itself, and those from 0 to 7 on two threads.
/// let (one, many) = (factory.make(0)?, factory.make_vec(0, 8, 2)?);
/// assert_eq!((one.num_actions(), many.num_envs()), (factory.spec().num_actions, 8));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait EnvFactory: Send + Sync {
    /// The element type of observations.
    type Obs: Elem;

    /// What is constant about every environment that it makes.
    fn spec(&self) -> EnvSpec;

    /// Environment `number` of a run, to be stepped by itself. A factory may give each number an environment of its own kind.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = Self::Obs> + Send>, EnvError>;

    /// The `count` environments of a run from number `first` on, stepped by `threads` threads: one after the other if that is 1. Seeds, and the
    /// numbers in errors, begin at 0 whatever `first` is: see [`VecEnv::reset`] and [`EnvError::counted_from`].
    ///
    /// # Errors
    ///
    /// [`EnvError::Memory`], or when the system starts no more threads.
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
}

/// What [`EnvFactory::make_vec`] returns.
type MadeVec<O> = Result<Box<dyn VecEnv<Obs = O> + Send>, EnvError>;

/// A factory that copies one environment.
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
    /// Copies `original`, of which each takes about `bytes` bytes of memory, buffers included.
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

/// A factory of what a closure makes.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Made, EnvFactory};
///
/// let factory = Made::by(|| Ok(CartPole::v1()))?;
/// assert_eq!(factory.make_vec(0, 3, 1)?.num_envs(), 3);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Made<F> {
    make: F,
    spec: EnvSpec,
}

impl Made<()> {
    /// What `make` makes: each time an environment that is as good as new.
    ///
    /// # Errors
    ///
    /// Those of `make`, which is called once; when it panics, or constants of the environment make no sense.
    pub fn by<E: Env, F: Fn() -> Result<E, EnvError>>(
        make: F,
    ) -> Result<Made<impl Fn(usize) -> Result<E, EnvError> + use<E, F>>, EnvError> {
        Made::numbered(move |_| make())
    }
}

impl<E: Env, F: Fn(usize) -> Result<E, EnvError>> Made<F> {
    /// What `make` makes of the number of an environment, counted from 0 over a run: for a curriculum, or seeds and levels of its own. All must have
    /// the same observations, actions and frames.
    ///
    /// ```
    /// use coinop_envs::classic::CartPole;
    /// use coinop_envs::wrappers::TimeLimit;
    /// use coinop_envs::{EnvFactory, Made};
    ///
    /// // The second has twice the time of the first.
    /// let factory = Made::numbered(|number| Ok(TimeLimit::new(CartPole::v1(), 100 * (1 + number as u32))))?;
    /// assert_eq!(factory.make_vec(0, 2, 1)?.num_envs(), 2);
    /// # Ok::<(), coinop_envs::EnvError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `make`, which is called once with 0; when it panics, or constants of the environment make no sense.
    pub fn numbered(make: F) -> Result<Self, EnvError> {
        let spec = made_by(&make, 0)?.spec();
        Ok(Self { make, spec })
    }
}

/// A guarded environment of a constructor, whose panic is an error.
fn made_by<E: Env>(make: impl FnOnce(usize) -> Result<E, EnvError>, number: usize) -> Result<Guarded<E>, EnvError> {
    let made = catch(|| make(number)).unwrap_or_else(|message| {
        let what = "constructor";
        Err(EnvError::Panicked { what, message, step: 0 })
    });
    Guarded::new(made?)
}

/// Checks that an environment is what its factory says of all.
fn as_said<E: Env>(env: E, first: EnvSpec, number: usize) -> Result<E, EnvError> {
    let found = env.spec();
    if found == first {
        return Ok(env);
    }
    let (found, first) = (Box::new(found), Box::new(first));
    Err(EnvError::Mixed { number, found, first })
}

impl<E, F> EnvFactory for Made<F>
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

/// A factory of different environments with the same observations and actions: of `k` kinds, environment `i` is of kind `i % k`. So one network
/// learns several games, e.g. those of the Atari with all 18 actions.
///
/// ```no_run
/// use coinop_envs::registry::{AtariOptions, EnvOptions, find};
/// use coinop_envs::{EnvFactory, Mixed};
///
/// let atari = AtariOptions { all_actions: Some(true), ..AtariOptions::default() };
/// let options = EnvOptions { atari };
/// let games = ["pong", "breakout", "seaquest"].map(|game| find(game)?.factory(&options)?.pixels(game));
/// let envs = Mixed::of(games.into_iter().collect::<Result<_, _>>()?)?.make_vec(0, 12, 2)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub struct Mixed<O> {
    kinds: Vec<Arc<dyn EnvFactory<Obs = O>>>,
}

impl<O: Elem> Mixed<O> {
    /// Of these kinds.
    ///
    /// # Errors
    ///
    /// [`EnvError::Mixed`] when one has other observations, actions or frames than the first.
    ///
    /// # Panics
    ///
    /// If there is none.
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

/// Environments, stepped by so many threads.
fn stepped_by<E: Env + Send + 'static>(envs: Vec<E>, threads: usize) -> MadeVec<E::Obs> {
    Ok(if threads == 1 {
        Box::new(Serial::try_new(envs)?)
    } else {
        Box::new(Pooled::new(envs, threads)?)
    })
}

/// A factory of environments that must stay in the thread in which they were made: each has one of its own.
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
    /// What `make` makes, in whichever thread it is called.
    ///
    /// # Errors
    ///
    /// Those of `make`, which is called once; when it panics, or constants of the environment make no sense.
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

    /// Each environment has its own thread, however many `threads` are.
    fn make_vec(&self, _first: usize, count: usize, _threads: usize) -> MadeVec<E::Obs> {
        Ok(Box::new(Threaded::new(self.make.clone(), count)?))
    }
}

/// A factory of environments of either element type, as a name gives it.
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
    /// Their observations are pixels.
    Pixels(Arc<dyn EnvFactory<Obs = u8>>),
    /// Their observations are features.
    Features(Arc<dyn EnvFactory<Obs = f32>>),
}

impl<O: Elem> From<Arc<dyn EnvFactory<Obs = O>>> for AnyFactory {
    fn from(factory: Arc<dyn EnvFactory<Obs = O>>) -> Self {
        O::any(factory)
    }
}

impl AnyFactory {
    /// What observations are made of.
    #[must_use]
    pub fn observations(&self) -> Observations {
        match self {
            Self::Pixels(_) => Observations::Pixels,
            Self::Features(_) => Observations::Features,
        }
    }

    /// What is constant about every environment that it makes.
    #[must_use]
    pub fn spec(&self) -> EnvSpec {
        match self {
            Self::Pixels(factory) => factory.spec(),
            Self::Features(factory) => factory.spec(),
        }
    }

    /// The factory of environments whose observations are pixels; `name` is theirs.
    ///
    /// # Errors
    ///
    /// [`EnvError::OtherObservations`].
    pub fn pixels(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = u8>>, EnvError> {
        self.wanted(name)
    }

    /// The factory of environments whose observations are features; `name` is theirs.
    ///
    /// # Errors
    ///
    /// [`EnvError::OtherObservations`].
    pub fn features(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = f32>>, EnvError> {
        self.wanted(name)
    }

    /// The factory, if its observations are made of `O`.
    pub(crate) fn wanted<O: Elem>(self, name: &str) -> Result<Arc<dyn EnvFactory<Obs = O>>, EnvError> {
        let found = self.observations().name();
        self.of::<O>().ok_or_else(|| EnvError::OtherObservations {
            env: name.to_owned(),
            found,
            wanted: O::NAME,
        })
    }

    /// The factory, if its observations are made of `O`; else `None`.
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
