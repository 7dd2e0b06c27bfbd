//! The trainer of PQN: rollouts of all environments together, followed by updates.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{End, EnvFactory, EnvSpec, Shape, Step, VecEnv, memory};
use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

use super::{PqnBatch, PqnConfig, PqnLearner, PqnStats};
use crate::algorithm::{Algorithm, RunSettings};
use crate::distributed::{JointlyLearned, Ranks};
use crate::episodes::Episodes;
use crate::explore::{Epsilons, epsilon_greedy};
use crate::limits::check;
use crate::network::{Observation, QNetwork, joined};
use crate::policy::not_finite;
use crate::returns::{explained_variance, mean};
use crate::rollout::Rollout;
use crate::times::{Part, Stopwatch, Times};
use crate::under_way;
use crate::{AgentError, Checkpoint, CheckpointError, Metrics, Progress, Resumption, Section, TrainError, Trainer};

/// The names of the metrics that the trainer adds to those of [`PqnStats`]. A rollout that is not learned from has none.
const NAMES: [&str; 3] = ["learning_rate", "mean_value", "explained_variance"];

/// Creates the network with initial weights of a seed.
pub(super) fn network(config: &PqnConfig, spec: &EnvSpec, seed: u64, device: Device) -> Result<QNetwork, AgentError> {
    QNetwork::new(
        &config.network,
        config.head,
        spec,
        &mut stream(seed, "network", 0),
        device,
    )
}

/// The trainer of PQN. One [`step`](Trainer::step) is one rollout and its updates.
///
/// ```
/// use coinop_agents::Trainer;
/// use coinop_agents::algorithm::RunSettings;
/// use coinop_agents::pqn::{Pqn, PqnConfig};
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Serial;
///
/// let (config, run) = (PqnConfig::classic(), RunSettings::new(2_000, 1));
/// let envs = Serial::new(vec![CartPole::v1(); config.num_envs]);
/// let mut trainer = Pqn::new(&config, Box::new(envs), &run)?;
/// while trainer.step()?.frames < run.frames {}
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
pub struct Pqn<O: Observation> {
    config: PqnConfig,
    env: Box<dyn VecEnv<Obs = O>>,
    seed: u64,
    learner: PqnLearner,
    /// Its values are those of the best actions.
    rollout: Rollout<O>,
    /// The value of each action of the rollout.
    action_values: Vec<f32>,
    /// The observations of each step of the rollout, kept on the device for learning.
    seen: Vec<Tensor>,
    epsilons: Epsilons,
    /// One random stream per actor, so that actions do not depend on the other actors.
    action_streams: Vec<Rng>,
    /// Shuffles samples into minibatches.
    shuffle_stream: Rng,
    episodes: Episodes,
    /// What the environments learn, if they were made by a factory.
    learned: JointlyLearned,
    steps: u64,
    watch: Stopwatch,
    /// The length of the run, which schedules span.
    run_frames: u64,
    ranks: Ranks,
    /// The seed to reset the environments with before the next step.
    env_seed: Option<u64>,
    /// Set during a step, and after one that failed: environments and observations then belong to different moments, so
    /// no episode can continue.
    in_step: bool,
    // Written by every environment step; allocated once.
    actions: Vec<u32>,
    answers: Vec<f32>,
    final_obs: Vec<O>,
    results: Vec<Step>,
    metrics: Metrics,
}

