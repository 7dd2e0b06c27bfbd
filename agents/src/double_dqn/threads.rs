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
//! that an update needs, and a thread waits while the learner has both of its batches.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coinop_envs::EnvFactory;
use coinop_envs::rng::derive_seed;
use crossbeam::channel::{Receiver, never};
use crossbeam::select;

use super::actors::{Actors, Transitions, UnderWay};
use super::distant::Chunk;
use crate::network::{Observation, QNetwork, Weights};
use crate::producers::{Full, Producer, Producers};
use crate::times::Stopwatch;
use crate::{AgentError, TrainError};

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
    /// Those of the network; `None` while actions are random.
    weights: Option<Weights>,
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
            out.extend_from_slice(bytemuck::cast_slice(&weights.numbers()?));
        }
        Ok(out)
    }
}

/// A step of the actors of one thread, from actor `first` on.
pub(super) struct Steps<O> {
    pub(super) first: usize,
    pub(super) transitions: Transitions<O>,
}

/// What the learner takes in next.
pub(super) enum Next<O> {
    Step(Full<Steps<O>>),
    Chunk(Chunk),
}

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

/// The running threads, which end when this is dropped.
pub(super) struct Threads<O: Observation> {
    producers: Producers<Playing<O>>,
    broadcast: Arc<Broadcast>,
}

impl<O: Observation> Threads<O> {
    /// Starts the threads, each with its share of the actors and a network that `network` builds.
    pub(super) fn start(
        mut plan: Plan<'_, O>,
        network: impl Fn() -> Result<QNetwork, AgentError>,
    ) -> Result<Self, TrainError> {
        let threads = plan.threads.clamp(1, plan.actors);
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
        let in_flight = in_flight
            .into_iter()
            .map(|(first, transitions)| Steps { first, transitions });
        let obs_len = plan.factory.spec().obs_shape.len();
        let mut producers = Vec::new();
        for number in 0..threads {
            let first = plan.actors * number / threads;
            let count = plan.actors * (number + 1) / threads - first;
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
            let playing = Playing {
                actors,
                begun: plan.from.is_some(),
                seed: plan.seed,
                first,
                network: network()?,
                broadcast: Arc::clone(&broadcast),
                version: 0,
                has_weights: false,
                epsilons: plan.epsilons[first..first + count].to_vec(),
            };
            let steps = || Steps {
                first,
                transitions: Transitions::new(count, obs_len),
            };
            producers.push((playing, (0..IN_CIRCULATION).map(|_| steps()).collect()));
        }
        Ok(Self {
            producers: Producers::start(producers, in_flight)?,
            broadcast,
        })
    }

    /// Waits for the next step of any thread, or for a chunk of other ranks.
    pub(super) fn next(&mut self, chunks: Option<&Receiver<Chunk>>) -> Result<Next<O>, TrainError> {
        if let Some(message) = self.producers.pending() {
            return message.map(Next::Step);
        }
        // A thread that ends sends a message, so a message always follows.
        let died = TrainError::ActorDied { number: 0 };
        let nobody = never();
        select! {
            recv(self.producers.full()) -> message => message.unwrap_or(Err(died)).map(Next::Step),
            recv(chunks.unwrap_or(&nobody)) -> chunk => chunk.map(Next::Chunk).map_err(|_| died),
        }
    }

    /// Whether no step of a thread is there.
    pub(super) fn is_empty(&self) -> bool {
        self.producers.waiting() == 0
    }

    /// What the actors are told.
    pub(super) fn broadcast(&self) -> Arc<Broadcast> {
        Arc::clone(&self.broadcast)
    }

    /// Returns a batch to its thread, to be reused.
    pub(super) fn give_back(&self, steps: Full<Steps<O>>) {
        self.producers.give_back(steps);
    }

    /// Takes a snapshot of all actors while every thread is between two steps. `None` if environments do not support
    /// snapshots, or a thread has not started or has failed.
    pub(super) fn under_way(&self) -> Option<UnderWay<O>> {
        self.producers.paused(|producers, in_flight| {
            let mut under_way = UnderWay::new();
            for playing in producers {
                if !playing.begun {
                    return None;
                }
                under_way.push(&playing.actors)?;
            }
            under_way.in_flight = in_flight
                .iter()
                .map(|steps| (steps.first, steps.transitions.clone()))
                .collect();
            Some(under_way)
        })
    }

    /// Sends the threads new weights and epsilons.
    pub(super) fn tell(&self, network: &QNetwork, epsilons: &[f32]) -> Result<(), AgentError> {
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

/// The actors of a thread.
struct Playing<O: Observation> {
    actors: Actors<O>,
    begun: bool,
    seed: u64,
    first: usize,
    network: QNetwork,
    broadcast: Arc<Broadcast>,
    /// The version of the weights, if there are any.
    version: u64,
    has_weights: bool,
    epsilons: Vec<f32>,
}

impl<O: Observation> Producer for Playing<O> {
    type Batch = Steps<O>;

    fn fill(&mut self, steps: &mut Steps<O>) -> Result<(), TrainError> {
        let first = self.first;
        if !self.begun {
            let started = self.actors.begin(derive_seed(self.seed, "actors", first as u64));
            started.map_err(|error| error.counted_from(first))?;
            self.begun = true;
        }
        let newest = self.broadcast.version.load(Ordering::Acquire);
        if newest != self.version {
            let behaviour = self.broadcast.behaviour();
            if let Some(weights) = &behaviour.weights {
                self.network.read_weights(weights)?;
                self.has_weights = true;
            }
            let own = first..first + self.epsilons.len();
            self.epsilons.copy_from_slice(&behaviour.epsilons[own]);
            self.version = newest;
        }
        let network = self.has_weights.then_some(&mut self.network);
        let stepped = self
            .actors
            .step(&Stopwatch::default(), network, &self.epsilons, &mut steps.transitions);
        stepped.map_err(|error| match error {
            TrainError::Env(error) => error.counted_from(first).into(),
            error => error,
        })
    }
}
