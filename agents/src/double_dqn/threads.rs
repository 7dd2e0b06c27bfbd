//! Actors that step in their own threads while the learner learns.
//!
//! ```text
//! thread 0   step, step, step …  ──┐  transitions, two batches for each thread      ┌── learner: remembers each, and after every so many
//! thread 1   step, step, step …  ──┴────────────────────────────────────────────┘   steps does an update
//!               ▲  weights and epsilons, whenever there are new ones                         │
//!               └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A checkpoint is taken while every thread is between two steps. It contains the actors, their observations, and the
//! steps not yet received.
//!
//! The ratio of updates to steps is the configured one, whichever side is faster: the learner waits for the steps
//! that an update needs, and a thread waits while both of its batches are in the channel. Waiting threads sleep.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use coinop_envs::rng::derive_seed;
use coinop_envs::{EnvError, EnvFactory};
use crossbeam::channel::{Receiver, Sender, bounded, never};
use crossbeam::select;
use tch::{Device, Tensor};

use super::actors::{Actors, Transitions, UnderWay};
use super::distant::Chunk;
use crate::network::{Observation, QNetwork};
use crate::times::Stopwatch;
use crate::workers::Farewell;
use crate::{AgentError, TrainError, set_torch_threads};

/// Batches of transitions per thread in circulation.
const IN_CIRCULATION: usize = 2;

/// What the learner broadcasts to the actors.
pub(super) struct Broadcast {
    /// Counts changes of `behaviour`.
    version: AtomicU64,
    behaviour: Mutex<Behaviour>,
}

/// The behaviour policy of the actors.
struct Behaviour {
    /// All parameters of the network; `None` while actions are random.
    weights: Option<Tensor>,
    epsilons: Vec<f32>,
}

impl Broadcast {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        // A panic while writing has ended the run.
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the actors `own` of another rank, which knows version `seen`, are told: their seed, the newest version,
    /// epsilons, and the weights if there are new ones.
    pub(super) fn answer(&self, seed: u64, seen: u64, own: Range<usize>) -> Result<Vec<u8>, AgentError> {
        let behaviour = self.behaviour();
        let version = self.version.load(Ordering::Acquire);
        let mut out = seed.to_le_bytes().to_vec();
        out.extend(version.to_le_bytes());
        out.extend_from_slice(bytemuck::cast_slice(&behaviour.epsilons[own]));
        if let Some(weights) = behaviour.weights.as_ref().filter(|_| version != seen) {
            let mut numbers = vec![0.0f32; weights.numel()];
            weights
                .f_to_device(Device::Cpu)?
                .f_copy_data(&mut numbers, weights.numel())?;
            out.extend_from_slice(bytemuck::cast_slice(&numbers));
        }
        Ok(out)
    }
}

/// A step of the actors of one thread.
pub(super) struct Delivery<O> {
    pub(super) first: usize,
    pub(super) transitions: Transitions<O>,
    /// The thread that the batch is returned to; `None` if it comes from a checkpoint.
    thread: Option<usize>,
}

/// What the learner takes in next.
pub(super) enum Next<O> {
    Step(Delivery<O>),
    Chunk(Chunk),
}

type Message<O> = Result<Delivery<O>, TrainError>;

/// The arguments of [`Threads::start`].
pub(super) struct Plan<'a, O: Observation> {
    pub(super) factory: &'a Arc<dyn EnvFactory<Obs = O>>,
    pub(super) actors: usize,
    pub(super) threads: usize,
    pub(super) seed: u64,
    pub(super) epsilons: &'a [f32],
    /// The initial behaviour network; without one, actions are random.
    pub(super) network: Option<&'a QNetwork>,
    /// The snapshot to resume from; without one, episodes start.
    pub(super) from: Option<UnderWay<O>>,
}

/// The actors of a thread, locked during a step.
struct Playing<O: Observation> {
    actors: Actors<O>,
    begun: bool,
}

