//! The A3C trainer, and what each of its workers does with its own network.

use std::sync::Arc;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvFactory, EnvSpec};
use tch::{Device, Kind};

use super::config::A3cConfig;
use super::learner::{A3cBatch, A3cLearner, NAMES};
use crate::actor_learners::{ActorLearners, Method, Plan};
use crate::explore::sample_action;
use crate::network::{ActorCritic, Observation, RecurrentState};
use crate::policy::{ActorCriticPolicy, answers};
use crate::returns::mean;
use crate::rollout::Rollout;
use crate::shared::SharedParams;
use crate::times::Times;
use crate::{
    AgentError, Checkpoint, CheckpointError, Learner, Progress, Resumption, Row, Section, TrainError, Trainer,
};

/// The A3C trainer. One [`step`](Trainer::step) receives one rollout of one worker.
///
/// ```
/// use coinop_agents::a3c::{A3c, A3cConfig};
/// use coinop_agents::{Device, Trainer};
/// use coinop_envs::Made;
/// use coinop_envs::classic::CartPole;
///
/// # let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/a3c-classic.toml")).parse()?;
/// # let config: A3cConfig = preset["a3c"].clone().try_into()?;
/// let factory = Made::by(|| Ok(CartPole::v1()))?;
/// let (frames, seed) = (2_000, 1);
/// let mut trainer = A3c::new(&config, &factory, frames, seed, Device::Cpu)?;
/// while trainer.step()?.frames < frames {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct A3c<O: Observation>(ActorLearners<O, A3cMethod>);

impl<O: Observation> A3c<O> {
    /// Creates a trainer with new weights for a run of `total_frames` frames, over which the learning rate is
    /// annealed unless the configuration says otherwise. The threads start with the first step.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or does not fit the environments, or there is not enough memory.
    pub fn new(
        config: &A3cConfig,
        factory: &dyn EnvFactory<Obs = O>,
        total_frames: u64,
        seed: u64,
        device: Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let spec = factory.spec();
        let flat = initial(config, &spec, seed, device)?.params().flat();
        let shared = Arc::new(SharedParams::new(&flat, config.optimizer, config.locked)?);
        let plan = Plan {
            workers: config.workers,
            rollout_steps: config.rollout_steps,
            learning_rate: config.learning_rate_schedule(total_frames, seed),
            epsilon: &config.epsilon,
            seed,
        };
        let method = || {
            let network = initial(config, &spec, seed, device)?;
            Ok(A3cMethod {
                state: network.initial_state(1)?,
                first_state: RecurrentState::default(),
                learner: A3cLearner::new(config, network, Arc::clone(&shared)),
                gamma: config.gamma as f32,
                lambda: config.gae_lambda as f32,
                probabilities: Vec::new(),
                value: Vec::new(),
            })
        };
        Ok(Self(ActorLearners::new(&plan, factory, Arc::clone(&shared), method)?))
    }
}

impl<O: Observation> Trainer for A3c<O> {
    fn resumption(&self) -> Resumption {
        self.0.resumption()
    }

    fn times(&self) -> Times {
        self.0.times()
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.0.step()
    }
}

impl<O: Observation> Checkpoint for A3c<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.0.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.0.load(from)
    }
}

/// Creates a network with the initial weights for the seed of a run.
fn initial(config: &A3cConfig, spec: &EnvSpec, seed: u64, device: Device) -> Result<ActorCritic, AgentError> {
    let mut rng = stream(seed, "network", 0);
    ActorCritic::new(&config.network, spec, &mut rng, device)
}

/// Loads the policy from a checkpoint of [`A3c`], for environments with the constants `spec`; it draws from `rng`.
///
/// ```
/// use coinop_agents::a3c::{A3c, A3cConfig, restore_policy};
/// use coinop_agents::{Checkpoint, Device, Mode, Policy, Section, Trainer};
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::rng::stream;
/// use coinop_envs::{EnvFactory, Made};
///
/// # let preset: toml::Table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/a3c-classic.toml")).parse()?;
/// # let config: A3cConfig = preset["a3c"].clone().try_into()?;
/// # let factory = Made::by(|| Ok(CartPole::v1()))?;
/// # let spec = factory.spec();
/// # let (frames, seed) = (2_000, 1);
/// # let mut trainer = A3c::new(&config, &factory, frames, seed, Device::Cpu)?;
/// # trainer.step()?;
/// let mut checkpoint = Section::default();
/// trainer.save(&mut checkpoint)?;
/// let mut policy = restore_policy::<f32>(&config, &spec, &checkpoint, stream(1, "example", 0), Device::Cpu)?;
/// let mut action = [0];
/// policy.act(&[0.0, 0.0, 0.05, 0.0], &[true], Mode::Greedy, &mut action)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the checkpoint does not match.
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

