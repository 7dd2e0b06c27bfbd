//! A step limit for episodes.

use super::{Lives, forward};
use crate::snapshot::{bad, open, seal};
use crate::{End, Env, EnvError, Step};

/// Truncates an episode after `max_steps` steps: it ends, but the discount stays 1, because the task itself has not
/// ended.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::wrappers::TimeLimit;
/// use coinop_envs::{End, Env};
///
/// let mut env = TimeLimit::new(CartPole::new(), 2);
/// env.reset(Some(1), &mut [0.0; 4])?;
/// env.step(0, &mut [0.0; 4])?;
/// let step = env.step(0, &mut [0.0; 4])?;
/// // Cut off, so that what would have followed still counts.
/// assert_eq!((step.end, step.discount), (End::Truncated, 1.0));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimeLimit<E> {
    env: E,
    max_steps: u32,
    steps: u32,
}

impl<E> TimeLimit<E> {
    /// # Panics
    ///
    /// If `max_steps` is 0.
    #[must_use]
    pub fn new(env: E, max_steps: u32) -> Self {
        assert!(max_steps > 0, "an episode has at least one step");
        Self {
            env,
            max_steps,
            steps: 0,
        }
    }
}

impl<E: Env> Env for TimeLimit<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, for_humans, frames_per_step, stacked_frames);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        self.steps = 0;
        self.env.reset(seed, obs)
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        if self.steps == self.max_steps {
            return Err(EnvError::ResetNeeded);
        }
        let mut step = self.env.step(action, obs)?;
        self.steps += 1;
        if self.steps == self.max_steps && step.end == End::No {
            step.end = End::Truncated;
        }
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("TimeLimit", 1, &self.steps, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (steps, inner) = open("TimeLimit", 1, snapshot)?;
        if steps > self.max_steps {
            let reason = format!("{steps} steps were done, and the limit is {}", self.max_steps);
            return Err(bad("TimeLimit", reason));
        }
        self.env.restore(inner)?;
        self.steps = steps;
        Ok(())
    }
}

impl<E: Lives> Lives for TimeLimit<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
