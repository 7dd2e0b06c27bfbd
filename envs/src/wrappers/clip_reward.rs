//! Rewards of -1, 0 and 1.

use super::forward;
use crate::{Env, EnvError, Step};

/// Replaces the reward by its sign (Mnih 2015). The score stays.
#[derive(Clone, Debug)]
pub struct ClipReward<E> {
    env: E,
}

impl<E> ClipReward<E> {
    /// Clips the rewards of `env`.
    #[must_use]
    pub fn new(env: E) -> Self {
        Self { env }
    }
}

/// -1, 0 or 1. (`signum` gives 1 for 0.)
pub(crate) fn sign(reward: f32) -> f32 {
    f32::from(i8::from(reward > 0.0) - i8::from(reward < 0.0))
}

impl<E: Env> Env for ClipReward<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, frames_per_step, stacked_frames, reset, snapshot);

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        Ok(Step {
            reward: sign(step.reward),
            ..step
        })
    }
}
