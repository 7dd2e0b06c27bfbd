//! The framework that all asynchronous methods share: worker threads that each play an environment and update one set
//! of shared weights (Mnih 2016, arXiv 1602.01783, section 4). A [`Method`] defines what and how a worker learns.
//!
//! ```text
//! worker 0   read weights · play a rollout · gradient · change weights · report ──┐
//! worker 1   read weights · play a rollout · gradient · change weights · report ──┴── bounded channel ── trainer
//!                 ▲                                        │
//!                 └─────────────── SharedParams ───────────┘
//! ```
//!
//! Of several processes, rank 0 has the shared weights. Workers of the others send it their gradients and get its
//! weights, and its trainer hears of their rollouts.

use std::sync::{Arc, Mutex, PoisonError};

use coinop_envs::rng::{Rng, derive_seed, stream};
use coinop_envs::{End, Env, EnvFactory, Learned, Step, memory};
use crossbeam::channel::{Receiver, bounded};
use rand::RngExt;
use tch::Tensor;

use crate::center::SharedCenter;
use crate::collect::check_center;
use crate::distributed::{Ranks, Server, Told, tell};
use crate::episodes::Episodes;
use crate::explore::{EpsilonConfig, Epsilons};
use crate::limits::{above_0, at_least_0, check};
use crate::metrics::check_finite;
use crate::network::{Body, Observation};
use crate::optim::fused;
use crate::params::Params;
use crate::rollout::Rollout;
use crate::schedule::Schedule;
use crate::shared::{Gradient, SharedParams, SharedTarget, question};
use crate::times::{Part, Stopwatch, Times};
use crate::under_way;
use crate::workers::{Report, Worker, Workers};
use crate::{
    AgentError, Checkpoint, CheckpointError, Episode, Metrics, Progress, Resumption, Section, TrainError, Trainer,
};

/// An asynchronous method, as seen by one worker.
pub(crate) trait Method<O>: Send + 'static {
    /// The names of the metrics that [`learn`](Self::learn) records.
    const NAMES: &'static [&'static [&'static str]];

    /// Copies the shared weights into the worker's network; `frames` of the run have been played.
    fn synchronize(&mut self, frames: u64) -> Result<(), AgentError>;

    /// Chooses the action of step `t` with the actor's epsilon, and stores in the rollout what learning needs.
    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<u32, AgentError>;

    /// The value of the observation in row `t`, the final one of a truncated episode.
    fn final_value(&mut self, rollout: &Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<f32, AgentError>;

    /// Computes the advantages of a complete rollout.
    fn finish(&mut self, rollout: &mut Rollout<O>, epsilon: f32, rng: &mut Rng) -> Result<(), AgentError>;

    /// Computes the gradient of a complete rollout and applies it to the shared weights.
    fn learn(&mut self, rollout: &Rollout<O>, learning_rate: f64, metrics: &mut Metrics) -> Result<(), AgentError>;

    /// The body of the worker's network.
    fn body(&self) -> &Body;

    /// Subtracts these means `[obs_shape…]` from pixels from now on, or nothing.
    fn set_center(&mut self, means: Option<&[f32]>) -> Result<(), AgentError>;

    /// Discards the state of the current episode; the next step starts a new one.
    fn interrupt(&mut self);

    /// Saves the state of the current episode.
    fn save_episode(&self, out: &mut Section) -> Result<(), CheckpointError>;

    /// Restores the state of the current episode.
    fn load_episode(&mut self, from: &Section) -> Result<(), CheckpointError>;

    /// Saves everything that was learned, except the optimiser's statistics.
    fn save(&mut self, frames: u64, out: &mut Section) -> Result<(), CheckpointError>;

    /// Restores it, for all workers.
    fn load(&mut self, frames: u64, from: &Section) -> Result<(), CheckpointError>;
}

/// Copies weights between a worker's own network and the shared ones.
pub(crate) struct Exchange {
    shared: Arc<SharedParams>,
    max_grad_norm: Option<f64>,
}

impl Exchange {
    pub(crate) fn new(shared: Arc<SharedParams>, max_grad_norm: Option<f64>) -> Self {
        Self { shared, max_grad_norm }
    }

    /// Copies the shared weights into `params`.
    pub(crate) fn read(&mut self, params: &Params) -> Result<(), AgentError> {
        Ok(params.set(|flat| self.shared.read(flat))?)
    }

    /// Copies the target network's weights if they are newer than version `seen`.
    pub(crate) fn read_target(
        &mut self,
        target: &SharedTarget,
        seen: &mut u64,
        params: &Params,
    ) -> Result<(), AgentError> {
        Ok(target.read(seen, |weights| params.take(weights))?)
    }

    /// Replaces the shared weights by a worker's own.
    pub(crate) fn publish(&self, params: &Params) -> Result<(), AgentError> {
        self.shared.write(&params.flat())
    }

    /// Updates the shared weights with the gradient of the sum of `terms`, those of a rollout of `steps` steps whose mean
    /// loss was `loss`. Returns the norm of the gradient before clipping.
    pub(crate) fn update(
        &mut self,
        params: &Params,
        terms: &[&Tensor],
        loss: f64,
        steps: usize,
        learning_rate: f64,
    ) -> Result<f64, AgentError> {
        fused::get(&params.gradients(terms)?, |parts| {
            let mut gradient = Gradient::new(parts);
            let grad_norm = gradient.clip(self.max_grad_norm);
            let numbers = [("the loss", loss), ("the norm of the gradient", grad_norm)];
            check_finite(&numbers, self.shared.updates())?;
            self.shared.learn(&gradient, learning_rate, steps as u64)?;
            Ok(grad_norm)
        })?
    }
}

/// The settings that every method has.
pub(crate) struct Plan<'a> {
    pub(crate) workers: usize,
    pub(crate) rollout_steps: usize,
    /// Whether to subtract from every pixel its mean over the first observations.
    pub(crate) center_pixels: bool,
    pub(crate) learning_rate: Schedule,
    /// The length of the run, which schedules span.
    pub(crate) run_frames: u64,
    pub(crate) epsilon: &'a EpsilonConfig,
    pub(crate) seed: u64,
    /// The processes, each with as many workers.
    pub(crate) ranks: &'a Ranks,
}

