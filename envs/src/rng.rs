//! Random streams: one generator, and one stream per consumer, all derived from the seed of the run.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The generator of every random stream. Its output is the same on every platform, and its state can be saved.
///
/// ```
/// use coinop_envs::rng::{Rng, stream};
///
/// // It is part of snapshots and continues where it was.
/// let mut rng: Rng = stream(1, "example", 0);
/// let mut copy = rng.clone();
/// assert_eq!(rng, copy);
/// # let _ = (&mut rng, &mut copy);
/// ```
pub type Rng = Xoshiro256PlusPlus;

/// Derives the seed of consumer number `index` with the name `label` from the run's `seed`.
///
/// Different labels and indices give unrelated seeds, so adding a consumer changes no other consumer's stream.
///
/// ```
/// use coinop_envs::rng::derive_seed;
///
/// assert_eq!(derive_seed(1, "env", 3), derive_seed(1, "env", 3));
/// assert_ne!(derive_seed(1, "env", 3), derive_seed(1, "env", 4));
/// assert_ne!(derive_seed(1, "env", 3), derive_seed(1, "policy", 3));
/// ```
#[must_use]
pub fn derive_seed(seed: u64, label: &str, index: u64) -> u64 {
    xxh3_64_with_seed(&index.to_le_bytes(), xxh3_64_with_seed(label.as_bytes(), seed))
}

/// Creates the stream of consumer number `index` with the name `label` from the run's `seed`.
///
/// ```
/// use coinop_envs::rng::stream;
///
/// assert_eq!(stream(1, "policy", 0), stream(1, "policy", 0));
/// assert_ne!(stream(1, "policy", 0), stream(1, "policy", 1));
/// ```
#[must_use]
pub fn stream(seed: u64, label: &str, index: u64) -> Rng {
    Rng::seed_from_u64(derive_seed(seed, label, index))
}
