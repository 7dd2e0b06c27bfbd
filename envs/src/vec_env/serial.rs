//! Environments stepped sequentially in the calling thread: the reference implementation.

use super::{VecEnv, check_lengths, guarded, reset_one, restore_all, step_one};
use crate::guard::Guarded;
use crate::{Env, EnvError, EnvSpec, Step};

/// Environments stepped sequentially.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Serial;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Serial::new(vec![CartPole::v1(); 3]);
/// let (mut obs, mut final_obs, mut steps) = ([0.0; 12], [0.0; 12], [Step::default(); 3]);
/// envs.reset(Some(1), &mut obs)?;
/// envs.step(&[0, 1, 0], &mut obs, &mut final_obs, &mut steps)?;
/// assert_eq!(steps[2].reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Serial<E> {
    envs: Vec<Guarded<E>>,
}

impl<E: Env> Serial<E> {
    /// # Panics
    ///
    /// If `envs` is empty, or on any error of [`try_new`](Self::try_new).
    #[must_use]
    pub fn new(envs: Vec<E>) -> Self {
        Self::try_new(envs).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Creates the vectorised environment.
    ///
    /// # Errors
    ///
    /// If a constant is invalid ([`EnvError::BadSpec`]), or two environments differ in their constants
    /// ([`EnvError::Mixed`]).
    ///
    /// # Panics
    ///
    /// If `envs` is empty.
    pub fn try_new(envs: Vec<E>) -> Result<Self, EnvError> {
        Ok(Self { envs: guarded(envs)? })
    }
}

impl<E: Env> VecEnv for Serial<E> {
    type Obs = E::Obs;

    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn spec(&self) -> EnvSpec {
        self.envs[0].spec()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        assert_eq!(
            obs.len(),
            self.envs.len() * len,
            "elements of obs of {} environments",
            self.envs.len()
        );
        let rows = obs.chunks_exact_mut(len);
        self.envs
            .iter_mut()
            .zip(rows)
            .enumerate()
            .try_for_each(|(i, (env, obs))| reset_one(env, i, seed, obs))
    }

    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [E::Obs],
        final_obs: &mut [E::Obs],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        check_lengths(self.envs.len(), len, actions, obs, final_obs, steps);
        let rows = obs.chunks_exact_mut(len).zip(final_obs.chunks_exact_mut(len));
        let envs = self.envs.iter_mut().zip(actions).zip(rows).zip(steps).enumerate();
        for (i, (((env, action), (obs, final_obs)), step)) in envs {
            *step = step_one(env, *action, obs, final_obs).map_err(|error| error.of(i))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        self.envs.iter().map(Env::snapshot).collect()
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        restore_all(self.envs.iter_mut(), snapshots)
    }
}
