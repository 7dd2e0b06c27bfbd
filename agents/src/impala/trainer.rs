//! The trainer of IMPALA: batches of rollouts from a queue, and an update for each.

use std::sync::Arc;

use coinop_envs::rng::{derive_seed, stream};
use coinop_envs::{EnvFactory, EnvSpec, memory};
use tch::Device;

use super::actor::{Actor, Delivery, Published};
use super::{ImpalaBatch, ImpalaConfig, ImpalaLearner, ImpalaStats};
use crate::algorithm::{Algorithm, RunSettings};
use crate::collect::{self, Collector, check_center};
use crate::distributed::{JointlyLearned, Ranks};
use crate::network::{ActorCritic, Observation, RecurrentState};
use crate::producers::Producers;
use crate::rollout::Rollout;
use crate::times::{Part, Stopwatch, Times};
use crate::under_way;
use crate::{
    AgentError, Checkpoint, CheckpointError, Episode, Learner, Metrics, Progress, Resumption, Section, TrainError,
    Trainer,
};

/// The names of the metrics that the trainer adds to those of [`ImpalaStats`]: how many updates older the policies that
/// played were than the one that learned, and how many rollouts waited when a batch was taken.
const NAMES: [&str; 3] = ["learning_rate", "policy_lag", "queued_rollouts"];

/// The sections of a checkpoint.
const ACTORS: &str = "actors";
const QUEUE: &str = "queue";

/// Creates the network with initial weights of a seed.
pub(super) fn network(
    config: &ImpalaConfig,
    spec: &EnvSpec,
    seed: u64,
    device: Device,
) -> Result<ActorCritic, AgentError> {
    ActorCritic::new(&config.network, spec, &mut stream(seed, "network", 0), device)
}

/// The trainer of IMPALA. One [`step`](Trainer::step) is one update.
///
/// ```
/// use coinop_agents::Trainer;
/// use coinop_agents::algorithm::RunSettings;
/// use coinop_agents::impala::{Impala, ImpalaConfig};
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let (config, run) = (ImpalaConfig::classic(), RunSettings::new(2_000, 1));
/// let mut trainer = Impala::new(&config, &FromFn::new(|| Ok(CartPole::v1()))?, &run)?;
/// while trainer.step()?.frames < run.frames {}
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
pub struct Impala<O: Observation> {
    config: ImpalaConfig,
    spec: EnvSpec,
    seed: u64,
    learner: ImpalaLearner,
    actors: Actors<O>,
    published: Arc<Published>,
    /// The rollouts of a batch side by side.
    batch: Rollout<O>,
    /// What the environments learn.
    learned: JointlyLearned,
    steps: u64,
    watch: Stopwatch,
    /// The length of the run, which schedules span.
    run_frames: u64,
    ranks: Ranks,
    /// Set during a step, and after one that failed: what was under way is lost then.
    in_step: bool,
    episodes: Vec<Episode>,
    epsilons: Vec<f32>,
    metrics: Metrics,
}

/// The actors, whose threads start with the first step.
enum Actors<O: Observation> {
    Idle {
        actors: Vec<Actor<O>>,
        /// Rollouts of a checkpoint that have not been learned from.
        queue: Vec<Delivery<O>>,
    },
    Running(Producers<Actor<O>>),
}

