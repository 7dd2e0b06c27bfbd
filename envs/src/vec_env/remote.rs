//! Environments that live in threads of their own, because they must not leave the thread in which they were made.
//!
//! ```text
//! Remote ── Errand: what to do, and buffers ──►  thread with the environment
//!        ◄── the same, with what came of it ──
//! ```
//!
//! The buffers go back and forth, so that a step allocates nothing.

use std::cell::RefCell;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{VecEnv, check_alike, check_lengths, restore_all, step_one};
use crate::guard::{Guarded, catch};
use crate::rng::derive_seed;
use crate::{Elem, Env, EnvError, EnvSpec, Step};

/// What a thread is asked to do.
#[derive(Debug)]
enum Task {
    Reset(Option<u64>),
    Step(u32),
    /// A step, and a reset if the episode is over.
    StepOn(u32),
    Snapshot,
    Restore(Vec<u8>),
}

/// A task, and what came of it.
#[derive(Debug)]
struct Errand<O> {
    task: Task,
    obs: Vec<O>,
    last_obs: Vec<O>,
    result: Result<Step, EnvError>,
    snapshot: Option<Vec<u8>>,
}

impl<O: Elem> Errand<O> {
    fn run<E: Env<Obs = O>>(&mut self, env: &mut Guarded<E>) {
        let nothing = |()| Step::default();
        self.result = match &self.task {
            Task::Reset(seed) => env.reset(*seed, &mut self.obs).map(nothing),
            Task::Step(action) => env.step(*action, &mut self.obs),
            Task::StepOn(action) => step_one(env, *action, &mut self.obs, &mut self.last_obs),
            Task::Snapshot => {
                self.snapshot = env.snapshot();
                Ok(Step::default())
            }
            Task::Restore(snapshot) => env.restore(snapshot).map(nothing),
        };
    }
}

/// An environment that lives in a thread of its own, which ends with this. It may go to another thread even where the environment may not.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Remote;
/// use coinop_envs::Env;
///
/// let mut env = Remote::new(|| Ok(CartPole::v1()))?;
/// env.reset(Some(1), &mut [0.0; 4])?;
/// assert_eq!(env.step(1, &mut [0.0; 4])?.reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Remote<O> {
    spec: EnvSpec,
    /// `None` once this is dropped.
    errands: Option<Sender<Errand<O>>>,
    done: Receiver<Errand<O>>,
    /// Here while nothing is asked.
    errand: RefCell<Option<Errand<O>>>,
    thread: Option<JoinHandle<()>>,
}

