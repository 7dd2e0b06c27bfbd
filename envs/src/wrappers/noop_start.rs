//! Random no-ops at the start of an episode.

use rand::RngExt;

use super::{Lives, forward};
use crate::rng::{Rng, stream};
use crate::snapshot::{open, seal};
use crate::{Env, EnvError, Step};

/// Performs action 0 (NOOP) 1 to `max` times after a reset, so that episodes start in different states (Mnih 2015
/// uses up to 30). If the episode ends meanwhile, it is reset again.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::NoopStart;
///
/// let mut env = NoopStart::new(Arcade::<Catch>::new(Picture::Gray), 30);
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// env.step(1, &mut obs)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoopStart<E> {
    env: E,
    max: u32,
    rng: Rng,
}

impl<E> NoopStart<E> {
    /// # Panics
    ///
    /// If `max` is 0.
    #[must_use]
    pub fn new(env: E, max: u32) -> Self {
        assert!(max > 0, "NoopStart does at least one NOOP; leave it out to have none");
        Self {
            env,
            max,
            rng: noop_stream(0),
        }
    }
}

/// The random stream of the numbers of no-ops.
pub(crate) fn noop_stream(seed: u64) -> Rng {
    stream(seed, "noop", 0)
}

/// Draws the next number of no-ops.
pub(crate) fn draw_noops(max: u32, rng: &mut Rng) -> u32 {
    rng.random_range(1..=max)
}

impl<E: Env> Env for NoopStart<E> {
    type Obs = E::Obs;

    forward!(obs_shape, num_actions, for_humans, frames_per_step);

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = noop_stream(seed);
        }
        self.env.reset(seed, obs)?;
        for _ in 0..draw_noops(self.max, &mut self.rng) {
            if self.env.step(0, obs)?.end.is_over() {
                self.env.reset(None, obs)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        self.env.step(action, obs)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("NoopStart", 1, &self.rng, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (rng, inner) = open("NoopStart", 1, snapshot)?;
        self.env.restore(inner)?;
        self.rng = rng;
        Ok(())
    }
}

impl<E: Lives> Lives for NoopStart<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
