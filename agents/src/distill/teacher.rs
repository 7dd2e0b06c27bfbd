//! The agent that another one learns from.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::cast_slice;
use coinop_envs::EnvSpec;
use coinop_envs::rng::stream;

use crate::algorithm::AnyAlgorithm;
use crate::network::Observation;
use crate::{AgentError, AnyPolicy, Device, Mode, Outputs, Section, TrainError};

/// A trained agent: the settings of its algorithm, and the checkpoint of its trainer.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_agents::algorithm::{Algorithm, AnyAlgorithm, RunSettings};
/// use coinop_agents::distill::{DistillConfig, Teacher};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_agents::{Checkpoint, Section};
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let factory = Arc::new(FromFn::new(|| Ok(CartPole::v1()))?);
/// let ppo = PpoConfig::classic();
/// let mut trained = ppo.trainer(factory.clone(), &RunSettings::new(2_000, 1))?;
/// trained.step()?;
/// let mut checkpoint = Section::default();
/// trained.save(&mut checkpoint)?;
///
/// let mut run = RunSettings::new(1_000, 1);
/// run.teacher = Some(Teacher::new(AnyAlgorithm::new(ppo), checkpoint));
/// let mut student = DistillConfig::classic().trainer(factory, &run)?;
/// while student.step()?.frames < run.frames {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Teacher {
    algorithm: AnyAlgorithm,
    /// Locked, because tensors may not be read by several threads at a time.
    trainer: Arc<Mutex<Section>>,
}

impl fmt::Debug for Teacher {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Teacher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Teacher {
    /// The agent of a checkpoint of a trainer of `algorithm`.
    #[must_use]
    pub fn new(algorithm: AnyAlgorithm, trainer: Section) -> Self {
        Self {
            algorithm,
            trainer: Arc::new(Mutex::new(trainer)),
        }
    }

    /// The checkpoint of its trainer.
    pub(super) fn trainer(&self) -> MutexGuard<'_, Section> {
        // Nobody changes it.
        self.trainer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its policy in environments with the constants `spec`.
    pub(super) fn policy<O: Observation>(&self, spec: &EnvSpec, device: Device) -> Result<AnyPolicy, TrainError> {
        let rng = stream(0, "teacher", 0);
        self.algorithm
            .policy(O::OBSERVATIONS, spec, &self.trainer(), rng, device)
    }
}

/// What a teacher says of observations.
pub(super) struct Answers {
    policy: AnyPolicy,
    /// The temperature, if it is set.
    temperature: Option<f64>,
    /// The actions that it would take, which are not taken.
    actions: Vec<u32>,
    /// The probabilities of all actions of all observations since [`begin`](Self::begin), softened.
    pub(super) targets: Vec<f32>,
    /// The values of these observations; empty if the teacher has none.
    pub(super) values: Vec<f32>,
}

/// The temperature of action values (Rusu et al. 2015, arXiv 1511.06295), which are much closer to each other than the
/// logarithms of probabilities.
const OF_VALUES: f64 = 0.01;

impl Answers {
    pub(super) fn new(policy: AnyPolicy, temperature: Option<f64>) -> Self {
        Self {
            policy,
            temperature,
            actions: Vec::new(),
            targets: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Whether what it says depends on observations that it saw before.
    pub(super) fn is_recurrent(&self) -> bool {
        let network = match &self.policy {
            AnyPolicy::Pixels(policy) => policy.network(),
            AnyPolicy::Features(policy) => policy.network(),
        };
        network.is_some_and(|network| network.is_recurrent())
    }

    /// Forgets what was said.
    pub(super) fn begin(&mut self) {
        self.targets.clear();
        self.values.clear();
    }

    /// Asks for the next observations of all environments.
    pub(super) fn ask<O: Observation>(&mut self, obs: &[O], is_first: &[bool]) -> Result<(), AgentError> {
        self.actions.resize(is_first.len(), 0);
        let actions = &mut self.actions;
        let (outputs, values) = match &mut self.policy {
            AnyPolicy::Pixels(policy) => {
                policy.act(cast_slice(obs), is_first, Mode::Greedy, actions)?;
                (policy.outputs(), policy.state_values())
            }
            AnyPolicy::Features(policy) => {
                policy.act(cast_slice(obs), is_first, Mode::Greedy, actions)?;
                (policy.outputs(), policy.state_values())
            }
        };
        let (numbers, are_values) = match outputs {
            Outputs::Probabilities(numbers) => (numbers, false),
            Outputs::Values(numbers) => (numbers, true),
            Outputs::Unknown => {
                return Err(AgentError::BadConfig {
                    name: "teacher",
                    value: "an agent of an algorithm of your own".to_owned(),
                    reason: "its policy reports nothing about the actions it does not take: implement outputs()",
                });
            }
        };
        let temperature = self.temperature.unwrap_or(if are_values { OF_VALUES } else { 1.0 }) as f32;
        let num_actions = numbers.len() / is_first.len();
        for row in numbers.chunks_exact(num_actions) {
            soften(row, are_values, temperature, &mut self.targets);
            if are_values {
                self.values.push(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
        if !are_values {
            self.values.extend_from_slice(values.unwrap_or_default());
        }
        Ok(())
    }
}

/// Appends the softmax of `x / temperature`, where `x` are action values or the logarithms of probabilities.
pub(super) fn soften(numbers: &[f32], are_values: bool, temperature: f32, out: &mut Vec<f32>) {
    let first = out.len();
    let logit = |number: &f32| match are_values {
        true => number / temperature,
        false => number.max(f32::MIN_POSITIVE).ln() / temperature,
    };
    out.extend(numbers.iter().map(logit));
    let logits = &mut out[first..];
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - most).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|number| *number /= sum);
}
