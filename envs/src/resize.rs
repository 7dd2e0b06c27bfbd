//! Area resizing, bit-identical to OpenCV's `INTER_AREA` for bytes.
//!
//! Each pixel of the result is the mean of the rectangle that it covers in the source; pixels on the rectangle's
//! edges count with the share that lies inside. OpenCV sums 32-bit floats, first along the row and then over the
//! rows. The order of these additions determines how the last bit is rounded, so it is the same here. (If both sizes
//! shrink by integer factors, OpenCV takes shortcuts that round some means half-way between two values differently.
//! These are not reproduced.)

/// The weights of one pixel of the result along a line of the source: `len` neighbours, starting at `first`.
#[derive(Clone, Copy, Debug)]
struct Taps {
    first: usize,
    weights: [f32; Taps::MAX],
    len: usize,
}

impl Taps {
    /// Enough for scales up to 3.
    const MAX: usize = 5;
}

/// A resizer for fixed sizes, with precomputed tables.
///
/// ```
/// use coinop_envs::AreaResizer;
///
/// let mut small = [0; 2];
/// AreaResizer::new((2, 4), (1, 2)).resize(&[10, 20, 0, 0, 30, 40, 0, 4], &mut small);
/// assert_eq!(small, [25, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct AreaResizer {
    from: (usize, usize),
    to: (usize, usize),
    columns: Vec<Taps>,
    rows: Vec<Taps>,
    /// A shrunk line of the source, and the sum of such lines.
    line: Vec<f32>,
    sum: Vec<f32>,
}

impl AreaResizer {
    /// Creates a resizer for heights and widths `from` and `to`.
    ///
    /// # Panics
    ///
    /// If a dimension does not shrink, or shrinks by more than a factor of three.
    #[must_use]
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self {
            from,
            to,
            columns: taps(from.1, to.1),
            rows: taps(from.0, to.0),
            line: vec![0.0; to.1],
            sum: vec![0.0; to.1],
        }
    }

    /// Writes the shrunk image.
    ///
    /// # Panics
    ///
    /// If a slice has the wrong length.
    pub fn resize(&mut self, from: &[u8], to: &mut [u8]) {
        assert_eq!(
            from.len(),
            self.from.0 * self.from.1,
            "bytes of a picture of {:?}",
            self.from
        );
        assert_eq!(to.len(), self.to.0 * self.to.1, "bytes of a picture of {:?}", self.to);
        let width = self.from.1;
        // The line of the source that `self.line` was made of. Neighbouring rows of the result share one, and many lines of a game
        // are like the one above.
        let mut shrunk: Option<&[u8]> = None;
        for (taps, out) in self.rows.iter().zip(to.chunks_exact_mut(self.to.1)) {
            self.sum.fill(0.0);
            for (y, weight) in (taps.first..).zip(&taps.weights[..taps.len]) {
                let line = &from[y * width..(y + 1) * width];
                if shrunk != Some(line) {
                    shrink_line(&self.columns, line, &mut self.line);
                    shrunk = Some(line);
                }
                for (sum, value) in self.sum.iter_mut().zip(&self.line) {
                    *sum += weight * value;
                }
            }
            for (out, sum) in out.iter_mut().zip(&self.sum) {
                *out = round(*sum);
            }
        }
    }
}

