//! The A3C trainer, and what each of its workers does with its own network.

use std::sync::Arc;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvFactory, EnvSpec};
use tch::Kind;

use super::config::A3cConfig;
use super::learner::{A3cBatch, A3cLearner, A3cStats};
use crate::actor_learners::{ActorLearners, Method, Plan};
use crate::algorithm::RunSettings;
use crate::explore::sample_action;
use crate::network::{ActorCritic, Body, Observation, RecurrentState};
use crate::policy::answers;
use crate::returns::mean;
use crate::rollout::Rollout;
use crate::shared::SharedParams;
use crate::{AgentError, Algorithm, Checkpoint, CheckpointError, Device, Learner, Metrics, Section, TrainError};

/// The A3C trainer.
pub(super) type A3c<O> = ActorLearners<O, A3cMethod>;

/// Creates a trainer with new weights for a run, over which the learning rate is annealed unless the configuration says
/// otherwise. The threads start with the first step.
pub(super) fn trainer<O: Observation>(
    config: &A3cConfig,
    factory: &dyn EnvFactory<Obs = O>,
    run: &RunSettings,
) -> Result<A3c<O>, TrainError> {
    let RunSettings { seed, device, .. } = *run;
    let ranks = &run.ranks;
    config.validate()?;
    let spec = factory.spec();
    let flat = initial(config, &spec, seed, device)?.params().flat();
    let shared = Arc::new(SharedParams::new(&flat, config.optimizer, config.locked)?.of(ranks));
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
    ActorLearners::new(&plan, factory, Arc::clone(&shared), method)
}

/// Creates a network with the initial weights for the seed of a run.
pub(super) fn initial(
    config: &A3cConfig,
    spec: &EnvSpec,
    seed: u64,
    device: Device,
) -> Result<ActorCritic, AgentError> {
    let mut rng = stream(seed, "network", 0);
    ActorCritic::new(&config.network, spec, &mut rng, device)
}

/// The state of a worker.
pub(super) struct A3cMethod {
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
    fn value_of<O: Observation>(
        &mut self,
        rollout: &Rollout<O>,
        t: usize,
        is_first: &[bool],
    ) -> Result<f32, AgentError> {
        let network = &self.learner.network;
        let obs = network.body().input(rollout.obs(t))?;
        let (_, value) = network.infer(&obs, is_first, &mut self.state.copy()?)?;
        answers(&value, "a value", &mut self.value)?;
        Ok(self.value[0])
    }

    fn batch<O: Observation>(&self, rollout: &Rollout<O>, learning_rate: f64) -> Result<A3cBatch, AgentError> {
        let body = self.learner.network.body();
        Ok(A3cBatch {
            obs: body.input(rollout.all_obs())?,
            actions: rollout.actions.clone(),
            epsilons: rollout.epsilons.clone(),
            advantages: rollout.advantages.clone(),
            returns: rollout.returns(),
            is_first: rollout.all_is_first().to_vec(),
            state: self.first_state.copy()?,
            learning_rate,
        })
    }
}

impl<O: Observation> Method<O> for A3cMethod {
    const NAMES: &'static [&'static [&'static str]] = &[A3cStats::NAMES, &["mean_value"]];

    fn synchronize(&mut self, _frames: u64) -> Result<(), AgentError> {
        self.learner.synchronize()
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, epsilon: f32, rng: &mut Rng) -> Result<u32, AgentError> {
        if t == 0 {
            self.first_state = self.state.copy()?;
        }
        let network = &self.learner.network;
        let obs = network.body().input(rollout.obs(t))?;
        let (logits, value) = network.infer(&obs, rollout.is_first(t), &mut self.state)?;
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
        rollout.values[steps] = self.value_of(rollout, steps, rollout.is_first(steps))?;
        rollout.finish(self.gamma, self.lambda);
        Ok(())
    }

    fn learn(&mut self, rollout: &Rollout<O>, learning_rate: f64, metrics: &mut Metrics) -> Result<(), AgentError> {
        let stats = self.learner.learn(&self.batch(rollout, learning_rate)?)?;
        stats.record(metrics);
        metrics.record("mean_value", mean(&rollout.values[..rollout.steps()]));
        Ok(())
    }

    fn body(&self) -> &Body {
        self.learner.network.body()
    }

    fn set_center(&mut self, means: Option<&[f32]>) -> Result<(), AgentError> {
        self.learner.network.set_center(means)
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
