//! A3C at work: workers in threads, each with an environment, a rollout and a network of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coinop_envs::rng::{Rng, derive_seed, stream};
use coinop_envs::{End, Env, EnvFactory, EnvSpec, Step};
use tch::{Device, Kind, Tensor, no_grad};

use super::config::A3cConfig;
use super::learner::{A3cBatch, A3cLearner, NAMES};
use crate::episodes::Episodes;
use crate::explore::{Epsilons, sample_action};
use crate::network::{ActorCritic, Observation};
use crate::policy::{ActorCriticPolicy, answers};
use crate::rollout::Rollout;
use crate::schedule::Schedule;
use crate::shared::SharedParams;
use crate::workers::{Report, Worker, Workers};
use crate::{AgentError, Checkpoint, CheckpointError, Episode, Learner, Progress, Row, Section, TrainError, Trainer};

/// The A3C trainer. One [`step`](Trainer::step) takes in one rollout of one worker.
pub struct A3c<O: Observation> {
    workers: Workers<A3cWorker<O>>,
    shared: Arc<SharedParams>,
    clock: Arc<AtomicU64>,
    seed: u64,
    frames_per_step: u64,
    steps: u64,
    episodes: Vec<Episode>,
    epsilons: Vec<f32>,
    metrics: Row,
}

impl<O: Observation> A3c<O> {
    /// A trainer with fresh weights, for a run of `total_frames` frames (over which the learning rate is annealed, if the configuration does
    /// not say otherwise). The threads begin with the first step.
    ///
    /// # Errors
    ///
    /// When a setting is out of range or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &A3cConfig,
        factory: &dyn EnvFactory<Obs = O>,
        total_frames: u64,
        seed: u64,
        device: Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        if device != Device::Cpu {
            let text = "the workers of A3C compute on the CPU, each with a core of its own: use `cpu`";
            return Err(AgentError::Device(text.to_owned()).into());
        }
        let spec = factory.spec();
        let network = || initial(config, &spec, seed, device);
        let flat = network()?.params().flat();
        let shared = Arc::new(SharedParams::new(&flat, config.optimizer, config.locked)?);
        let clock = Arc::new(AtomicU64::new(0));
        let learning_rate = config.learning_rate_schedule(total_frames, seed);
        let worker = |number| {
            Ok(A3cWorker {
                number,
                env: factory.make(),
                env_seed: Some(derive_seed(seed, "env", number as u64)),
                learner: A3cLearner::new(config, network()?, Arc::clone(&shared)),
                rollout: Rollout::new(config.rollout_steps, 1, spec.obs_shape.len()),
                epsilons: Epsilons::of(config.epsilon.clone(), number..number + 1, config.workers, seed),
                actions: stream(seed, "action", number as u64),
                episodes: Episodes::new(1),
                clock: Arc::clone(&clock),
                learning_rate,
                gamma: config.gamma as f32,
                lambda: config.gae_lambda as f32,
                frames_per_step: u64::from(spec.frames_per_step),
                probabilities: Vec::new(),
                value: Vec::new(),
            })
        };
        let workers: Vec<A3cWorker<O>> = (0..config.workers).map(worker).collect::<Result<_, AgentError>>()?;
        let mut metrics = Row::of(&NAMES);
        metrics.add(&Row::of(&["learning_rate", "mean_value"]));
        Ok(Self {
            epsilons: workers.iter().map(|worker| worker.epsilons.current()[0]).collect(),
            workers: Workers::new(workers),
            shared,
            clock,
            seed,
            frames_per_step: u64::from(spec.frames_per_step),
            steps: 0,
            episodes: Vec::new(),
            metrics,
        })
    }
}

impl<O: Observation> Trainer for A3c<O> {
    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        let report = self.workers.next()?;
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

/// Weights, the optimiser's statistics, random streams and counters, taken while every worker is between two rollouts. The environments' state is
/// not in it: a restored trainer begins new episodes.
impl<O: Observation> Checkpoint for A3c<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let mut workers = self.workers.paused();
        let network = &mut workers[0].learner;
        network
            .synchronize()
            .map_err(|error| CheckpointError::unfit("network", &error))?;
        let learner = out.section_mut("learner");
        network.network.save(learner.section_mut("network"))?;
        self.shared.save(learner.section_mut("optimizer"))?;
        let streams: Vec<&Rng> = workers.iter().map(|worker| &worker.actions).collect();
        out.put("action_streams", &streams)?;
        for worker in &workers {
            worker
                .epsilons
                .save(out.section_mut(&format!("epsilon_{}", worker.number)))?;
        }
        // Rollouts that were played and not yet taken in are among them.
        out.put("steps", &self.clock.load(Ordering::Relaxed))
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.workers.stop();
        let mut workers = self.workers.paused();
        let learner = from.section("learner")?;
        let network = &mut workers[0].learner.network;
        network.load(learner.section("network")?)?;
        let unfit = |error: AgentError| CheckpointError::unfit("network", &error);
        self.shared.write(&network.params().flat()).map_err(unfit)?;
        self.shared.restore(learner.section("optimizer")?)?;
        let streams: Vec<Rng> = from.get_vec("action_streams", workers.len())?;
        self.steps = from.get("steps")?;
        self.clock.store(self.steps, Ordering::Relaxed);
        // New episodes, and others than those of the run's beginning.
        let seed = derive_seed(self.seed, "resumed", self.steps);
        for (worker, actions) in workers.iter_mut().zip(streams) {
            let number = worker.number;
            worker.epsilons.load(from.section(&format!("epsilon_{number}"))?)?;
            worker.actions = actions;
            worker.env_seed = Some(derive_seed(seed, "env", number as u64));
            self.epsilons[number] = worker.epsilons.current()[0];
        }
        Ok(())
    }
}

