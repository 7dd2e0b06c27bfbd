//! Sampling of transitions.

use coinop_envs::rng::Rng;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rank::Ranks;
use super::tree::Tree;
use crate::limits::{divisor, unit};
use crate::schedule::Schedule;
use crate::{AgentError, CheckpointError, Section};

/// How transitions are sampled.
///
/// ```
/// use coinop_agents::replay::SamplerConfig;
///
/// let sampler: SamplerConfig = toml::from_str(
///     r#"
///     kind = "rank_based"
///     alpha = 0.7
///     beta = { from = 0.5, to = 1.0 }
///     normalize = "batch"
///     "#,
/// )?;
/// assert!(matches!(sampler, SamplerConfig::RankBased { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// Uniformly.
    Uniform,
    /// With a probability proportional to `(|error| + priority_epsilon)^alpha` (Schaul 2015, arXiv 1511.05952, section 3.3).
    Proportional {
        /// 0 is uniform.
        alpha: f64,
        /// The exponent of the importance weights; 1 corrects fully.
        beta: Schedule,
        /// Keeps transitions without error from never being sampled.
        priority_epsilon: f64,
        /// The set whose largest importance weight becomes 1.
        normalize: Normalize,
    },
    /// With a probability proportional to `rank^-alpha`, where the largest error has rank 1 (same section).
    RankBased {
        /// 0 is uniform.
        alpha: f64,
        /// The exponent of the importance weights; 1 corrects fully.
        beta: Schedule,
        /// The set whose largest importance weight becomes 1.
        normalize: Normalize,
    },
}

/// Importance weights are divided by the largest one, so that they only scale updates down. The paper does not say
/// over which set.
///
/// ```
/// use coinop_agents::replay::Normalize;
///
/// let normalize: Normalize = serde_json::from_str("\"memory\"")?;
/// assert_eq!(normalize, Normalize::Memory);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The weights of the batch.
    Batch,
    /// The weights of everything in the memory.
    Memory,
}

impl SamplerConfig {
    /// Proportional sampling with the values of the paper (table 3, for Double-DQN); what the paper leaves open
    /// follows PFRL.
    pub const PROPORTIONAL: Self = Self::Proportional {
        alpha: 0.6,
        beta: Schedule::over_run(0.4, 1.0),
        priority_epsilon: 0.01,
        normalize: Normalize::Batch,
    };

    /// Rank-based sampling with the values of the paper (table 3, for Double-DQN).
    pub const RANK_BASED: Self = Self::RankBased {
        alpha: 0.7,
        beta: Schedule::over_run(0.5, 1.0),
        normalize: Normalize::Batch,
    };

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        match *self {
            Self::Uniform => Ok(()),
            Self::Proportional {
                alpha,
                beta,
                priority_epsilon,
                ..
            } => {
                unit("sampler.alpha", alpha)?;
                beta.check("sampler.beta", unit, unit)?;
                divisor("sampler.priority_epsilon", priority_epsilon)
            }
            Self::RankBased { alpha, beta, .. } => {
                unit("sampler.alpha", alpha)?;
                beta.check("sampler.beta", unit, unit)
            }
        }
    }

    /// The exponent of the importance weights; 0 without priorities.
    #[must_use]
    pub fn beta(&self) -> Schedule {
        match *self {
            Self::Uniform => Schedule::Constant(0.0),
            Self::Proportional { beta, .. } | Self::RankBased { beta, .. } => beta,
        }
    }

    fn normalize(&self) -> Normalize {
        match self {
            Self::Uniform => Normalize::Batch,
            Self::Proportional { normalize, .. } | Self::RankBased { normalize, .. } => *normalize,
        }
    }
}

/// The priorities of the slots of a memory.
pub(super) struct Sampler {
    config: SamplerConfig,
    pub(super) priorities: Priorities,
    /// The largest error so far. New transitions get it, so that each is sampled soon.
    largest: f32,
}

pub(super) enum Priorities {
    Uniform,
    Proportional {
        sums: Tree,
        /// Only if importance weights are normalised over the memory.
        minima: Option<Tree>,
    },
    RankBased(Ranks),
}

/// A sampled slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampled {
    pub(super) slot: usize,
    /// Its probability.
    pub(super) probability: f64,
}

impl Sampler {
    pub(super) fn new(config: SamplerConfig, slots: usize) -> Self {
        let priorities = match config {
            SamplerConfig::Uniform => Priorities::Uniform,
            SamplerConfig::Proportional { normalize, .. } => Priorities::Proportional {
                sums: Tree::of_sums(slots),
                minima: (normalize == Normalize::Memory).then(|| Tree::of_minima(slots)),
            },
            SamplerConfig::RankBased { alpha, .. } => Priorities::RankBased(Ranks::new(slots, alpha)),
        };
        Self {
            config,
            priorities,
            largest: 1.0,
        }
    }

    /// Adds a slot.
    pub(super) fn add(&mut self, slot: usize) {
        self.set(slot, self.largest);
    }

    /// Sets the error of a slot.
    pub(super) fn update(&mut self, slot: usize, error: f32) {
        let error = error.abs();
        self.largest = self.largest.max(error);
        self.set(slot, error);
    }

    fn set(&mut self, slot: usize, error: f32) {
        match (&mut self.priorities, self.config) {
            (
                Priorities::Proportional { sums, minima },
                SamplerConfig::Proportional {
                    alpha,
                    priority_epsilon,
                    ..
                },
            ) => {
                let priority = (f64::from(error) + priority_epsilon).powf(alpha);
                sums.set(slot, priority);
                if let Some(minima) = minima {
                    minima.set(slot, priority);
                }
            }
            (Priorities::RankBased(ranks), _) => ranks.set(slot, error),
            _ => {}
        }
    }

