//! Lost lives that end the return.

use super::forward;
use crate::snapshot::{open, seal};
use crate::{Env, EnvError, Step};

/// An environment with lives.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Bricks};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Lives;
///
/// assert_eq!(Arcade::<Bricks>::new(Picture::Gray).lives(), 0, "before the first reset");
/// ```
pub trait Lives {
    /// The lives left; 0 if the game has no lives.
    fn lives(&self) -> u32;
}

/// Whether a life was lost while others are left. Some games count down the last life a few frames before they end;
/// there the end of the game ends the return, as in Stable-Baselines3.
pub(crate) fn lost_life(before: u32, now: u32) -> bool {
    0 < now && now < before
}

/// Sets the discount to 0 when a life is lost and others are left (Mnih 2015). The episode continues without a reset,
/// and the score is that of the whole game.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::EpisodicLife;
///
/// let mut env = EpisodicLife::new(Arcade::<Catch>::new(Picture::Gray));
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// // Doing nothing soon loses a life: the return ends there, and the episode continues.
/// let step = loop {
///     let step = env.step(0, &mut obs)?;
///     if step.discount == 0.0 {
///         break step;
///     }
/// };
/// assert!(!step.end.is_over());
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EpisodicLife<E> {
    env: E,
    lives: u32,
    noop: bool,
}

impl<E: Lives> EpisodicLife<E> {
    /// Wraps `env`.
    #[must_use]
    pub fn new(env: E) -> Self {
        Self {
            env,
            lives: 0,
            noop: false,
        }
    }

    /// Wraps `env` and performs action 0 (NOOP) within the step that lost a life, as `EpisodicLifeEnv` of
    /// Stable-Baselines3 does on reset. The reward of that NOOP counts in the score but not in the reward, because
    /// the agent did not choose it.
    #[must_use]
    pub fn with_noop(env: E) -> Self {
        Self {
            noop: true,
            ..Self::new(env)
        }
    }
}

impl<E: Env + Lives> Env for EpisodicLife<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, for_humans, frames_per_step);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.lives = self.env.lives();
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let mut step = self.env.step(action, obs)?;
        let before = std::mem::replace(&mut self.lives, self.env.lives());
        if lost_life(before, self.lives) {
            step.discount = 0.0;
            if self.noop && !step.end.is_over() {
                let noop = self.env.step(0, obs)?;
                step.score += noop.score;
                step.end = noop.end;
                self.lives = self.env.lives();
            }
        }
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("EpisodicLife", 1, &self.lives, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (lives, inner) = open("EpisodicLife", 1, snapshot)?;
        self.env.restore(inner)?;
        self.lives = lives;
        Ok(())
    }
}
