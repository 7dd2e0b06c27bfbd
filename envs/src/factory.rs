//! Factories: what makes environments of one kind, as many as an algorithm needs and in whichever threads it needs them.

use std::sync::Arc;

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
/// let (one, many) = (factory.make()?, factory.make_vec(8, 2)?);
/// assert_eq!((one.num_actions(), many.num_envs()), (factory.spec().num_actions, 8));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait EnvFactory: Send + Sync {
    /// The element type of observations.
    type Obs: Elem;

    /// What is constant about every environment that it makes.
    fn spec(&self) -> EnvSpec;

    /// One environment, to be stepped by itself.
    ///
    /// # Errors
    ///
    /// When it can not be made.
    fn make(&self) -> Result<Box<dyn Env<Obs = Self::Obs> + Send>, EnvError>;

    /// `num_envs` environments, stepped by `threads` threads: one after the other if that is 1.
    ///
    /// # Errors
    ///
    /// [`EnvError::Memory`], or when the system starts no more threads.
    ///
    /// # Panics
    ///
    /// If `num_envs` or `threads` is 0.
    fn make_vec(&self, num_envs: usize, threads: usize) -> Result<Box<dyn VecEnv<Obs = Self::Obs> + Send>, EnvError>;
}

/// A factory that copies one environment.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Copies, EnvFactory};
///
/// let factory = Copies::of(CartPole::v1(), 200);
/// assert_eq!(factory.make_vec(3, 1)?.num_envs(), 3);
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

    fn make(&self) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(self.original.clone()))
    }

    fn make_vec(&self, num_envs: usize, threads: usize) -> Result<Box<dyn VecEnv<Obs = E::Obs> + Send>, EnvError> {
        let what = || format!("a set of {num_envs} environments");
        memory::require(what, num_envs as u64 * self.bytes, "ask for fewer")?;
        stepped_by(vec![self.original.clone(); num_envs], threads)
    }
}

/// A factory of what a closure makes.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::{Made, EnvFactory};
///
/// let factory = Made::by(|| Ok(CartPole::v1()))?;
/// assert_eq!(factory.make_vec(3, 1)?.num_envs(), 3);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Made<F> {
    make: F,
    spec: EnvSpec,
}

impl<E: Env, F: Fn() -> Result<E, EnvError>> Made<F> {
    /// What `make` makes: each time an environment that is as good as new.
    ///
    /// # Errors
    ///
    /// Those of `make`, which is called once.
    pub fn by(make: F) -> Result<Self, EnvError> {
        let spec = make()?.spec();
        Ok(Self { make, spec })
    }
}

impl<E, F> EnvFactory for Made<F>
where
    E: Env + Send + 'static,
    F: Fn() -> Result<E, EnvError> + Send + Sync,
{
    type Obs = E::Obs;

    fn spec(&self) -> EnvSpec {
        self.spec
    }

    fn make(&self) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new((self.make)()?))
    }

    fn make_vec(&self, num_envs: usize, threads: usize) -> Result<Box<dyn VecEnv<Obs = E::Obs> + Send>, EnvError> {
        let made = |number| (self.make)().map_err(|error| error.of(number));
        let envs = (0..num_envs).map(made).collect::<Result<Vec<E>, EnvError>>()?;
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
/// let envs = Mixed::of(games.into_iter().collect::<Result<_, _>>()?)?.make_vec(12, 2)?;
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

    /// One of the first kind.
    fn make(&self) -> Result<Box<dyn Env<Obs = O> + Send>, EnvError> {
        self.kinds[0].make()
    }

    fn make_vec(&self, num_envs: usize, threads: usize) -> Result<Box<dyn VecEnv<Obs = O> + Send>, EnvError> {
        let made = |number: usize| {
            let kind = &self.kinds[number % self.kinds.len()];
            kind.make().map_err(|error| error.of(number))
        };
        let envs = (0..num_envs).map(made).collect::<Result<Vec<_>, EnvError>>()?;
        stepped_by(envs, threads)
    }
}

/// Environments, stepped by so many threads.
fn stepped_by<E: Env + Send + 'static>(
    envs: Vec<E>,
    threads: usize,
) -> Result<Box<dyn VecEnv<Obs = E::Obs> + Send>, EnvError> {
    Ok(if threads == 1 {
        Box::new(Serial::new(envs))
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
/// assert_eq!(factory.make_vec(3, 1)?.num_envs(), 3);
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
    /// Those of `make`, which is called once.
    pub fn new(make: F) -> Result<Self, EnvError> {
        let spec = make()?.spec();
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

    fn make(&self) -> Result<Box<dyn Env<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(Remote::new(self.make.clone())?))
    }

    /// Each environment has its own thread, however many `threads` are.
    fn make_vec(&self, num_envs: usize, _threads: usize) -> Result<Box<dyn VecEnv<Obs = E::Obs> + Send>, EnvError> {
        Ok(Box::new(Threaded::new(self.make.clone(), num_envs)?))
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
