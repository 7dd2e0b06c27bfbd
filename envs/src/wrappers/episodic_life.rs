//! The loss of a life stops the return.

use super::forward;
use crate::{Env, EnvError, Step};

/// An environment in which lives can be lost.
pub trait Lives {
    /// Lives left; 0 where there are none to lose.
    fn lives(&self) -> u32;
}

/// Sets the discount to 0 where a life is lost (Mnih 2015). The episode goes on: nothing is reset, and the score is that of the whole
/// game.
#[derive(Clone, Debug)]
pub struct EpisodicLife<E> {
    env: E,
    lives: u32,
}

impl<E: Lives> EpisodicLife<E> {
    /// Watches the lives of `env`.
    #[must_use]
    pub fn new(env: E) -> Self {
        Self { env, lives: 0 }
    }
}

impl<E: Env + Lives> Env for EpisodicLife<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, frames_per_step);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.lives = self.env.lives();
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let mut step = self.env.step(action, obs)?;
        let lives = self.env.lives();
        if lives < self.lives {
            step.discount = 0.0;
        }
        self.lives = lives;
        Ok(step)
    }
}
