//! Many environments stepped together.
//!
//! ```text
//! actions [n]  ──►  VecEnv::step  ──►  obs      [n, obs_shape]   what the policy sees next
//!                                      last_obs [n, obs_shape]   rows of ended episodes: their final observation
//!                                      steps    [n]              reward, score, discount, end
//! ```
//!
//! An environment whose episode ends is reset within the same step: its row of `obs` is the first observation of the
//! next episode, and its row of `last_obs` the final one of the ended episode (which a learner needs when the episode
//! was truncated). Rows of `last_obs` of environments that go on are left as they are.

use crate::{Elem, EnvError, Shape, Step};

/// Many environments stepped together. Every implementation gives what [`Serial`](crate::Serial) gives for the same
/// seeds and actions, whatever the number of threads.
pub trait VecEnv: Send {
    /// The element type of observations.
    type Obs: Elem;

    /// The number of environments, `n`; at least 1.
    fn num_envs(&self) -> usize;

    /// The shape of one environment's observation.
    fn obs_shape(&self) -> Shape;

    /// How many actions each environment has.
    fn num_actions(&self) -> usize;

    /// Starts an episode in every environment. `Some(seed)` gives environment `i` the seed
    /// `derive_seed(seed, "env", i)`; `None` lets each go on with its own stream.
    ///
    /// # Errors
    ///
    /// The first environment's error, by index.
    ///
    /// # Panics
    ///
    /// If `obs.len()` is not `num_envs() * obs_shape().len()`.
    fn reset(&mut self, seed: Option<u64>, obs: &mut [Self::Obs]) -> Result<(), EnvError>;

    /// Steps every environment once.
    ///
    /// # Errors
    ///
    /// The first environment's error, by index. After an error only `reset` gives a defined state.
    ///
    /// # Panics
    ///
    /// If a slice is not as long as the picture at the top says.
    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [Self::Obs],
        last_obs: &mut [Self::Obs],
        steps: &mut [Step],
    ) -> Result<(), EnvError>;
}
