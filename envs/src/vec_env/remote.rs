//! Environments that live in threads of their own, because they must not leave the thread that created them.
//!
//! ```text
//! Remote ── Errand: what to do, and buffers ──►  thread with the environment
//!        ◄── the same, with what came of it ──
//! ```
//!
//! The buffers are sent back and forth, so a step allocates nothing.

use std::cell::RefCell;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{VecEnv, check_alike, check_lengths, restore_all, step_one};
use crate::guard::{Guarded, catch};
use crate::rng::derive_seed;
use crate::{Elem, Env, EnvError, EnvSpec, Step, Viewer};

/// A request to the thread.
#[derive(Debug)]
enum Task {
    Reset(Option<u64>),
    Step(u32),
    /// Step, then reset if the episode is over.
    StepOn(u32),
    Snapshot,
    Restore(Vec<u8>),
    SetViewer(Option<Viewer>),
    ActionMeanings,
}

/// A request and its result.
#[derive(Debug)]
struct Errand<O> {
    task: Task,
    obs: Vec<O>,
    final_obs: Vec<O>,
    result: Result<Step, EnvError>,
    snapshot: Option<Vec<u8>>,
    frames_per_second: Option<f64>,
    action_meanings: Vec<String>,
}

impl<O: Elem> Errand<O> {
    fn run<E: Env<Obs = O>>(&mut self, env: &mut Guarded<E>) {
        let nothing = |()| Step::default();
        self.result = match &mut self.task {
            Task::Reset(seed) => env.reset(*seed, &mut self.obs).map(nothing),
            Task::Step(action) => env.step(*action, &mut self.obs),
            Task::StepOn(action) => step_one(env, *action, &mut self.obs, &mut self.final_obs),
            Task::Snapshot => {
                self.snapshot = env.snapshot();
                Ok(Step::default())
            }
            Task::Restore(snapshot) => env.restore(snapshot).map(nothing),
            Task::SetViewer(viewer) => {
                self.frames_per_second = env.set_viewer(viewer.take());
                Ok(Step::default())
            }
            Task::ActionMeanings => {
                self.action_meanings = env.action_meanings();
                Ok(Step::default())
            }
        };
    }
}

/// An environment in a thread of its own, which ends when this is dropped. This handle is `Send` even if the
/// environment is not.
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
    /// Present while no request is pending.
    errand: RefCell<Option<Errand<O>>>,
    thread: Option<JoinHandle<()>>,
}

impl<O: Elem> Remote<O> {
    /// Starts a thread and calls `make` in it.
    ///
    /// # Errors
    ///
    /// The error of `make`, or if the thread cannot be started.
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
                final_obs: vec![O::default(); len],
                result: Ok(Step::default()),
                snapshot: None,
                frames_per_second: None,
                action_meanings: Vec::new(),
            })),
            thread: Some(thread),
        })
    }

    /// Sends a request; [`finish`](Self::finish) must follow.
    fn ask(&self, task: Task) -> Result<(), EnvError> {
        let mut errand = self.errand.borrow_mut().take().ok_or_else(died)?;
        errand.task = task;
        let errands = self.errands.as_ref().ok_or_else(died)?;
        errands.send(errand).map_err(|_| died())
    }

    /// Waits for the result and passes it to `read`.
    fn finish<T>(&self, read: impl FnOnce(&mut Errand<O>) -> T) -> Result<T, EnvError> {
        let mut errand = self.done.recv().map_err(|_| died())?;
        let result = std::mem::replace(&mut errand.result, Ok(Step::default()));
        let read = read(&mut errand);
        *self.errand.borrow_mut() = Some(errand);
        result.map(|_| read)
    }

    /// Waits for the result of a step and passes it to `read`.
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

/// The thread panicked; the message is on standard error.
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

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.ask(Task::SetViewer(viewer)).ok()?;
        self.finish(|errand| errand.frames_per_second).ok()?
    }

    fn action_meanings(&self) -> Vec<String> {
        let asked = self.ask(Task::ActionMeanings);
        let answer = asked.and_then(|()| self.finish(|errand| std::mem::take(&mut errand.action_meanings)));
        answer.unwrap_or_default()
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

/// Environments that step in parallel, one thread each. For environments that must stay in their thread; others are
/// faster in [`Pooled`](super::Pooled).
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Threaded;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Threaded::new(|| Ok(CartPole::v1()), 3)?;
/// let (mut obs, mut final_obs, mut steps) = ([0.0; 12], [0.0; 12], [Step::default(); 3]);
/// envs.reset(Some(1), &mut obs)?;
/// envs.step(&[0, 1, 0], &mut obs, &mut final_obs, &mut steps)?;
/// assert_eq!(steps[2].reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Threaded<O> {
    envs: Vec<Remote<O>>,
}

impl<O: Elem> Threaded<O> {
    /// Creates `num_envs` environments by calling `make` in the thread of each.
    ///
    /// # Errors
    ///
    /// The error of `make`, if a thread cannot be started, or if two environments differ in their constants
    /// ([`EnvError::Mixed`]).
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

    /// Waits for all results and returns the first error by index.
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

    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [O],
        final_obs: &mut [O],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        check_lengths(self.envs.len(), len, actions, obs, final_obs, steps);
        for (env, action) in self.envs.iter().zip(actions) {
            // As above.
            let _ = env.ask(Task::StepOn(*action));
        }
        self.finish(|i, env| {
            let row = i * len..(i + 1) * len;
            steps[i] = env.finish_step(|errand, step| {
                obs[row.clone()].copy_from_slice(&errand.obs);
                if step.end.is_over() {
                    final_obs[row].copy_from_slice(&errand.final_obs);
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
