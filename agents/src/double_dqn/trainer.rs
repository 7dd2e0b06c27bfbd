//! The Double-DQN trainer: steps of actors, and the updates that are due after each.

use std::sync::Arc;

use coinop_envs::rng::{Rng, derive_seed, stream};
use coinop_envs::{EnvFactory, EnvSpec, memory};
use tch::Device;

use super::actors::{Actors, Transitions, UnderWay};
use super::config::DoubleDqnConfig;
use super::distant::Others;
use super::learner::{DoubleDqnBatch, DoubleDqnLearner, NAMES};
use super::threads::{Next, Plan, Threads};
use crate::algorithm::RunSettings;
use crate::collect::check_center;
use crate::distributed::{JointlyLearned, Ranks, Told};
use crate::episodes::Episodes;
use crate::explore::Epsilons;
use crate::network::{Observation, QNetwork};
use crate::replay::{Replay, ReplayBatch};
use crate::times::{Part, Stopwatch, Times};
use crate::under_way;
use crate::{
    AgentError, Algorithm, Checkpoint, CheckpointError, Learner, Metrics, Progress, Resumption, Section, TrainError,
    Trainer,
};

/// The Double-DQN trainer. One [`step`](Trainer::step) is one step of all actors, or of those of one thread, and the
/// updates that are then due.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_agents::Trainer;
/// use coinop_agents::algorithm::RunSettings;
/// use coinop_agents::double_dqn::{DoubleDqn, DoubleDqnConfig};
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let run = RunSettings::new(2_000, 1);
/// let factory = Arc::new(FromFn::new(|| Ok(CartPole::v1()))?);
/// let mut trainer = DoubleDqn::new(&DoubleDqnConfig::classic(), factory, &run)?;
/// while trainer.step()?.frames < run.frames {}
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
pub struct DoubleDqn<O: Observation> {
    config: DoubleDqnConfig,
    spec: EnvSpec,
    seed: u64,
    device: Device,
    source: Source<O>,
    learner: DoubleDqnLearner,
    replay: Replay<O>,
    batch: ReplayBatch<O>,
    sample_stream: Rng,
    /// The length of the run, which schedules span.
    run_frames: u64,
    epsilons: Epsilons,
    /// The actors' current epsilons: 1 until learning starts.
    acting: Vec<f32>,
    episodes: Episodes,
    steps: u64,
    watch: Stopwatch,
    /// What the environments learn.
    learned: JointlyLearned,
    /// The processes: those of an asynchronous algorithm send transitions, the others learn as this one does.
    ranks: Ranks,
    /// Whether the memory of every rank holds enough to learn from.
    learning: bool,
    /// Steps stored in the replay memories of all ranks.
    remembered: u64,
    /// Steps since the last update.
    since_update: usize,
    /// The frame of the next update of the target network.
    next_target: u64,
    /// Set during a step, and after one that failed: no episode can continue then.
    in_step: bool,
    metrics: Metrics,
}

/// The source of steps.
#[expect(clippy::large_enum_variant, reason = "a trainer has one")]
enum Source<O: Observation> {
    /// Actors that take turns with the learner.
    Turns {
        actors: Actors<O>,
        transitions: Transitions<O>,
        /// The seed to reset the environments with before the next step.
        env_seed: Option<u64>,
    },
    /// Actors in threads, which start with the first step.
    Threads {
        factory: Arc<dyn EnvFactory<Obs = O>>,
        threads: usize,
        running: Option<Threads<O>>,
        /// The snapshot that the actors resume from when they start.
        restored: Option<UnderWay<O>>,
        /// The update after which the threads last received the weights.
        told: Option<u64>,
        /// The other ranks, once the threads run.
        others: Option<Others<O>>,
        /// Whether a step of another rank is next, if there is one.
        turn: bool,
    },
}

