//! The movable objects and the playfield: their registers, and the pixels of a line that they cover.
//!
//! Each object knows the registers that shape it and turns them into a line mask on request. Nothing here knows of time: when a
//! register changes, and when a mask is due, is decided by the writes (`write.rs`) and by the beam (`beam.rs`).

use serde::{Deserialize, Serialize};

use super::line_mask::{LineMask, WIDTH, WORDS, place};

/// Distances of the copies of an object from its position, by the low three bits of NUSIZ. Modes 5 and 7 stretch the player
/// instead of repeating it.
const COPIES: [&[u32]; 8] = [
    &[0],
    &[0, 16],
    &[0, 32],
    &[0, 16, 32],
    &[0, 64],
    &[0],
    &[0, 32, 64],
    &[0],
];

/// Whether a new position of a player falls on one of the copies that it has at its old position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    /// In the four pixels between the start signal of a copy and its picture: all copies appear at once.
    Starting,
    /// In the picture of a copy, which is drawn to its end; the first copy at the new position is missing in this line.
    Showing,
    /// Elsewhere: the first copy at the new position is missing in this line.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Player {
    pub(super) x: u8,
    /// The nibble of HMPx.
    pub(super) motion: u8,
    /// GRPx, leftmost pixel in bit 7.
    pub(super) graphics: u8,
    /// GRPx as it was at the last write to the other player's graphics; shown if `delayed`.
    pub(super) old_graphics: u8,
    pub(super) delayed: bool,
    pub(super) reflected: bool,
    /// The low three bits of NUSIZx.
    pub(super) number_size: u8,
    /// The first copy does not show, until the end of the line.
    pub(super) first_copy_hidden: bool,
}

impl Player {
    /// Pixels per bit of the graphics.
    fn scale(&self) -> u32 {
        match self.number_size {
            5 => 2,
            7 => 4,
            _ => 1,
        }
    }

    /// The pattern as it appears, leftmost pixel in bit 0.
    fn pattern(&self) -> u32 {
        let graphics = if self.delayed { self.old_graphics } else { self.graphics };
        let pattern = if self.reflected {
            graphics
        } else {
            graphics.reverse_bits()
        };
        match self.scale() {
            1 => u32::from(pattern),
            2 => DOUBLED[usize::from(pattern)].into(),
            _ => QUADRUPLED[usize::from(pattern)],
        }
    }

    pub(super) fn mask(&self) -> LineMask {
        let mut line = [0; WORDS];
        let pattern = self.pattern();
        if pattern == 0 {
            return line;
        }
        // Stretched players appear one pixel late.
        let late = u32::from(self.scale() > 1);
        let copies = &COPIES[usize::from(self.number_size)][usize::from(self.first_copy_hidden)..];
        for copy in copies {
            place(&mut line, pattern, (u32::from(self.x) + late + copy) % WIDTH);
        }
        line
    }

    /// Where a new position lies among the copies at the present one.
    pub(super) fn reset_to(&self, x: u8) -> Reset {
        let picture = 4..4 + 8 * self.scale();
        let copies = COPIES[usize::from(self.number_size)].iter();
        let mut distances = copies.map(|copy| (u32::from(x) + 2 * WIDTH - u32::from(self.x) - copy) % WIDTH);
        if distances.clone().any(|distance| picture.contains(&distance)) {
            Reset::Showing
        } else if distances.any(|distance| distance < 4) {
            Reset::Starting
        } else {
            Reset::Elsewhere
        }
    }

    /// Distance from the player's position to its middle, where a missile that was locked to it reappears.
    pub(super) fn middle(&self) -> u8 {
        match self.scale() {
            1 => 4,
            2 => 8,
            _ => 16,
        }
    }
}

/// Each bit twice.
static DOUBLED: [u16; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[bits] |= ((bits >> bit & 1) as u16 * 0b11) << (2 * bit);
            bit += 1;
        }
        bits += 1;
    }
    table
};

/// Each bit four times.
static QUADRUPLED: [u32; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[bits] |= ((bits >> bit & 1) as u32 * 0b1111) << (4 * bit);
            bit += 1;
        }
        bits += 1;
    }
    table
};

/// What a missile looks like in this line, beyond its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Shape {
    #[default]
    Normal,
    /// One bit of its width is forced on.
    Stretched,
    Hidden,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Missile {
    pub(super) x: u8,
    /// The nibble of HMMx.
    pub(super) motion: u8,
    pub(super) enabled: bool,
    /// Locked to its player, which hides it.
    pub(super) locked: bool,
    /// The low three bits of NUSIZx.
    pub(super) number_size: u8,
    /// Logarithm of the width, 0 to 3.
    pub(super) width_log2: u8,
    pub(super) shape: Shape,
}

impl Missile {
    pub(super) fn mask(&self) -> LineMask {
        let mut line = [0; WORDS];
        if !self.enabled || self.locked || self.shape == Shape::Hidden {
            return line;
        }
        let pattern = bar(self.width_log2 | u8::from(self.shape == Shape::Stretched));
        for copy in COPIES[usize::from(self.number_size)] {
            place(&mut line, pattern, (u32::from(self.x) + copy) % WIDTH);
        }
        line
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Ball {
    pub(super) x: u8,
    /// The nibble of HMBL.
    pub(super) motion: u8,
    pub(super) enabled: bool,
    /// `enabled` as it was at the last write to GRP1; counts if `delayed`.
    pub(super) old_enabled: bool,
    pub(super) delayed: bool,
    /// Logarithm of the width, 0 to 3.
    pub(super) width_log2: u8,
}

impl Ball {
    pub(super) fn mask(&self) -> LineMask {
        let mut line = [0; WORDS];
        if if self.delayed { self.old_enabled } else { self.enabled } {
            place(&mut line, bar(self.width_log2), self.x.into());
        }
        line
    }
}

fn bar(width_log2: u8) -> u32 {
    (1 << (1 << width_log2)) - 1
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Playfield {
    /// PF0, PF1, PF2 as written.
    pub(super) bits: [u8; 3],
    /// The right half is the mirror image of the left one. This is what the line shows; the bit in CTRLPF may be newer.
    pub(super) reflected: bool,
}

impl Playfield {
    pub(super) fn mask(&self) -> LineMask {
        let [pf0, pf1, pf2] = self.bits;
        // 20 bits of four pixels each, the leftmost lowest.
        let left = u32::from(pf0 >> 4) | u32::from(pf1.reverse_bits()) << 4 | u32::from(pf2) << 12;
        let right = if self.reflected {
            left.reverse_bits() >> 12
        } else {
            left
        };
        let half = |bits: u32| {
            u128::from(QUADRUPLED[bits as usize & 0xFF])
                | u128::from(QUADRUPLED[bits as usize >> 8 & 0xFF]) << 32
                | u128::from(QUADRUPLED[bits as usize >> 16]) << 64
        };
        let (left, right) = (half(left), half(right));
        [left as u64, (left >> 64 | right << 16) as u64, (right >> 48) as u64]
    }
}
