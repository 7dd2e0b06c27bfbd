//! The trainer of PQN: rollouts of all environments together, followed by updates.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvFactory, EnvSpec, VecEnv};
use rand::seq::SliceRandom;
use tch::{Device, Tensor};

use super::{PqnBatch, PqnConfig, PqnLearner, PqnStats};
use crate::algorithm::{Algorithm, RunSettings};
use crate::collect::{self, Actors, Player, check_center, check_finite, copy_to};
use crate::distributed::JointlyLearned;
use crate::explore::epsilon_greedy;
use crate::limits::check;
use crate::network::{Observation, QNetwork, joined};
use crate::returns::{explained_variance, mean};
use crate::rollout::Rollout;
use crate::sync_actors::SyncActors;
use crate::times::{Part, Stopwatch, Times};
use crate::{AgentError, Checkpoint, CheckpointError, Metrics, Progress, Resumption, Section, TrainError, Trainer};

/// The names of the metrics that the trainer adds to those of [`PqnStats`]. A rollout that is not learned from has none.
const NAMES: [&str; 3] = ["learning_rate", "mean_value", "explained_variance"];

/// What is checked.
const VALUE: &str = "the value of an action";

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
    learner: PqnLearner,
    /// The values of their rollout are those of the best actions.
    actors: SyncActors<O>,
    memory: Memory,
    /// Shuffles samples into minibatches.
    shuffle_stream: Rng,
    watch: Stopwatch,
    metrics: Metrics,
}

/// What the network remembers of a rollout.
struct Memory {
    /// The value of each action.
    action_values: Vec<f32>,
    /// The observations of each step, on the network's device.
    seen: Vec<Tensor>,
    /// The values of all actions of a step.
    answers: Vec<f32>,
}

/// The network while it plays: epsilon-greedily.
struct ValuePlayer<'a> {
    network: &'a QNetwork,
    memory: &'a mut Memory,
    updates: u64,
    watch: &'a Stopwatch,
}

impl ValuePlayer<'_> {
    /// The values of the best actions.
    fn best_values<O: Observation>(&self, obs: &[O]) -> Result<Vec<f32>, AgentError> {
        let network = self.network;
        let out = self.watch.measure(Part::Inference, || -> Result<_, AgentError> {
            let values = network.infer(&network.body().input(obs)?)?;
            let mut out = vec![0.0; values.numel()];
            copy_to(&values, &mut out)?;
            Ok(out)
        })?;
        check_finite(VALUE, &out, self.updates)?;
        Ok(out.chunks_exact(network.num_actions()).map(largest).collect())
    }
}

impl<O: Observation> Player<O> for ValuePlayer<'_> {
    fn begin(&mut self) -> Result<(), AgentError> {
        self.memory.seen.clear();
        Ok(())
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, by: Actors<'_>) -> Result<(), AgentError> {
        let (network, memory) = (self.network, &mut *self.memory);
        let obs = self
            .watch
            .measure(Part::Copies, || network.body().input(rollout.obs(t)))?;
        self.watch.measure(Part::Inference, || -> Result<(), AgentError> {
            copy_to(&network.infer(&obs)?, &mut memory.answers)
        })?;
        memory.seen.push(obs);
        check_finite(VALUE, &memory.answers, self.updates)?;
        let first = rollout.step(t).start;
        for (i, values) in memory.answers.chunks_exact(network.num_actions()).enumerate() {
            let epsilon = by.epsilons[i];
            let action = epsilon_greedy(values, epsilon, &mut by.streams[i]);
            by.actions[i] = action;
            memory.action_values[first + i] = values[action as usize];
            rollout.actions[first + i] = i64::from(action);
            rollout.epsilons[first + i] = epsilon;
            rollout.values[first + i] = largest(values);
        }
        Ok(())
    }

    fn final_value(&mut self, obs: &[O], _env: usize) -> Result<f32, AgentError> {
        Ok(self.best_values(obs)?[0])
    }

    fn last_values(&mut self, rollout: &Rollout<O>) -> Result<Vec<f32>, AgentError> {
        self.best_values(rollout.obs(rollout.steps()))
    }
}

impl<O: Observation> Pqn<O> {
    /// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &PqnConfig,
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
        let n = env.num_envs();
        let reason = "it must be the number of environments that are there";
        check(n == config.num_envs, "num_envs", config.num_envs, reason)?;
        let spec = env.spec();
        let (steps, minibatches) = (config.rollout_steps, config.minibatches);
        collect::require_memory::<O>(n, steps, minibatches, spec.obs_shape)?;
        let network = network(config, &spec, seed, device)?;
        network.body().draw_masks_from(ranks.stream(seed, "dropout"));
        let watch = Stopwatch::default();
        Ok(Self {
            learner: PqnLearner::new(config, network)?.with(ranks.clone()),
            actors: SyncActors::new(steps, &config.epsilon, env, run, &watch),
            memory: Memory {
                action_values: vec![0.0; steps * n],
                seen: Vec::new(),
                answers: vec![0.0; n * spec.num_actions],
            },
            shuffle_stream: ranks.stream(seed, "shuffle"),
            watch,
            metrics: Metrics::of(&[PqnStats::NAMES, &NAMES].concat()),
            config: config.clone(),
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
        let (n, steps) = (config.num_envs, config.rollout_steps);
        config.validate()?;
        collect::require_memory::<O>(n, steps, config.minibatches, factory.spec().obs_shape)?;
        let first = run.ranks.own(config.num_envs).start;
        let env = factory.make_vec(first, config.num_envs, run.env_threads)?;
        let mut trainer = Self::new(config, env, run)?;
        trainer.actors.learned = JointlyLearned::new(factory.learned(), &run.ranks);
        Ok(trainer)
    }

    /// The learner.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &PqnLearner {
        &self.learner
    }

    /// Fills the rollout.
    fn collect(&mut self) -> Result<(), TrainError> {
        let mut player = ValuePlayer {
            network: self.learner.network(),
            memory: &mut self.memory,
            updates: self.learner.updates(),
            watch: &self.watch,
        };
        self.actors.collect(&mut player)?;
        Ok(self.actors.collector.estimate(&mut player)?)
    }

    /// Updates the network from the rollout.
    fn update(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        let (gamma, lambda) = (self.config.gamma as f32, self.config.lambda as f32);
        let rollout = &self.actors.collector.rollout;
        let returns = rollout.lambda_returns(gamma, lambda);
        let body = self.learner.network().body();
        let whole = self.watch.measure(Part::Copies, || -> Result<_, AgentError> {
            Ok(PqnBatch {
                obs: joined(&self.memory.seen)?,
                actions: body.numbers(&rollout.actions)?,
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
        let values = &self.memory.action_values;
        self.metrics.record("learning_rate", learning_rate);
        self.metrics.record("mean_value", mean(values));
        self.metrics
            .record("explained_variance", explained_variance(values, &returns));
        Ok(())
    }
}

impl<O: Observation> Trainer for Pqn<O> {
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
impl<O: Observation> Checkpoint for Pqn<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.save(out.section_mut("learner"))?;
        self.actors.save(out)?;
        out.put("shuffle_stream", &self.shuffle_stream)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.load(from.section("learner")?)?;
        self.shuffle_stream = from.get("shuffle_stream")?;
        self.actors.load(from)?;
        Ok(())
    }
}

/// The largest of some numbers.
fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