impl<O: Observation> DoubleDqn<O> {
    /// Creates a trainer with new weights and an empty memory for a run, over which the beta of the importance weights
    /// increases unless the configuration says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &DoubleDqnConfig,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        let RunSettings {
            env_threads,
            seed,
            device,
            ..
        } = *run;
        config.validate()?;
        check_center::<O>(config.center_pixels)?;
        let ranks = run.ranks.clone();
        let (n, spec) = (config.num_envs, factory.spec());
        // Of an asynchronous algorithm, rank 0 remembers the steps of all ranks, and otherwise each those of its own.
        let all = ranks.size() * n;
        let own = if config.asynchronous { 0..all } else { ranks.own(n) };
        let row = (spec.obs_shape.len() * size_of::<O>()) as u64;
        let what = || format!("batches of {} transitions", config.batch_size);
        // Two observations, as pixels and as floating-point numbers.
        let bytes = (config.batch_size as u64).saturating_mul(2 * row).saturating_mul(4);
        memory::require(what, bytes, "lower batch_size")?;
        let network = || network(config, &spec, seed, device);
        let mut metrics = Metrics::of(&NAMES);
        metrics.add(&Metrics::of(&["beta", "replay_steps", "replay_megabytes"]));
        let online = network()?;
        online.body().draw_masks_from(ranks.stream(seed, "dropout"));
        Ok(Self {
            learner: DoubleDqnLearner::new(config, online, network()?)?.with(match config.asynchronous {
                true => Ranks::default(),
                false => ranks.clone(),
            }),
            replay: Replay::new(&config.replay_config(), own.len(), &spec)?,
            batch: ReplayBatch::new(config.batch_size, &spec),
            learned: JointlyLearned::new(
                factory.learned(),
                // Those of an asynchronous algorithm tell each other in another way.
                &match config.asynchronous {
                    true => Ranks::default(),
                    false => ranks.clone(),
                },
            ),
            source: if config.asynchronous {
                Source::Threads {
                    factory,
                    threads: env_threads,
                    running: None,
                    restored: None,
                    told: None,
                    others: None,
                    turn: false,
                }
            } else {
                Source::Turns {
                    actors: Actors::new(factory.make_vec(own.start, n, env_threads)?, own.start, seed),
                    transitions: Transitions::new(n, spec.obs_shape.len()),
                    env_seed: Some(ranks.seed(seed)),
                }
            },
            sample_stream: ranks.stream(seed, "sample"),
            run_frames: run.frames,
            epsilons: Epsilons::of(config.epsilon.clone(), own.clone(), all, seed),
            acting: vec![1.0; own.len()],
            episodes: Episodes::new(own.len()),
            ranks,
            learning: false,
            steps: 0,
            watch: Stopwatch::default(),
            remembered: 0,
            since_update: 0,
            next_target: 0,
            in_step: false,
            metrics,
            config: config.clone(),
            spec,
            seed,
            device,
        })
    }

    fn frames(&self) -> u64 {
        self.steps.saturating_mul(u64::from(self.spec.frames_per_step))
    }

    /// Whether several ranks learn.
    fn is_joint(&self) -> bool {
        !self.config.asynchronous && !self.ranks.is_alone()
    }

    /// Whether the memory of every rank holds enough steps to start learning.
    fn learns(&mut self) -> Result<bool, AgentError> {
        let frames = self.remembered.saturating_mul(u64::from(self.spec.frames_per_step));
        let learns = frames >= self.config.learning_starts && self.replay.len() >= self.config.batch_size;
        if !self.is_joint() {
            return Ok(learns);
        }
        // The ranks agree, because each update needs all of them.
        self.learning = self.learning || self.ranks.all(learns)?;
        Ok(self.learning)
    }

    /// Whether actors use the network.
    fn acts(&self) -> bool {
        self.frames() >= self.config.learning_starts
    }

    /// Receives a step of some actors; returns their number over all ranks.
    fn act(&mut self) -> Result<usize, TrainError> {
        if self.acts() {
            self.epsilons.resample(self.frames() - self.config.learning_starts);
            self.acting.copy_from_slice(self.epsilons.current());
        }
        let (acts, updates) = (self.acts(), self.learner.updates());
        let steps = match &mut self.source {
            Source::Turns {
                actors,
                transitions,
                env_seed,
            } => {
                if let Some(seed) = *env_seed {
                    actors.begin(seed)?;
                    *env_seed = None;
                }
                let acted = actors.step(
                    &self.watch,
                    acts.then(|| self.learner.network_mut()),
                    &self.acting,
                    transitions,
                );
                acted.map_err(|error| error.of_training(updates))?;
                self.watch.measure(Part::Replay, || {
                    transitions.remember(0, &mut self.replay, &mut self.episodes)
                })?;
                self.config.num_envs * self.ranks.size()
            }
            Source::Threads {
                factory,
                threads,
                running,
                restored,
                told,
                others,
                turn,
            } => {
                let running = match running {
                    Some(running) => running,
                    None => {
                        let plan = Plan {
                            factory,
                            actors: self.config.num_envs,
                            threads: *threads,
                            // Those of a restored trainer do not do the same once more.
                            seed: derive_seed(self.seed, "threads", self.steps),
                            epsilons: &self.acting,
                            network: acts.then(|| self.learner.network()),
                            from: restored.take(),
                        };
                        let seed = plan.seed;
                        let started =
                            Threads::start(plan, || network(&self.config, &self.spec, self.seed, self.device))?;
                        if !self.ranks.is_alone() {
                            let broadcast = started.broadcast();
                            let told = Told::new(factory.learned(), &self.ranks);
                            let plan = (&self.config, &self.spec, seed);
                            *others = Some(Others::serve(&self.ranks, plan, broadcast, told)?);
                        }
                        running.insert(started)
                    }
                };
                // Steps of both kinds are taken in in turns, while there are both.
                let has_chunk = others.as_ref().is_some_and(Others::has_chunk);
                let mut delivery = None;
                if !(has_chunk && (*turn || running.is_empty())) {
                    let chunks = others.as_ref().filter(|_| !has_chunk).map(|others| &others.chunks);
                    let next = self.watch.measure(Part::Waiting, || running.next(chunks));
                    match (next.map_err(|error| error.of_training(updates))?, &mut *others) {
                        (Next::Chunk(chunk), Some(others)) => others.take(chunk),
                        (Next::Chunk(_), None) => {}
                        (Next::Step(step), _) => delivery = Some(step),
                    }
                }
                *turn = delivery.is_some();
                let (replay, episodes) = (&mut self.replay, &mut self.episodes);
                let steps = self.watch.measure(Part::Replay, || -> Result<usize, AgentError> {
                    let (first, transitions) = match (&delivery, others) {
                        (Some(full), _) => (full.batch.first, &full.batch.transitions),
                        (None, Some(others)) => match others.next()? {
                            Some(step) => step,
                            None => return Ok(0),
                        },
                        (None, None) => return Ok(0),
                    };
                    transitions.remember(first, replay, episodes)?;
                    Ok(transitions.len())
                })?;
                if let Some(delivery) = delivery {
                    running.give_back(delivery);
                }
                if acts && *told != Some(updates) {
                    self.watch
                        .measure(Part::Copies, || running.tell(self.learner.network(), &self.acting))?;
                    *told = Some(updates);
                }
                steps
            }
        };
        self.steps += steps as u64;
        self.remembered += steps as u64;
        Ok(steps)
    }

    /// Performs one update with a batch from the memory.
    fn update(&mut self) -> Result<(), AgentError> {
        let frames = self.frames();
        if frames >= self.next_target {
            self.watch.measure(Part::Copies, || self.learner.update_target())?;
            self.next_target = (frames / self.config.target_frames + 1) * self.config.target_frames;
        }
        let beta = self.config.sampler.beta().at(frames, self.run_frames);
        self.watch.measure(Part::Replay, || {
            self.replay.sample(beta, &mut self.sample_stream, &mut self.batch)
        })?;
        let tensors = self.watch.measure(Part::Copies, || self.tensors())?;
        if self.config.center_pixels && !self.learner.network().is_centered() {
            self.learner.center(&tensors.obs)?;
        }
        self.learner.draw_noise(&mut self.sample_stream)?;
        let stats = self.watch.measure(Part::Learning, || self.learner.learn(&tensors))?;
        self.watch.measure(Part::Replay, || {
            self.replay
                .update_priorities(&self.batch.ids, &stats.errors, self.learner.updates())
        })?;
        stats.record(&mut self.metrics);
        self.metrics.record("beta", beta);
        Ok(())
    }

    /// Copies the batch to the network's device.
    fn tensors(&self) -> Result<DoubleDqnBatch, AgentError> {
        let (batch, body) = (&self.batch, self.learner.network().body());
        Ok(DoubleDqnBatch {
            obs: body.input(&batch.obs)?,
            actions: body.numbers(&batch.actions)?,
            returns: body.numbers(&batch.returns)?,
            discounts: body.numbers(&batch.discounts)?,
            next_obs: body.input(&batch.next_obs)?,
            weights: body.numbers(&batch.weights)?,
            learning_rate: self.config.learning_rate.at(self.frames(), self.run_frames),
        })
    }
}