/// What rank 0 and the other ranks know of each other.
enum Others {
    /// They have not met: the trainer has not been stepped.
    Unmet,
    /// This rank has had the weights of rank 0.
    Met,
    /// This is rank 0, which answers them.
    Served {
        /// Locked during an update of another rank, and while a checkpoint is taken.
        gate: Arc<Mutex<()>>,
        /// Dropped before the server, which may wait for it.
        reports: Receiver<Report>,
        #[expect(dead_code, reason = "it works until it is dropped")]
        server: Server,
    },
}

/// The trainer of a [`Method`]. One [`step`](Trainer::step) receives one rollout of one worker.
pub(crate) struct ActorLearners<O: Observation, M: Method<O>> {
    workers: Workers<ActorLearner<O, M>>,
    shared: Arc<SharedParams>,
    /// If the means of pixels are subtracted.
    center: Option<Arc<SharedCenter>>,
    /// What the environments learn.
    learned: Option<Arc<dyn Learned>>,
    watch: Stopwatch,
    num_workers: usize,
    ranks: Ranks,
    /// The workers of other ranks.
    others: Others,
    seed: u64,
    frames_per_step: u64,
    steps: u64,
    /// Whether a worker has failed.
    failed: bool,
    episodes: Vec<Episode>,
    epsilons: Vec<f32>,
    metrics: Metrics,
}

