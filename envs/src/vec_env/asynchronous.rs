//! Environments that are stepped as they become ready, like EnvPool's asynchronous mode.
//!
//! ```text
//! send(i, action) ──► tasks ──► threads, each steps whichever environment comes next ──► done ──► receive: the first that are ready
//! ```
//!
//! Each environment travels with its buffers through two preallocated channels, so a step allocates nothing.

use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{VecEnv, check_lengths, guarded, reset_one, restore_all, step_one};
use crate::guard::Guarded;
use crate::{Env, EnvError, EnvSpec, Step};

/// A request to an environment.
#[derive(Clone, Copy, Debug)]
enum Task {
    Reset(Option<u64>),
    /// Step, then reset if the episode is over.
    Step(u32),
}

/// An environment with its buffers, while in a channel.
#[derive(Debug)]
struct Traveller<E: Env> {
    number: usize,
    env: Guarded<E>,
    task: Task,
    obs: Vec<E::Obs>,
    final_obs: Vec<E::Obs>,
    result: Result<Step, EnvError>,
}

impl<E: Env> Traveller<E> {
    fn run(&mut self) {
        let Self { number, env, .. } = self;
        self.result = match self.task {
            Task::Reset(seed) => reset_one(env, *number, seed, &mut self.obs).map(|()| Step::default()),
            Task::Step(action) => {
                step_one(env, action, &mut self.obs, &mut self.final_obs).map_err(|error| error.of(*number))
            }
        };
    }
}