impl<O: Observation> Impala<O> {
    /// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &ImpalaConfig,
        factory: &dyn EnvFactory<Obs = O>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        let RunSettings { seed, device, .. } = *run;
        let ranks = run.ranks.clone();
        config.validate()?;
        check_center::<O>(config.center_pixels)?;
        let spec = factory.spec();
        check_memory::<O>(config, &spec)?;
        let (n, own) = (config.envs_per_actor, ranks.own(config.num_envs()));
        let all = ranks.size() * config.num_envs();
        let published = Arc::new(Published::new(network(config, &spec, seed, device)?));
        let watch = Stopwatch::default();
        let actor = |number: usize| -> Result<Actor<O>, TrainError> {
            let first = own.start + number * n;
            let env = factory
                .make_vec(first, n, 1)
                .map_err(|error| error.counted_from(number * n))?;
            let plan = collect::Plan {
                rollout_steps: config.rollout_steps,
                epsilon: &config.epsilon,
                own: first..first + n,
                all,
                seed,
                env_seed: env_seed(seed, first),
            };
            let collector = Collector::new(plan, env, &watch);
            let network = network(config, &spec, seed, device)?;
            let frames_per_step = all as u64 * u64::from(spec.frames_per_step);
            Ok(Actor::new(
                number,
                collector,
                network,
                &published,
                frames_per_step,
                &watch,
            )?)
        };
        let actors: Vec<Actor<O>> = (0..config.actors).map(actor).collect::<Result<_, _>>()?;
        let network = network(config, &spec, seed, device)?;
        network.body().draw_masks_from(ranks.stream(seed, "dropout"));
        Ok(Self {
            learner: ImpalaLearner::new(config, network)?.with(ranks.clone()),
            batch: Rollout::new(config.rollout_steps, config.batch_envs(), spec.obs_shape.len()),
            learned: JointlyLearned::new(factory.learned(), &ranks),
            steps: 0,
            run_frames: run.frames,
            ranks,
            in_step: false,
            episodes: Vec::new(),
            epsilons: actors.iter().flat_map(Actor::epsilons).copied().collect(),
            metrics: Metrics::of(&[ImpalaStats::NAMES, &NAMES].concat()),
            actors: Actors::Idle {
                actors,
                queue: Vec::new(),
            },
            published,
            watch,
            config: config.clone(),
            spec,
            seed,
        })
    }

    /// The learner.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &ImpalaLearner {
        &self.learner
    }

    fn frames(&self) -> u64 {
        self.steps.saturating_mul(u64::from(self.spec.frames_per_step))
    }

    /// A batch for a rollout.
    fn delivery(&self) -> Result<Delivery<O>, AgentError> {
        let (steps, n) = (self.config.rollout_steps, self.config.envs_per_actor);
        Delivery::new(steps, n, &self.spec, self.learner.network())
    }

    /// The actors' threads, which start if they do not run.
    fn start(&mut self) -> Result<(), TrainError> {
        let Actors::Idle { actors, queue } = &mut self.actors else {
            return Ok(());
        };
        let (actors, queue) = (std::mem::take(actors), std::mem::take(queue));
        let mut producers = Vec::with_capacity(actors.len());
        for actor in actors {
            // One is being filled while the others wait.
            let deliveries: Result<Vec<_>, _> = (0..=self.config.queue_rollouts).map(|_| self.delivery()).collect();
            producers.push((actor, deliveries?));
        }
        self.published
            .publish(self.learner.network(), self.learner.updates(), self.frames())?;
        self.actors = Actors::Running(Producers::start(producers, queue)?);
        Ok(())
    }

    /// Receives the rollouts of a batch; returns the recurrent states before them, and how many updates older than the
    /// learner's the policies were on average.
    fn receive(&mut self) -> Result<(RecurrentState, f64), TrainError> {
        let updates = self.learner.updates();
        let Actors::Running(producers) = &mut self.actors else {
            unreachable!("the actors were started before the first batch");
        };
        let mut states = Vec::with_capacity(self.config.batch_rollouts);
        let mut lag = 0;
        for i in 0..self.config.batch_rollouts {
            let mut full = self.watch.measure(Part::Waiting, || producers.next())?;
            let delivery = &mut full.batch;
            let n = delivery.rollout.num_envs();
            self.watch
                .measure(Part::Copies, || self.batch.place(i * n, &delivery.rollout));
            states.push(std::mem::take(&mut delivery.state));
            self.episodes.append(&mut delivery.episodes);
            let last = delivery.rollout.actions.len() - n;
            self.epsilons[delivery.actor * n..][..n].copy_from_slice(&delivery.rollout.epsilons[last..]);
            lag += updates.saturating_sub(delivery.updates);
            producers.give_back(full);
        }
        let lag = lag as f64 / self.config.batch_rollouts as f64;
        Ok((RecurrentState::joined(&states)?, lag))
    }

    /// The number of rollouts that wait.
    fn queued(&self) -> usize {
        match &self.actors {
            Actors::Idle { queue, .. } => queue.len(),
            Actors::Running(producers) => producers.waiting(),
        }
    }

    /// Copies the batch to the network's device.
    fn tensors(&self, state: RecurrentState, learning_rate: f64) -> Result<ImpalaBatch, AgentError> {
        let (batch, body) = (&self.batch, self.learner.network().body());
        Ok(ImpalaBatch {
            obs: body.input(batch.obs_from(0))?,
            actions: body.numbers(&batch.actions)?,
            log_probabilities: batch.log_probabilities.clone(),
            rewards: batch.rewards.clone(),
            discounts: batch.discounts.clone(),
            ends: batch.ends.clone(),
            final_values: batch.final_values.clone(),
            is_first: batch.is_first.clone(),
            state,
            learning_rate,
        })
    }

    /// Exchanges what the environments have learned with the other ranks.
    fn join(&mut self) -> Result<(), TrainError> {
        match &self.actors {
            // No environment may learn more meanwhile.
            Actors::Running(producers) if !self.ranks.is_alone() => producers.paused(|_, _| self.learned.join()),
            _ => Ok(()),
        }
    }
}

