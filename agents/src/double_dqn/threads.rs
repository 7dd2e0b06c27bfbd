//! Actors that step in threads of their own while the learner learns.
//!
//! ```text
//! thread 0   step, step, step …  ──┐  transitions, two batches for each thread      ┌── learner: remembers each, and after every so many
//! thread 1   step, step, step …  ──┴────────────────────────────────────────────┘   steps does an update
//!               ▲  weights and epsilons, whenever there are new ones                         │
//!               └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The ratio of updates to steps is the configured one, whoever is faster: the learner waits for the steps that an update needs, and the
//! threads wait when both of their batches are on the way. Waiting is sleeping.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use coinop_envs::rng::derive_seed;
use coinop_envs::{EnvError, EnvFactory};
use crossbeam::channel::{Receiver, Sender, bounded};
use tch::Tensor;

use super::actors::{Actors, Transitions};
use crate::network::{Observation, QNetwork};
use crate::workers::Farewell;
use crate::{AgentError, TrainError, set_torch_threads};

/// Batches of transitions of a thread that are in circulation.
const IN_CIRCULATION: usize = 2;

/// What the learner tells the actors.
struct Broadcast {
    /// Counts the changes of `behaviour`.
    version: AtomicU64,
    behaviour: Mutex<Behaviour>,
}

/// What actors act by.
struct Behaviour {
    /// All parameters of the network; `None` while actors act at random.
    weights: Option<Tensor>,
    epsilons: Vec<f32>,
}

impl Broadcast {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        // Whoever panicked while writing has ended the run.
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of the actors of a thread.
pub(super) struct Delivery<O> {
    pub(super) first: usize,
    pub(super) transitions: Transitions<O>,
    thread: usize,
}

type Message<O> = Result<Delivery<O>, TrainError>;

/// What it takes to begin.
pub(super) struct Plan<'a, O: Observation> {
    pub(super) factory: &'a Arc<dyn EnvFactory<Obs = O>>,
    pub(super) actors: usize,
    pub(super) threads: usize,
    pub(super) seed: u64,
    pub(super) epsilons: &'a [f32],
}

/// The threads at work. They end when this is dropped.
pub(super) struct Threads<O> {
    transitions: Receiver<Message<O>>,
    /// Where the transitions of each thread go back to.
    returns: Vec<Sender<Transitions<O>>>,
    broadcast: Arc<Broadcast>,
    handles: Vec<JoinHandle<()>>,
}

impl<O: Observation> Threads<O> {
    /// Starts the threads, each with its share of the actors and a network that `network` builds.
    pub(super) fn start(
        plan: &Plan<'_, O>,
        network: impl Fn() -> Result<QNetwork, AgentError>,
    ) -> Result<Self, TrainError> {
        let threads = plan.threads.clamp(1, plan.actors);
        let (send, transitions) = bounded(IN_CIRCULATION * threads);
        let broadcast = Arc::new(Broadcast {
            version: AtomicU64::new(0),
            behaviour: Mutex::new(Behaviour {
                weights: None,
                epsilons: plan.epsilons.to_vec(),
            }),
        });
        let mut started = Self {
            transitions,
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
            let (factory, send, seed) = (Arc::clone(plan.factory), send.clone(), plan.seed);
            let run = move || {
                let farewell = Farewell { send, number };
                let result = factory
                    .make_vec(count, 1)
                    .map_err(TrainError::from)
                    .and_then(|env| worker.run(Actors::new(env, first, seed), seed, &farewell.send));
                if let Err(error) = result {
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

    /// The next step of any of the threads; waits for it.
    pub(super) fn next(&mut self) -> Result<Delivery<O>, TrainError> {
        // A thread that ends says so, so that this is never the last that one hears.
        self.transitions
            .recv()
            .unwrap_or(Err(TrainError::ActorDied { number: 0 }))
    }

    /// Gives a transitions back, to be filled again.
    pub(super) fn give_back(&mut self, delivery: Delivery<O>) {
        // Nobody takes it from a thread that has ended, which the next message says.
        let _ = self.returns[delivery.thread].send(delivery.transitions);
    }

    /// Tells the threads the weights to act by and the epsilons to explore with.
    pub(super) fn tell(&mut self, network: &QNetwork, epsilons: &[f32]) -> Result<(), AgentError> {
        let mut behaviour = self.broadcast.behaviour();
        match &mut behaviour.weights {
            Some(weights) => network.write_weights(weights)?,
            None => behaviour.weights = Some(network.weights()?),
        }
        behaviour.epsilons.copy_from_slice(epsilons);
        drop(behaviour);
        self.broadcast.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl<O> Drop for Threads<O> {
    fn drop(&mut self) {
        // Whoever waits for a transitions to fill, or for room to send one, wakes up with an error, and ends.
        self.returns.clear();
        let (_, closed) = bounded(0);
        self.transitions = closed;
        for handle in self.handles.drain(..) {
            // What a thread died of was sent.
            let _ = handle.join();
        }
    }
}

/// What a thread works with.
struct Worker<O> {
    number: usize,
    first: usize,
    network: QNetwork,
    broadcast: Arc<Broadcast>,
    epsilons: Vec<f32>,
    returned: Receiver<Transitions<O>>,
}

impl<O: Observation> Worker<O> {
    /// Steps until nobody listens any more.
    fn run(mut self, mut actors: Actors<O>, seed: u64, send: &Sender<Message<O>>) -> Result<(), TrainError> {
        // Each thread is one of many; libtorch's own threads would be one more for each.
        set_torch_threads(1);
        actors.begin(derive_seed(seed, "actors", self.first as u64))?;
        let (mut version, mut has_weights) = (0, false);
        while let Ok(mut transitions) = self.returned.recv() {
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
            let network = has_weights.then_some(&self.network);
            actors.step(network, &self.epsilons, &mut transitions)?;
            let (first, thread) = (self.first, self.number);
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
