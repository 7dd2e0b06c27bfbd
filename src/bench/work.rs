//! The computation of a network for acting and learning alone, without environments or memories, on tensors already
//! in place.

use coinop_agents::losses::{action_value, entropy, next_value, policy_gradient_loss, td_loss, value_loss};
use coinop_agents::network::{ActorCritic, Head, NetworkConfig, Observation, QNetwork, RecurrentState};
use coinop_agents::optim::{Optimizer, OptimizerConfig, RmsPropConfig, clip_grad_norm};
use coinop_agents::tch::{Kind, Tensor};
use coinop_agents::{AgentError, Device};
use coinop_envs::EnvSpec;
use coinop_envs::rng::stream;

/// Which kind of network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kinds {
    /// A policy and a value.
    ActorCritic,
    /// Action values with a target network; `double` selects actions by the online network.
    Values { head: Head, double: bool },
}

enum Networks {
    ActorCritic(Box<ActorCritic>),
    Values {
        network: Box<QNetwork>,
        target: Box<QNetwork>,
        double: bool,
    },
}

/// A network at work.
pub(crate) struct Work {
    networks: Networks,
    optimizer: Optimizer,
    spec: EnvSpec,
}

/// Made-up observations and learning targets.
pub(crate) struct Batch {
    obs: Tensor,
    actions: Tensor,
    /// Numbers between -1 and 1.
    targets: Tensor,
    begins: Vec<bool>,
}

impl Work {
    pub(crate) fn new(
        kinds: Kinds,
        config: &NetworkConfig,
        spec: &EnvSpec,
        device: Device,
    ) -> Result<Self, AgentError> {
        let rng = || stream(0, "bench", 0);
        let networks = match kinds {
            Kinds::ActorCritic => Networks::ActorCritic(Box::new(ActorCritic::new(config, spec, &mut rng(), device)?)),
            Kinds::Values { head, double } => Networks::Values {
                network: Box::new(QNetwork::new(config, head, spec, &mut rng(), device)?),
                target: Box::new(QNetwork::new(config, head, spec, &mut rng(), device)?),
                double,
            },
        };
        let flat = match &networks {
            Networks::ActorCritic(network) => network.params().flat(),
            Networks::Values { network, .. } => network.params().flat(),
        };
        let rms_prop = OptimizerConfig::RmsProp(RmsPropConfig {
            decay: 0.99,
            epsilon: 0.1,
            epsilon_inside_root: true,
            centered: false,
        });
        Ok(Self {
            optimizer: Optimizer::new(rms_prop, &flat)?,
            networks,
            spec: *spec,
        })
    }

    /// Creates a batch of `n` observations.
    pub(crate) fn batch<O: Observation>(&self, n: usize) -> Result<Batch, AgentError> {
        let body = match &self.networks {
            Networks::ActorCritic(network) => network.body(),
            Networks::Values { network, .. } => network.body(),
        };
        let obs: Vec<O> = (0..n * self.spec.obs_shape.len())
            .map(|i| O::from((i * i % 251) as u8))
            .collect();
        let actions: Vec<i64> = (0..n).map(|i| (i % self.spec.num_actions) as i64).collect();
        let targets: Vec<f32> = (0..n).map(|i| (i as f32).sin()).collect();
        let device = body.device();
        Ok(Batch {
            obs: body.input(&obs)?,
            actions: Tensor::f_from_slice(&actions)?.f_to_device(device)?,
            targets: Tensor::f_from_slice(&targets)?.f_to_device(device)?,
            begins: vec![true; n],
        })
    }

    /// The recurrent state of `n` environments.
    pub(crate) fn state(&self, n: usize) -> Result<RecurrentState, AgentError> {
        match &self.networks {
            Networks::ActorCritic(network) => network.initial_state(n),
            Networks::Values { .. } => Ok(RecurrentState::default()),
        }
    }

    /// Performs a forward pass and waits for it.
    pub(crate) fn act(&self, batch: &Batch, state: &mut RecurrentState) -> Result<(), AgentError> {
        let answer = match &self.networks {
            Networks::ActorCritic(network) => {
                let (logits, _) = network.infer(&batch.obs, &batch.begins, state)?;
                logits.f_softmax(1, Kind::Float)?
            }
            Networks::Values { network, .. } => network.infer(&batch.obs)?,
        };
        answer.f_double_value(&[0, 0])?;
        Ok(())
    }

    /// Performs one update; the weights do not change, because the learning rate is 0.
    pub(crate) fn learn(&mut self, batch: &Batch, state: &RecurrentState) -> Result<(), AgentError> {
        let (loss, params) = match &self.networks {
            Networks::ActorCritic(network) => {
                let (logits, values) = network.forward(&batch.obs, &batch.begins, &mut state.copy()?)?;
                let log_probabilities = logits.f_log_softmax(1, Kind::Float)?;
                let chosen = action_value(&log_probabilities, &batch.actions)?;
                let loss = policy_gradient_loss(&chosen, &batch.targets)?
                    .f_add(&value_loss(&values, &batch.targets)?)?
                    .f_sub(&entropy(&log_probabilities)?.f_mean(Kind::Float)?)?;
                (loss, network.params())
            }
            Networks::Values {
                network,
                target,
                double,
            } => {
                let values = target.infer(&batch.obs)?;
                let next = match double {
                    true => next_value(&values, &network.infer(&batch.obs)?)?,
                    false => next_value(&values, &values)?,
                };
                let targets = next.f_add(&batch.targets)?;
                let chosen = action_value(&network.forward(&batch.obs)?, &batch.actions)?;
                let weights = batch.targets.f_ones_like()?;
                (td_loss(&chosen, &targets, &weights, 1.0)?, network.params())
            }
        };
        let mut gradient = params.gradient(&loss)?;
        let _ = clip_grad_norm(&mut gradient, 0.5)?;
        self.optimizer.step(&mut params.flat(), &gradient, 0.0)?;
        Ok(())
    }
}
