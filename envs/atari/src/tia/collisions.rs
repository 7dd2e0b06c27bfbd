//! Collision latches: which pairs of objects have covered the same pixel since the latches were cleared.
//!
//! The 15 latches lie as the eight read registers show them, two bits per register, CXM0P lowest:
//!
//! ```text
//! register   CXM0P      CXM1P      CXP0FB     CXP1FB     CXM0FB     CXM1FB     CXBLPF     CXPPMM
//! bit 7      M0 P1      M1 P0      P0 PF      P1 PF      M0 PF      M1 PF      BL PF      P0 P1
//! bit 6      M0 P0      M1 P1      P0 BL      P1 BL      M0 BL      M1 BL                 M0 M1
//! ```

use serde::{Deserialize, Serialize};

use super::draw::{BALL, LAYERS, MISSILE_0, MISSILE_1, PLAYER_0, PLAYER_1, PLAYFIELD};

/// The pair of each latch.
const PAIRS: [Option<(usize, usize)>; 16] = [
    Some((MISSILE_0, PLAYER_0)),
    Some((MISSILE_0, PLAYER_1)),
    Some((MISSILE_1, PLAYER_1)),
    Some((MISSILE_1, PLAYER_0)),
    Some((PLAYER_0, BALL)),
    Some((PLAYER_0, PLAYFIELD)),
    Some((PLAYER_1, BALL)),
    Some((PLAYER_1, PLAYFIELD)),
    Some((MISSILE_0, BALL)),
    Some((MISSILE_0, PLAYFIELD)),
    Some((MISSILE_1, BALL)),
    Some((MISSILE_1, PLAYFIELD)),
    None,
    Some((BALL, PLAYFIELD)),
    Some((MISSILE_0, MISSILE_1)),
    Some((PLAYER_0, PLAYER_1)),
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latches(u16);

impl Latches {
    /// Latches the pairs that share a pixel of a word.
    pub(super) fn latch(&mut self, layers: &[u64; LAYERS]) {
        for (bit, pair) in PAIRS.iter().enumerate() {
            if let Some((one, other)) = *pair {
                self.0 |= u16::from(layers[one] & layers[other] != 0) << bit;
            }
        }
    }

    /// Whether all of these are latched.
    pub(super) fn contain(self, others: Latches) -> bool {
        others.0 & !self.0 == 0
    }

    /// Bits 7 and 6 of a read register, from CXM0P (0) to CXPPMM (7).
    pub(super) fn register(self, index: u16) -> u8 {
        ((self.0 >> (2 * index) & 0b11) as u8) << 6
    }
}