/// Rounds a value from 0 to 255 to the nearest integer, ties to even. Without recent CPU instructions,
/// `round_ties_even` is a function call per pixel. Adding a constant makes the float so large that it has no
/// fractional bits, so the addition rounds, and the lowest bits are the result.
fn round(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

fn shrink_line(columns: &[Taps], source: &[u8], line: &mut [f32]) {
    for (out, taps) in line.iter_mut().zip(columns) {
        // Three taps, as most have, without a loop of unknown length; the third weight may be 0, which adds nothing.
        *out = match source.get(taps.first..taps.first + 3) {
            Some(&[a, b, c]) if taps.len <= 3 => {
                f32::from(a) * taps.weights[0] + f32::from(b) * taps.weights[1] + f32::from(c) * taps.weights[2]
            }
            _ => {
                let pixels = &source[taps.first..taps.first + taps.len];
                pixels
                    .iter()
                    .zip(&taps.weights)
                    .fold(0.0, |sum, (pixel, weight)| sum + f32::from(*pixel) * weight)
            }
        };
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    assert!(
        to <= from && from <= 3 * to,
        "a line of {from} pixels cannot be shrunk to {to}"
    );
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let (start, end) = (i as f64 * scale, (i + 1) as f64 * scale);
            let cell = scale.min(from as f64 - start);
            // Whole pixels from `first_whole` up to `end_whole`; shares below a thousandth of a pixel do not count.
            let end_whole = (end.floor() as usize).min(from - 1);
            let first_whole = (start.ceil() as usize).min(end_whole);
            let mut taps = Taps {
                first: first_whole,
                weights: [0.0; Taps::MAX],
                len: 0,
            };
            let mut add = |share: f64| {
                taps.weights[taps.len] = (share / cell) as f32;
                taps.len += 1;
            };
            let before = first_whole as f64 - start;
            if before > 1e-3 {
                add(before);
            }
            (first_whole..end_whole).for_each(|_| add(1.0));
            let after = end - end_whole as f64;
            if after > 1e-3 {
                add(after.min(1.0).min(cell));
            }
            if before > 1e-3 {
                taps.first -= 1;
            }
            taps
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_picture_of_one_shade_keeps_it() {
        let mut out = [0; 84 * 84];
        AreaResizer::new((210, 160), (84, 84)).resize(&[77; 210 * 160], &mut out);
        assert_eq!(out, [77; 84 * 84]);
    }

    #[test]
    fn halves_go_to_the_even_neighbour_and_all_else_to_the_nearest() {
        for quarter in 0..=4 * 255_u16 {
            let value = f32::from(quarter) / 4.0;
            assert_eq!(f32::from(round(value)), value.round_ties_even(), "{value}");
            let below = value.next_down().max(0.0);
            assert_eq!(f32::from(round(below)), below.round_ties_even(), "{below}");
        }
    }

    #[test]
    fn a_pixel_is_the_mean_of_what_it_covers() {
        // 5 to 2: weights 2/5, 2/5, 1/5 and 1/5, 2/5, 2/5.
        let mut out = [0; 2];
        AreaResizer::new((1, 5), (1, 2)).resize(&[10, 20, 30, 40, 100], &mut out);
        assert_eq!(out, [18, 62]);
    }

    proptest! {
        #[test]
        fn it_is_the_exact_mean_up_to_rounding(
            (height, width, to_height, to_width) in (1usize..30, 1usize..30).prop_flat_map(|(h, w)| (Just(h), Just(w), h.div_ceil(3)..=h, w.div_ceil(3)..=w)),
            seed: u64,
        ) {
            let picture: Vec<u8> = (0..height * width).map(|i| crate::rng::derive_seed(seed, "pixel", i as u64) as u8).collect();
            let mut out = vec![0; to_height * to_width];
            AreaResizer::new((height, width), (to_height, to_width)).resize(&picture, &mut out);
            // Repeat every pixel so often that both grids fit, and take means of whole blocks.
            for y in 0..to_height {
                for x in 0..to_width {
                    let mut sum = 0u64;
                    for v in 0..height {
                        for u in 0..width {
                            sum += u64::from(picture[(y * height + v) / to_height * width + (x * width + u) / to_width]);
                        }
                    }
                    let exact = sum as f64 / (height * width) as f64;
                    prop_assert!((f64::from(out[y * to_width + x]) - exact).abs() < 0.51, "{} instead of {exact}", out[y * to_width + x]);
                }
            }
        }
    }
}
