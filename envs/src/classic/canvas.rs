//! Drawing tasks for human eyes.

use tiny_skia::{Color, FillRule, LineCap, Paint, PathBuilder, Pixmap, Stroke, Transform};

use crate::{Frame, Viewer};

/// Width and height of the pictures.
const SIZE: (u32, u32) = (300, 200);

/// A white picture of 300x200 pixels to draw on, in coordinates of one's own with `y` upwards.
///
/// ```
/// use coinop_envs::classic::Canvas;
///
/// let mut canvas = Canvas::new();
/// // Two metres to either side of the origin, which is in the middle.
/// canvas.look_at((0.0, 0.0), 4.0);
/// canvas.line((-1.0, 0.0), (1.0, 0.0), 0.1, [0, 0, 0]);
/// canvas.disc((0.0, 0.5), 0.25, [202, 152, 101]);
/// assert_eq!(canvas.pixel(150, 100), [0, 0, 0]);
/// assert_eq!(canvas.pixel(150, 62), [202, 152, 101]);
/// assert_eq!(canvas.pixel(0, 0), [255, 255, 255]);
/// ```
#[derive(Clone, Debug)]
pub struct Canvas {
    pixels: Pixmap,
    to_pixels: Transform,
    rgb: Vec<u8>,
}

impl Default for Canvas {
    fn default() -> Self {
        Self::new()
    }
}

impl Canvas {
    /// A white canvas, whose pixels are its coordinates until [`look_at`](Self::look_at).
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        let Some(mut pixels) = Pixmap::new(SIZE.0, SIZE.1) else {
            unreachable!("its size is not 0");
        };
        pixels.fill(Color::WHITE);
        Self {
            pixels,
            to_pixels: Transform::identity(),
            rgb: Vec::new(),
        }
    }

    /// Puts `center` in the middle of the picture, and as much around it that the picture is `width` wide.
    pub fn look_at(&mut self, center: (f64, f64), width: f64) {
        let scale = f64::from(SIZE.0) / width;
        let (left, top) = (
            f64::from(SIZE.0) / 2.0 - scale * center.0,
            f64::from(SIZE.1) / 2.0 + scale * center.1,
        );
        self.to_pixels = Transform::from_row(scale as f32, 0.0, 0.0, -scale as f32, left as f32, top as f32);
    }

    /// Draws a line with round ends.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: [u8; 3]) {
        self.curve([from, to], width, color);
    }

    /// Draws lines from point to point, with round ends.
    pub fn curve(&mut self, points: impl IntoIterator<Item = (f64, f64)>, width: f64, color: [u8; 3]) {
        let mut path = PathBuilder::new();
        for (i, (x, y)) in points.into_iter().enumerate() {
            match i {
                0 => path.move_to(x as f32, y as f32),
                _ => path.line_to(x as f32, y as f32),
            }
        }
        let stroke = Stroke {
            width: width as f32,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        // There is no path of less than two points.
        if let Some(path) = path.finish() {
            self.pixels
                .stroke_path(&path, &paint(color), &stroke, self.to_pixels, None);
        }
    }

    /// Fills a polygon.
    pub fn polygon(&mut self, corners: &[(f64, f64)], color: [u8; 3]) {
        let mut path = PathBuilder::new();
        for (i, (x, y)) in corners.iter().enumerate() {
            match i {
                0 => path.move_to(*x as f32, *y as f32),
                _ => path.line_to(*x as f32, *y as f32),
            }
        }
        path.close();
        self.fill(path, color);
    }

    /// Fills a disc.
    pub fn disc(&mut self, center: (f64, f64), radius: f64, color: [u8; 3]) {
        let mut path = PathBuilder::new();
        path.push_circle(center.0 as f32, center.1 as f32, radius as f32);
        self.fill(path, color);
    }

    fn fill(&mut self, path: PathBuilder, color: [u8; 3]) {
        if let Some(path) = path.finish() {
            self.pixels
                .fill_path(&path, &paint(color), FillRule::Winding, self.to_pixels, None);
        }
    }

    /// The colour of a pixel; `y` is that of the picture, downwards.
    ///
    /// # Panics
    ///
    /// If it is outside.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let Some(color) = self.pixels.pixel(x, y) else {
            panic!("there is no pixel at {x}, {y}");
        };
        [color.red(), color.green(), color.blue()]
    }

    pub(super) fn clear(&mut self) {
        self.pixels.fill(Color::WHITE);
    }

    pub(super) fn show(&mut self, viewer: &Viewer) {
        self.rgb.clear();
        let pixels = self.pixels.pixels().iter();
        self.rgb
            .extend(pixels.flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]));
        viewer.show(Frame {
            width: SIZE.0 as usize,
            height: SIZE.1 as usize,
            pixel_aspect: 1,
            rgb: &self.rgb,
        });
    }
}

fn paint([red, green, blue]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}