impl<O: Observation> Pqn<O> {
    /// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(config: &PqnConfig, env: Box<dyn VecEnv<Obs = O>>, run: &RunSettings) -> Result<Self, TrainError> {
        let RunSettings { seed, device, .. } = *run;
        let ranks = run.ranks.clone();
        config.validate()?;
        let are_pixels = O::KIND == Kind::Uint8;
        let reason = "observations are not pixels: it must be false";
        check(are_pixels || !config.center_pixels, "center_pixels", true, reason)?;
        let n = env.num_envs();
        let reason = "it must be the number of environments that are there";
        check(n == config.num_envs, "num_envs", config.num_envs, reason)?;
        let spec = env.spec();
        Self::check_memory(config, spec.obs_shape)?;
        let obs_len = spec.obs_shape.len();
        // The actors of all ranks are numbered through, so that each has a stream of its own.
        let (all, own) = (ranks.size() * n, ranks.own(n));
        Ok(Self {
            learner: PqnLearner::new(config, network(config, &spec, seed, device)?)?.with(ranks.clone()),
            rollout: Rollout::new(config.rollout_steps, n, obs_len),
            action_values: vec![0.0; config.rollout_steps * n],
            seen: Vec::new(),
            epsilons: Epsilons::of(config.epsilon.clone(), own.clone(), all, seed),
            action_streams: own.map(|actor| stream(seed, "action", actor as u64)).collect(),
            shuffle_stream: stream(seed, "shuffle", ranks.rank() as u64),
            episodes: Episodes::new(n),
            learned: JointlyLearned::new(None, &ranks),
            steps: 0,
            watch: Stopwatch::default(),
            run_frames: run.frames,
            env_seed: Some(ranks.seed(seed)),
            ranks,
            in_step: false,
            actions: vec![0; n],
            answers: vec![0.0; n * spec.num_actions],
            final_obs: vec![O::default(); n * obs_len],
            results: vec![Step::default(); n],
            metrics: Metrics::of(&[PqnStats::NAMES, &NAMES].concat()),
            config: config.clone(),
            env,
            seed,
        })
    }

    /// Creates a trainer with new environments for a run.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn for_run(
        config: &PqnConfig,
        factory: &dyn EnvFactory<Obs = O>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        Self::check_memory(config, factory.spec().obs_shape)?;
        let first = run.ranks.own(config.num_envs).start;
        let env = factory.make_vec(first, config.num_envs, run.env_threads)?;
        Ok(Self {
            learned: JointlyLearned::new(factory.learned(), &run.ranks),
            ..Self::new(config, env, run)?
        })
    }

    /// Checks that there is enough memory for the rollout, which is nearly all that a trainer allocates.
    fn check_memory(config: &PqnConfig, obs_shape: Shape) -> Result<(), TrainError> {
        let (envs, steps) = (config.num_envs as u64, config.rollout_steps as u64);
        let row = envs * obs_shape.len() as u64 * size_of::<O>() as u64;
        // The rollout and the final observations; what the network has seen, and the batch of all samples; and a minibatch, with its pixels
        // as floating-point numbers.
        let bytes = (steps + 2) * row + 2 * steps * row + steps * row / config.minibatches as u64 * (2 + 4);
        let what = || format!("a rollout of {steps} steps in {envs} environments");
        let way_out = "lower num_envs or rollout_steps, or raise minibatches";
        Ok(memory::require(what, bytes, way_out)?)
    }

    /// The learner.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &PqnLearner {
        &self.learner
    }

    fn frames(&self) -> u64 {
        self.frames_of(self.steps)
    }

    fn frames_of(&self, steps: u64) -> u64 {
        steps.saturating_mul(u64::from(self.env.spec().frames_per_step))
    }

    /// Fills the rollout. Its steps are counted once it is complete.
    fn collect(&mut self) -> Result<(), TrainError> {
        match self.env_seed {
            Some(seed) => {
                self.env.reset(Some(seed), self.rollout.obs_mut(0))?;
                let first = self.rollout.step(0);
                self.rollout.is_first[first].fill(true);
                self.env_seed = None;
            }
            None => self.rollout.begin(),
        }
        self.episodes.begin();
        self.seen.clear();
        let mut steps = self.steps;
        for t in 0..self.config.rollout_steps {
            self.epsilons.resample(self.frames_of(steps));
            self.choose_actions(t)?;
            self.watch.measure(Part::Envs, || {
                self.env.step(
                    &self.actions,
                    self.rollout.obs_mut(t + 1),
                    &mut self.final_obs,
                    &mut self.results,
                )
            })?;
            steps = steps.saturating_add((self.actions.len() * self.ranks.size()) as u64);
            self.remember(t)?;
        }
        let last = self.rollout.steps();
        let values = self.best_values(self.rollout.obs(last))?;
        let n = self.rollout.num_envs();
        self.rollout.values[last * n..].copy_from_slice(&values);
        self.steps = steps;
        Ok(())
    }

    /// Draws and stores an action for every environment.
    fn choose_actions(&mut self, t: usize) -> Result<(), AgentError> {
        let network = self.learner.network();
        let obs = self
            .watch
            .measure(Part::Copies, || network.body().input(self.rollout.obs(t)))?;
        self.watch.measure(Part::Inference, || -> Result<(), AgentError> {
            copy_to(&network.infer(&obs)?, &mut self.answers)
        })?;
        self.seen.push(obs);
        self.check_finite(&self.answers)?;
        let first = self.rollout.step(t).start;
        for (i, values) in self.answers.chunks_exact(network.num_actions()).enumerate() {
            let epsilon = self.epsilons.current()[i];
            let action = epsilon_greedy(values, epsilon, &mut self.action_streams[i]);
            self.actions[i] = action;
            self.action_values[first + i] = values[action as usize];
            self.rollout.actions[first + i] = i64::from(action);
            self.rollout.epsilons[first + i] = epsilon;
            self.rollout.values[first + i] = largest(values);
        }
        Ok(())
    }

    /// Stores the environments' results.
    fn remember(&mut self, t: usize) -> Result<(), AgentError> {
        let first = self.rollout.step(t).start;
        for (i, step) in self.results.iter().enumerate() {
            self.rollout.remember(t, i, step);
            self.episodes.add(i, step);
        }
        let obs_len = self.final_obs.len() / self.results.len();
        for i in 0..self.results.len() {
            if self.results[i].end == End::Truncated {
                let values = self.best_values(&self.final_obs[i * obs_len..(i + 1) * obs_len])?;
                self.rollout.final_values[first + i] = values[0];
            }
        }
        Ok(())
    }

    /// The values of the best actions.
    fn best_values(&self, obs: &[O]) -> Result<Vec<f32>, AgentError> {
        let network = self.learner.network();
        let out = self.watch.measure(Part::Inference, || -> Result<_, AgentError> {
            let values = network.infer(&network.body().input(obs)?)?;
            let mut out = vec![0.0; values.numel()];
            copy_to(&values, &mut out)?;
            Ok(out)
        })?;
        self.check_finite(&out)?;
        Ok(out.chunks_exact(network.num_actions()).map(largest).collect())
    }

    fn check_finite(&self, values: &[f32]) -> Result<(), AgentError> {
        let (what, updates) = ("the value of an action", self.learner.updates());
        not_finite(values).map_or(Ok(()), |value| Err(AgentError::NotFinite { what, value, updates }))
    }

    /// Updates the network from the rollout.
    fn update(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        let (gamma, lambda) = (self.config.gamma as f32, self.config.lambda as f32);
        let returns = self.rollout.lambda_returns(gamma, lambda);
        let body = self.learner.network().body();
        let whole = self.watch.measure(Part::Copies, || -> Result<_, AgentError> {
            Ok(PqnBatch {
                obs: joined(&self.seen)?,
                actions: body.numbers(&self.rollout.actions)?,
                returns: body.numbers(&returns)?,
                learning_rate,
            })
        })?;
        let mut samples: Vec<i64> = (0..returns.len() as i64).collect();
        for _ in 0..self.config.epochs {
            samples.shuffle(&mut self.shuffle_stream);
            let mut unread = Vec::new();
            for part in samples.chunks_exact(samples.len() / self.config.minibatches) {
                let batch = self.watch.measure(Part::Copies, || whole.select(part))?;
                unread.push(self.watch.measure(Part::Learning, || self.learner.update(&batch))?);
            }
            for stats in self.watch.measure(Part::Learning, || self.learner.read(&unread))? {
                stats.record(&mut self.metrics);
            }
        }
        self.metrics.record("learning_rate", learning_rate);
        self.metrics.record("mean_value", mean(&self.action_values));
        self.metrics
            .record("explained_variance", explained_variance(&self.action_values, &returns));
        Ok(())
    }
}