impl<O: Observation, M: Method<O>> ActorLearners<O, M> {
    /// Creates a trainer whose workers run what `method` creates for each. The threads start with the first step.
    pub(crate) fn new(
        plan: &Plan<'_>,
        factory: &dyn EnvFactory<Obs = O>,
        shared: Arc<SharedParams>,
        method: impl Fn() -> Result<M, AgentError>,
    ) -> Result<Self, TrainError> {
        check_center::<O>(plan.center_pixels)?;
        let spec = factory.spec();
        let obs_bytes = (spec.obs_shape.len() * size_of::<O>()) as u64;
        let rollouts = (plan.workers as u64).saturating_mul(plan.rollout_steps as u64 + 1);
        let what = || format!("rollouts of {} steps of {} workers", plan.rollout_steps, plan.workers);
        memory::require(
            what,
            rollouts.saturating_mul(obs_bytes),
            "lower workers or rollout_steps",
        )?;
        let watch = Stopwatch::default();
        let center = plan.center_pixels.then(|| Arc::new(SharedCenter::new(plan.ranks)));
        // The workers of all ranks are numbered through, so that each has streams of its own.
        let (all, first) = (plan.ranks.size() * plan.workers, plan.ranks.rank() * plan.workers);
        let worker = |number| {
            let seed = plan.seed;
            Ok(ActorLearner {
                number,
                env: factory.make(number).map_err(|error| error.of(number))?,
                env_seed: Some(derive_seed(seed, "env", number as u64)),
                in_rollout: false,
                method: method()?,
                rollout: Rollout::new(plan.rollout_steps, 1, spec.obs_shape.len()),
                epsilons: Epsilons::of(plan.epsilon.clone(), number..number + 1, all, seed),
                actions: stream(seed, "action", number as u64),
                episodes: Episodes::new(1),
                shared: Arc::clone(&shared),
                center: center.clone(),
                watch: watch.clone(),
                learning_rate: plan.learning_rate,
                run_frames: plan.run_frames,
                frames_per_step: u64::from(spec.frames_per_step),
            })
        };
        let workers = (first..first + plan.workers).map(worker);
        let workers: Vec<ActorLearner<O, M>> = workers.collect::<Result<_, TrainError>>()?;
        let mut epsilons = vec![0.0; all];
        for worker in &workers {
            epsilons[worker.number] = worker.epsilons.current()[0];
        }
        let metrics = Metrics::of(&[&M::NAMES.concat()[..], &["learning_rate"]].concat());
        Ok(Self {
            epsilons,
            workers: Workers::new(workers),
            shared,
            center,
            learned: factory.learned(),
            watch,
            num_workers: plan.workers,
            ranks: plan.ranks.clone(),
            others: Others::Unmet,
            seed: plan.seed,
            frames_per_step: u64::from(spec.frames_per_step),
            steps: 0,
            failed: false,
            episodes: Vec::new(),
            metrics,
        })
    }
}

impl<O: Observation, M: Method<O>> ActorLearners<O, M> {
    /// Takes over the weights of rank 0 or, in rank 0, begins to answer the others.
    fn meet(&mut self) -> Result<(), TrainError> {
        if self.ranks.rank() > 0 {
            self.shared.fetch()?;
            tell(self.learned.as_ref(), &self.ranks, question::LEARNED)?;
            // Rank 0 may have resumed a run: its workers do not play the same once more.
            let steps = self.shared.steps();
            if steps > 0 {
                let seed = under_way::resumed_seed(self.seed, steps);
                for worker in &mut self.workers.paused() {
                    let number = worker.number as u64;
                    worker.env_seed = Some(derive_seed(seed, "env", number));
                    worker.actions = stream(seed, "action", number);
                }
            }
            self.others = Others::Met;
            return Ok(());
        }
        let gate = Arc::new(Mutex::new(()));
        let (send, reports) = bounded(self.ranks.size());
        let (shared, center) = (Arc::clone(&self.shared), self.center.clone());
        let entered = Arc::clone(&gate);
        let mut told = Told::new(self.learned.clone(), &self.ranks);
        let answer = move |rank, question: &[u8]| match question {
            // A report that cannot be read, or that is no longer wanted, ends its sender.
            [question::REPORT, report @ ..] => {
                send.send(serde_json::from_slice(report).ok()?).ok()?;
                Some(Vec::new())
            }
            [question::LEARNED, theirs @ ..] => told.answer(rank, theirs),
            [question::CENTER] => Some(center.as_ref().map_or_else(Vec::new, |center| center.answer())),
            _ => {
                let _entered = entered.lock().unwrap_or_else(PoisonError::into_inner);
                shared.answer(question).ok()
            }
        };
        self.others = Others::Served {
            gate,
            reports,
            server: Server::start(&self.ranks, answer)?,
        };
        Ok(())
    }

