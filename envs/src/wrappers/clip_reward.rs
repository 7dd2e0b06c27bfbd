//! Reward clipping.

use super::forward;
use crate::{Env, EnvError, Step};

/// Replaces the reward by its sign (Mnih 2015). The score is unchanged.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::ClipReward;
///
/// let mut env = ClipReward::new(Arcade::<Catch>::new(Picture::Gray));
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// let step = env.step(0, &mut obs)?;
/// assert_eq!(step.reward, step.score.signum() * step.score.abs().min(1.0));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClipReward<E> {
    env: E,
}

impl<E> ClipReward<E> {
    /// Wraps `env`.
    #[must_use]
    pub fn new(env: E) -> Self {
        Self { env }
    }
}

/// Returns -1, 0 or 1. (`f32::signum` returns 1 for 0.)
pub(crate) fn sign(reward: f32) -> f32 {
    f32::from(i8::from(reward > 0.0) - i8::from(reward < 0.0))
}

impl<E: Env> Env for ClipReward<E> {
    type Obs = E::Obs;

    forward!(
        obs_shape,
        num_actions,
        for_humans,
        frames_per_step,
        stacked_frames,
        reset,
        snapshot
    );

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        Ok(Step {
            reward: sign(step.reward),
            ..step
        })
    }
}
