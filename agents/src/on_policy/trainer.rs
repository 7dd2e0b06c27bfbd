//! The trainer: rollouts of all environments together, followed by updates.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{End, EnvFactory, Shape, Step, VecEnv, memory};
use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

use super::{Minibatch, OnPolicyBatch, OnPolicyConfig, OnPolicyLearner, OnPolicyStats};
use crate::algorithm::RunSettings;
use crate::distributed::{JointlyLearned, Ranks};
use crate::episodes::Episodes;
use crate::explore::{Epsilons, sample_action};
use crate::limits::check;
use crate::network::{ActorCritic, Observation, RecurrentState, joined};
use crate::policy::not_finite;
use crate::returns::{explained_variance, mean};
use crate::rollout::Rollout;
use crate::times::{Part, Stopwatch, Times};
use crate::under_way;
use crate::{AgentError, Checkpoint, CheckpointError, Metrics, Progress, Resumption, Section, TrainError, Trainer};

/// The names of the metrics that the trainer adds to those of [`OnPolicyStats`]. A rollout that is not learned from
/// has none.
const NAMES: [&str; 4] = ["epochs", "learning_rate", "mean_value", "explained_variance"];

/// The trainer of PAAC and PPO. One [`step`](Trainer::step) is one rollout and its updates.
///
/// ```
/// use coinop_agents::Trainer;
/// use coinop_agents::algorithm::RunSettings;
/// use coinop_agents::on_policy::{OnPolicy, OnPolicyConfig};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Serial;
///
/// let config = OnPolicyConfig::from(&PpoConfig::classic());
/// let (envs, run) = (Serial::new(vec![CartPole::v1(); config.num_envs]), RunSettings::new(2_000, 1));
/// let mut trainer = OnPolicy::new(&config, Box::new(envs), &run)?;
/// while trainer.step()?.frames < run.frames {}
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
pub struct OnPolicy<O: Observation> {
    config: OnPolicyConfig,
    env: Box<dyn VecEnv<Obs = O>>,
    seed: u64,
    learner: OnPolicyLearner,
    rollout: Rollout<O>,
    /// The observations of each step of the rollout, kept on the device for learning.
    seen: Vec<Tensor>,
    /// The current recurrent state.
    state: RecurrentState,
    /// The recurrent state before the rollout.
    first_state: RecurrentState,
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
    /// Set during a step, and after one that failed: environments, observations and recurrent state then belong to
    /// different moments, so no episode can continue.
    in_step: bool,
    // Written by every environment step; allocated once.
    actions: Vec<u32>,
    /// The values of all environments, then their action probabilities.
    answers: Vec<f32>,
    final_obs: Vec<O>,
    results: Vec<Step>,
    metrics: Metrics,
}