impl<O: Elem> Remote<O> {
    /// Starts a thread, and lets `make` make an environment there.
    ///
    /// # Errors
    ///
    /// Those of `make`; when the system starts no more threads.
    pub fn new<E: Env<Obs = O>>(make: impl FnOnce() -> Result<E, EnvError> + Send + 'static) -> Result<Self, EnvError> {
        let (errands, received) = bounded::<Errand<O>>(1);
        let (send, done) = bounded(1);
        let (say, spec) = bounded(1);
        let run = move || {
            let made = catch(make).unwrap_or_else(|message| {
                let what = "constructor";
                Err(EnvError::Panicked { what, message, step: 0 })
            });
            let mut env = match made.and_then(Guarded::new) {
                Ok(env) => env,
                Err(error) => {
                    let _ = say.send(Err(error));
                    return;
                }
            };
            let _ = say.send(Ok(env.spec()));
            while let Ok(mut errand) = received.recv() {
                errand.run(&mut env);
                if send.send(errand).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("env".to_owned()).spawn(run);
        let thread = thread.map_err(|error| EnvError::Other(error.into()))?;
        let spec: EnvSpec = spec.recv().unwrap_or_else(|_| Err(died()))?;
        let len = spec.obs_shape.len();
        Ok(Self {
            spec,
            errands: Some(errands),
            done,
            errand: RefCell::new(Some(Errand {
                task: Task::Snapshot,
                obs: vec![O::default(); len],
                last_obs: vec![O::default(); len],
                result: Ok(Step::default()),
                snapshot: None,
            })),
            thread: Some(thread),
        })
    }

    /// Asks for something; [`finish`](Self::finish) must follow.
    fn ask(&self, task: Task) -> Result<(), EnvError> {
        let mut errand = self.errand.borrow_mut().take().ok_or_else(died)?;
        errand.task = task;
        let errands = self.errands.as_ref().ok_or_else(died)?;
        errands.send(errand).map_err(|_| died())
    }

    /// Waits for the answer, and lets `read` read it.
    fn finish<T>(&self, read: impl FnOnce(&mut Errand<O>) -> T) -> Result<T, EnvError> {
        let mut errand = self.done.recv().map_err(|_| died())?;
        let result = std::mem::replace(&mut errand.result, Ok(Step::default()));
        let read = read(&mut errand);
        *self.errand.borrow_mut() = Some(errand);
        result.map(|_| read)
    }

    /// The same, of a step.
    fn finish_step(&self, read: impl FnOnce(&Errand<O>, &Step)) -> Result<Step, EnvError> {
        let mut errand = self.done.recv().map_err(|_| died())?;
        let result = std::mem::replace(&mut errand.result, Ok(Step::default()));
        if let Ok(step) = &result {
            read(&errand, step);
        }
        *self.errand.borrow_mut() = Some(errand);
        result
    }
}

/// The thread panicked: whoever made the environment sees why on standard error.
fn died() -> EnvError {
    EnvError::Other("an environment's thread has died".into())
}

impl<O> Drop for Remote<O> {
    fn drop(&mut self) {
        self.errands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<O: Elem> Env for Remote<O> {
    type Obs = O;

    fn obs_shape(&self) -> crate::Shape {
        self.spec.obs_shape
    }

    fn num_actions(&self) -> usize {
        self.spec.num_actions
    }

    fn frames_per_step(&self) -> u32 {
        self.spec.frames_per_step
    }

    fn stacked_frames(&self) -> usize {
        self.spec.stacked_frames
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [O]) -> Result<(), EnvError> {
        self.ask(Task::Reset(seed))?;
        self.finish(|errand| obs.copy_from_slice(&errand.obs))
    }

    fn step(&mut self, action: u32, obs: &mut [O]) -> Result<Step, EnvError> {
        self.ask(Task::Step(action))?;
        self.finish_step(|errand, _| obs.copy_from_slice(&errand.obs))
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        self.ask(Task::Snapshot).ok()?;
        self.finish(|errand| errand.snapshot.take()).ok()?
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        self.ask(Task::Restore(snapshot.to_owned()))?;
        self.finish(|_| ())
    }
}

/// Environments that live in a thread each and step at the same time. For those that must stay in their thread; others are faster in
/// [`Pooled`](super::Pooled).
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Threaded;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Threaded::new(|| Ok(CartPole::v1()), 3)?;
/// let (mut obs, mut last_obs, mut steps) = ([0.0; 12], [0.0; 12], [Step::default(); 3]);
/// envs.reset(Some(1), &mut obs)?;
/// envs.step(&[0, 1, 0], &mut obs, &mut last_obs, &mut steps)?;
/// assert_eq!(steps[2].reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Threaded<O> {
    envs: Vec<Remote<O>>,
}

impl<O: Elem> Threaded<O> {
    /// `num_envs` environments, each made by `make` in its thread.
    ///
    /// # Errors
    ///
    /// Those of `make`; when the system starts no more threads, or two environments differ in their constants ([`EnvError::Mixed`]).
    ///
    /// # Panics
    ///
    /// If `num_envs` is 0.
    pub fn new<E: Env<Obs = O>>(
        make: impl Fn() -> Result<E, EnvError> + Clone + Send + 'static,
        num_envs: usize,
    ) -> Result<Self, EnvError> {
        let envs: Vec<Remote<O>> = (0..num_envs)
            .map(|number| Remote::new(make.clone()).map_err(|error| error.of(number)))
            .collect::<Result<_, _>>()?;
        check_alike(envs.iter().map(Env::spec))?;
        Ok(Self { envs })
    }

    /// Waits for every answer, and says of the first error by index.
    fn finish(&self, mut one: impl FnMut(usize, &Remote<O>) -> Result<(), EnvError>) -> Result<(), EnvError> {
        let mut first = Ok(());
        for (i, env) in self.envs.iter().enumerate() {
            let result = one(i, env).map_err(|error| error.of(i));
            if first.is_ok() {
                first = result;
            }
        }
        first
    }
}

impl<O: Elem> VecEnv for Threaded<O> {
    type Obs = O;

    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn spec(&self) -> EnvSpec {
        self.envs[0].spec
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [O]) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        assert_eq!(
            obs.len(),
            self.envs.len() * len,
            "elements of obs of {} environments",
            self.envs.len()
        );
        for (i, env) in self.envs.iter().enumerate() {
            let seed = seed.map(|seed| derive_seed(seed, "env", i as u64));
            // Of a thread that has died, waiting for the answer is the error; the others are asked all the same.
            let _ = env.ask(Task::Reset(seed));
        }
        self.finish(|i, env| {
            let obs = &mut obs[i * len..(i + 1) * len];
            env.finish(|errand| obs.copy_from_slice(&errand.obs))
        })
    }

    fn step(&mut self, actions: &[u32], obs: &mut [O], last_obs: &mut [O], steps: &mut [Step]) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        check_lengths(self.envs.len(), len, actions, obs, last_obs, steps);
        for (env, action) in self.envs.iter().zip(actions) {
            // As above.
            let _ = env.ask(Task::StepOn(*action));
        }
        self.finish(|i, env| {
            let row = i * len..(i + 1) * len;
            steps[i] = env.finish_step(|errand, step| {
                obs[row.clone()].copy_from_slice(&errand.obs);
                if step.end.is_over() {
                    last_obs[row].copy_from_slice(&errand.last_obs);
                }
            })?;
            Ok(())
        })
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        self.envs.iter().map(Env::snapshot).collect()
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        restore_all(self.envs.iter_mut(), snapshots)
    }
}