    /// Gives all workers the means of pixels that the first one has loaded.
    fn share_center(&self) -> Result<(), AgentError> {
        let mut workers = self.workers.paused();
        let means = workers[0].method.body().center_values()?;
        for worker in &mut workers {
            worker.method.set_center(means.as_deref())?;
        }
        if let Some(center) = &self.center {
            center.replace(means.as_deref());
        }
        Ok(())
    }

    /// Tells rank 0 of a rollout of this one.
    fn tell(&self, report: &Report) -> Result<(), TrainError> {
        let mut question = vec![question::REPORT];
        serde_json::to_writer(&mut question, report).map_err(|error| AgentError::Mpi(error.to_string()))?;
        self.ranks.ask(&question)?;
        tell(self.learned.as_ref(), &self.ranks, question::LEARNED)
    }
}

/// Checks the number of workers, so that no one starts thousands of threads.
pub(crate) fn check_workers(workers: usize) -> Result<(), AgentError> {
    let reason = "it must be between 1 and 1024";
    check((1..=1024).contains(&workers), "workers", workers, reason)
}

/// Checks the learning rate and the bound up to which it may be drawn.
pub(crate) fn check_rates(learning_rate: Schedule, max_learning_rate: Option<f64>) -> Result<(), AgentError> {
    learning_rate.check("learning_rate", above_0, at_least_0)?;
    let Some(max) = max_learning_rate else { return Ok(()) };
    above_0("max_learning_rate", max)?;
    let reason = "it must be at least learning_rate";
    check(max >= learning_rate.start(), "max_learning_rate", max, reason)
}

/// The learning rate of a run with the given seed: as set or, if there is a `max`, with an initial value that is drawn
/// log-uniformly between the set one and `max`.
pub(crate) fn drawn_rate(learning_rate: Schedule, max: Option<f64>, seed: u64) -> Schedule {
    let Some(max) = max else { return learning_rate };
    let share = stream(seed, "learning_rate", 0).random::<f64>();
    let (low, high) = (learning_rate.start().ln(), max.ln());
    learning_rate.starting_at((low + share * (high - low)).exp())
}

impl<O: Observation, M: Method<O>> Trainer for ActorLearners<O, M> {
    fn resumption(&self) -> Resumption {
        if self.failed {
            Resumption::NewEpisodes
        } else {
            Resumption::Timing
        }
    }

    fn times(&self) -> Times {
        self.watch.times(self.num_workers)
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        self.workers.stop();
        self.workers.paused()[0].method.load(0, from.section("learner")?)?;
        self.share_center()?;
        Ok(under_way::load_learned(self.learned.as_ref(), from)?)
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.failed = true;
        if !self.ranks.is_alone() && matches!(self.others, Others::Unmet) {
            self.meet()?;
        }
        let report = self.workers.next(match &self.others {
            Others::Served { reports, .. } => Some(reports),
            Others::Unmet | Others::Met => None,
        })?;
        if matches!(self.others, Others::Met) {
            self.tell(&report)?;
        }
        self.failed = false;
        self.steps += report.steps;
        self.epsilons[report.worker] = report.epsilon;
        self.episodes = report.episodes;
        self.metrics.clear();
        self.metrics.add(&report.metrics);
        Ok(Progress {
            frames: self.steps * self.frames_per_step,
            steps: self.steps,
            updates: self.shared.updates(),
            episodes: &self.episodes,
            metrics: &self.metrics,
            epsilons: &self.epsilons,
        })
    }
}

