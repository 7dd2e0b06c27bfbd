//! A set of the 160 pixels of a line, and placing patterns of objects in it.
//!
//! ```text
//! word      0                      1                      2
//! pixel     0 .................63  64 ...............127  128 ......159  (32 bits unused, always clear)
//! bit       0 .................63  0 .................63  0 .........31
//! ```

/// Pixels of a line.
pub(super) const WIDTH: u32 = 160;
/// Words of a line.
pub(super) const WORDS: usize = 3;

/// Pixels 0 to 159 of a line, the leftmost in the lowest bit of the first word.
pub(super) type LineMask = [u64; WORDS];

/// A line with a pattern whose lowest bit is at pixel `x`. The pattern wraps around at the right edge: the chip counts
/// positions modulo 160. The pattern is at most 96 bits long.
#[inline]
pub(super) fn place(pattern: u128, x: u32) -> LineMask {
    let x = if x < WIDTH { x } else { x - WIDTH };
    debug_assert!(x < WIDTH && pattern >> 96 == 0, "{pattern:#x} at pixel {x}");
    let shift = x % 64;
    let low = pattern << shift;
    let [first, second] = [low as u64, (low >> 64) as u64];
    let third = (pattern >> 64 << shift >> 64) as u64;
    match x / 64 {
        0 => [first, second, third],
        1 => [second >> 32 | third << 32, first, second & 0xFFFF_FFFF],
        _ => [
            first >> 32 | second << 32,
            second >> 32 | third << 32,
            first & 0xFFFF_FFFF,
        ],
    }
}

/// The bits of a word that lie in the pixels `from..to` of the line.
#[inline]
pub(super) fn edges(word: usize, from: u32, to: u32) -> u64 {
    let first = word as u32 * 64;
    let below = |pixel: u32| match pixel.saturating_sub(first) {
        inside @ 0..64 => (1 << inside) - 1,
        _ => !0u64,
    };
    below(to) & !below(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pixels(line: &LineMask) -> Vec<u32> {
        (0..192)
            .filter(|x| line[*x as usize / 64] >> (x % 64) & 1 == 1)
            .collect()
    }

    proptest! {
        #[test]
        fn a_pattern_lies_where_it_was_placed_modulo_the_width(pattern in 0..1_u128 << 96, x in 0..2 * WIDTH) {
            let line = place(pattern, x);
            let mut expected: Vec<u32> = (0..96).filter(|bit| pattern >> bit & 1 == 1).map(|bit| (x + bit) % WIDTH).collect();
            expected.sort_unstable();
            prop_assert_eq!(pixels(&line), expected);
        }

        #[test]
        fn edges_cut_a_span_out_of_each_word(from in 0..WIDTH, length in 1..=WIDTH) {
            let to = (from + length).min(WIDTH);
            let mut line = [0; WORDS];
            let words = from as usize / 64..=(to as usize - 1) / 64;
            line[words.clone()].iter_mut().zip(words).for_each(|(line, word)| *line = edges(word, from, to));
            prop_assert_eq!(pixels(&line), (from..to).collect::<Vec<_>>());
        }
    }
}
