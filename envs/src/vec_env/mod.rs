//! Vectorised environments.
//!
//! ```text
//! actions [n]  ──►  VecEnv::step  ──►  obs      [n, obs_shape]   what the policy sees next
//!                                      final_obs [n, obs_shape]   rows of ended episodes: their final observation
//!                                      steps    [n]              reward, score, discount, end
//! ```
//!
//! An environment whose episode ends is reset within the same step: its row of `obs` is the first observation of the
//! next episode, and its row of `final_obs` the final one of the ended episode, which a learner needs to bootstrap
//! from if the episode was truncated. Other rows of `final_obs` are not written.

mod asynchronous;
mod pooled;
mod remote;
mod serial;

use crate::guard::Guarded;
use crate::rng::derive_seed;
use crate::snapshot::bad;
use crate::{Elem, Env, EnvError, EnvSpec, Step};

pub use asynchronous::Asynchronous;
pub use pooled::Pooled;
pub use remote::{Remote, Threaded};
pub use serial::Serial;

/// Several environments stepped together. Every implementation returns what [`Serial`] returns for the same seeds and
/// actions, whatever the number of threads.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::vec_env::Serial;
/// use coinop_envs::{Step, VecEnv};
///
/// let mut envs = Serial::new(vec![CartPole::v1(); 2]);
/// // Observations of both, one after the other; where an episode ends, `final_obs` has its last one and `obs` the next one's first.
/// let (mut obs, mut final_obs) = ([0.0; 8], [0.0; 8]);
/// let mut steps = [Step::default(); 2];
/// envs.reset(Some(1), &mut obs)?;
/// envs.step(&[0, 1], &mut obs, &mut final_obs, &mut steps)?;
/// assert_eq!(steps.map(|step| step.reward), [1.0, 1.0]);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
pub trait VecEnv {
    /// The element type of observations.
    type Obs: Elem;

    /// The number of environments, `n`; at least 1.
    fn num_envs(&self) -> usize;

    /// The constants that all environments share.
    fn spec(&self) -> EnvSpec;

    /// Starts an episode in every environment. `Some(seed)` gives environment `i` the seed `derive_seed(seed, "env",
    /// i)`; with `None`, each continues its own random stream.
    ///
    /// # Errors
    ///
    /// The first error by index, as [`EnvError::InEnv`].
    ///
    /// # Panics
    ///
    /// If `obs.len()` is not `num_envs() * spec().obs_shape.len()`.
    fn reset(&mut self, seed: Option<u64>, obs: &mut [Self::Obs]) -> Result<(), EnvError>;

    /// Steps every environment once.
    ///
    /// # Errors
    ///
    /// The first error by index, as [`EnvError::InEnv`]. After an error, only `reset` leads to a defined state.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length shown in the diagram above.
    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [Self::Obs],
        final_obs: &mut [Self::Obs],
        steps: &mut [Step],
    ) -> Result<(), EnvError>;

    /// The [snapshot](Env::snapshot) of each environment; `None` if one does not support it.
    fn snapshots(&self) -> Option<Vec<Vec<u8>>>;

    /// Restores the snapshot of each environment.
    ///
    /// # Errors
    ///
    /// The first error by index; [`EnvError::BadSnapshot`] if the number of snapshots is wrong. After an error, only
    /// `reset` leads to a defined state.
    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError>;
}

/// Restores the snapshot of each environment.
fn restore_all<'a, E: Env + 'a>(
    envs: impl ExactSizeIterator<Item = &'a mut E>,
    snapshots: &[Vec<u8>],
) -> Result<(), EnvError> {
    if envs.len() != snapshots.len() {
        let reason = format!("there are {} of them for {} environments", snapshots.len(), envs.len());
        return Err(bad("a set of environments", reason));
    }
    let mut pairs = envs.zip(snapshots).enumerate();
    pairs.try_for_each(|(i, (env, snapshot))| env.restore(snapshot).map_err(|error| error.of(i)))
}

/// Resets one environment of a [`VecEnv`].
fn reset_one<E: Env>(
    env: &mut Guarded<E>,
    index: usize,
    seed: Option<u64>,
    obs: &mut [E::Obs],
) -> Result<(), EnvError> {
    let seed = seed.map(|seed| derive_seed(seed, "env", index as u64));
    env.reset(seed, obs).map_err(|error| error.of(index))
}

/// Steps one environment of a [`VecEnv`].
fn step_one<E: Env>(
    env: &mut Guarded<E>,
    action: u32,
    obs: &mut [E::Obs],
    final_obs: &mut [E::Obs],
) -> Result<Step, EnvError> {
    let step = env.step(action, obs)?;
    if step.end.is_over() {
        final_obs.copy_from_slice(obs);
        env.reset(None, obs)?;
    }
    Ok(step)
}

/// Checks the lengths of the slices of [`VecEnv::step`].
fn check_lengths<A, T, U>(num_envs: usize, obs_len: usize, actions: &[A], obs: &[T], final_obs: &[T], steps: &[U]) {
    assert_eq!(actions.len(), num_envs, "actions for {num_envs} environments");
    assert_eq!(steps.len(), num_envs, "steps of {num_envs} environments");
    assert_eq!(
        obs.len(),
        num_envs * obs_len,
        "elements of obs of {num_envs} environments"
    );
    assert_eq!(
        final_obs.len(),
        num_envs * obs_len,
        "elements of final_obs of {num_envs} environments"
    );
}

/// Guards environments that are to be stepped together and checks that their constants agree.
///
/// # Errors
///
/// [`EnvError::BadSpec`] and [`EnvError::Panicked`] with the environment's index, [`EnvError::Mixed`].
///
/// # Panics
///
/// If `envs` is empty.
fn guarded<E: Env>(envs: Vec<E>) -> Result<Vec<Guarded<E>>, EnvError> {
    let guarded = envs.into_iter().enumerate();
    let guarded = guarded.map(|(number, env)| Guarded::new(env).map_err(|error| error.of(number)));
    let guarded: Vec<Guarded<E>> = guarded.collect::<Result<_, EnvError>>()?;
    check_alike(guarded.iter().map(Env::spec))?;
    Ok(guarded)
}

/// Checks that environments with these constants can be stepped together.
fn check_alike(mut specs: impl Iterator<Item = EnvSpec>) -> Result<(), EnvError> {
    let first = specs.next().expect("at least one environment");
    match specs.zip(1..).find(|(spec, _)| *spec != first) {
        None => Ok(()),
        Some((found, number)) => Err(EnvError::Mixed {
            number,
            found: Box::new(found),
            first: Box::new(first),
        }),
    }
}