impl<O: Observation> Trainer for Pqn<O> {
    fn resumption(&self) -> Resumption {
        match self.env.snapshots() {
            _ if self.in_step => Resumption::NewEpisodes,
            _ if self.learner.network().body().device() != Device::Cpu => Resumption::Timing,
            Some(_) => Resumption::Exact,
            None => Resumption::NewEpisodes,
        }
    }

    fn times(&self) -> Times {
        self.watch.times(1).waiting(self.ranks.time_of_means())
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let weights = from.section("learner")?.section("network")?;
        self.learner.network_mut().load(weights)?;
        Ok(self.learned.take(from)?)
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let seed = under_way::resumed_seed(self.seed, self.steps);
        let n = self.rollout.num_envs();
        let (all, own) = (self.ranks.size() * n, self.ranks.own(n));
        self.epsilons = Epsilons::of(self.config.epsilon.clone(), own.clone(), all, seed);
        self.action_streams = own.map(|actor| stream(seed, "action", actor as u64)).collect();
        self.shuffle_stream = stream(seed, "shuffle", self.ranks.rank() as u64);
        self.episodes.interrupt();
        self.env_seed = Some(self.ranks.seed(seed));
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.in_step = true;
        // Taken before the rollout's frames are counted, so that the first has all of it and the last still learns.
        let learning_rate = self.config.learning_rate.at(self.frames(), self.run_frames);
        self.collect()?;
        self.metrics.clear();
        if self.config.center_pixels && !self.learner.network().is_centered() {
            let seen = joined(&self.seen).map_err(AgentError::from)?;
            self.learner.network_mut().center_over(&seen, &self.ranks)?;
        } else {
            self.update(learning_rate)?;
        }
        self.learned.join()?;
        self.in_step = false;
        Ok(Progress {
            frames: self.frames(),
            steps: self.steps,
            updates: self.learner.updates(),
            episodes: self.episodes.finished(),
            metrics: &self.metrics,
            epsilons: self.epsilons.current(),
        })
    }
}

