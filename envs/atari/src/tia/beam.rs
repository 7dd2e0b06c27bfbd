//! The beam: draws what has passed since the last drawing, with the registers as they still are.
//!
//! ```text
//! colour clock of a line   0 ............ 67 | 68 ................................. 227
//!                          blank             | pixels 0 to 159
//! ```
//!
//! Times are colour clocks since the start of the frame's first line. The registers are only ever changed by writes, so nothing
//! needs drawing until one changes: then [`Tia::catch_up`] draws up to the moment of the change.

use super::Tia;
use super::draw::{BALL, MISSILE_0, MISSILE_1, PLAYER_0, PLAYER_1, PLAYFIELD, draw_word};
use super::line_mask::WIDTH;
use super::motion::{BLANK, LINE, moved};
use super::objects::Shape;

/// Where the beam is in its frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beam {
    /// The next clock to draw.
    pub(super) at: i32,
    /// The first clock of the line that is being drawn.
    pub(super) line_start: i32,
    /// The clock up to which the program has seen or changed anything.
    pub(super) due: i32,
}

impl Tia {
    /// Draws up to (not including) the clock `to`, within the visible lines.
    #[inline]
    pub(super) fn catch_up(&mut self, to: i32) {
        let to = to.min(self.last_clock());
        while self.beam.at < to {
            let line_start = self.beam.line_start;
            let line_end = line_start + LINE;
            let from = self.beam.at;
            self.beam.at = to.min(line_end);
            if self.beam.at - line_start > BLANK {
                let first = (from - line_start - BLANK).max(0);
                self.draw(
                    (line_start / LINE) as u32,
                    first as u32,
                    (self.beam.at - line_start - BLANK) as u32,
                );
            }
            // Not at the end of a line but when the beam goes beyond it: a write in between still belongs to the line before.
            if to > line_end {
                self.beam.line_start = line_end;
                self.end_line();
            }
        }
    }

    /// The first clock below the visible lines.
    fn last_clock(&self) -> i32 {
        (self.display.y_start + self.display.height) as i32 * LINE
    }

    /// Draws the pixels `from..to` of a line and latches their collisions.
    fn draw(&mut self, line: u32, from: u32, to: u32) {
        if from >= to {
            return;
        }
        let start = ((line - self.display.y_start) * WIDTH) as usize;
        let row = &mut self.screens[self.current][start..start + WIDTH as usize];
        let Ok(row) = <&mut [u8; WIDTH as usize]>::try_from(row) else {
            return;
        };
        if self.blank {
            row[from as usize..to as usize].fill(0);
        } else {
            if self.dirty != 0 {
                self.objects.refresh(self.dirty, &mut self.line);
                self.dirty = 0;
            }
            for (word, edges, layers) in self.line.span(from, to) {
                self.collisions.latch(&layers);
                draw_word(row, word, edges, &layers, &self.colors, self.priority);
            }
        }
        if self.hmove_blank && from < 8 {
            row[from as usize..8].fill(0);
            self.hmove_blank = to < 8;
        }
    }

    /// What happens between two visible lines.
    fn end_line(&mut self) {
        let reflected = self.control & 1 != 0;
        if self.objects.playfield.reflected != reflected {
            self.objects.playfield.reflected = reflected;
            self.dirty |= 1 << PLAYFIELD;
        }
        for (player, layer) in self.objects.players.iter_mut().zip([PLAYER_0, PLAYER_1]) {
            if player.first_copy_hidden {
                player.first_copy_hidden = false;
                self.dirty |= 1 << layer;
            }
        }
        if self.star_field.is_some() {
            self.step_star_field();
        }
    }

    /// Missile 0 never gets the signal that ends its motion: it wanders from line to line, and looks different in each of four.
    fn step_star_field(&mut self) {
        let Some(step) = self.star_field.as_mut() else { return };
        *step = (*step + 1) % 4;
        let missile = &mut self.objects.missiles[0];
        missile.x = moved(missile.x, [-18, -33, 0, -17][usize::from(*step)]);
        missile.shape = match *step {
            1 => Shape::Stretched,
            2 => Shape::Hidden,
            _ => Shape::Normal,
        };
        self.dirty |= 1 << MISSILE_0;
    }
}

/// Everything that a line can show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Objects {
    pub(super) players: [super::objects::Player; 2],
    pub(super) missiles: [super::objects::Missile; 2],
    pub(super) ball: super::objects::Ball,
    pub(super) playfield: super::objects::Playfield,
}

impl Objects {
    /// Recomputes the layers whose bit is set in `dirty`.
    fn refresh(&self, dirty: u8, line: &mut super::draw::Line) {
        let is_dirty = |layer: usize| dirty >> layer & 1 != 0;
        for (player, layer) in self.players.iter().zip([PLAYER_0, PLAYER_1]) {
            if is_dirty(layer) {
                line.set(layer, player.mask());
            }
        }
        for (missile, layer) in self.missiles.iter().zip([MISSILE_0, MISSILE_1]) {
            if is_dirty(layer) {
                line.set(layer, missile.mask());
            }
        }
        if is_dirty(BALL) {
            line.set(BALL, self.ball.mask());
        }
        if is_dirty(PLAYFIELD) {
            line.set(PLAYFIELD, self.playfield.mask());
        }
    }
}
