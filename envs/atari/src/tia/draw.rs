//! Drawing: which object shows at which pixel, and its colour.
//!
//! A line is six layers, one per object, each a mask of the pixels that the object covers. They turn into three masks that say which
//! pixels have the colour of player 0, of player 1 and of the playfield; the rest has that of the background. Only then are there pixels.

use serde::{Deserialize, Serialize};

use super::beam::Row;
use super::collisions::Latches;
use super::line_mask::{LineMask, WORDS, edges};

/// Indices of the layers.
pub(super) const PLAYER_0: usize = 0;
pub(super) const MISSILE_0: usize = 1;
pub(super) const PLAYER_1: usize = 2;
pub(super) const MISSILE_1: usize = 3;
pub(super) const BALL: usize = 4;
pub(super) const PLAYFIELD: usize = 5;
/// Number of layers.
pub(super) const LAYERS: usize = 6;

/// The pixels that each object covers in a line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    layers: [LineMask; LAYERS],
    /// The collisions that were asked for since a layer changed.
    asked: Latches,
    /// Those of them that happen somewhere in the line.
    collisions: Latches,
}

impl Line {
    #[inline]
    pub(super) fn set(&mut self, layer: usize, mask: LineMask) {
        self.layers[layer] = mask;
        self.asked = Latches::default();
    }

    /// Which of these collisions happen in the pixels `from..to`.
    #[inline]
    pub(super) fn collisions(&mut self, asked: Latches, from: u32, to: u32) -> Latches {
        let layers = &self.layers;
        if !asked.without(self.asked).is_empty() {
            self.asked = asked;
            self.collisions = asked.which(|one, other| {
                let (one, other) = (&layers[one], &layers[other]);
                one[0] & other[0] | one[1] & other[1] | one[2] & other[2] != 0
            });
        }
        let left = self.collisions.and(asked);
        if left.is_empty() {
            return left;
        }
        let span: LineMask = std::array::from_fn(|word| edges(word, from, to));
        left.which(|one, other| {
            let shared = |word: usize| layers[one][word] & layers[other][word] & span[word];
            shared(0) | shared(1) | shared(2) != 0
        })
    }

    /// Draws the pixels `from..to` into a row of the screen.
    #[inline]
    pub(super) fn draw(&self, row: &mut Row, from: u32, to: u32, colors: &Colors, priority: Priority) {
        let span = std::array::from_fn(|word| edges(word, from, to));
        let painted = paint(&self.layers, priority);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            return unsafe { blend_avx2(row, &painted, &span, colors) };
        }
        blend(row, &painted, &span, colors);
    }
}

/// Colours, as indices of the palette.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Colors {
    pub(super) player: [u8; 2],
    pub(super) playfield: u8,
    pub(super) background: u8,
}

/// Who covers whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Priority {
    /// Player 0 and missile 0, player 1 and missile 1, playfield and ball.
    #[default]
    Players,
    /// The same, with the playfield in the players' colours: left half player 0's, right half player 1's. There it ranks like
    /// that player.
    Score,
    /// Playfield and ball before the players.
    Playfield,
}

impl Priority {
    /// Bits 1 and 2 of CTRLPF.
    pub(super) fn from_control(control: u8) -> Self {
        match control >> 1 & 0b11 {
            0 => Priority::Players,
            1 => Priority::Score,
            _ => Priority::Playfield,
        }
    }
}

/// The pixels that lie in the left half of the line.
const LEFT_HALF: LineMask = [!0, 0xFFFF, 0];

/// Which pixels have a colour other than the background's; none has two.
struct Painted {
    player: [LineMask; 2],
    playfield: LineMask,
}

fn paint(layers: &[LineMask; LAYERS], priority: Priority) -> Painted {
    let mut painted = Painted {
        player: Default::default(),
        playfield: Default::default(),
    };
    for word in 0..WORDS {
        let mut one = layers[PLAYER_0][word] | layers[MISSILE_0][word];
        let mut two = layers[PLAYER_1][word] | layers[MISSILE_1][word];
        let (mut field, ball) = (layers[PLAYFIELD][word], layers[BALL][word]);
        if priority == Priority::Score {
            one |= field & LEFT_HALF[word];
            two |= field & !LEFT_HALF[word];
            field = 0;
        }
        field |= ball;
        if priority == Priority::Playfield {
            one &= !field;
            two &= !field;
        }
        painted.player[0][word] = one;
        painted.player[1][word] = two & !one;
        painted.playfield[word] = field & !(one | two);
    }
    painted
}

/// For each byte, eight bytes that are 0xFF where it has a bit, the lowest bit first.
static SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[bits] |= ((bits as u64 >> bit & 1) * 0xFF) << (8 * bit);
            bit += 1;
        }
        bits += 1;
    }
    table
};

/// A byte eight times.
const EIGHT: u64 = 0x0101_0101_0101_0101;

/// Gives the pixels of a span their colours, eight at a time.
fn blend(row: &mut Row, painted: &Painted, span: &LineMask, colors: &Colors) {
    let background = u64::from(colors.background) * EIGHT;
    // Blending is an exclusive or with the difference of two colours.
    let difference = |color: u8| (u64::from(color) * EIGHT) ^ background;
    let layers = [
        (&painted.player[0], difference(colors.player[0])),
        (&painted.player[1], difference(colors.player[1])),
        (&painted.playfield, difference(colors.playfield)),
    ];
    for (at, pixels) in row.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let spread = |mask: &LineMask| SPREAD[usize::from((mask[at / 8] >> (at % 8 * 8)) as u8)];
        let inside = spread(span);
        if inside == 0 {
            continue;
        }
        let value = layers.iter().fold(background, |value, (mask, difference)| {
            value ^ spread(mask) & difference
        });
        let value = value & inside | u64::from_le_bytes(*pixels) & !inside;
        *pixels = value.to_le_bytes();
    }
}