impl<O: Observation> OnPolicy<O> {
    /// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(config: &OnPolicyConfig, env: Box<dyn VecEnv<Obs = O>>, run: &RunSettings) -> Result<Self, TrainError> {
        let RunSettings { seed, device, .. } = *run;
        let ranks = run.ranks.clone();
        config.validate()?;
        let are_pixels = O::KIND == Kind::Uint8;
        let reason = "observations are not pixels: it must be false";
        check(are_pixels || !config.center_pixels, "center_pixels", true, reason)?;
        let n = env.num_envs();
        if n != config.num_envs {
            let (value, reason) = (
                config.num_envs.to_string(),
                "it must be the number of environments that are there",
            );
            return Err(AgentError::BadConfig {
                name: "num_envs",
                value,
                reason,
            }
            .into());
        }
        let spec = env.spec();
        Self::check_memory(config, spec.obs_shape)?;
        let obs_len = spec.obs_shape.len();
        let network = ActorCritic::new(&config.network, &spec, &mut stream(seed, "network", 0), device)?;
        // The actors of all ranks are numbered through, so that each has a stream of its own.
        let (all, own) = (ranks.size() * n, ranks.own(n));
        Ok(Self {
            state: network.initial_state(n)?,
            first_state: RecurrentState::default(),
            learner: OnPolicyLearner::new(config, network)?.with(ranks.clone()),
            rollout: Rollout::new(config.rollout_steps, n, obs_len),
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
            answers: vec![0.0; n * (1 + spec.num_actions)],
            final_obs: vec![O::default(); n * obs_len],
            results: vec![Step::default(); n],
            metrics: Metrics::of(&[OnPolicyStats::NAMES, &NAMES].concat()),
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
        config: &OnPolicyConfig,
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

    /// The learner.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &OnPolicyLearner {
        &self.learner
    }

    /// The actions of the rollout.
    #[cfg(test)]
    pub(super) fn rollout_actions(&self) -> Vec<u32> {
        self.rollout.actions.iter().map(|action| *action as u32).collect()
    }

    /// The values of the final observations of truncated episodes.
    #[cfg(test)]
    pub(super) fn final_values(&self) -> &[f32] {
        &self.rollout.final_values
    }

    /// Checks that there is enough memory for the rollout, which is nearly all that a trainer allocates.
    ///
    /// # Errors
    ///
    /// [`EnvError::Memory`](coinop_envs::EnvError::Memory).
    pub fn check_memory(config: &OnPolicyConfig, obs_shape: Shape) -> Result<(), TrainError> {
        let (envs, steps) = (config.num_envs as u64, config.rollout_steps as u64);
        let obs_len = obs_shape.len() as u64;
        let element = size_of::<O>() as u64;
        // The rollout and the final observations; what the network has seen, and the batch of all samples; and a minibatch, with its pixels
        // as floating-point numbers.
        let rollout = (steps + 2) * envs * obs_len * element;
        let batch = steps * envs * obs_len * element;
        let minibatch = batch / config.minibatches as u64 * (2 + 4);
        let what = || format!("a rollout of {steps} steps in {envs} environments");
        let way_out = "lower num_envs or rollout_steps, or raise minibatches";
        Ok(memory::require(what, rollout + 2 * batch + minibatch, way_out)?)
    }

    fn frames(&self) -> u64 {
        self.frames_of(self.steps)
    }

    fn frames_of(&self, steps: u64) -> u64 {
        steps.saturating_mul(u64::from(self.env.spec().frames_per_step))
    }

    /// Fills the rollout. Its steps are counted once it is complete.
    pub(super) fn collect(&mut self) -> Result<(), TrainError> {
        match self.env_seed {
            Some(seed) => {
                self.env.reset(Some(seed), self.rollout.obs_mut(0))?;
                let first = self.rollout.step(0);
                self.rollout.is_first[first].fill(true);
                self.env_seed = None;
            }
            None => self.rollout.begin(),
        }
        self.first_state = self.state.copy()?;
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
        let values = self.values(self.rollout.obs(last), self.rollout.is_first(last), self.state.copy()?)?;
        let n = self.rollout.num_envs();
        self.rollout.values[last * n..].copy_from_slice(&values);
        let (gamma, lambda) = (self.config.gamma as f32, self.config.gae_lambda as f32);
        self.rollout.finish(gamma, lambda);
        self.steps = steps;
        Ok(())
    }

    /// Draws and stores an action for every environment.
    fn choose_actions(&mut self, t: usize) -> Result<(), AgentError> {
        let network = self.learner.network();
        let obs = self
            .watch
            .measure(Part::Copies, || network.body().input(self.rollout.obs(t)))?;
        let span = self.rollout.step(t);
        self.watch.measure(Part::Inference, || -> Result<(), AgentError> {
            let (logits, values) = network.infer(&obs, self.rollout.is_first(t), &mut self.state)?;
            // All in one piece: a GPU is waited for once.
            let answers = [values, logits.f_softmax(1, Kind::Float)?.f_flatten(0, -1)?];
            copy_to(&Tensor::f_cat(&answers, 0)?, &mut self.answers)
        })?;
        let (values, probabilities) = self.answers.split_at(span.len());
        self.rollout.values[span.clone()].copy_from_slice(values);
        self.seen.push(obs);
        self.check_finite("a value", &self.rollout.values[span.clone()])?;
        self.check_finite("the probability of an action", probabilities)?;
        let num_actions = network.num_actions();
        for (i, probabilities) in probabilities.chunks_exact(num_actions).enumerate() {
            let epsilon = self.epsilons.current()[i];
            self.actions[i] = sample_action(probabilities, epsilon, &mut self.action_streams[i]);
            self.rollout.actions[span.start + i] = i64::from(self.actions[i]);
            self.rollout.epsilons[span.start + i] = epsilon;
            let probability = probabilities[self.actions[i] as usize];
            let mixture = (1.0 - epsilon) * probability + epsilon / num_actions as f32;
            self.rollout.log_probabilities[span.start + i] = mixture.ln();
        }
        Ok(())
    }

    /// Stores the environments' results.
    fn remember(&mut self, t: usize) -> Result<(), AgentError> {
        let span = self.rollout.step(t);
        for (i, step) in self.results.iter().enumerate() {
            self.rollout.remember(t, i, step);
            self.episodes.add(i, step);
        }
        let obs_len = self.final_obs.len() / self.results.len();
        for i in 0..self.results.len() {
            if self.results[i].end == End::Truncated {
                let final_obs = &self.final_obs[i * obs_len..(i + 1) * obs_len];
                let values = self.values(final_obs, &[false], self.state.rows(&[i as i64])?)?;
                self.rollout.final_values[span.start + i] = values[0];
            }
        }
        Ok(())
    }

    /// The values of observations of the environments of `state`.
    fn values(&self, obs: &[O], is_first: &[bool], mut state: RecurrentState) -> Result<Vec<f32>, AgentError> {
        let network = self.learner.network();
        let out = self.watch.measure(Part::Inference, || -> Result<_, AgentError> {
            let obs = network.body().input(obs)?;
            let (_, values) = network.infer(&obs, is_first, &mut state)?;
            let mut out = vec![0.0; values.numel()];
            copy_to(&values, &mut out)?;
            Ok(out)
        })?;
        self.check_finite("a value", &out)?;
        Ok(out)
    }

    fn check_finite(&self, what: &'static str, values: &[f32]) -> Result<(), AgentError> {
        let updates = self.learner.updates();
        not_finite(values).map_or(Ok(()), |value| Err(AgentError::NotFinite { what, value, updates }))
    }

    /// Updates the network from the rollout.
    fn update(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        let len = self.rollout.actions.len();
        let returns = self.rollout.returns();
        if self.config.normalize_advantages {
            let ranks = &self.ranks;
            self.rollout
                .normalize_advantages_over(|number| ranks.mean_number(number))?;
        }
        let whole = self
            .watch
            .measure(Part::Copies, || self.whole_batch(&returns, learning_rate))?;
        let explained_variance = explained_variance(&self.rollout.values[..len], &returns);
        let mean_value = mean(&self.rollout.values[..len]);
        for epoch in 1..=self.config.epochs {
            let mut unread = Vec::new();
            for part in self.parts(len) {
                let part = part.map(|part| self.watch.measure(Part::Copies, || whole.select(&part)));
                let part = part.transpose()?;
                let batch = part.as_ref().unwrap_or(&whole);
                let update = self.watch.measure(Part::Learning, || self.learner.update(batch))?;
                unread.push(update);
            }
            let updates = unread.len() as f64;
            let mut moved = 0.0;
            for stats in self.watch.measure(Part::Learning, || self.learner.read(&unread))? {
                stats.record(&mut self.metrics);
                moved += stats.approx_kl / updates;
            }
            let moved = self.ranks.mean_number(moved)?;
            let is_far = self.config.target_kl.is_some_and(|most| moved > most);
            if is_far || epoch == self.config.epochs {
                self.metrics.record("epochs", epoch as f64);
                break;
            }
        }
        self.metrics.record("learning_rate", learning_rate);
        self.metrics.record("mean_value", mean_value);
        self.metrics.record("explained_variance", explained_variance);
        Ok(())
    }

    /// Copies all samples of the rollout to the network's device.
    fn whole_batch(&self, returns: &[f32], learning_rate: f64) -> Result<OnPolicyBatch, AgentError> {
        let rollout = &self.rollout;
        let body = self.learner.network().body();
        Ok(OnPolicyBatch {
            obs: joined(&self.seen)?,
            actions: body.numbers(&rollout.actions)?,
            epsilons: body.numbers(&rollout.epsilons)?,
            log_probabilities: body.numbers(&rollout.log_probabilities)?,
            values: body.numbers(&rollout.values[..rollout.actions.len()])?,
            advantages: body.numbers(&rollout.advantages)?,
            returns: body.numbers(returns)?,
            is_first: rollout.all_is_first().to_vec(),
            state: self.first_state.copy()?,
            learning_rate,
        })
    }

    /// The shuffled minibatches; `None` stands for all samples.
    fn parts(&mut self, len: usize) -> Vec<Option<Minibatch>> {
        let minibatches = self.config.minibatches;
        if minibatches == 1 {
            return vec![None];
        }
        let n = self.rollout.num_envs();
        // What a recurrent network remembers is a matter of all steps of an environment, which stay together.
        let recurrent = self.learner.network().is_recurrent();
        let mut numbers: Vec<i64> = (0..if recurrent { n } else { len } as i64).collect();
        numbers.shuffle(&mut self.shuffle_stream);
        let parts = numbers.chunks_exact(numbers.len() / minibatches);
        let part = |numbers: &[i64]| match recurrent {
            false => Minibatch {
                samples: numbers.to_vec(),
                envs: Vec::new(),
            },
            true => Minibatch {
                samples: (0..len as i64)
                    .step_by(n)
                    .flat_map(|row| numbers.iter().map(move |env| row + env))
                    .collect(),
                envs: numbers.to_vec(),
            },
        };
        parts.map(|numbers| Some(part(numbers))).collect()
    }
}

impl<O: Observation> Trainer for OnPolicy<O> {
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
impl<O: Observation> Checkpoint for OnPolicy<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.epsilons.save(out.section_mut("epsilons"))?;
        out.put("action_streams", &self.action_streams)?;
        out.put("shuffle_stream", &self.shuffle_stream)?;
        self.state.save(out)?;
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
        if under_way::load_rollout(&mut self.rollout, &mut self.episodes, from, restore)? {
            self.state.load(from)?;
            self.env_seed = None;
        } else {
            self.env_seed = Some(self.ranks.seed(under_way::resumed_seed(self.seed, self.steps)));
        }
        Ok(())
    }
}

fn copy_to(tensor: &Tensor, out: &mut [f32]) -> Result<(), AgentError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    Ok(tensor.f_copy_data(out, out.len())?)
}
