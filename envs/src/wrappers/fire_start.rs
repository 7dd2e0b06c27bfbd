//! Pressing FIRE in games that wait for it.

use super::forward;
use crate::{Env, EnvError, Step};

/// Performs actions 1 (FIRE) and 2 after every reset and every lost life (a discount of 0 within an episode), like
/// OpenAI Baselines. Their rewards count in the score but not in the reward, because the agent did not choose them.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Invaders};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::FireStart;
///
/// let mut env = FireStart::new(Arcade::<Invaders>::new(Picture::Gray));
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FireStart<E> {
    env: E,
}

impl<E: Env> FireStart<E> {
    /// The actions performed, in order.
    pub(crate) const ACTIONS: [u32; 2] = [1, 2];

    /// # Panics
    ///
    /// If `env` has fewer than three actions.
    #[must_use]
    pub fn new(env: E) -> Self {
        assert!(
            env.num_actions() >= 3,
            "FireStart does actions 1 and 2, the environment has {}",
            env.num_actions()
        );
        Self { env }
    }
}

impl<E: Env> Env for FireStart<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, for_humans, frames_per_step, snapshot);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        for action in Self::ACTIONS {
            if self.env.step(action, obs)?.end.is_over() {
                self.env.reset(None, obs)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let mut step = self.env.step(action, obs)?;
        if step.discount != 0.0 {
            return Ok(step);
        }
        for action in Self::ACTIONS {
            if step.end.is_over() {
                break;
            }
            let fired = self.env.step(action, obs)?;
            step.score += fired.score;
            step.end = fired.end;
        }
        Ok(step)
    }
}
