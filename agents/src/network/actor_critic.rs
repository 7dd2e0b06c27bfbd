//! A policy and the value of its states, on one body.

use coinop_envs::EnvSpec;
use coinop_envs::rng::Rng;
use tch::{Device, Tensor};

use super::NetworkConfig;
use super::body::{Body, Builder, Layer};
use crate::params::Params;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// Gains of orthogonal weights of the heads (Andrychowicz 2020, arXiv 2006.05990, finds that a small one for the policy matters).
const POLICY_GAIN: f64 = 0.01;
const VALUE_GAIN: f64 = 1.0;

/// An actor-critic network: one body, and two heads.
#[derive(Debug)]
pub struct ActorCritic {
    params: Params,
    body: Body,
    policy: Layer,
    value: Layer,
    num_actions: usize,
}

impl ActorCritic {
    /// A network with initial weights from `rng`, for environments like `spec`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Shape`] when the network can not read such observations.
    pub fn new(config: NetworkConfig, spec: &EnvSpec, rng: &mut Rng, device: Device) -> Result<Self, AgentError> {
        let mut builder = Builder::new(config.init, rng);
        let body = Body::build(config, spec.obs_shape, 0, device, &mut builder)?;
        let policy = builder.linear("policy", spec.num_actions as i64, body.width(), POLICY_GAIN)?;
        let value = builder.linear("value", 1, body.width(), VALUE_GAIN)?;
        Ok(Self {
            params: builder.finish(device)?,
            body,
            policy,
            value,
            num_actions: spec.num_actions,
        })
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The body, which knows what observations it reads.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The number of actions.
    #[must_use]
    pub fn num_actions(&self) -> usize {
        self.num_actions
    }

    /// Logits `[n, actions]` and values `[n]` of observations `[n, obs_shape…]`, `u8` or `f32`.
    ///
    /// # Errors
    ///
    /// When libtorch fails, for example for want of memory.
    pub fn forward(&self, obs: &Tensor) -> Result<(Tensor, Tensor), AgentError> {
        let x = self.body.forward(&self.params, obs)?;
        Ok((
            self.policy.apply(&self.params, &x, None)?,
            self.value.apply(&self.params, &x, None)?.f_squeeze_dim(1)?,
        ))
    }
}

impl Checkpoint for ActorCritic {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.params.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.params.load(from)
    }
}
