//! The beam: draws what has passed since the last drawing, with the registers as they still are.
//!
//! ```text
//! colour clock of a line   0 ............ 67 | 68 ................................. 227
//!                          blank             | pixels 0 to 159
//! ```
//!
//! Times are colour clocks since the start of the frame's first line. The registers are only ever changed by writes, so nothing
//! needs drawing until one changes: then [`Picture::catch_up`] draws up to the moment of the change.

use serde::{Deserialize, Serialize};

use super::collisions::Latches;
use super::draw::{BALL, MISSILE_0, MISSILE_1, PLAYER_0, PLAYER_1, PLAYFIELD};
use super::line_mask::WIDTH;
use super::motion::{BLANK, LINE, moved};
use super::objects::Shape;
use super::picture::Picture;

/// Where the beam is in its frame.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Beam {
    /// The next clock to draw.
    pub(super) at: i32,
    /// The first clock of the line that is being drawn.
    pub(super) line_start: i32,
}

/// A line of the screen.
pub(super) type Row = [u8; WIDTH as usize];

/// What is wanted of the picture.
pub(super) trait Canvas {
    /// Whether collisions are wanted.
    const COLLISIONS: bool;
    /// Whether pixels are.
    const PIXELS: bool;

    /// The pixels of a visible line, counted from the first of them; `None` if they are not wanted.
    fn row(&mut self, line: u32) -> Option<&mut Row>;

    /// A visible line looks like the one before it.
    #[inline(always)]
    fn repeat(&mut self, _line: u32) {}
}

/// Neither pixels nor collisions.
pub(super) struct Registers;

impl Canvas for Registers {
    const COLLISIONS: bool = false;
    const PIXELS: bool = false;

    #[inline(always)]
    fn row(&mut self, _: u32) -> Option<&mut Row> {
        None
    }
}

/// Collisions alone.
pub(super) struct Collisions;

impl Canvas for Collisions {
    const COLLISIONS: bool = true;
    const PIXELS: bool = false;

    #[inline(always)]
    fn row(&mut self, _: u32) -> Option<&mut Row> {
        None
    }
}

/// Pixels and collisions.
pub(super) struct Screen<'a>(pub(super) &'a mut [u8]);

impl Canvas for Screen<'_> {
    const COLLISIONS: bool = true;
    const PIXELS: bool = true;

    #[inline(always)]
    fn row(&mut self, line: u32) -> Option<&mut Row> {
        self.0.as_chunks_mut().0.get_mut(line as usize)
    }

    #[inline(always)]
    fn repeat(&mut self, line: u32) {
        let rows: &mut [Row] = self.0.as_chunks_mut().0;
        if let Some(before) = (line as usize).checked_sub(1)
            && let Some([before, row]) = rows.get_mut(before..before + 2)
        {
            *row = *before;
        }
    }
}

impl Picture {
    /// Draws up to (not including) the clock `to`, within the visible lines.
    #[inline(always)]
    pub(super) fn catch_up<C: Canvas>(&mut self, to: i32, canvas: &mut C) {
        // Left of the first pixel there is nothing to draw, and there most registers are written.
        if to > self.beam.line_start + BLANK {
            if C::PIXELS {
                self.advance(to, canvas);
            } else {
                self.skip(to, canvas);
            }
        }
    }

    /// The same, if it may be that there is nothing to do but to move on.
    #[inline(never)]
    fn skip<C: Canvas>(&mut self, to: i32, canvas: &mut C) {
        let collides = C::COLLISIONS && !self.settled && !self.blank;
        if collides || to > self.beam.line_start + LINE || self.hmove_blank {
            return self.advance(to, canvas);
        }
        self.beam.at = self.beam.at.max(to.min(self.display.last_clock()));
    }

    #[inline(never)]
    fn advance<C: Canvas>(&mut self, to: i32, canvas: &mut C) {
        let to = to.min(self.display.last_clock());
        // The line before was drawn from end to end, and shows nothing that this one may not.
        let mut repeats = false;
        while self.beam.at < to {
            let line_start = self.beam.line_start;
            let line_end = line_start + LINE;
            let from = self.beam.at;
            self.beam.at = to.min(line_end);
            let pixels = line_start + BLANK;
            if self.beam.at > pixels {
                let line = ((line_start / LINE) as u32).wrapping_sub(self.display.y_start);
                let (from, to) = ((from - pixels).max(0) as u32, (self.beam.at - pixels) as u32);
                let is_whole = from == 0 && to == WIDTH;
                if repeats && is_whole && !self.hmove_blank && (self.blank || self.dirty == 0) {
                    canvas.repeat(line);
                } else {
                    repeats = is_whole && !self.hmove_blank;
                    self.draw(line, from, to, canvas);
                }
            }
            // Not at the end of a line but when the beam goes beyond it: a write in between still belongs to the line before.
            if to > line_end {
                self.beam.line_start = line_end;
                self.end_line();
            }
        }
    }

