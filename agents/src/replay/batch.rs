//! Batches that are sampled from a memory.

use coinop_envs::EnvSpec;

use super::sampler::Sampled;
use crate::network::Observation;

/// The identity of a transition, never reused.
///
/// ```
/// # use coinop_agents::replay::{Replay, ReplayBatch, ReplayConfig, SamplerConfig, Store};
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::{EnvSpec, Shape, Step};
/// #
/// # let config = ReplayConfig {
/// #     capacity: 100,
/// #     store: Store::Raw,
/// #     n_step: 1,
/// #     gamma: 0.99,
/// #     sampler: SamplerConfig::PROPORTIONAL,
/// # };
/// # let spec = EnvSpec::new(Shape::new(&[2]), 3);
/// # let mut replay = Replay::<f32>::new(&config, 1, &spec)?;
/// # // Ten steps of actor 0: what it saw, what it did, and what came of it.
/// # for t in 0..10 {
/// #     replay.insert(0, &[t as f32, 0.0], 1, &Step::going_on(1.0), &[0.0; 2])?;
/// # }
/// # let mut batch = ReplayBatch::new(4, &spec);
/// # replay.sample(0.4, &mut stream(1, "replay", 0), &mut batch)?;
/// // Each transition of a batch has an id, by which its error is reported to the memory.
/// replay.update_priorities(&batch.ids, &[0.5; 4], 1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Id {
    pub(super) actor: u32,
    pub(super) entry: u64,
}

/// The batch of an update, one row per transition. Allocated once.
///
/// ```
/// # use coinop_agents::replay::{Replay, ReplayBatch, ReplayConfig, SamplerConfig, Store};
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::{EnvSpec, Shape, Step};
/// #
/// # let config = ReplayConfig {
/// #     capacity: 100,
/// #     store: Store::Raw,
/// #     n_step: 1,
/// #     gamma: 0.99,
/// #     sampler: SamplerConfig::PROPORTIONAL,
/// # };
/// # let spec = EnvSpec::new(Shape::new(&[2]), 3);
/// # let mut replay = Replay::<f32>::new(&config, 1, &spec)?;
/// # // Ten steps of actor 0: what it saw, what it did, and what came of it.
/// # for t in 0..10 {
/// #     replay.insert(0, &[t as f32, 0.0], 1, &Step::going_on(1.0), &[0.0; 2])?;
/// # }
/// # let mut batch = ReplayBatch::new(4, &spec);
/// # replay.sample(0.4, &mut stream(1, "replay", 0), &mut batch)?;
/// assert_eq!((batch.obs.len(), batch.actions.len()), (4 * 2, 4));
/// // A step further, and one reward on the way.
/// assert_eq!((batch.next_obs[0], batch.returns[0]), (batch.obs[0] + 1.0, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReplayBatch<O> {
    /// Observations, `[n, obs_shape…]`.
    pub obs: Vec<O>,
    /// Actions, `[n]`.
    pub actions: Vec<i64>,
    /// Sums of the discounted rewards of the next n steps, or of those until the return ends, `[n]`.
    pub returns: Vec<f32>,
    /// The discount of the next observation's value, `[n]`: gamma to the power of the number of those steps; 0 where
    /// the return ends.
    pub discounts: Vec<f32>,
    /// Observations after those steps, `[n, obs_shape…]`; unspecified where the return ends.
    pub next_obs: Vec<O>,
    /// Importance weights, `[n]`; 1 for uniform sampling.
    pub weights: Vec<f32>,
    /// The identities of the transitions, for [`Replay::update_priorities`](super::Replay::update_priorities).
    pub ids: Vec<Id>,
    pub(super) sampled: Vec<Sampled>,
}

impl<O: Observation> ReplayBatch<O> {
    /// Allocates a batch of `n` transitions for environments with the constants `spec`.
    #[must_use]
    pub fn new(n: usize, spec: &EnvSpec) -> Self {
        let obs = vec![O::default(); n * spec.obs_shape.len()];
        Self {
            next_obs: obs.clone(),
            obs,
            actions: vec![0; n],
            returns: vec![0.0; n],
            discounts: vec![0.0; n],
            weights: vec![1.0; n],
            ids: vec![Id::default(); n],
            sampled: vec![
                Sampled {
                    slot: 0,
                    probability: 0.0
                };
                n
            ],
        }
    }

    /// The number of transitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}
