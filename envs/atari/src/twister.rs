//! The Mersenne Twister, so that it can be saved.

use rand_mt::Mt;
use serde::{Deserialize, Serialize};

/// Numbers that determine all that follow.
const STATE: usize = 624;

/// MT19937, as `std::mt19937`. It remembers its last 624 numbers, from which [`Mt::recover`] makes it again.
#[derive(Debug, Clone)]
pub(crate) struct Twister {
    random: Mt,
    saved: Saved,
}

/// What a generator is made from again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Saved {
    seed: u32,
    /// How many numbers were drawn.
    drawn: u64,
    /// Number `i` is at `i % STATE`.
    last: Vec<u32>,
}

impl Twister {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            random: Mt::new(seed),
            saved: Saved {
                seed,
                drawn: 0,
                last: vec![0; STATE],
            },
        }
    }

    /// As if it had just been made with another seed.
    pub(crate) fn reseed(&mut self, seed: u32) {
        self.random.reseed(seed);
        self.saved.seed = seed;
        self.saved.drawn = 0;
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        let number = self.random.next_u32();
        self.saved.last[(self.saved.drawn % STATE as u64) as usize] = number;
        self.saved.drawn += 1;
        number
    }

    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The generator that was saved.
    pub(crate) fn restored(saved: &Saved) -> Result<Self, &'static str> {
        let last: &[u32; STATE] = saved.last.as_slice().try_into().map_err(|_| "random numbers")?;
        let at = (saved.drawn % STATE as u64) as usize;
        let mut restored = Self::new(saved.seed);
        if saved.drawn < STATE as u64 {
            (0..at).for_each(|_| {
                restored.next_u32();
            });
        } else if saved.drawn < u64::MAX / 2 {
            // The oldest first.
            let mut key = *last;
            key.rotate_left(at);
            restored.random = Mt::recover(key).map_err(|_| "random numbers")?;
        } else {
            return Err("random numbers");
        }
        restored.saved = saved.clone();
        Ok(restored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_the_standard_says() {
        // ISO C++, [rand.predef]: the 10,000th number of a default-constructed std::mt19937.
        let mut random = Twister::new(5489);
        assert_eq!((0..10_000).map(|_| random.next_u32()).last(), Some(4_123_659_995));
    }

    #[test]
    fn one_that_was_saved_continues_wherever_that_was() {
        let mut random = Twister::new(7);
        for drawn in 0..2_000 {
            let mut restored = Twister::restored(random.saved()).unwrap();
            let next: Vec<u32> = (0..700).map(|_| restored.next_u32()).collect();
            let mut copy = random.clone();
            let expected: Vec<u32> = (0..700).map(|_| copy.next_u32()).collect();
            assert_eq!(next, expected, "after {drawn} numbers");
            random.next_u32();
        }
    }
}
