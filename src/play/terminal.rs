//! Pictures on a terminal: two pixels to a character, by the half block.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{
    Event, KeyEvent, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags, poll, read,
};
use ratatui::crossterm::{execute, terminal};
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::widgets::Widget;

use super::picture::Picture;

/// The colours of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colors {
    /// 256 of them.
    Palette,
    /// All.
    True,
}

impl Colors {
    /// What the terminal says of itself.
    pub(crate) fn of_terminal() -> Self {
        let says = |name: &str, words: &[&str]| {
            let value = std::env::var(name).unwrap_or_default().to_lowercase();
            words.iter().any(|word| value.contains(word))
        };
        let all = says("COLORTERM", &["truecolor", "24bit"]) || says("TERM", &["direct", "kitty", "ghostty"]);
        if all { Self::True } else { Self::Palette }
    }

    fn color(self, [r, g, b]: [u8; 3]) -> Color {
        match self {
            Self::True => Color::Rgb(r, g, b),
            Self::Palette => Color::Indexed(nearest([r, g, b])),
        }
    }
}

/// The nearest of xterm's 256 colours: a cube of 6 x 6 x 6 from 16 on, and 24 shades of gray from 232 on.
fn nearest(color: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other: [u8; 3]| -> u32 {
        color
            .iter()
            .zip(other)
            .map(|(a, b)| u32::from(a.abs_diff(b)).pow(2))
            .sum()
    };
    let level = |value: u8| (0..6usize).min_by_key(|i| LEVELS[*i].abs_diff(value)).unwrap_or(0);
    let [r, g, b] = color.map(level);
    let cube = [LEVELS[r], LEVELS[g], LEVELS[b]];
    let mean = color.iter().map(|value| u32::from(*value)).sum::<u32>() / 3;
    let shade = (mean.saturating_sub(3) / 10).min(23) as u8;
    if distance([8 + 10 * shade; 3]) < distance(cube) {
        232 + shade
    } else {
        (16 + 36 * r + 6 * g + b) as u8
    }
}

/// A picture as a widget, as large as fits.
pub(crate) struct Screen<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) colors: Colors,
}

impl Widget for Screen<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let picture = self.picture;
        let (wide, high) = ((picture.width * picture.pixel_aspect) as f64, picture.height as f64);
        let scale = (f64::from(area.width) / wide).min(f64::from(area.height) * 2.0 / high);
        let columns = ((wide * scale) as u16).min(area.width);
        let rows = ((high * scale / 2.0) as u16).min(area.height);
        if columns == 0 || rows == 0 {
            return;
        }
        let left = area.x + (area.width - columns) / 2;
        let at = |column: u16, line: u16| {
            let color = mean(picture, (column, columns), (line, 2 * rows));
            self.colors.color(color)
        };
        for row in 0..rows {
            for column in 0..columns {
                if let Some(cell) = buffer.cell_mut((left + column, area.y + row)) {
                    cell.set_symbol("▀")
                        .set_fg(at(column, 2 * row))
                        .set_bg(at(column, 2 * row + 1));
                }
            }
        }
    }
}

/// The mean colour of one of `columns` by `lines` parts of a picture.
fn mean(picture: &Picture, (column, columns): (u16, u16), (line, lines): (u16, u16)) -> [u8; 3] {
    let range = |i: u16, of: u16, length: usize| {
        let (i, of) = (usize::from(i), usize::from(of));
        let from = i * length / of;
        from..((i + 1) * length / of).max(from + 1)
    };
    let (mut sums, mut count) = ([0u32; 3], 0);
    for y in range(line, lines, picture.height) {
        for x in range(column, columns, picture.width) {
            let at = 3 * (y * picture.width + x);
            for (sum, value) in sums.iter_mut().zip(&picture.rgb[at..at + 3]) {
                *sum += u32::from(*value);
            }
            count += 1;
        }
    }
    sums.map(|sum| (sum / count) as u8)
}

/// Whether there is a terminal to draw on and to read keys from.
pub(crate) fn is_there() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// A terminal that this program has for itself, until it is dropped.
pub(crate) struct Session {
    pub(crate) terminal: DefaultTerminal,
    /// Whether the terminal also tells when a key is released.
    pub(crate) releases: bool,
}

impl Session {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let terminal = ratatui::try_init().map_err(|error| anyhow!("the terminal cannot be drawn on: {error}"))?;
        let releases = terminal::supports_keyboard_enhancement().unwrap_or(false);
        if releases {
            let flags = KeyboardEnhancementFlags::REPORT_EVENT_TYPES;
            execute!(io::stdout(), PushKeyboardEnhancementFlags(flags))?;
        }
        Ok(Self { terminal, releases })
    }

    /// Passes the keys that are pressed and released until then to `each`, which ends the wait by `false`. Returns whether it
    /// did not.
    pub(crate) fn keys_until(&self, time: Instant, mut each: impl FnMut(KeyEvent) -> bool) -> anyhow::Result<bool> {
        loop {
            let left = time.saturating_duration_since(Instant::now());
            if !poll(left)? {
                return Ok(true);
            }
            if let Event::Key(key) = read()?
                && !each(key)
            {
                return Ok(false);
            }
            if left == Duration::ZERO {
                // What is typed faster than this is drawn must not hold up the drawing.
                return Ok(true);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.releases {
            let _ = execute!(io::stdout(), PopKeyboardEnhancementFlags);
        }
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_colours_are_xterms() {
        // Of the table in ctlseqs: 16 is black, 231 white, 196 red, 244 the gray 128.
        let found = [[0, 0, 0], [255, 255, 255], [250, 5, 5], [128, 128, 128], [92, 186, 92]].map(nearest);
        assert_eq!(found, [16, 231, 196, 244, 71]);
    }

    #[test]
    fn two_lines_are_a_row_of_characters() {
        let picture = Picture {
            width: 2,
            height: 4,
            pixel_aspect: 2,
            rgb: (0..24).collect(),
        };
        let area = Rect::new(0, 0, 10, 2);
        let mut buffer = Buffer::empty(area);
        let colors = Colors::True;
        Screen {
            picture: &picture,
            colors,
        }
        .render(area, &mut buffer);
        // 4 x 4 square pixels: four columns in the middle of ten.
        let cell = |x, y| {
            let cell = buffer.cell((x, y)).unwrap();
            (cell.symbol().to_owned(), cell.fg, cell.bg)
        };
        assert_eq!(cell(2, 0).0, " ");
        assert_eq!(cell(3, 0), ("▀".to_owned(), Color::Rgb(0, 1, 2), Color::Rgb(6, 7, 8)));
        assert_eq!(
            cell(6, 1),
            ("▀".to_owned(), Color::Rgb(15, 16, 17), Color::Rgb(21, 22, 23))
        );
        assert_eq!(cell(7, 1).0, " ");
    }

    #[test]
    fn a_picture_fits_into_any_area() {
        let picture = Picture {
            width: 160,
            height: 210,
            pixel_aspect: 2,
            rgb: vec![7; 3 * 160 * 210],
        };
        for (width, height) in [(0, 0), (1, 1), (3, 50), (200, 1), (80, 24)] {
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            Screen {
                picture: &picture,
                colors: Colors::Palette,
            }
            .render(area, &mut buffer);
        }
    }
}
