//! The trainer: rollouts of all environments together, followed by updates.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvFactory, Shape, VecEnv};
use rand::seq::SliceRandom;
use tch::Device;

use super::{Minibatch, OnPolicyBatch, OnPolicyConfig, OnPolicyLearner, OnPolicyStats};
use crate::algorithm::RunSettings;
use crate::collect::{self, PolicyMemory, PolicyPlayer, check_center};
use crate::distributed::JointlyLearned;
use crate::limits::check;
use crate::network::{ActorCritic, Observation, joined};
use crate::returns::{explained_variance, mean};
use crate::sync_actors::SyncActors;
use crate::times::{Part, Stopwatch, Times};
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
    learner: OnPolicyLearner,
    actors: SyncActors<O>,
    memory: PolicyMemory,
    /// Shuffles samples into minibatches.
    shuffle_stream: Rng,
    watch: Stopwatch,
    metrics: Metrics,
}

impl<O: Observation> OnPolicy<O> {
    /// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &OnPolicyConfig,
        env: Box<dyn VecEnv<Obs = O> + Send>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        let RunSettings {
            seed,
            device,
            ref ranks,
            ..
        } = *run;
        config.validate()?;
        check_center::<O>(config.center_pixels)?;
        let reason = "several processes average their gradients on the CPU: leave it out";
        check(!config.cuda_graphs || ranks.is_alone(), "cuda_graphs", true, reason)?;
        let n = env.num_envs();
        let reason = "it must be the number of environments that are there";
        check(n == config.num_envs, "num_envs", config.num_envs, reason)?;
        let spec = env.spec();
        Self::check_memory(config, spec.obs_shape)?;
        let network = ActorCritic::new(&config.network, &spec, &mut stream(seed, "network", 0), device)?;
        network.body().draw_masks_from(ranks.stream(seed, "dropout"));
        let watch = Stopwatch::default();
        Ok(Self {
            memory: PolicyMemory::new(&network, n)?,
            learner: OnPolicyLearner::new(config, network)?.with(ranks.clone()),
            actors: SyncActors::new(config.rollout_steps, &config.epsilon, env, run, &watch),
            shuffle_stream: ranks.stream(seed, "shuffle"),
            watch,
            metrics: Metrics::of(&[OnPolicyStats::NAMES, &NAMES].concat()),
            config: config.clone(),
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
        config.validate()?;
        Self::check_memory(config, factory.spec().obs_shape)?;
        let first = run.ranks.own(config.num_envs).start;
        let env = factory.make_vec(first, config.num_envs, run.env_threads)?;
        let mut trainer = Self::new(config, env, run)?;
        trainer.actors.learned = JointlyLearned::new(factory.learned(), &run.ranks);
        Ok(trainer)
    }

    /// The learner.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &OnPolicyLearner {
        &self.learner
    }

    /// The actions of the rollout.
    #[cfg(test)]
    pub(super) fn rollout_actions(&self) -> Vec<u32> {
        let actions = &self.actors.collector.rollout.actions;
        actions.iter().map(|action| *action as u32).collect()
    }

    /// The values of the final observations of truncated episodes.
    #[cfg(test)]
    pub(super) fn final_values(&self) -> &[f32] {
        &self.actors.collector.rollout.final_values
    }

    /// Checks that there is enough memory for the rollout, which is nearly all that a trainer allocates.
    ///
    /// # Errors
    ///
    /// [`EnvError::Memory`](coinop_envs::EnvError::Memory).
    pub fn check_memory(config: &OnPolicyConfig, obs_shape: Shape) -> Result<(), TrainError> {
        let (envs, steps) = (config.num_envs, config.rollout_steps);
        collect::require_memory::<O>(envs, steps, config.minibatches, obs_shape)?;
        Ok(())
    }

    /// Fills the rollout.
    pub(super) fn collect(&mut self) -> Result<(), TrainError> {
        let mut player = PolicyPlayer {
            network: self.learner.network(),
            memory: &mut self.memory,
            updates: self.learner.updates(),
            watch: &self.watch,
        };
        self.actors.collect(&mut player)?;
        self.actors.collector.estimate(&mut player)?;
        let (gamma, lambda) = (self.config.gamma as f32, self.config.gae_lambda as f32);
        self.actors.collector.rollout.finish(gamma, lambda);
        Ok(())
    }

    /// Updates the network from the rollout.
    fn update(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        let SyncActors { collector, ranks, .. } = &mut self.actors;
        let rollout = &mut collector.rollout;
        let len = rollout.actions.len();
        let returns = rollout.returns();
        if self.config.normalize_advantages {
            let least = self.config.min_advantage_std.unwrap_or(0.0);
            rollout.normalize_advantages_over(least, |number| ranks.mean_number(number))?;
        }
        let whole = self
            .watch
            .measure(Part::Copies, || self.whole_batch(&returns, learning_rate))?;
        let values = &self.actors.collector.rollout.values[..len];
        let (mean_value, explained_variance) = (mean(values), explained_variance(values, &returns));
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
            let moved = self.actors.ranks.mean_number(moved)?;
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
        let rollout = &self.actors.collector.rollout;
        let body = self.learner.network().body();
        Ok(OnPolicyBatch {
            obs: joined(&self.memory.seen)?,
            actions: body.numbers(&rollout.actions)?,
            epsilons: body.numbers(&rollout.epsilons)?,
            log_probabilities: body.numbers(&rollout.log_probabilities)?,
            values: body.numbers(&rollout.values[..rollout.actions.len()])?,
            advantages: body.numbers(&rollout.advantages)?,
            returns: body.numbers(returns)?,
            is_first: rollout.all_is_first().to_vec(),
            state: self.memory.first_state.copy()?,
            learning_rate,
        })
    }

    /// The shuffled minibatches; `None` stands for all samples.
    fn parts(&mut self, len: usize) -> Vec<Option<Minibatch>> {
        let minibatches = self.config.minibatches;
        if minibatches == 1 {
            return vec![None];
        }
        let n = self.actors.collector.num_envs();
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
        let is_exact = self.learner.network().body().device() == Device::Cpu;
        self.actors.collector.resumption(is_exact)
    }

    fn times(&self) -> Times {
        self.actors.times()
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let weights = from.section("learner")?.section("network")?;
        self.learner.network_mut().load(weights)?;
        Ok(self.actors.learned.take(from)?)
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let seed = self.actors.renew();
        self.shuffle_stream = self.actors.ranks.stream(seed, "shuffle");
        self.learner
            .network()
            .body()
            .draw_masks_from(self.actors.ranks.stream(seed, "dropout"));
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        // Taken before the rollout's frames are counted, so that the first has all of it and the last still learns.
        let learning_rate = self.actors.now(&self.config.learning_rate);
        self.collect()?;
        self.metrics.clear();
        if self.config.center_pixels && !self.learner.network().is_centered() {
            let seen = joined(&self.memory.seen).map_err(AgentError::from)?;
            self.learner.network_mut().center_over(&seen, &self.actors.ranks)?;
        } else {
            self.update(learning_rate)?;
        }
        self.actors.end()?;
        Ok(self.actors.progress(self.learner.updates(), &self.metrics))
    }
}

/// Saves weights, optimiser, random streams, counters, and current episodes.
impl<O: Observation> Checkpoint for OnPolicy<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.actors.save(out)?;
        out.put("shuffle_stream", &self.shuffle_stream)?;
        self.memory.state.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.load(from.section("learner")?)?;
        self.shuffle_stream = from.get("shuffle_stream")?;
        if self.actors.load(from)? {
            self.memory.state.load(from)?;
        }
        Ok(())
    }
}