/// A network with the initial weights of a run that was seeded with `seed`.
fn initial(config: &A3cConfig, spec: &EnvSpec, seed: u64, device: Device) -> Result<ActorCritic, AgentError> {
    let mut rng = stream(seed, "network", 0);
    ActorCritic::new(config.network_config(), spec, &mut rng, device)
}

/// The policy of a checkpoint of [`A3c`], for environments like `spec`; it draws from `rng`.
///
/// # Errors
///
/// When the checkpoint is of something else.
pub fn restore_policy<O: Observation>(
    config: &A3cConfig,
    spec: &EnvSpec,
    from: &Section,
    rng: Rng,
    device: Device,
) -> Result<ActorCriticPolicy<O>, TrainError> {
    // Any weights: those of the checkpoint replace them.
    let mut network = initial(config, spec, 0, device)?;
    network.load(from.section("learner")?.section("network")?)?;
    Ok(ActorCriticPolicy::new(network, rng))
}

/// What a thread works with.
pub(super) struct A3cWorker<O: Observation> {
    number: usize,
    env: Box<dyn Env<Obs = O> + Send>,
    /// The seed that the environment is reset with before the first step.
    env_seed: Option<u64>,
    learner: A3cLearner,
    rollout: Rollout<O>,
    epsilons: Epsilons,
    actions: Rng,
    episodes: Episodes,
    /// Agent steps of all workers.
    clock: Arc<AtomicU64>,
    learning_rate: Schedule,
    gamma: f32,
    lambda: f32,
    frames_per_step: u64,
    probabilities: Vec<f32>,
    value: Vec<f32>,
}

impl<O: Observation> A3cWorker<O> {
    /// Plays the steps of a rollout with the network as it is.
    fn play(&mut self) -> Result<(), TrainError> {
        match self.env_seed.take() {
            Some(seed) => self.env.reset(Some(seed), self.rollout.obs_mut(0))?,
            None => self.rollout.begin(),
        }
        self.episodes.begin();
        let steps = self.rollout.steps();
        for t in 0..steps {
            let action = self.choose(t)?;
            let step = self.env.step(action, self.rollout.obs_mut(t + 1))?;
            self.remember(t, &step)?;
        }
        self.rollout.values[steps] = self.value_of(steps)?;
        self.rollout.finish(self.gamma, self.lambda);
        Ok(())
    }

    /// Draws the action of step `t`, and remembers it.
    fn choose(&mut self, t: usize) -> Result<u32, AgentError> {
        let network = &self.learner.network;
        let (logits, value) = no_grad(|| network.forward(&network.body().input(self.rollout.obs(t))?))?;
        let what = "the probability of an action";
        answers(&logits.f_softmax(1, Kind::Float)?, what, &mut self.probabilities)?;
        answers(&value, "a value", &mut self.value)?;
        let epsilon = self.epsilons.current()[0];
        let action = sample_action(&self.probabilities, epsilon, &mut self.actions);
        self.rollout.actions[t] = i64::from(action);
        self.rollout.epsilons[t] = epsilon;
        self.rollout.values[t] = self.value[0];
        Ok(action)
    }

    /// Remembers what the environment answered, and begins the next episode if one ended.
    fn remember(&mut self, t: usize, step: &Step) -> Result<(), TrainError> {
        self.rollout.rewards[t] = step.reward;
        self.rollout.discounts[t] = step.discount;
        self.rollout.ends[t] = step.end;
        self.episodes.add(0, step);
        if step.end == End::Truncated {
            self.rollout.final_values[t] = self.value_of(t + 1)?;
        }
        if step.end.is_over() {
            self.env.reset(None, self.rollout.obs_mut(t + 1))?;
        }
        Ok(())
    }

    fn value_of(&mut self, t: usize) -> Result<f32, AgentError> {
        let network = &self.learner.network;
        let (_, value) = no_grad(|| network.forward(&network.body().input(self.rollout.obs(t))?))?;
        answers(&value, "a value", &mut self.value)?;
        Ok(self.value[0])
    }

    fn batch(&self, learning_rate: f64) -> Result<A3cBatch, AgentError> {
        let rollout = &self.rollout;
        let values = rollout.advantages.iter().zip(&rollout.values);
        let returns: Vec<f32> = values.map(|(advantage, value)| advantage + value).collect();
        Ok(A3cBatch {
            obs: self.learner.network.body().input(rollout.all_obs())?,
            actions: Tensor::f_from_slice(&rollout.actions)?,
            epsilons: Tensor::f_from_slice(&rollout.epsilons)?,
            advantages: Tensor::f_from_slice(&rollout.advantages)?,
            returns: Tensor::f_from_slice(&returns)?,
            learning_rate,
        })
    }
}

impl<O: Observation> Worker for A3cWorker<O> {
    fn rollout(&mut self) -> Result<Report, TrainError> {
        let frames = self.clock.load(Ordering::Relaxed) * self.frames_per_step;
        let learning_rate = self.learning_rate.at(frames);
        self.epsilons.resample(frames);
        self.learner.synchronize()?;
        let updates = self.learner.updates();
        self.play().map_err(|error| error.of_training(updates))?;
        let stats = self.learner.learn(&self.batch(learning_rate)?)?;
        let steps = self.rollout.steps() as u64;
        self.clock.fetch_add(steps, Ordering::Relaxed);
        let mut metrics = Row::default();
        stats.record(&mut metrics);
        metrics.record("learning_rate", learning_rate);
        let values = &self.rollout.values[..self.rollout.steps()];
        metrics.record("mean_value", f64::from(values.iter().sum::<f32>()) / steps as f64);
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
