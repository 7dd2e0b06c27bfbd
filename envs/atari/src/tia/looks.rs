//! Which frames are observed.
//!
//! A frame whose collisions are read is replayed while it runs, and again if its screen is read afterwards. Agents observe
//! frames in a rhythm: every fourth, or the last two of four. A frame that will probably be observed is replayed once, with
//! its pixels.

use serde::{Deserialize, Serialize};

/// The distances of the last looks, in frames. It is saved, because what has been drawn is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Looks {
    /// Frames begun since the last one.
    since: u32,
    /// The distances of the last two, the older one first.
    distances: [u32; 2],
}

impl Looks {
    /// Starts a frame; returns whether it will be observed if the rhythm continues.
    pub(super) fn expect(&mut self) -> bool {
        self.since = self.since.saturating_add(1);
        self.since == self.distances[0]
    }

    /// Somebody looks at the frame.
    pub(super) fn note(&mut self) {
        if self.since > 0 {
            self.distances = [self.distances[1], self.since];
            self.since = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rhythm_of_one_or_two_distances_is_known_after_two_of_them() {
        for rhythm in [&[false, false, false, true][..], &[false, false, true, true], &[true]] {
            let mut looks = Looks::default();
            for (frame, &looked) in rhythm.iter().cycle().take(100).enumerate() {
                let expected = looks.expect();
                if looked {
                    looks.note();
                }
                assert!(
                    frame < 2 * rhythm.len() || expected == looked,
                    "{rhythm:?}, frame {frame}"
                );
            }
        }
    }

    #[test]
    fn a_rhythm_that_has_ended_is_not_expected_again_and_again() {
        let mut looks = Looks::default();
        for _ in 0..3 {
            looks.expect();
            looks.note();
        }
        assert_eq!((0..100).filter(|_| looks.expect()).count(), 1);
    }
}
