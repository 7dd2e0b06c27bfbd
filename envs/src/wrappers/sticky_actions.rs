//! Sticky actions.

use rand::RngExt;

use super::{Lives, forward};
use crate::rng::{Rng, stream};
use crate::snapshot::{bad, open, seal};
use crate::{Env, EnvError, Step};

/// Repeats the previous action instead of the new one with a given probability per step (Machado 2018, arXiv
/// 1709.06009, section 5). For Atari, the machine itself offers this per frame, with ALE's own generator.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::StickyActions;
///
/// let mut env = StickyActions::new(Arcade::<Catch>::new(Picture::Gray), 0.25);
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// env.step(1, &mut obs)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StickyActions<E> {
    env: E,
    probability: f64,
    last_action: u32,
    rng: Rng,
}

impl<E> StickyActions<E> {
    /// # Panics
    ///
    /// If `probability` is not between 0 and 1.
    #[must_use]
    pub fn new(env: E, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "a probability of {probability}");
        Self {
            env,
            probability,
            last_action: 0,
            rng: stream(0, "sticky", 0),
        }
    }
}

impl<E: Env> Env for StickyActions<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, for_humans, frames_per_step, stacked_frames);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = stream(seed, "sticky", 0);
        }
        self.last_action = 0;
        self.env.reset(seed, obs)
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        let num_actions = self.env.num_actions();
        if action as usize >= num_actions {
            return Err(EnvError::InvalidAction { action, num_actions });
        }
        if self.rng.random::<f64>() >= self.probability {
            self.last_action = action;
        }
        self.env.step(self.last_action, obs)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        let state = (self.last_action, &self.rng);
        Some(seal("StickyActions", 1, &state, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let ((last_action, rng), inner): ((u32, Rng), _) = open("StickyActions", 1, snapshot)?;
        if last_action as usize >= self.env.num_actions() {
            return Err(bad("StickyActions", format!("there is no action {last_action}")));
        }
        self.env.restore(inner)?;
        (self.last_action, self.rng) = (last_action, rng);
        Ok(())
    }
}

impl<E: Lives> Lives for StickyActions<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
