//! The movable objects and the playfield: their registers, and the pixels of a line that they cover.
//!
//! Each object knows the registers that shape it and turns them into a line mask on request. Nothing here knows of time: when a
//! register changes, and when a mask is due, is decided by the writes (`write.rs`) and by the beam (`beam.rs`).

use serde::{Deserialize, Serialize};

use super::line_mask::{LineMask, WIDTH, place};

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

/// The first pixel of each copy, and of each but the first, with a copy at the position in the lowest bit.
static BEGINS: [[u128; 8]; 2] = {
    let mut begins = [[0; 8]; 2];
    let mut mode = 0;
    while mode < 8 {
        let mut copy = 0;
        while copy < COPIES[mode].len() {
            begins[0][mode] |= 1 << COPIES[mode][copy];
            copy += 1;
        }
        begins[1][mode] = begins[0][mode] & !1;
        mode += 1;
    }
    begins
};

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

    /// Whether it may cover a pixel of the line.
    #[inline]
    pub(super) fn is_visible(&self) -> bool {
        let graphics = if self.delayed { self.old_graphics } else { self.graphics };
        graphics != 0
    }

    pub(super) fn mask(&self) -> LineMask {
        let begins = BEGINS[usize::from(self.first_copy_hidden)][usize::from(self.number_size)];
        // Stretched players appear one pixel late.
        let late = u32::from(self.scale() > 1);
        place(copies(begins, self.pattern()), u32::from(self.x) + late)
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

/// The same of the bits in reverse.
static QUADRUPLED_REVERSED: [u32; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        table[bits] = QUADRUPLED[(bits as u8).reverse_bits() as usize];
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
    /// Whether it covers any pixel of the line.
    #[inline]
    pub(super) fn is_visible(&self) -> bool {
        self.enabled && !self.locked && self.shape != Shape::Hidden
    }

    pub(super) fn mask(&self) -> LineMask {
        if !self.is_visible() {
            return LineMask::default();
        }
        let pattern = bar(self.width_log2 | u8::from(self.shape == Shape::Stretched));
        let begins = BEGINS[0][usize::from(self.number_size)];
        place(copies(begins, pattern), self.x.into())
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
    /// Whether it covers any pixel of the line.
    #[inline]
    pub(super) fn is_visible(&self) -> bool {
        if self.delayed { self.old_enabled } else { self.enabled }
    }

    pub(super) fn mask(&self) -> LineMask {
        if !self.is_visible() {
            return LineMask::default();
        }
        place(bar(self.width_log2).into(), self.x.into())
    }
}

fn bar(width_log2: u8) -> u32 {
    (1 << (1 << width_log2)) - 1
}

/// A pattern at each of these bits. Copies are so far from each other that multiplying keeps them apart.
#[inline]
fn copies(begins: u128, pattern: u32) -> u128 {
    let pattern = u64::from(pattern);
    let (low, high) = (begins as u64, (begins >> 64) as u64);
    u128::from(low.wrapping_mul(pattern)) | u128::from(high.wrapping_mul(pattern)) << 64
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Playfield {
    /// PF0, PF1, PF2 as written.
    pub(super) bits: [u8; 3],
    /// The right half is the mirror image of the left one. This is what the line shows; the bit in CTRLPF may be newer.
    pub(super) reflected: bool,
}

impl Playfield {
    /// Whether it may cover a pixel of the line.
    #[inline]
    pub(super) fn is_visible(&self) -> bool {
        self.bits != [0; 3]
    }

    pub(super) fn mask(&self) -> LineMask {
        // A half is 16 pixels of PF0, 32 of PF1 and 32 of PF2: PF0 and PF2 from the lowest bit on, PF1 from the highest.
        let [pf0, pf1, pf2] = self.bits;
        let rising = |bits: u8| u64::from(QUADRUPLED[usize::from(bits)]);
        let falling = |bits: u8| u64::from(QUADRUPLED_REVERSED[usize::from(bits)]);
        let (first, second, third) = (rising(pf0 >> 4), falling(pf1), rising(pf2));
        let left = [first | second << 16 | third << 48, third >> 16];
        if self.reflected {
            let (third, second, first) = (falling(pf2), rising(pf1), falling(pf0 & 0xF0));
            [
                left[0],
                left[1] | third << 16 | second << 48,
                second >> 16 | first << 16,
            ]
        } else {
            [left[0], left[1] | first << 16 | second << 32, third]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_playfield_is_that_of_its_bits_four_pixels_each() {
        // Pixels from the left: PF0 from bit 4 on, PF1 from bit 7 down, PF2 from bit 0 on.
        let order = (4..8).map(|bit| (0, bit));
        let order = order
            .chain((0..8).rev().map(|bit| (1, bit)))
            .chain((0..8).map(|bit| (2, bit)));
        let order: Vec<(usize, u8)> = order.collect();
        for reflected in [false, true] {
            for lit in 0..24 {
                for inverted in [0, 0xFF] {
                    let mut bits = [inverted; 3];
                    bits[lit / 8] ^= 1 << (lit % 8);
                    let mask = Playfield { bits, reflected }.mask();
                    for pixel in 0..WIDTH as usize {
                        let at = match pixel {
                            0..80 => pixel,
                            _ if reflected => 159 - pixel,
                            _ => pixel - 80,
                        };
                        let (register, bit) = order[at / 4];
                        let expected = bits[register] >> bit & 1;
                        assert_eq!(
                            (mask[pixel / 64] >> (pixel % 64) & 1) as u8,
                            expected,
                            "{bits:?}, {pixel}"
                        );
                    }
                    assert_eq!(mask[2] >> 32, 0);
                }
            }
        }
    }
}
