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

/// The latches of each set of objects, a bit per layer.
static AMONG: [Latches; 1 << LAYERS] = {
    let mut among = [Latches(0); 1 << LAYERS];
    let mut set = 0;
    while set < among.len() {
        let mut bit = 0;
        while bit < PAIRS.len() {
            if let Some((one, other)) = PAIRS[bit]
                && set >> one & set >> other & 1 == 1
            {
                among[set].0 |= 1 << bit;
            }
            bit += 1;
        }
        set += 1;
    }
    among
};

/// The latches of each object.
const OF: [u16; LAYERS] = {
    let all = (1 << LAYERS) - 1;
    let mut of = [0; LAYERS];
    let mut layer = 0;
    while layer < LAYERS {
        of[layer] = AMONG[all].0 & !AMONG[all & !(1 << layer)].0;
        layer += 1;
    }
    of
};

/// A set of latches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latches(u16);

impl Latches {
    /// Those of all pairs of some objects, a bit per layer.
    pub(super) fn among(objects: u8) -> Self {
        AMONG[usize::from(objects) % AMONG.len()]
    }

    /// The objects whose latches these are, a bit per layer.
    pub(super) fn objects(self) -> u8 {
        let layers = OF.iter().enumerate();
        layers.fold(0, |objects, (layer, latches)| {
            objects | u8::from(self.0 & latches != 0) << layer
        })
    }

    /// The pairs for which this is true.
    #[inline]
    pub(super) fn which(self, mut is: impl FnMut(usize, usize) -> bool) -> Self {
        let (mut left, mut which) = (self.0, 0);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            if let Some((one, other)) = PAIRS[bit as usize % PAIRS.len()] {
                which |= u16::from(is(one, other)) << bit;
            }
        }
        Self(which)
    }

    /// Those that are in both sets.
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not in the other set.
    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Latches others besides.
    pub(super) fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bits 7 and 6 of a read register, from CXM0P (0) to CXPPMM (7).
    pub(super) fn register(self, index: u16) -> u8 {
        ((self.0 >> (2 * index) & 0b11) as u8) << 6
    }
}