/// The running threads, which end when this is dropped.
pub(super) struct Threads<O: Observation> {
    transitions: Receiver<Message<O>>,
    /// Received but not yet processed messages.
    pending: RefCell<VecDeque<Message<O>>>,
    playing: Vec<Arc<Mutex<Playing<O>>>>,
    /// The channels that return batches to each thread.
    returns: Vec<Sender<Transitions<O>>>,
    broadcast: Arc<Broadcast>,
    handles: Vec<JoinHandle<()>>,
}

impl<O: Observation> Threads<O> {
    /// Starts the threads, each with its share of the actors and a network that `network` builds.
    pub(super) fn start(
        mut plan: Plan<'_, O>,
        network: impl Fn() -> Result<QNetwork, AgentError>,
    ) -> Result<Self, TrainError> {
        let threads = plan.threads.clamp(1, plan.actors);
        let (send, transitions) = bounded(IN_CIRCULATION * threads);
        let weights = plan.network.map(QNetwork::weights).transpose()?;
        let broadcast = Arc::new(Broadcast {
            version: AtomicU64::new(u64::from(weights.is_some())),
            behaviour: Mutex::new(Behaviour {
                weights,
                epsilons: plan.epsilons.to_vec(),
            }),
        });
        let in_flight = plan
            .from
            .as_mut()
            .map(|from| std::mem::take(&mut from.in_flight))
            .unwrap_or_default();
        let delivery = |(first, transitions)| {
            Ok(Delivery {
                first,
                transitions,
                thread: None,
            })
        };
        let mut started = Self {
            transitions,
            pending: RefCell::new(in_flight.into_iter().map(delivery).collect()),
            playing: Vec::new(),
            returns: Vec::new(),
            broadcast,
            handles: Vec::new(),
        };
        let obs_len = plan.factory.spec().obs_shape.len();
        for number in 0..threads {
            let first = plan.actors * number / threads;
            let count = plan.actors * (number + 1) / threads - first;
            let (back, returned) = bounded(IN_CIRCULATION);
            for _ in 0..IN_CIRCULATION {
                // There is room for all of them.
                let _ = back.send(Transitions::new(count, obs_len));
            }
            let worker = Worker {
                number,
                first,
                network: network()?,
                broadcast: Arc::clone(&started.broadcast),
                epsilons: plan.epsilons[first..first + count].to_vec(),
                returned,
            };
            let mut actors = Actors::new(
                plan.factory
                    .make_vec(first, count, 1)
                    .map_err(|error| error.counted_from(first))?,
                first,
                plan.seed,
            );
            if let Some(from) = &plan.from {
                actors.go_on(from, first).map_err(|error| error.counted_from(first))?;
            }
            let begun = plan.from.is_some();
            let playing = Arc::new(Mutex::new(Playing { actors, begun }));
            started.playing.push(Arc::clone(&playing));
            let (send, seed) = (send.clone(), plan.seed);
            let run = move || {
                let farewell = Farewell { send, number };
                if let Err(error) = worker.run(&playing, seed, &farewell.send) {
                    let _ = farewell.send.send(Err(error));
                }
            };
            let handle = thread::Builder::new().name(format!("actor-{number}")).spawn(run);
            started
                .handles
                .push(handle.map_err(|error| EnvError::Other(error.into()))?);
            started.returns.push(back);
        }
        Ok(started)
    }

    /// Waits for the next step of any thread, or for a chunk of other ranks.
    pub(super) fn next(&mut self, chunks: Option<&Receiver<Chunk>>) -> Result<Next<O>, TrainError> {
        if let Some(message) = self.pending.get_mut().pop_front() {
            return message.map(Next::Step);
        }
        // A thread that ends says so, so that this is never the last that one hears.
        let died = TrainError::ActorDied { number: 0 };
        let nobody = never();
        select! {
            recv(self.transitions) -> message => message.unwrap_or(Err(died)).map(Next::Step),
            recv(chunks.unwrap_or(&nobody)) -> chunk => chunk.map(Next::Chunk).map_err(|_| died),
        }
    }