/// Environments stepped by a pool of threads as they become ready, so that callers need not wait for the slowest.
///
/// As a [`VecEnv`] it waits for all and equals [`Serial`](super::Serial). With [`send`](Self::send) and
/// [`receive`](Self::receive), each environment still returns the same results, but the order in which they become
/// ready depends on the threads.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Asynchronous;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Asynchronous::new(vec![CartPole::v1(); 8], 2)?;
/// // Four at a time, whichever they are.
/// let (mut numbers, mut steps) = ([0; 4], [Step::default(); 4]);
/// let (mut obs, mut final_obs) = ([0.0; 4 * 4], [0.0; 4 * 4]);
/// envs.begin(Some(1))?;
/// for _ in 0..100 {
///     envs.receive(&mut numbers, &mut obs, &mut final_obs, &mut steps)?;
///     for (&number, obs) in numbers.iter().zip(obs.chunks_exact(4)) {
///         envs.send(number, u32::from(obs[2] > 0.0))?;
///     }
/// }
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Asynchronous<E: Env> {
    spec: EnvSpec,
    /// The received environments, by number.
    here: Vec<Option<Box<Traveller<E>>>>,
    /// The number of environments in flight.
    under_way: usize,
    /// `None` once this is dropped.
    tasks: Option<Sender<Box<Traveller<E>>>>,
    done: Receiver<Box<Traveller<E>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<E: Env + Send + 'static> Asynchronous<E> {
    /// # Errors
    ///
    /// If a thread cannot be started, a constant is invalid ([`EnvError::BadSpec`]), or two environments differ in
    /// their constants ([`EnvError::Mixed`]).
    ///
    /// # Panics
    ///
    /// If `envs` is empty or `threads` is 0.
    pub fn new(envs: Vec<E>, threads: usize) -> Result<Self, EnvError> {
        let envs = guarded(envs)?;
        assert!(threads > 0, "at least one thread");
        let spec = envs[0].spec();
        let blank = || vec![<E::Obs>::default(); spec.obs_shape.len()];
        let traveller = |(number, env)| {
            Some(Box::new(Traveller {
                number,
                env,
                task: Task::Reset(None),
                obs: blank(),
                final_obs: blank(),
                result: Ok(Step::default()),
            }))
        };
        let here: Vec<_> = envs.into_iter().enumerate().map(traveller).collect();
        let (tasks, received) = bounded::<Box<Traveller<E>>>(here.len());
        let (send, done) = bounded(here.len());
        let mut asynchronous = Self {
            spec,
            here,
            under_way: 0,
            tasks: Some(tasks),
            done,
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let (received, send) = (received.clone(), send.clone());
            let run = move || {
                for mut traveller in received {
                    traveller.run();
                    if send.send(traveller).is_err() {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("env-{number}")).spawn(run);
            asynchronous
                .threads
                .push(thread.map_err(|error| EnvError::Other(error.into()))?);
        }
        Ok(asynchronous)
    }

    /// The number of environments in flight: sent, but not yet received.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Starts an episode in every environment; the first observations must be received. Seeds are those of
    /// [`VecEnv::reset`]. Results in flight are awaited and discarded.
    ///
    /// # Errors
    ///
    /// If the threads died.
    pub fn begin(&mut self, seed: Option<u64>) -> Result<(), EnvError> {
        while self.under_way > 0 {
            self.next()?;
        }
        (0..self.here.len()).try_for_each(|number| self.ask(number, Task::Reset(seed)))
    }

    /// Sends an action to environment `number`; its result must be received.
    ///
    /// # Errors
    ///
    /// If the threads died. Errors of the environment itself are returned by [`receive`](Self::receive).
    ///
    /// # Panics
    ///
    /// If there is no such environment, or it is in flight.
    pub fn send(&mut self, number: usize, action: u32) -> Result<(), EnvError> {
        self.ask(number, Task::Step(action))
    }

    fn ask(&mut self, number: usize, task: Task) -> Result<(), EnvError> {
        let mut traveller = self.here[number]
            .take()
            .unwrap_or_else(|| panic!("environment {number} is under way: receive it before it is sent again"));
        traveller.task = task;
        self.under_way += 1;
        let tasks = self.tasks.as_ref().ok_or_else(died)?;
        tasks.send(traveller).map_err(|_| died())
    }

    /// Waits for the next result.
    fn next(&mut self) -> Result<&mut Traveller<E>, EnvError> {
        let traveller = self.done.recv().map_err(|_| died())?;
        self.under_way -= 1;
        Ok(self.here[traveller.number].insert(traveller))
    }

    /// Waits for `numbers.len()` results and writes one row for each, in the order in which they become ready: the
    /// environment's number, its observation, the final observation if an episode ended, and its step (the default
    /// one after [`begin`](Self::begin)).
    ///
    /// # Errors
    ///
    /// The error of an environment as [`EnvError::InEnv`]. Other results of the same call may be lost; call
    /// [`begin`](Self::begin) to get a defined state.
    ///
    /// # Panics
    ///
    /// If fewer environments are [in flight](Self::under_way), or a slice has the wrong length.
    pub fn receive(
        &mut self,
        numbers: &mut [usize],
        obs: &mut [E::Obs],
        final_obs: &mut [E::Obs],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        let (count, len) = (numbers.len(), self.spec.obs_shape.len());
        assert!(
            count <= self.under_way,
            "{count} environments to receive, and {} under way",
            self.under_way
        );
        check_lengths(count, len, numbers, obs, final_obs, steps);
        let rows = obs.chunks_exact_mut(len).zip(final_obs.chunks_exact_mut(len));
        for ((number, step), (obs, final_obs)) in numbers.iter_mut().zip(steps).zip(rows) {
            let traveller = self.next()?;
            *number = traveller.number;
            *step = answer(traveller, obs, final_obs)?;
        }
        Ok(())
    }

    /// Waits for all results, one row per environment; returns the first error by index.
    fn receive_all(
        &mut self,
        obs: &mut [E::Obs],
        mut final_obs: Option<&mut [E::Obs]>,
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        while self.under_way > 0 {
            self.next()?;
        }
        let len = self.spec.obs_shape.len();
        for (traveller, step) in self.here.iter_mut().flatten().zip(steps) {
            let row = traveller.number * len..(traveller.number + 1) * len;
            let final_obs = final_obs
                .as_deref_mut()
                .map_or(&mut [][..], |rows| &mut rows[row.clone()]);
            *step = answer(traveller, &mut obs[row], final_obs)?;
        }
        Ok(())
    }
}

/// Copies a result.
fn answer<E: Env>(
    traveller: &mut Traveller<E>,
    obs: &mut [E::Obs],
    final_obs: &mut [E::Obs],
) -> Result<Step, EnvError> {
    let step = std::mem::replace(&mut traveller.result, Ok(Step::default()))?;
    obs.copy_from_slice(&traveller.obs);
    if step.end.is_over() {
        final_obs.copy_from_slice(&traveller.final_obs);
    }
    Ok(step)
}

/// Cannot happen as long as the threads catch panics of environments.
fn died() -> EnvError {
    EnvError::Other("the threads of the environments have died".into())
}

impl<E: Env> Drop for Asynchronous<E> {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl<E: Env + Send + 'static> VecEnv for Asynchronous<E> {
    type Obs = E::Obs;

    fn num_envs(&self) -> usize {
        self.here.len()
    }

    fn spec(&self) -> EnvSpec {
        self.spec
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        let (count, len) = (self.here.len(), self.spec.obs_shape.len());
        assert_eq!(obs.len(), count * len, "elements of obs of {count} environments");
        self.begin(seed)?;
        self.receive_all(obs, None, &mut vec![Step::default(); count])
    }

    /// # Panics
    ///
    /// If an environment is in flight.
    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [E::Obs],
        final_obs: &mut [E::Obs],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        let (count, len) = (self.here.len(), self.spec.obs_shape.len());
        check_lengths(count, len, actions, obs, final_obs, steps);
        for (number, action) in actions.iter().enumerate() {
            self.send(number, *action)?;
        }
        self.receive_all(obs, Some(final_obs), steps)
    }

    /// Also `None` while an environment is in flight.
    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        let here = self.here.iter();
        here.map(|traveller| traveller.as_ref()?.env.snapshot()).collect()
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        while self.under_way > 0 {
            self.next()?;
        }
        let envs: Vec<&mut Guarded<E>> = self
            .here
            .iter_mut()
            .flatten()
            .map(|traveller| &mut traveller.env)
            .collect();
        restore_all(envs.into_iter(), snapshots)
    }
}