impl<O: Observation> Trainer for DoubleDqn<O> {
    fn resumption(&self) -> Resumption {
        match &self.source {
            _ if self.in_step => Resumption::NewEpisodes,
            _ if self.device != Device::Cpu => Resumption::Timing,
            Source::Turns { actors, .. } if actors.can_be_saved() => Resumption::Exact,
            Source::Turns { .. } => Resumption::NewEpisodes,
            Source::Threads { .. } => Resumption::Timing,
        }
    }

    /// Covers the learning thread only, not actors in threads of their own.
    fn times(&self) -> Times {
        self.watch.times(1).waiting(self.ranks.time_of_means())
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        self.learner
            .load_weights(from.section("learner")?.section("network")?)?;
        Ok(self.learned.take(from)?)
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let seed = under_way::resumed_seed(self.seed, self.steps);
        let n = self.config.num_envs;
        let (all, own) = (self.ranks.size() * n, self.ranks.own(n));
        if let Source::Turns { actors, env_seed, .. } = &mut self.source {
            actors.renew(own.start, seed);
            *env_seed = Some(self.ranks.seed(seed));
        }
        self.epsilons = Epsilons::of(self.config.epsilon.clone(), own, all, seed);
        self.sample_stream = self.ranks.stream(seed, "sample");
        self.learner
            .network()
            .body()
            .draw_masks_from(self.ranks.stream(seed, "dropout"));
        self.episodes.interrupt();
        self.replay.interrupt();
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.in_step = true;
        self.metrics.clear();
        self.episodes.begin();
        let steps = self.act()?;
        if self.learns()? {
            // Every rank that learns has steps of its own to learn from.
            let learners = if self.is_joint() { self.ranks.size() } else { 1 };
            let steps_per_update = self.config.steps_per_update * learners;
            self.since_update += steps;
            while self.since_update >= steps_per_update {
                self.since_update -= steps_per_update;
                self.update()?;
                self.learned.join()?;
            }
            self.metrics.record("replay_steps", self.replay.len() as f64);
            self.metrics
                .record("replay_megabytes", self.replay.bytes() as f64 / 1e6);
        }
        self.in_step = false;
        Ok(Progress {
            frames: self.frames(),
            steps: self.steps,
            updates: self.learner.updates(),
            episodes: self.episodes.finished(),
            metrics: &self.metrics,
            epsilons: &self.acting,
        })
    }
}