/// The seed of an actor's environments, from environment `first` on.
fn env_seed(seed: u64, first: usize) -> u64 {
    derive_seed(seed, "actors", first as u64)
}

/// Checks that there is enough memory for the rollouts, which are nearly all that a trainer allocates.
fn check_memory<O: Observation>(config: &ImpalaConfig, spec: &EnvSpec) -> Result<(), TrainError> {
    let row = ((config.rollout_steps + 1) * spec.obs_shape.len()) as u64;
    let bytes = |envs: usize, each: usize| (envs as u64).saturating_mul(row).saturating_mul(each as u64);
    // The rollouts of the actors, what their networks have seen, and the batch with a copy in floating point.
    let rollouts = config.num_envs().saturating_mul(config.queue_rollouts + 3);
    let needed = bytes(rollouts, size_of::<O>()).saturating_add(bytes(config.batch_envs(), 2 * size_of::<O>() + 4));
    let what = || format!("rollouts of {} steps", config.rollout_steps);
    let way_out = "lower actors, envs_per_actor, rollout_steps, batch_rollouts or queue_rollouts";
    Ok(memory::require(what, needed, way_out)?)
}

impl<O: Observation> Trainer for Impala<O> {
    fn resumption(&self) -> Resumption {
        let of = |actor: &Actor<O>| actor.resumption();
        let all: Vec<Resumption> = match &self.actors {
            _ if self.in_step => vec![Resumption::NewEpisodes],
            Actors::Idle { actors, .. } => actors.iter().map(of).collect(),
            Actors::Running(producers) => producers.paused(|actors, _| actors.iter().map(|actor| of(actor)).collect()),
        };
        match all.contains(&Resumption::NewEpisodes) {
            true => Resumption::NewEpisodes,
            false => Resumption::Timing,
        }
    }

