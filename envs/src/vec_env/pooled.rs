//! Environments spread over a thread pool.

use rayon::prelude::*;

use super::{VecEnv, check_lengths, guarded, reset_one, restore_all, step_one};
use crate::guard::Guarded;
use crate::{Env, EnvError, EnvSpec, Step};

/// Environments stepped in parallel by a thread pool of their own.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Pooled;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Pooled::new(vec![CartPole::v1(); 3], 2)?;
/// let (mut obs, mut final_obs, mut steps) = ([0.0; 12], [0.0; 12], [Step::default(); 3]);
/// envs.reset(Some(1), &mut obs)?;
/// envs.step(&[0, 1, 0], &mut obs, &mut final_obs, &mut steps)?;
/// assert_eq!(steps[2].reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Pooled<E> {
    /// Each environment with its last result, kept so that the first error by index can be returned whatever the
    /// order of work.
    envs: Vec<(Guarded<E>, Result<(), EnvError>)>,
    pool: rayon::ThreadPool,
}

impl<E: Env + Send> Pooled<E> {
    /// # Errors
    ///
    /// If a thread cannot be started, a constant is invalid ([`EnvError::BadSpec`]), or two environments differ in
    /// their constants ([`EnvError::Mixed`]).
    ///
    /// # Panics
    ///
    /// If `envs` is empty or `threads` is 0.
    pub fn new(envs: Vec<E>, threads: usize) -> Result<Self, EnvError> {
        let envs = guarded(envs)?;
        assert!(threads > 0, "a pool needs at least one thread");
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("env-{i}"))
            .build()
            .map_err(|error| EnvError::Other(error.into()))?;
        Ok(Self {
            envs: envs.into_iter().map(|env| (env, Ok(()))).collect(),
            pool,
        })
    }

    /// The first error by index of the last operation.
    fn first_error(&mut self) -> Result<(), EnvError> {
        let mut results = self
            .envs
            .iter_mut()
            .map(|(_, result)| std::mem::replace(result, Ok(())));
        results.find(Result::is_err).unwrap_or(Ok(()))
    }
}

impl<E: Env + Send> VecEnv for Pooled<E> {
    type Obs = E::Obs;

    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn spec(&self) -> EnvSpec {
        self.envs[0].0.spec()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        let len = self.spec().obs_shape.len();
        assert_eq!(
            obs.len(),
            self.envs.len() * len,
            "elements of obs of {} environments",
            self.envs.len()
        );
        let envs = &mut self.envs;
        self.pool.install(|| {
            envs.par_iter_mut()
                .zip(obs.par_chunks_exact_mut(len))
                .enumerate()
                .for_each(|(i, ((env, result), obs))| *result = reset_one(env, i, seed, obs));
        });
        self.first_error()
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
        let envs = &mut self.envs;
        self.pool.install(|| {
            envs.par_iter_mut()
                .zip(actions)
                .zip(obs.par_chunks_exact_mut(len))
                .zip(final_obs.par_chunks_exact_mut(len))
                .zip(steps)
                .enumerate()
                .for_each(|(i, (((((env, result), action), obs), final_obs), step))| {
                    let answer = step_one(env, *action, obs, final_obs).map_err(|error| error.of(i));
                    *result = answer.map(|answer| *step = answer);
                });
        });
        self.first_error()
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        self.envs.iter().map(|(env, _)| env.snapshot()).collect()
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        restore_all(self.envs.iter_mut().map(|(env, _)| env), snapshots)
    }
}
