//! From observations to actions.

use std::marker::PhantomData;

use coinop_envs::Elem;
use coinop_envs::rng::Rng;
use tch::{Device, Kind, no_grad};

use crate::AgentError;
use crate::explore::{greedy_action, sample_action};
use crate::network::{ActorCritic, Observation};

/// How a policy chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the policy's distribution says.
    Sample,
    /// The most probable (or most valuable) action.
    Greedy,
}

/// Turns a batch of observations into actions.
pub trait Policy {
    /// The element type of observations.
    type Obs: Elem;

    /// Writes one action per observation. `obs` holds `actions.len()` observations, one after another.
    ///
    /// # Errors
    ///
    /// When the network fails, or answers with NaN or infinity.
    ///
    /// # Panics
    ///
    /// If `obs` is not `actions.len()` observations long.
    fn act(&mut self, obs: &[Self::Obs], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError>;
}

/// The first number that is none.
pub(crate) fn not_finite(values: &[f32]) -> Option<f64> {
    values.iter().find(|value| !value.is_finite()).copied().map(f64::from)
}

/// The policy of an actor-critic network.
#[derive(Debug)]
pub struct ActorCriticPolicy<'a, O> {
    network: &'a ActorCritic,
    rng: Rng,
    probabilities: Vec<f32>,
    obs: PhantomData<O>,
}

impl<'a, O: Observation> ActorCriticPolicy<'a, O> {
    /// Acts with the network as it is at each moment; [`Mode::Sample`] draws from `rng`.
    #[must_use]
    pub fn new(network: &'a ActorCritic, rng: Rng) -> Self {
        Self {
            network,
            rng,
            probabilities: Vec::new(),
            obs: PhantomData,
        }
    }
}

impl<O: Observation> Policy for ActorCriticPolicy<'_, O> {
    type Obs = O;

    fn act(&mut self, obs: &[O], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        let expected = actions.len() * self.network.obs_shape().len();
        assert_eq!(obs.len(), expected, "elements of {} observations", actions.len());
        let (logits, _) = no_grad(|| self.network.forward(&self.network.input(obs)?))?;
        let probabilities = logits.f_softmax(1, Kind::Float)?.f_to_device(Device::Cpu)?;
        let num_actions = self.network.num_actions();
        self.probabilities.resize(actions.len() * num_actions, 0.0);
        probabilities.f_copy_data(&mut self.probabilities, actions.len() * num_actions)?;
        if let Some(value) = not_finite(&self.probabilities) {
            let what = "the probability of an action";
            return Err(AgentError::Useless { what, value });
        }
        for (action, probabilities) in actions.iter_mut().zip(self.probabilities.chunks_exact(num_actions)) {
            *action = match mode {
                Mode::Sample => sample_action(probabilities, 0.0, &mut self.rng),
                Mode::Greedy => greedy_action(probabilities),
            };
        }
        Ok(())
    }
}
