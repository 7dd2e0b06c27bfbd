//! What the picture depends on: the registers of its objects, and how they are played from the log.

use serde::{Deserialize, Serialize};

use super::beam::{Beam, Canvas, Objects};
use super::collisions::Latches;
use super::draw::{Colors, LAYERS, Line, Priority};
use super::log::Write;
use super::motion::LINE;
use super::{Display, MOST_TIME};

/// No event happened so long ago that it matters; keeps times from running out of their range.
const LONG_AGO: i32 = -1_000_000;

/// A bit for each layer.
const ALL: u8 = (1 << LAYERS) - 1;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Picture {
    #[serde(skip)]
    pub(super) display: Display,
    /// Colour clock of its line at which the frame started, which is the time of CPU cycle 0.
    pub(super) phase: i32,
    pub(super) beam: Beam,
    pub(super) objects: Objects,
    pub(super) colors: Colors,
    /// The lowest bit of every colour: set in PAL frames that follow one with an odd number of lines.
    pub(super) color_loss: u8,
    /// CTRLPF as written.
    pub(super) control: u8,
    pub(super) priority: Priority,
    /// Bit 1 of VBLANK.
    pub(super) blank: bool,
    /// The next line's first eight pixels will be black.
    pub(super) hmove_blank: bool,
    /// Time of the last HMOVE.
    pub(super) hmove_time: i32,
    /// The step (0 to 3) of a missile 0 that never ends its motion.
    pub(super) star_field: Option<u8>,
    pub(super) collisions: Latches,
    /// What the objects cover of a line. It follows from them, like the next two.
    #[serde(skip)]
    pub(super) line: Line,
    /// A bit per layer of `line` that must be recomputed before it is used.
    #[serde(skip)]
    pub(super) dirty: u8,
    /// A bit per object that may cover a pixel of the line, as it was when a layer was dirty for the last time.
    #[serde(skip)]
    pub(super) visible: u8,
    /// Whatever those can collide with each other is latched, and no other has appeared since.
    #[serde(skip)]
    pub(super) settled: bool,
}

impl Picture {
    /// After a system reset all registers are 0.
    pub(super) fn new(display: Display) -> Self {
        Self {
            display,
            phase: 0,
            beam: Beam::default(),
            objects: Objects::default(),
            colors: Colors::default(),
            color_loss: 0,
            control: 0,
            priority: Priority::default(),
            blank: false,
            hmove_blank: false,
            hmove_time: LONG_AGO,
            star_field: None,
            collisions: Latches::default(),
            line: Line::default(),
            dirty: ALL,
            visible: 0,
            settled: false,
        }
    }

    /// Gives a saved one its format, if it can be played.
    pub(super) fn adopt(&mut self, display: Display) -> Result<(), &'static str> {
        self.display = display;
        self.dirty = ALL;
        let beam = 0..=display.last_clock();
        let fits = (0..LINE).contains(&self.phase)
            && beam.contains(&self.beam.at)
            && beam.contains(&self.beam.line_start)
            && self.color_loss <= 1
            && (LONG_AGO..=MOST_TIME).contains(&self.hmove_time)
            && self.star_field.is_none_or(|step| step < 4)
            && self.objects.are_sane();
        fits.then_some(()).ok_or("picture")
    }

    /// The registers at the start of a frame, after `elapsed` clocks of this one, which is at its end.
    pub(super) fn next_frame(&self, elapsed: i32) -> Self {
        let mut next = *self;
        next.phase = elapsed % LINE;
        next.rebase(elapsed - next.phase);
        if self.display.pal {
            next.set_color_loss(elapsed / LINE % 2 != 0);
        }
        let first = self.display.y_start as i32 * LINE;
        next.beam = Beam {
            at: first,
            line_start: first,
        };
        next
    }

    /// Clocks count from 0 again, after `elapsed`.
    pub(super) fn rebase(&mut self, elapsed: i32) {
        self.hmove_time = (self.hmove_time - elapsed).max(LONG_AGO);
    }

    fn set_color_loss(&mut self, loss: bool) {
        self.color_loss = u8::from(loss);
        let colors = &mut self.colors;
        let all = colors
            .player
            .iter_mut()
            .chain([&mut colors.playfield, &mut colors.background]);
        all.for_each(|color| *color = *color & 0xFE | u8::from(loss));
    }

    /// Does what some writes do, one after the other.
    pub(super) fn play<C: Canvas>(&mut self, writes: &[Write], canvas: &mut C) {
        for write in writes {
            self.write(*write, canvas);
        }
    }

    /// The time of a CPU cycle of this frame.
    pub(super) fn time(&self, cycles: u32) -> i32 {
        cycles as i32 * 3 + self.phase
    }
}