    /// Covers the learner and the actors.
    fn times(&self) -> Times {
        let threads = self.config.actors + 1;
        self.watch.times(threads).waiting(self.ranks.time_of_means())
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let weights = from.section("learner")?.section("network")?;
        self.learner.network_mut().load(weights)?;
        let (updates, frames) = (self.learner.updates(), self.frames());
        self.published.publish(self.learner.network(), updates, frames)?;
        Ok(self.learned.take(from)?)
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let seed = under_way::resumed_seed(self.seed, self.steps);
        let first = self.ranks.own(self.config.num_envs()).start;
        let n = self.config.envs_per_actor;
        self.stop();
        self.learner
            .network()
            .body()
            .draw_masks_from(self.ranks.stream(seed, "dropout"));
        if let Actors::Idle { actors, queue } = &mut self.actors {
            queue.clear();
            for (number, actor) in actors.iter_mut().enumerate() {
                actor.renew(seed, env_seed(seed, first + number * n));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.in_step = true;
        self.metrics.clear();
        self.episodes.clear();
        // Taken before the frames of the batch are counted, so that the first has all of it and the last still learns.
        let learning_rate = self.config.learning_rate.at(self.frames(), self.run_frames);
        self.start()?;
        let queued = self.queued();
        let (state, lag) = self.receive()?;
        let batch = self
            .watch
            .measure(Part::Copies, || self.tensors(state, learning_rate))?;
        let steps = (self.batch.actions.len() * self.ranks.size()) as u64;
        self.steps = self.steps.saturating_add(steps);
        if self.config.center_pixels && !self.learner.network().is_centered() {
            self.learner.network_mut().center_over(&batch.obs, &self.ranks)?;
        } else {
            let stats = self.watch.measure(Part::Learning, || self.learner.learn(&batch))?;
            stats.record(&mut self.metrics);
            self.metrics.record("learning_rate", learning_rate);
            self.metrics.record("policy_lag", lag);
            self.metrics.record("queued_rollouts", queued as f64);
        }
        let (updates, frames) = (self.learner.updates(), self.frames());
        self.watch.measure(Part::Copies, || {
            self.published.publish(self.learner.network(), updates, frames)
        })?;
        self.join()?;
        self.in_step = false;
        Ok(Progress {
            frames: self.frames(),
            steps: self.steps,
            updates,
            episodes: &self.episodes,
            metrics: &self.metrics,
            epsilons: &self.epsilons,
        })
    }
}

impl<O: Observation> Impala<O> {
    /// Stops the threads.
    fn stop(&mut self) {
        let idle = Actors::Idle {
            actors: Vec::new(),
            queue: Vec::new(),
        };
        self.actors = match std::mem::replace(&mut self.actors, idle) {
            Actors::Running(producers) => {
                let (actors, queue) = producers.stop();
                Actors::Idle { actors, queue }
            }
            idle @ Actors::Idle { .. } => idle,
        };
    }

    /// Saves the actors, and the rollouts that have not been learned from.
    fn save_actors<'a>(
        actors: impl Iterator<Item = &'a Actor<O>>,
        queue: impl Iterator<Item = &'a Delivery<O>>,
        out: &mut Section,
    ) -> Result<(), CheckpointError>
    where
        O: 'a,
    {
        let (mut count, mut queued) = (0, 0);
        for actor in actors {
            actor.save(out.section_mut(ACTORS).section_mut(&count.to_string()))?;
            count += 1;
        }
        for delivery in queue {
            delivery.save(out.section_mut(QUEUE).section_mut(&queued.to_string()))?;
            queued += 1;
        }
        out.put(ACTORS, &count)?;
        out.put("queued_rollouts", &queued)
    }
}

/// Saves weights, optimiser, counters, and the actors between two rollouts with those that wait in the queue.
impl<O: Observation> Checkpoint for Impala<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        match &self.actors {
            // What the batch of a failed step had of the queue is lost.
            _ if self.in_step => {}
            Actors::Idle { actors, queue } => Self::save_actors(actors.iter(), queue.iter(), out)?,
            Actors::Running(producers) => producers.paused(|actors, queue| {
                Self::save_actors(actors.iter().map(|actor| &**actor), queue.iter().copied(), out)
            })?,
        }
        self.learned.save(out)?;
        out.put("steps", &self.steps)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.stop();
        self.in_step = false;
        self.learner.load(from.section("learner")?)?;
        self.steps = from.count("steps")?;
        self.learned.load(from)?;
        let seed = under_way::resumed_seed(self.seed, self.steps);
        let first = self.ranks.own(self.config.num_envs()).start;
        let n = self.config.envs_per_actor;
        let mut restored = Vec::new();
        let has_actors = from.has_section(ACTORS);
        if has_actors {
            let count = from.count(ACTORS)?;
            if count != self.config.actors as u64 {
                let reason = format!("there are {count}, {} are needed", self.config.actors);
                return Err(CheckpointError::unfit(ACTORS, &reason));
            }
            let most = self.config.actors * (self.config.queue_rollouts + 1) * 2;
            let queued = from.count("queued_rollouts")? as usize;
            if queued > most {
                let reason = format!("there are {queued} rollouts, more than the {most} that may wait");
                return Err(CheckpointError::unfit("queued_rollouts", &reason));
            }
            for number in 0..queued {
                let unfit = |error| CheckpointError::unfit(QUEUE, &error);
                let mut delivery = self.delivery().map_err(unfit)?;
                let section = from.section(QUEUE)?.section(&number.to_string())?;
                delivery.load(self.config.actors, self.spec.num_actions, section)?;
                restored.push(delivery);
            }
        }
        if let Actors::Idle { actors, queue } = &mut self.actors {
            *queue = restored;
            for (number, actor) in actors.iter_mut().enumerate() {
                let env_seed = env_seed(seed, first + number * n);
                match has_actors {
                    true => actor.load(from.section(ACTORS)?.section(&number.to_string())?, env_seed)?,
                    false => actor.renew(seed, env_seed),
                }
            }
            self.epsilons = actors.iter().flat_map(Actor::epsilons).copied().collect();
        }
        Ok(())
    }
}
