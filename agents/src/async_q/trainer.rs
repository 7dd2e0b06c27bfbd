//! The trainer of the asynchronous value methods, and what each worker does with its own networks.

use std::sync::Arc;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvFactory, EnvSpec};
use tch::Tensor;

use super::config::{AsyncQConfig, ValueMethod};
use super::learner::{AsyncQBatch, AsyncQLearner, AsyncQStats};
use crate::actor_learners::{ActorLearners, Method, Plan};
use crate::algorithm::RunSettings;
use crate::explore::epsilon_greedy;
use crate::losses::action_value;
use crate::network::{Body, Head, Observation, QNetwork};
use crate::policy::answers;
use crate::rollout::Rollout;
use crate::shared::{SharedParams, SharedTarget};
use crate::{AgentError, Checkpoint, CheckpointError, Device, Learner, Metrics, Section, TrainError};

/// The trainer of an asynchronous value method.
pub(super) type AsyncQ<O> = ActorLearners<O, AsyncQMethod>;

/// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration says
/// otherwise. The threads start with the first step.
pub(super) fn trainer<O: Observation>(
    method: ValueMethod,
    config: &AsyncQConfig,
    factory: &dyn EnvFactory<Obs = O>,
    run: &RunSettings,
) -> Result<AsyncQ<O>, TrainError> {
    let RunSettings { seed, device, .. } = *run;
    let ranks = &run.ranks;
    config.validate()?;
    let spec = factory.spec();
    let flat = initial(config, &spec, seed, device)?.params().flat();
    let shared = Arc::new(SharedParams::new(&flat, config.optimizer, config.locked)?.of(ranks));
    let target = Arc::new(SharedTarget::new(&flat, config.target_frames)?);
    let plan = Plan {
        workers: config.workers,
        rollout_steps: config.rollout_steps,
        center_pixels: config.center_pixels,
        learning_rate: config.drawn_learning_rate(seed),
        run_frames: run.frames,
        epsilon: &config.epsilon,
        seed,
        ranks,
    };
    let of_worker = || {
        let network = || initial(config, &spec, seed, device);
        let (shared, target) = (Arc::clone(&shared), Arc::clone(&target));
        Ok(AsyncQMethod {
            method,
            learner: AsyncQLearner::new(config, network()?, network()?, shared, target),
            gamma: config.gamma as f32,
            next_action: None,
            values: Vec::new(),
        })
    };
    ActorLearners::new(&plan, factory, Arc::clone(&shared), of_worker)
}

/// Creates a network with the initial weights for the seed of a run.
pub(super) fn initial(
    config: &AsyncQConfig,
    spec: &EnvSpec,
    seed: u64,
    device: Device,
) -> Result<QNetwork, AgentError> {
    let mut rng = stream(seed, "network", 0);
    QNetwork::new(&config.network, Head::Plain, spec, &mut rng, device)
}

/// The state of a worker.
pub(super) struct AsyncQMethod {
    method: ValueMethod,
    learner: AsyncQLearner,
    gamma: f32,
    /// The action that Sarsa already chose for the next step, because the target of the previous step needed it.
    next_action: Option<u32>,
    /// Action values, written in every step; allocated once.
    values: Vec<f32>,
}

impl AsyncQMethod {
    /// The action values of the observation in row `t`, from the worker's own network.
    fn choose<O: Observation>(
        &mut self,
        rollout: &Rollout<O>,
        t: usize,
        epsilon: f32,
        rng: &mut Rng,
    ) -> Result<u32, AgentError> {
        let network = &self.learner.network;
        let values = network.infer(&network.body().input(rollout.obs(t))?)?;
        answers(&values, "the value of an action", &mut self.values)?;
        Ok(epsilon_greedy(&self.values, epsilon, rng))
    }

    /// Computes the values of observations from the target network's action values `[n, actions]`, given the actions
    /// taken there.
    fn worth(&mut self, obs: &Tensor, actions: &[i64]) -> Result<(), AgentError> {
        let values = self.learner.target.infer(obs)?;
        let values = match self.method {
            ValueMethod::OneStepSarsa => action_value(&values, &self.learner.target.body().numbers(actions)?)?,
            ValueMethod::OneStepQ | ValueMethod::NStepQ => values.f_amax([1i64], false)?,
        };
        answers(&values, "the value of an action", &mut self.values)
    }
}