/// The same, 32 at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn blend_avx2(row: &mut Row, painted: &Painted, span: &LineMask, colors: &Colors) {
    use std::arch::x86_64::*;

    let eight = |bytes: [u8; 4]| bytes.map(|byte| i64::from_le_bytes([byte; 8]));
    let [zero, one, two, three] = eight([0, 1, 2, 3]);
    let byte_of_pixel = _mm256_setr_epi64x(zero, one, two, three);
    let bit_of_pixel = _mm256_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
    // 0xFF for each bit.
    let spread = |bits: u32| {
        let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(bits.cast_signed()), byte_of_pixel);
        _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of_pixel), bit_of_pixel)
    };
    let color = |color: u8| _mm256_set1_epi8(color.cast_signed());
    let background = color(colors.background);
    let layers = [
        (&painted.player[0], color(colors.player[0])),
        (&painted.player[1], color(colors.player[1])),
        (&painted.playfield, color(colors.playfield)),
    ];
    for (at, pixels) in row.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let bits = |mask: &LineMask| (mask[at / 2] >> (at % 2 * 32)) as u32;
        let inside = bits(span);
        if inside == 0 {
            continue;
        }
        let mut value = background;
        for (mask, color) in layers {
            value = _mm256_blendv_epi8(value, color, spread(bits(mask)));
        }
        let pixels: *mut __m256i = pixels.as_mut_ptr().cast();
        // SAFETY: these are 32 bytes.
        unsafe {
            if inside != !0 {
                value = _mm256_blendv_epi8(_mm256_loadu_si256(pixels), value, spread(inside));
            }
            _mm256_storeu_si256(pixels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::line_mask::WIDTH;
    use super::*;

    /// What a pixel shows, from the chip's rules of who covers whom.
    fn naive(layers: &[LineMask; LAYERS], pixel: u32, colors: &Colors, priority: Priority) -> u8 {
        let is = |layer: usize| layers[layer][pixel as usize / 64] >> (pixel % 64) & 1 == 1;
        let players = [is(PLAYER_0) || is(MISSILE_0), is(PLAYER_1) || is(MISSILE_1)];
        let half = usize::from(pixel >= WIDTH / 2);
        let in_playfield = is(PLAYFIELD) || is(BALL);
        let mut order = [
            (players[0], colors.player[0]),
            (players[1], colors.player[1]),
            (in_playfield, colors.playfield),
        ];
        match priority {
            Priority::Players => {}
            Priority::Score => {
                order[half].0 |= is(PLAYFIELD);
                order[2].0 = is(BALL);
            }
            Priority::Playfield => order.rotate_right(1),
        }
        let shown = order.iter().find(|(shows, _)| *shows);
        shown.map_or(colors.background, |(_, color)| *color)
    }

    /// The collisions of some objects in some pixels.
    fn naive_collisions(layers: &[LineMask; LAYERS], objects: u8, pixels: std::ops::Range<u32>) -> Latches {
        let mut latches = Latches::default();
        for (one, other) in (0..LAYERS).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let pair = 1 << one | 1 << other;
            let is = |layer: usize, pixel: u32| layers[layer][pixel as usize / 64] >> (pixel % 64) & 1 == 1;
            let mut pixels = pixels.clone();
            if objects & pair == pair && pixels.any(|pixel| is(one, pixel) && is(other, pixel)) {
                latches.add(Latches::among(pair));
            }
        }
        latches
    }

    proptest! {
        #[test]
        fn collisions_are_of_those_who_share_a_pixel_whatever_was_asked_before(
            questions in prop::collection::vec((0..LAYERS, [0..WIDTH, 1..40], any::<u8>(), 0..WIDTH, 1..=WIDTH), 1..20),
        ) {
            let mut line = Line::default();
            for (layer, [begin, length], objects, from, span) in questions {
                if begin % 2 == 0 {
                    let end = (begin + length).min(WIDTH);
                    line.set(layer, std::array::from_fn(|word| edges(word, begin, end)));
                }
                let to = (from + span).min(WIDTH);
                let expected = naive_collisions(&line.layers, objects, from..to);
                prop_assert_eq!(line.collisions(Latches::among(objects), from, to), expected);
            }
        }

        #[test]
        fn each_pixel_has_the_colour_of_who_covers_the_others(
            layers: [LineMask; LAYERS], thin: [LineMask; LAYERS], from in 0..WIDTH, length in 1..=WIDTH, all: [u8; 5],
            priority in prop_oneof![Just(Priority::Players), Just(Priority::Score), Just(Priority::Playfield)],
        ) {
            let to = (from + length).min(WIDTH);
            let [one, two, playfield, background, before] = all;
            let colors = Colors { player: [one, two], playfield, background };
            let mut line = Line::default();
            for (layer, (mask, thin)) in layers.iter().zip(thin).enumerate() {
                line.set(layer, std::array::from_fn(|word| mask[word] & thin[word] & edges(word, 0, WIDTH)));
            }
            let expected: Vec<u8> = (0..WIDTH)
                .map(|pixel| match pixel {
                    pixel if (from..to).contains(&pixel) => naive(&line.layers, pixel, &colors, priority),
                    _ => before,
                })
                .collect();
            let mut row = [before; WIDTH as usize];
            line.draw(&mut row, from, to, &colors, priority);
            prop_assert_eq!(&row[..], &expected[..]);

            row.fill(before);
            let span = std::array::from_fn(|word| edges(word, from, to));
            blend(&mut row, &paint(&line.layers, priority), &span, &colors);
            prop_assert_eq!(&row[..], &expected[..], "eight at a time");
        }
    }
}