/// Saves weights, optimiser statistics, random streams, counters and current episodes while every worker is between
/// two rollouts.
impl<O: Observation, M: Method<O>> Checkpoint for ActorLearners<O, M> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let mut workers = self.workers.paused();
        let _others_wait = match &self.others {
            Others::Served { gate, .. } => Some(gate.lock().unwrap_or_else(PoisonError::into_inner)),
            Others::Unmet | Others::Met => None,
        };
        // Rollouts that were played and not yet taken in are among them.
        let steps = self.shared.steps();
        let learner = out.section_mut("learner");
        // The others may have learned with means that the first does not have yet.
        workers[0]
            .center()
            .map_err(|error| CheckpointError::unfit("center", &error))?;
        workers[0].method.save(steps * self.frames_per_step, learner)?;
        self.shared.save(learner.section_mut("optimizer"))?;
        let streams: Vec<&Rng> = workers.iter().map(|worker| &worker.actions).collect();
        out.put("action_streams", &streams)?;
        for worker in &workers {
            worker.save(out.section_mut(&format!("worker_{}", worker.number)))?;
        }
        under_way::save_learned(self.learned.as_ref(), out)?;
        out.put("steps", &steps)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.workers.stop();
        self.failed = false;
        let mut workers = self.workers.paused();
        self.steps = from.count("steps")?;
        let learner = from.section("learner")?;
        workers[0].method.load(self.steps * self.frames_per_step, learner)?;
        drop(workers);
        self.share_center()
            .map_err(|error| CheckpointError::unfit("center", &error))?;
        let mut workers = self.workers.paused();
        self.shared.restore(learner.section("optimizer")?)?;
        let streams: Vec<Rng> = from.get_vec("action_streams", workers.len())?;
        self.shared.set_steps(self.steps);
        under_way::load_learned(self.learned.as_ref(), from)?;
        let seed = under_way::resumed_seed(self.seed, self.steps);
        for (worker, actions) in workers.iter_mut().zip(streams) {
            let number = worker.number;
            worker.actions = actions;
            worker.load(from.section(&format!("worker_{number}"))?, seed)?;
            self.epsilons[number] = worker.epsilons.current()[0];
        }
        Ok(())
    }
}

/// The state of a worker thread.
struct ActorLearner<O: Observation, M> {
    number: usize,
    env: Box<dyn Env<Obs = O> + Send>,
    /// The seed to reset the environment with before the next step.
    env_seed: Option<u64>,
    /// Set during a rollout, and after one that failed: environment, observations and rollout then belong to
    /// different moments, so the episode cannot continue.
    in_rollout: bool,
    method: M,
    rollout: Rollout<O>,
    epsilons: Epsilons,
    actions: Rng,
    episodes: Episodes,
    shared: Arc<SharedParams>,
    center: Option<Arc<SharedCenter>>,
    watch: Stopwatch,
    learning_rate: Schedule,
    run_frames: u64,
    frames_per_step: u64,
}