impl<O: Observation> Method<O> for AsyncQMethod {
    const NAMES: &'static [&'static [&'static str]] = &[AsyncQStats::NAMES];

    fn synchronize(&mut self, frames: u64) -> Result<(), AgentError> {
        self.learner.synchronize(frames)
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<u32, AgentError> {
        match self.next_action.take() {
            Some(action) => Ok(action),
            None => self.choose(rollout, t, epsilon, rng),
        }
    }

    fn final_value(&mut self, rollout: &Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<f32, AgentError> {
        // Nothing is done there; Sarsa takes what would have been.
        let action = match self.method {
            ValueMethod::OneStepSarsa => self.choose(rollout, t, epsilon, rng)?,
            ValueMethod::OneStepQ | ValueMethod::NStepQ => 0,
        };
        let obs = self.learner.target.body().input(rollout.obs(t))?;
        self.worth(&obs, &[i64::from(action)])?;
        Ok(self.values[0])
    }

    fn finish(&mut self, rollout: &mut Rollout<O>, epsilon: f32, rng: &mut Rng) -> Result<(), AgentError> {
        let steps = rollout.steps();
        // The steps whose observations are worth something to the step before, and how far a return goes.
        let (first, lambda) = match self.method {
            ValueMethod::OneStepQ | ValueMethod::OneStepSarsa => (1, 0.0),
            ValueMethod::NStepQ => (steps, 1.0),
        };
        let mut actions = rollout.actions[first..].to_vec();
        let last = match self.method {
            ValueMethod::OneStepSarsa => {
                let action = self.choose(rollout, steps, epsilon, rng)?;
                *self.next_action.insert(action)
            }
            ValueMethod::OneStepQ | ValueMethod::NStepQ => 0,
        };
        actions.push(i64::from(last));
        let obs = self.learner.target.body().input(rollout.obs_from(first))?;
        self.worth(&obs, &actions)?;
        rollout.values[..first].fill(0.0);
        rollout.values[first..].copy_from_slice(&self.values);
        rollout.finish(self.gamma, lambda);
        Ok(())
    }

    fn learn(&mut self, rollout: &Rollout<O>, learning_rate: f64, metrics: &mut Metrics) -> Result<(), AgentError> {
        let body = self.learner.network.body();
        let batch = AsyncQBatch {
            obs: body.input(rollout.all_obs())?,
            actions: body.numbers(&rollout.actions)?,
            targets: rollout.returns(),
            learning_rate,
        };
        self.learner.learn(&batch)?.record(metrics);
        Ok(())
    }

    fn body(&self) -> &Body {
        self.learner.network.body()
    }

    fn set_center(&mut self, means: Option<&[f32]>) -> Result<(), AgentError> {
        self.learner.target.set_center(means)?;
        self.learner.network.set_center(means)
    }

    fn interrupt(&mut self) {
        self.next_action = None;
    }

    fn save_episode(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("next_action", &self.next_action)
    }

    fn load_episode(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let actions = self.learner.network.num_actions();
        let next_action: Option<u32> = from.get("next_action")?;
        if next_action.is_some_and(|action| action as usize >= actions) {
            return Err(CheckpointError::unfit("next_action", &"there is no such action"));
        }
        self.next_action = next_action;
        Ok(())
    }

    fn save(&mut self, frames: u64, out: &mut Section) -> Result<(), CheckpointError> {
        let unfit = |error: AgentError| CheckpointError::unfit("network", &error);
        self.learner.synchronize(frames).map_err(unfit)?;
        self.learner.network.save(out.section_mut("network"))?;
        self.learner.target.save(out.section_mut("target"))
    }

    fn load(&mut self, frames: u64, from: &Section) -> Result<(), CheckpointError> {
        self.learner.network.load(from.section("network")?)?;
        self.learner.target.load(from.section("target")?)?;
        let unfit = |error: AgentError| CheckpointError::unfit("network", &error);
        self.learner.publish(frames).map_err(unfit)
    }
}
