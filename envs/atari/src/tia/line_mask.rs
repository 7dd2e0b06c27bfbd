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

/// Adds a pattern to a line with its lowest bit at pixel `x`. What goes over the right edge comes in on the left: the chip
/// counts positions modulo 160.
#[inline]
pub(super) fn place(line: &mut LineMask, pattern: u32, x: u32) {
    debug_assert!(x < WIDTH, "pixel {x} of a line of {WIDTH}");
    let (word, shift) = ((x / 64) as usize, x % 64);
    let pattern = u128::from(pattern) << shift;
    let (low, high) = (pattern as u64, (pattern >> 64) as u64);
    match word {
        0 => {
            line[0] |= low;
            line[1] |= high;
        }
        1 => {
            line[1] |= low;
            line[2] |= high;
        }
        _ => {
            // A pattern of 32 bits that starts at or before bit 31 stays within the word.
            line[2] |= low & 0xFFFF_FFFF;
            line[0] |= low >> 32;
        }
    }
}

/// The bits of a word that lie in the pixels `from..to` of the line.
#[inline]
pub(super) fn edges(word: usize, from: u32, to: u32) -> u64 {
    let first = word as u32 * 64;
    let from = from.saturating_sub(first);
    let to = (to - first).min(64);
    (!0u64 << from) & (!0u64 >> (64 - to))
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
        fn a_pattern_lies_where_it_was_placed_modulo_the_width(pattern: u32, x in 0..WIDTH) {
            let mut line = [0; WORDS];
            place(&mut line, pattern, x);
            let mut expected: Vec<u32> = (0..32).filter(|bit| pattern >> bit & 1 == 1).map(|bit| (x + bit) % WIDTH).collect();
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