    /// Draws the pixels `from..to` of a line and latches their collisions.
    #[inline(always)]
    fn draw<C: Canvas>(&mut self, line: u32, from: u32, to: u32, canvas: &mut C) {
        if from >= to {
            return;
        }
        let mut row = canvas.row(line);
        if C::COLLISIONS && !self.blank {
            if self.dirty != 0 {
                self.visible = self.objects.visible();
                if C::PIXELS {
                    self.refresh(!0);
                }
            }
            self.latch_collisions(from, to);
            if let Some(row) = &mut row {
                self.line.draw(row, from, to, &self.colors, self.priority);
            }
        } else if let Some(row) = &mut row {
            row[from as usize..to as usize].fill(0);
        }
        if self.hmove_blank && from < 8 {
            if let Some(row) = row {
                row[from as usize..8].fill(0);
            }
            self.hmove_blank = to < 8;
        }
    }

    /// Latches the collisions in the pixels `from..to` of the line. Only masks that this needs are made.
    #[inline(always)]
    fn latch_collisions(&mut self, from: u32, to: u32) {
        let possible = Latches::among(self.visible).without(self.collisions);
        self.settled = possible.is_empty();
        if self.settled {
            return;
        }
        if self.dirty != 0 {
            self.refresh(possible.objects());
        }
        self.collisions.add(self.line.collisions(possible, from, to));
    }

    /// Recomputes the layers that are dirty, of those whose bit is set.
    #[inline(always)]
    fn refresh(&mut self, layers: u8) {
        let due = self.dirty & layers;
        if due != 0 {
            self.objects.refresh(due, &mut self.line);
            self.dirty &= !layers;
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
        self.settled = false;
    }
}

/// Everything that a line can show.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Objects {
    pub(super) players: [super::objects::Player; 2],
    pub(super) missiles: [super::objects::Missile; 2],
    pub(super) ball: super::objects::Ball,
    pub(super) playfield: super::objects::Playfield,
}

impl Objects {
    /// Whether saved ones can be drawn: every number is one that a register or a motion can give.
    pub(super) fn are_sane(&self) -> bool {
        let place = |x: u8, motion: u8| u32::from(x) < WIDTH && motion < 16;
        let player = |player: &super::objects::Player| place(player.x, player.motion) && player.number_size < 8;
        let missile = |missile: &super::objects::Missile| {
            place(missile.x, missile.motion) && missile.number_size < 8 && missile.width_log2 < 4
        };
        self.players.iter().all(player)
            && self.missiles.iter().all(missile)
            && place(self.ball.x, self.ball.motion)
            && self.ball.width_log2 < 4
    }

    /// Those that may cover a pixel of the line, a bit per layer.
    fn visible(&self) -> u8 {
        u8::from(self.players[0].is_visible()) << PLAYER_0
            | u8::from(self.missiles[0].is_visible()) << MISSILE_0
            | u8::from(self.players[1].is_visible()) << PLAYER_1
            | u8::from(self.missiles[1].is_visible()) << MISSILE_1
            | u8::from(self.ball.is_visible()) << BALL
            | u8::from(self.playfield.is_visible()) << PLAYFIELD
    }

    /// Recomputes the layers whose bit is set in `due`.
    fn refresh(&self, due: u8, line: &mut super::draw::Line) {
        let is_due = |layer: usize| due >> layer & 1 != 0;
        for (player, layer) in self.players.iter().zip([PLAYER_0, PLAYER_1]) {
            if is_due(layer) {
                line.set(layer, player.mask());
            }
        }
        for (missile, layer) in self.missiles.iter().zip([MISSILE_0, MISSILE_1]) {
            if is_due(layer) {
                line.set(layer, missile.mask());
            }
        }
        if is_due(BALL) {
            line.set(BALL, self.ball.mask());
        }
        if is_due(PLAYFIELD) {
            line.set(PLAYFIELD, self.playfield.mask());
        }
    }
}
