//! The actors of IMPALA: threads that play with weights that are a few updates old.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coinop_envs::EnvSpec;
use serde::{Deserialize, Serialize};

use crate::collect::{Collector, PolicyMemory, PolicyPlayer};
use crate::network::{ActorCritic, Observation, RecurrentState};
use crate::producers::Producer;
use crate::rollout::Rollout;
use crate::times::Stopwatch;
use crate::{AgentError, CheckpointError, Episode, Resumption, Section, TrainError};

/// What the learner tells the actors.
pub(super) struct Published {
    /// Counts changes of `newest`, from 1.
    version: AtomicU64,
    newest: Mutex<Newest>,
    /// The frames that the run has learned from, by which epsilons are redrawn.
    frames: AtomicU64,
}

struct Newest {
    network: ActorCritic,
    /// The updates that made it.
    updates: u64,
}

impl Published {
    pub(super) fn new(network: ActorCritic) -> Self {
        Self {
            version: AtomicU64::new(1),
            newest: Mutex::new(Newest { network, updates: 0 }),
            frames: AtomicU64::new(0),
        }
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        // A panic while writing has ended the run.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a network that `updates` updates made, after `frames` frames.
    pub(super) fn publish(&self, network: &ActorCritic, updates: u64, frames: u64) -> Result<(), AgentError> {
        let mut newest = self.newest();
        newest.network.copy_from(network)?;
        newest.updates = updates;
        self.frames.store(frames, Ordering::Relaxed);
        // Before anyone else can see the network, so that the two fit.
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// A rollout of an actor.
pub(super) struct Delivery<O> {
    /// The number of the actor, from 0 in each process.
    pub(super) actor: usize,
    pub(super) rollout: Rollout<O>,
    /// The recurrent state before it.
    pub(super) state: RecurrentState,
    /// The episodes that ended; their actors are environments of the process.
    pub(super) episodes: Vec<Episode>,
    /// The updates that made the network that played.
    pub(super) updates: u64,
}

/// What a checkpoint has of a delivery besides the rollout and the recurrent state.
#[derive(Serialize, Deserialize)]
struct About {
    actor: usize,
    episodes: Vec<Episode>,
    updates: u64,
}

impl<O: Observation> Delivery<O> {
    pub(super) fn new(
        rollout_steps: usize,
        num_envs: usize,
        spec: &EnvSpec,
        network: &ActorCritic,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            actor: 0,
            rollout: Rollout::new(rollout_steps, num_envs, spec.obs_shape.len()),
            state: network.initial_state(num_envs)?,
            episodes: Vec::new(),
            updates: 0,
        })
    }

    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let about = About {
            actor: self.actor,
            episodes: self.episodes.clone(),
            updates: self.updates,
        };
        out.put("about", &about)?;
        self.state.save(out)?;
        self.rollout.save(out.section_mut("rollout"))
    }

    /// Restores a delivery of one of `actors` actors.
    pub(super) fn load(&mut self, actors: usize, num_actions: usize, from: &Section) -> Result<(), CheckpointError> {
        let about: About = from.get("about")?;
        let envs = actors * self.rollout.num_envs();
        if about.actor >= actors || about.episodes.iter().any(|episode| episode.actor >= envs) {
            return Err(CheckpointError::unfit("about", &"there is no such actor"));
        }
        (self.actor, self.episodes, self.updates) = (about.actor, about.episodes, about.updates);
        self.state.load(from)?;
        self.rollout.load(num_actions, from.section("rollout")?)
    }
}

/// An actor: some environments and a copy of the network.
pub(super) struct Actor<O: Observation> {
    number: usize,
    collector: Collector<O>,
    memory: PolicyMemory,
    network: ActorCritic,
    published: Arc<Published>,
    /// The version of the network.
    version: u64,
    /// The updates that made it.
    updates: u64,
    /// Frames per step of all actors.
    frames_per_step: u64,
    watch: Stopwatch,
}

impl<O: Observation> Actor<O> {
    /// Creates actor `number` of a process with a network of its own; a step of all actors there are makes
    /// `frames_per_step` frames.
    pub(super) fn new(
        number: usize,
        collector: Collector<O>,
        network: ActorCritic,
        published: &Arc<Published>,
        frames_per_step: u64,
        watch: &Stopwatch,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            number,
            memory: PolicyMemory::new(&network, collector.num_envs())?,
            collector,
            network,
            published: Arc::clone(published),
            version: 0,
            updates: 0,
            frames_per_step,
            watch: watch.clone(),
        })
    }

    /// The first of its environments among those of the process.
    fn first(&self) -> usize {
        self.number * self.collector.num_envs()
    }

    /// The current epsilons of its environments.
    pub(super) fn epsilons(&self) -> &[f32] {
        self.collector.epsilons()
    }

    pub(super) fn resumption(&self) -> Resumption {
        self.collector.resumption(false)
    }

    /// Begins new episodes with new random streams.
    pub(super) fn renew(&mut self, seed: u64, env_seed: u64) {
        self.collector.renew(seed, env_seed);
    }

    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.collector.save(out)?;
        self.memory.state.save(out)
    }

    /// Restores its streams and episodes; without episodes, the environments are reset with `env_seed`.
    pub(super) fn load(&mut self, from: &Section, env_seed: u64) -> Result<(), CheckpointError> {
        self.version = 0;
        if self.collector.load(from, env_seed)? {
            self.memory.state.load(from)?;
        }
        Ok(())
    }

    fn play(&mut self) -> Result<(), TrainError> {
        let newest = self.published.version.load(Ordering::Acquire);
        if newest != self.version {
            let newest = self.published.newest();
            self.network.copy_from(&newest.network)?;
            // A newer one than was asked for is only copied once more.
            self.updates = newest.updates;
        }
        self.version = newest;
        let mut player = PolicyPlayer {
            network: &self.network,
            memory: &mut self.memory,
            updates: self.updates,
            watch: &self.watch,
        };
        let frames = self.published.frames.load(Ordering::Relaxed);
        self.collector.collect(&mut player, frames, self.frames_per_step)
    }
}

impl<O: Observation> Producer for Actor<O> {
    type Batch = Delivery<O>;

    fn fill(&mut self, delivery: &mut Delivery<O>) -> Result<(), TrainError> {
        let first = self.first();
        self.play().map_err(|error| match error {
            TrainError::Env(error) => error.counted_from(first).into(),
            error => error,
        })?;
        delivery.actor = self.number;
        delivery.updates = self.updates;
        delivery.episodes.clear();
        let episodes = self.collector.episodes.finished().iter();
        delivery.episodes.extend(episodes.map(|episode| Episode {
            actor: first + episode.actor,
            ..*episode
        }));
        std::mem::swap(&mut delivery.rollout, &mut self.collector.rollout);
        self.collector.rollout.follow(&delivery.rollout);
        delivery.state = std::mem::take(&mut self.memory.first_state);
        self.memory.seen.clear();
        self.collector.end();
        Ok(())
    }
}