/// Saves weights, optimiser, random streams, counters, the replay memory and the current episodes.
impl<O: Observation> Checkpoint for DoubleDqn<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.epsilons.save(out.section_mut("epsilons"))?;
        self.episodes.save(out.section_mut("episodes"))?;
        match &self.source {
            Source::Turns { actors, env_seed, .. } => actors.save(env_seed.is_none() && !self.in_step, out)?,
            Source::Threads { .. } if self.in_step => {}
            Source::Threads { running, restored, .. } => {
                let under_way = running.as_ref().and_then(Threads::under_way);
                if let Some(under_way) = under_way.as_ref().or(restored.as_ref()) {
                    under_way.save(out)?;
                }
            }
        }
        self.learned.save(out)?;
        self.replay.save(out.section_mut("replay"))?;
        out.put("remembered", &self.remembered)?;
        out.put("sample_stream", &self.sample_stream)?;
        out.put("steps", &self.steps)?;
        out.put("since_update", &self.since_update)?;
        out.put("next_target", &self.next_target)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        (self.in_step, self.learning) = (false, false);
        let saved: Vec<f32> = from.section("epsilons")?.get("current")?;
        let (saved, n) = (saved.len(), self.config.num_envs);
        if self.config.asynchronous && saved != self.acting.len() && saved.is_multiple_of(n) {
            let reason = format!(
                "the memory is of {} processes, and there are {}: start as many",
                saved / n,
                self.ranks.size()
            );
            return Err(CheckpointError::unfit("replay", &reason));
        }
        self.learner.load(from.section("learner")?)?;
        self.epsilons.load(from.section("epsilons")?)?;
        self.sample_stream = from.get("sample_stream")?;
        self.steps = from.count("steps")?;
        self.since_update = from.count("since_update")? as usize;
        self.next_target = from.count("next_target")?;
        self.replay.load(from.section("replay")?)?;
        self.remembered = from.count("remembered")?;
        self.learned.load(from)?;
        let continues = match &mut self.source {
            Source::Turns { actors, env_seed, .. } => {
                let continues = actors.load(from)?;
                *env_seed = (!continues).then(|| self.ranks.seed(under_way::resumed_seed(self.seed, self.steps)));
                continues
            }
            Source::Threads {
                running,
                restored,
                told,
                others,
                ..
            } => {
                (*running, *told, *others) = (None, None, None);
                *restored = UnderWay::load(
                    from,
                    self.config.num_envs,
                    self.spec.obs_shape.len(),
                    self.spec.num_actions,
                )?;
                restored.is_some()
            }
        };
        if continues {
            self.episodes.load(from.section("episodes")?)?;
            if self.config.asynchronous {
                // What was under way in other ranks is not saved.
                self.episodes.interrupt_from(self.config.num_envs);
                self.replay.interrupt_from(self.config.num_envs);
            }
        } else {
            self.episodes.interrupt();
            self.replay.interrupt();
        }
        Ok(())
    }
}

/// Creates a network with the initial weights for the seed of a run.
pub(super) fn network(
    config: &DoubleDqnConfig,
    spec: &EnvSpec,
    seed: u64,
    device: Device,
) -> Result<QNetwork, AgentError> {
    let mut rng = stream(seed, "network", 0);
    QNetwork::with_head(&config.network, config.q_head(), spec, &mut rng, device)
}