/// Saves weights, optimiser, random streams, counters, and current episodes.
impl<O: Observation> Checkpoint for Pqn<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.epsilons.save(out.section_mut("epsilons"))?;
        out.put("action_streams", &self.action_streams)?;
        out.put("shuffle_stream", &self.shuffle_stream)?;
        let can_continue = self.env_seed.is_none() && !self.in_step;
        let snapshots = can_continue.then(|| self.env.snapshots()).flatten();
        under_way::save_rollout(snapshots.as_deref(), &self.rollout, &self.episodes, out)?;
        self.learned.save(out)?;
        out.put("steps", &self.steps)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.load(from.section("learner")?)?;
        self.epsilons.load(from.section("epsilons")?)?;
        self.action_streams = from.get_vec("action_streams", self.action_streams.len())?;
        self.shuffle_stream = from.get("shuffle_stream")?;
        self.steps = from.count("steps")?;
        self.in_step = false;
        self.learned.load(from)?;
        let restore = |snapshots: &[Vec<u8>]| self.env.restore(snapshots);
        let goes_on = under_way::load_rollout(&mut self.rollout, &mut self.episodes, from, restore)?;
        self.env_seed = (!goes_on).then(|| self.ranks.seed(under_way::resumed_seed(self.seed, self.steps)));
        Ok(())
    }
}

/// The largest of some numbers.
fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn copy_to(tensor: &Tensor, out: &mut [f32]) -> Result<(), AgentError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    Ok(tensor.f_copy_data(out, out.len())?)
}