    /// Removes a slot.
    pub(super) fn remove(&mut self, slot: usize) {
        match &mut self.priorities {
            Priorities::Uniform => {}
            Priorities::Proportional { sums, minima } => {
                sums.set(slot, 0.0);
                if let Some(minima) = minima {
                    minima.set(slot, f64::INFINITY);
                }
            }
            Priorities::RankBased(ranks) => ranks.remove(slot),
        }
    }

    /// Samples slots, one from each of `out.len()` ranges of equal probability; `uniform` draws a slot if all are
    /// equally likely.
    pub(super) fn sample(&self, rng: &mut Rng, mut uniform: impl FnMut(&mut Rng) -> Sampled, out: &mut [Sampled]) {
        let ranges = out.len() as f64;
        for (range, sampled) in out.iter_mut().enumerate() {
            *sampled = match &self.priorities {
                Priorities::Uniform => uniform(rng),
                Priorities::Proportional { sums, .. } => {
                    let at = (range as f64 + rng.random::<f64>()) / ranges * sums.root();
                    let slot = sums.find(at);
                    let probability = sums.get(slot) / sums.root();
                    Sampled { slot, probability }
                }
                Priorities::RankBased(ranks) => {
                    let (slot, probability) = ranks.find((range as f64 + rng.random::<f64>()) / ranges);
                    Sampled { slot, probability }
                }
            };
        }
    }

    /// The importance weights `(n P(i))^-beta` of slots sampled out of `n`, divided by the largest.
    pub(super) fn weights(&self, sampled: &[Sampled], n: usize, beta: f64, out: &mut [f32]) {
        let in_batch = || sampled.iter().map(|one| one.probability).fold(f64::INFINITY, f64::min);
        let least = match (self.config.normalize(), &self.priorities) {
            (
                Normalize::Memory,
                Priorities::Proportional {
                    sums,
                    minima: Some(minima),
                },
            ) => minima.root() / sums.root(),
            (Normalize::Memory, Priorities::RankBased(ranks)) => ranks.least_probability(),
            _ => in_batch(),
        };
        let weight = |probability: f64| (n as f64 * probability).powf(-beta);
        for (out, one) in out.iter_mut().zip(sampled) {
            *out = (weight(one.probability) / weight(least)) as f32;
        }
    }

    /// The memory used, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match &self.priorities {
            Priorities::Uniform => 0,
            Priorities::Proportional { sums, minima } => sums.bytes() + minima.as_ref().map_or(0, Tree::bytes),
            Priorities::RankBased(ranks) => ranks.bytes(),
        }
    }
}

/// Saves the priorities in the form used for sampling.
impl Sampler {
    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("largest", &self.largest)?;
        match &self.priorities {
            Priorities::Uniform => Ok(()),
            Priorities::Proportional { sums, .. } => out.put_numbers("priorities", sums.leaves()),
            Priorities::RankBased(ranks) => {
                let errors: Vec<f32> = ranks.order().iter().map(|slot| ranks.error(*slot as usize)).collect();
                out.put_numbers("order", ranks.order())?;
                out.put_numbers("errors", &errors)?;
                out.put("additions", &ranks.additions())
            }
        }
    }

    /// Restores the priorities of exactly the slots that may be sampled.
    pub(super) fn load(&mut self, from: &Section, may_be_sampled: &[bool]) -> Result<(), CheckpointError> {
        let unfit = |name: &str| CheckpointError::unfit(name, &"it is of another memory");
        match &mut self.priorities {
            Priorities::Uniform => {}
            Priorities::Proportional { sums, minima } => {
                let saved = numbers::<f64>(from, "priorities")?;
                let may = |slot: usize| may_be_sampled.get(slot) == Some(&true);
                let fits = |(slot, priority): (usize, &f64)| {
                    priority.is_finite() && *priority >= 0.0 && (*priority > 0.0) == may(slot)
                };
                // The tree has more leaves than there are slots.
                if saved.len() != sums.leaves().len() || !saved.iter().enumerate().all(fits) {
                    return Err(unfit("priorities"));
                }
                for (slot, priority) in saved.into_iter().enumerate() {
                    sums.set(slot, priority);
                    if let Some(minima) = minima {
                        minima.set(slot, if priority > 0.0 { priority } else { f64::INFINITY });
                    }
                }
            }
            Priorities::RankBased(ranks) => {
                let order = numbers::<u32>(from, "order")?;
                let errors = numbers::<f32>(from, "errors")?;
                let may = |slot: &u32| may_be_sampled.get(*slot as usize) == Some(&true);
                let count = may_be_sampled.iter().filter(|may| **may).count();
                let fits = order.len() == count && order.iter().all(may);
                if !fits || errors.len() != order.len() || !ranks.restore(&order, &errors, from.get("additions")?) {
                    return Err(unfit("order"));
                }
            }
        }
        let largest: f32 = from.get("largest")?;
        if !(largest.is_finite() && largest >= 0.0) {
            return Err(unfit("largest"));
        }
        self.largest = largest;
        Ok(())
    }
}

/// Reads numbers stored as bytes.
fn numbers<T: bytemuck::Pod>(from: &Section, name: &str) -> Result<Vec<T>, CheckpointError> {
    let bytes = from.bytes(name)?;
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        return Err(CheckpointError::unfit(name, &"it ends within a number"));
    }
    Ok(bytemuck::allocation::pod_collect_to_vec(&bytes))
}