impl<O: Observation, M: Method<O>> ActorLearner<O, M> {
    /// Saves the epsilon and the current episode.
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.epsilons.save(out)?;
        if self.env_seed.is_none() && !self.in_rollout {
            self.method.save_episode(out)?;
            let snapshot = self.env.snapshot().map(|snapshot| [snapshot]);
            let snapshots = snapshot.as_ref().map(|one| &one[..]);
            under_way::save_rollout(snapshots, &self.rollout, &self.episodes, out)?;
        }
        Ok(())
    }

    /// Restores them. If there is no current episode, the next one is seeded with `seed`, the seed of the run.
    fn load(&mut self, from: &Section, seed: u64) -> Result<(), CheckpointError> {
        self.epsilons.load(from)?;
        self.in_rollout = false;
        let restore = |snapshots: &[Vec<u8>]| self.env.restore(&snapshots[0]);
        if under_way::load_rollout(&mut self.rollout, &mut self.episodes, from, restore)? {
            self.method.load_episode(from)?;
            self.env_seed = None;
        } else {
            self.env_seed = Some(derive_seed(seed, "env", self.number as u64));
        }
        Ok(())
    }

    /// Takes over the means of pixels, if they are known by now. Returns whether the network computes with what it should.
    fn center(&mut self) -> Result<bool, AgentError> {
        let Some(center) = &self.center else { return Ok(true) };
        if !self.method.body().is_centered()
            && let Some(means) = center.means(self.method.body().obs_shape().len())?
        {
            self.method.set_center(Some(&means))?;
        }
        Ok(self.method.body().is_centered())
    }

    /// Learns from the rollout.
    fn learn(&mut self, learning_rate: f64, metrics: &mut Metrics) -> Result<(), AgentError> {
        let learned = || self.method.learn(&self.rollout, learning_rate, metrics);
        self.watch.measure(Part::Learning, learned)?;
        metrics.record("learning_rate", learning_rate);
        Ok(())
    }

    /// Counts the rollout without learning from it, and adds its observations to the means of pixels.
    fn contribute(&self) -> Result<(), AgentError> {
        if let Some(center) = &self.center {
            let obs = self.method.body().sums(self.rollout.all_obs())?;
            center.add(&obs, self.rollout.steps());
        }
        self.shared.count(self.rollout.steps() as u64)
    }

    /// Plays a rollout with the current weights until the return ends (end of the episode, or a lost life) or it has
    /// `t_max` steps (Mnih 2016, algorithms S2 and S3: "until terminal s_t or t - t_start == t_max").
    fn play(&mut self) -> Result<(), TrainError> {
        match self.env_seed.take() {
            Some(seed) => {
                self.env.reset(Some(seed), self.rollout.obs_mut(0))?;
                self.rollout.is_first[0] = true;
                self.method.interrupt();
            }
            None => self.rollout.begin(),
        }
        self.episodes.begin();
        let epsilon = self.epsilons.current()[0];
        for t in 0..self.rollout.steps() {
            let acted = || self.method.act(&mut self.rollout, t, epsilon, &mut self.actions);
            let action = self.watch.measure(Part::Inference, acted)?;
            self.rollout.actions[t] = i64::from(action);
            self.rollout.epsilons[t] = epsilon;
            let stepped = || self.env.step(action, self.rollout.obs_mut(t + 1));
            let step = self.watch.measure(Part::Envs, stepped)?;
            self.remember(t, epsilon, &step)?;
            if step.end.is_over() || step.discount == 0.0 {
                self.rollout.cut(t + 1);
                break;
            }
        }
        let (rollout, actions) = (&mut self.rollout, &mut self.actions);
        let finished = || self.method.finish(rollout, epsilon, actions);
        Ok(self.watch.measure(Part::Inference, finished)?)
    }

    /// Stores the result of a step, and starts the next episode if one ended.
    fn remember(&mut self, t: usize, epsilon: f32, step: &Step) -> Result<(), TrainError> {
        self.rollout.remember(t, 0, step);
        self.episodes.add(0, step);
        if step.end == End::Truncated {
            let (rollout, actions) = (&self.rollout, &mut self.actions);
            self.rollout.final_values[t] = self.method.final_value(rollout, t + 1, epsilon, actions)?;
        }
        if step.end.is_over() {
            self.env.reset(None, self.rollout.obs_mut(t + 1))?;
        }
        Ok(())
    }
}

impl<O: Observation, M: Method<O>> Worker for ActorLearner<O, M> {
    fn rollout(&mut self) -> Result<Report, TrainError> {
        self.in_rollout = true;
        let frames = self.shared.steps() * self.frames_per_step;
        let learning_rate = self.learning_rate.at(frames, self.run_frames);
        self.epsilons.resample(frames);
        self.watch.measure(Part::Copies, || self.method.synchronize(frames))?;
        let is_centered = self.center()?;
        let updates = self.shared.updates();
        self.play().map_err(|error| error.of_training(updates))?;
        let mut metrics = Metrics::default();
        if is_centered {
            self.learn(learning_rate, &mut metrics)?;
        } else {
            self.contribute()?;
        }
        let steps = self.rollout.steps() as u64;
        self.in_rollout = false;
        let worker = self.number;
        let of_worker = |episode: &Episode| Episode {
            actor: worker,
            ..*episode
        };
        Ok(Report {
            worker,
            steps,
            episodes: self.episodes.finished().iter().map(of_worker).collect(),
            metrics,
            epsilon: self.epsilons.current()[0],
        })
    }
}