/// The state of a worker.
struct A3cMethod {
    learner: A3cLearner,
    /// The current recurrent state.
    state: RecurrentState,
    /// The recurrent state before the rollout.
    first_state: RecurrentState,
    gamma: f32,
    lambda: f32,
    // Written by every step; allocated once.
    probabilities: Vec<f32>,
    value: Vec<f32>,
}

impl A3cMethod {
    /// The value of the observation in row `t`.
    fn value_of<O: Observation>(&mut self, rollout: &Rollout<O>, t: usize, begins: &[bool]) -> Result<f32, AgentError> {
        let network = &self.learner.network;
        let obs = network.body().input(rollout.obs(t))?;
        let (_, value) = network.infer(&obs, begins, &mut self.state.copy()?)?;
        answers(&value, "a value", &mut self.value)?;
        Ok(self.value[0])
    }

    fn batch<O: Observation>(&self, rollout: &Rollout<O>, learning_rate: f64) -> Result<A3cBatch, AgentError> {
        let body = self.learner.network.body();
        Ok(A3cBatch {
            obs: body.input(rollout.all_obs())?,
            actions: body.numbers(&rollout.actions)?,
            epsilons: body.numbers(&rollout.epsilons)?,
            advantages: body.numbers(&rollout.advantages)?,
            returns: body.numbers(&rollout.returns())?,
            begins: rollout.all_begins().to_vec(),
            state: self.first_state.copy()?,
            learning_rate,
        })
    }
}

impl<O: Observation> Method<O> for A3cMethod {
    const NAMES: &'static [&'static str] = &NAMES;

    fn synchronize(&mut self, _frames: u64) -> Result<(), AgentError> {
        self.learner.synchronize()
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<u32, AgentError> {
        if t == 0 {
            self.first_state = self.state.copy()?;
        }
        let network = &self.learner.network;
        let obs = network.body().input(rollout.obs(t))?;
        let (logits, value) = network.infer(&obs, rollout.begins(t), &mut self.state)?;
        let what = "the probability of an action";
        answers(&logits.f_softmax(1, Kind::Float)?, what, &mut self.probabilities)?;
        answers(&value, "a value", &mut self.value)?;
        rollout.values[t] = self.value[0];
        Ok(sample_action(&self.probabilities, epsilon, rng))
    }

    fn final_value(&mut self, rollout: &Rollout<O>, t: usize, _: f32, _: &mut Rng) -> Result<f32, AgentError> {
        // It belongs to the episode that was truncated, though the next one begins in its place.
        self.value_of(rollout, t, &[false])
    }

    fn finish(&mut self, rollout: &mut Rollout<O>, _: f32, _: &mut Rng) -> Result<(), AgentError> {
        let steps = rollout.steps();
        rollout.values[steps] = self.value_of(rollout, steps, rollout.begins(steps))?;
        rollout.finish(self.gamma, self.lambda);
        Ok(())
    }

    fn learn(&mut self, rollout: &Rollout<O>, learning_rate: f64, metrics: &mut Row) -> Result<(), AgentError> {
        let stats = self.learner.learn(&self.batch(rollout, learning_rate)?)?;
        stats.record(metrics);
        metrics.record("mean_value", mean(&rollout.values[..rollout.steps()]));
        Ok(())
    }

    fn interrupt(&mut self) {
        // The next observation is marked as the start of an episode, which resets the network's state.
    }

    fn save_episode(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.state.save(out)
    }

    fn load_episode(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.state.load(from)
    }

    fn save(&mut self, _frames: u64, out: &mut Section) -> Result<(), CheckpointError> {
        let unfit = |error: AgentError| CheckpointError::unfit("network", &error);
        self.learner.synchronize().map_err(unfit)?;
        self.learner.network.save(out.section_mut("network"))
    }

    fn load(&mut self, _frames: u64, from: &Section) -> Result<(), CheckpointError> {
        self.learner.network.load(from.section("network")?)?;
        self.learner
            .publish()
            .map_err(|error| CheckpointError::unfit("network", &error))
    }
}