    /// Whether no step of a thread is there.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.borrow().is_empty() && self.transitions.is_empty()
    }

    /// What the actors are told.
    pub(super) fn broadcast(&self) -> Arc<Broadcast> {
        Arc::clone(&self.broadcast)
    }

    /// Returns a batch to its thread, to be reused.
    pub(super) fn give_back(&mut self, delivery: Delivery<O>) {
        // Nobody takes it from a thread that has ended, which the next message says.
        if let Some(thread) = delivery.thread {
            let _ = self.returns[thread].send(delivery.transitions);
        }
    }

    /// Takes a snapshot of all actors while every thread is between two steps. `None` if environments do not support
    /// snapshots, or a thread has not started or has failed.
    pub(super) fn under_way(&self) -> Option<UnderWay<O>> {
        // A panic while stepping has ended the run.
        let paused: Vec<MutexGuard<'_, Playing<O>>> = self
            .playing
            .iter()
            .map(|playing| playing.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        // A step is sent before its thread lets go, so that all that were done are there.
        let mut pending = self.pending.borrow_mut();
        pending.extend(self.transitions.try_iter());
        let mut under_way = UnderWay::new();
        for playing in &paused {
            if !playing.begun {
                return None;
            }
            under_way.push(&playing.actors)?;
        }
        let steps = pending.iter().filter_map(|message| message.as_ref().ok());
        under_way.in_flight = steps
            .map(|delivery| (delivery.first, delivery.transitions.clone()))
            .collect();
        Some(under_way)
    }

    /// Sends the threads new weights and epsilons.
    pub(super) fn tell(&mut self, network: &QNetwork, epsilons: &[f32]) -> Result<(), AgentError> {
        let mut behaviour = self.broadcast.behaviour();
        match &mut behaviour.weights {
            Some(weights) => network.write_weights(weights)?,
            None => behaviour.weights = Some(network.weights()?),
        }
        behaviour.epsilons.copy_from_slice(epsilons);
        // Before anyone else can see the behaviour, so that the two fit.
        self.broadcast.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl<O: Observation> Drop for Threads<O> {
    fn drop(&mut self) {
        // A thread that waits for an empty batch, or for space in the channel, wakes up with an error and ends.
        self.returns.clear();
        let (_, closed) = bounded(0);
        self.transitions = closed;
        for handle in self.handles.drain(..) {
            // What a thread died of was sent.
            let _ = handle.join();
        }
    }
}

/// The state of a thread.
struct Worker<O> {
    number: usize,
    first: usize,
    network: QNetwork,
    broadcast: Arc<Broadcast>,
    epsilons: Vec<f32>,
    returned: Receiver<Transitions<O>>,
}

impl<O: Observation> Worker<O> {
    /// Steps until the learner stops receiving.
    fn run(mut self, playing: &Mutex<Playing<O>>, seed: u64, send: &Sender<Message<O>>) -> Result<(), TrainError> {
        // Each thread is one of many; libtorch's own threads would be one more for each.
        set_torch_threads(1);
        let (mut version, mut has_weights) = (0, false);
        while let Ok(mut transitions) = self.returned.recv() {
            // Only this thread steps; a checkpoint waits for the lock.
            let mut playing = playing.lock().unwrap_or_else(PoisonError::into_inner);
            let Playing { actors, begun } = &mut *playing;
            if !*begun {
                let first = self.first;
                let started = actors.begin(derive_seed(seed, "actors", first as u64));
                started.map_err(|error| error.counted_from(first))?;
                *begun = true;
            }
            let newest = self.broadcast.version.load(Ordering::Acquire);
            if newest != version {
                let behaviour = self.broadcast.behaviour();
                if let Some(weights) = &behaviour.weights {
                    self.network.read_weights(weights)?;
                    has_weights = true;
                }
                let own = self.first..self.first + self.epsilons.len();
                self.epsilons.copy_from_slice(&behaviour.epsilons[own]);
                version = newest;
            }
            let network = has_weights.then_some(&mut self.network);
            let stepped = actors.step(&Stopwatch::default(), network, &self.epsilons, &mut transitions);
            stepped.map_err(|error| match error {
                TrainError::Env(error) => error.counted_from(self.first).into(),
                error => error,
            })?;
            let (first, thread) = (self.first, Some(self.number));
            if send
                .send(Ok(Delivery {
                    first,
                    transitions,
                    thread,
                }))
                .is_err()
            {
                break;
            }
        }
        Ok(())
    }
}
