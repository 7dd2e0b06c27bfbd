//! The screen: rectangles in a few colours.

/// Width in pixels.
pub const WIDTH: usize = 160;
/// Height in lines.
pub const HEIGHT: usize = 210;

/// A colour of the palette.
///
/// ```
/// use coinop_envs::arcade::Color;
///
/// // The rows of a wall, from top to bottom.
/// let rows = [Color::Red, Color::Orange, Color::Yellow, Color::Green];
/// # let _ = rows;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Color {
    #[default]
    Black,
    White,
    Gray,
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
}

/// The RGB values of the palette.
const RGB: [[u8; 3]; 8] = [
    [0, 0, 0],
    [236, 236, 236],
    [142, 142, 142],
    [200, 72, 72],
    [198, 108, 58],
    [162, 162, 42],
    [72, 160, 72],
    [66, 72, 200],
];

/// The luma of the palette, by the weights of ITU-R BT.601.
const GRAY: [u8; 8] = {
    let mut gray = [0; 8];
    let mut i = 0;
    while i < 8 {
        let [r, g, b] = RGB[i];
        gray[i] = ((299 * r as u32 + 587 * g as u32 + 114 * b as u32 + 500) / 1000) as u8;
        i += 1;
    }
    gray
};

/// A screen to draw on.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Palette indices, line by line.
    pixels: Vec<u8>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            pixels: vec![0; WIDTH * HEIGHT],
        }
    }

    pub(super) fn clear(&mut self) {
        self.pixels.fill(0);
    }

    /// Fills the rectangle with the upper left corner `x`, `y`, clipped to the screen.
    pub fn fill(&mut self, x: i32, y: i32, width: i32, height: i32, color: Color) {
        let clip = |from: i32, len: i32, most: usize| {
            let most = most as i32;
            (
                from.clamp(0, most) as usize,
                from.saturating_add(len).clamp(0, most) as usize,
            )
        };
        let (left, right) = clip(x, width, WIDTH);
        let (top, bottom) = clip(y, height, HEIGHT);
        for line in self.pixels.chunks_exact_mut(WIDTH).take(bottom).skip(top) {
            if left < right {
                line[left..right].fill(color as u8);
            }
        }
    }

    /// Draws the remaining lives in the upper left corner.
    pub fn lives(&mut self, lives: u32) {
        for life in 0..lives.min(10) as i32 {
            self.fill(4 + 6 * life, 4, 4, 6, Color::White);
        }
    }

    pub(super) fn gray(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.pixels.len(), "bytes of a gray picture");
        for (out, &pixel) in out.iter_mut().zip(&self.pixels) {
            *out = GRAY[usize::from(pixel & 7)];
        }
    }

    pub(super) fn rgb(&self, out: &mut [u8]) {
        assert_eq!(out.len(), 3 * self.pixels.len(), "bytes of a coloured picture");
        for (out, &pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(&self.pixels) {
            *out = RGB[usize::from(pixel & 7)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_is_cut_at_the_edges_of_the_screen() {
        let mut screen = Screen::new();
        screen.fill(-3, -2, 5, 4, Color::White);
        screen.fill(158, 208, 100, 100, Color::Red);
        screen.fill(-50, 50, 20, 20, Color::Blue);
        screen.fill(i32::MAX, i32::MAX, i32::MAX, i32::MAX, Color::Blue);
        let lit = |color: Color| screen.pixels.iter().filter(|pixel| **pixel == color as u8).count();
        assert_eq!([Color::White, Color::Red, Color::Blue].map(lit), [4, 4, 0]);
        let mut gray = vec![9; WIDTH * HEIGHT];
        screen.gray(&mut gray);
        // (299 * 200 + 587 * 72 + 114 * 72 + 500) / 1000
        assert_eq!((gray[0], gray[2], gray[WIDTH * HEIGHT - 1]), (236, 0, 110));
        let mut rgb = vec![9; 3 * WIDTH * HEIGHT];
        screen.rgb(&mut rgb);
        assert_eq!(rgb[3 * (WIDTH * HEIGHT - 1)..], [200, 72, 72]);
    }
}
