//! Pictures of an environment, with a line of text below them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use coinop_envs::{Frame, Viewer};
use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Baseline, Text};

/// The height of the line of text, and the space before it.
const LINE: usize = 14;
const MARGIN: i32 = 4;
const BACKGROUND: [u8; 3] = [24, 24, 24];

/// A picture in colour.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// How wide a pixel is shown for each unit of its height.
    pub(crate) pixel_aspect: usize,
    pub(crate) rgb: Vec<u8>,
}

impl From<Frame<'_>> for Picture {
    fn from(frame: Frame<'_>) -> Self {
        Self {
            width: frame.width,
            height: frame.height,
            pixel_aspect: frame.pixel_aspect,
            rgb: frame.rgb.to_vec(),
        }
    }
}

impl Picture {
    /// Takes the brighter of both at every pixel, so that what the Atari draws in every other frame does not vanish.
    pub(crate) fn brighten(&mut self, other: &Picture) {
        for (pixel, other) in self.rgb.iter_mut().zip(&other.rgb) {
            *pixel = (*pixel).max(*other);
        }
    }

    /// The picture with square pixels, `scale` times as large, above a line of text.
    pub(crate) fn captioned(&self, text: &str, scale: usize) -> Picture {
        let wide = self.pixel_aspect * scale;
        let (width, height) = (self.width * wide, self.height * scale + LINE * scale);
        let mut rgb = Vec::with_capacity(3 * width * height);
        for line in self.rgb.chunks_exact(3 * self.width) {
            let begin = rgb.len();
            for pixel in line.as_chunks::<3>().0 {
                for _ in 0..wide {
                    rgb.extend_from_slice(pixel);
                }
            }
            for _ in 1..scale {
                rgb.extend_from_within(begin..begin + 3 * width);
            }
        }
        for _ in 0..LINE * scale * width {
            rgb.extend_from_slice(&BACKGROUND);
        }
        let mut picture = Picture {
            width,
            height,
            pixel_aspect: 1,
            rgb,
        };
        let style = MonoTextStyle::new(&FONT_6X10, Rgb888::WHITE);
        let at = Point::new(MARGIN, (self.height + 2) as i32);
        let Ok(_) = Text::with_baseline(text, at, style, Baseline::Top).draw(&mut Scaled {
            picture: &mut picture,
            scale,
        });
        picture
    }
}

/// A picture whose pixels are squares of `scale` by `scale`.
struct Scaled<'a> {
    picture: &'a mut Picture,
    scale: usize,
}

impl OriginDimensions for Scaled<'_> {
    fn size(&self) -> Size {
        let of = |length: usize| (length / self.scale) as u32;
        Size::new(of(self.picture.width), of(self.picture.height))
    }
}

impl DrawTarget for Scaled<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let (size, scale, width) = (self.size(), self.scale, self.picture.width);
        for Pixel(at, color) in pixels {
            if !((0..size.width as i32).contains(&at.x) && (0..size.height as i32).contains(&at.y)) {
                continue;
            }
            let (x, y) = (at.x as usize * scale, at.y as usize * scale);
            for line in self.picture.rgb.chunks_exact_mut(3 * width).skip(y).take(scale) {
                for pixel in &mut line.as_chunks_mut::<3>().0[x..x + scale] {
                    *pixel = [color.r(), color.g(), color.b()];
                }
            }
        }
        Ok(())
    }
}

/// Collects the frames of an environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Film(Arc<Mutex<Vec<Picture>>>);

impl Film {
    pub(crate) fn viewer(&self) -> Viewer {
        let film = Arc::clone(&self.0);
        Viewer::new(move |frame| film.lock().unwrap_or_else(PoisonError::into_inner).push(frame.into()))
    }

    /// The frames since the last call.
    pub(crate) fn take(&self) -> Vec<Picture> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_by_one() -> Picture {
        Picture {
            width: 2,
            height: 1,
            pixel_aspect: 2,
            rgb: vec![1, 2, 3, 40, 50, 60],
        }
    }

    #[test]
    fn pixels_become_squares_above_the_text() {
        let picture = two_by_one().captioned("", 2);
        assert_eq!((picture.width, picture.height, picture.pixel_aspect), (8, 30, 1));
        let line = [[1, 2, 3].repeat(4), [40, 50, 60].repeat(4)].concat();
        assert_eq!(picture.rgb[..24], line);
        assert_eq!(picture.rgb[24..48], line);
        assert_eq!(picture.rgb[48..], BACKGROUND.repeat(28 * 8));
    }

    #[test]
    fn letters_are_drawn_as_large_as_the_picture() {
        let white = |scale: usize| {
            let mut wide = two_by_one();
            (wide.width, wide.rgb) = (40, vec![0; 120]);
            let picture = wide.captioned("x", scale);
            picture
                .rgb
                .as_chunks::<3>()
                .0
                .iter()
                .filter(|pixel| **pixel == [255; 3])
                .count()
        };
        assert!(white(1) > 5);
        assert_eq!(white(3), 9 * white(1));
    }

    #[test]
    fn what_flickers_stays() {
        let mut picture = two_by_one();
        let other = Picture {
            rgb: vec![9, 0, 9, 0, 99, 0],
            ..two_by_one()
        };
        picture.brighten(&other);
        assert_eq!(picture.rgb, [9, 2, 9, 40, 99, 60]);
    }
}
