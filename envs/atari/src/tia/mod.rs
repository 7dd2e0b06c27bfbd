//! The Television Interface Adaptor: picture, collisions, inputs.
//!
//! It is ALE's TIA: registers change at whole colour clocks after a write with fixed delays, HMOVE is a table instead of extra
//! clock pulses, and only a fixed window of lines exists (outside it nothing collides either). Sound is not modelled.
//!
//! ```text
//! write(register, value, cycle)          write.rs: delay, what changes
//!   └─ catch_up(clock)                   beam.rs: lines, blanks, which pixels are due
//!        ├─ masks of changed objects     objects.rs, line_mask.rs; their places: motion.rs
//!        ├─ collisions of the span       collisions.rs
//!        └─ pixels of the span           draw.rs
//! read(register, cycle)                  collisions.rs, inputs.rs
//! ```
//!
//! Times are colour clocks (three per CPU cycle) since the start of the frame's first line. A frame can start in the middle of a
//! line, because the beam does not care for frames.

mod beam;
mod collisions;
mod draw;
mod inputs;
mod line_mask;
mod motion;
mod objects;
mod write;

use beam::{Beam, Objects};
use collisions::Collisions;
use draw::{Colors, Line, Priority};
use inputs::Dump;
use line_mask::WIDTH;
use motion::LINE;

pub(crate) use inputs::Inputs;

/// Lines after which a frame ends in any case, for NTSC and PAL.
const MAX_LINES: [i32; 2] = [290, 342];
/// No event happened so long ago that it matters; keeps times from running out of their range.
const LONG_AGO: i32 = -1_000_000;

/// The part of the picture that is shown, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Display {
    /// The first line shown.
    pub(crate) y_start: u32,
    /// Number of lines shown.
    pub(crate) height: u32,
    /// Whether HMOVE blackens the left edge of its line.
    pub(crate) hmove_blanks: bool,
    /// Longer frames, and colours that get lost in frames with an odd number of lines.
    pub(crate) pal: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Tia {
    pub(crate) inputs: Inputs,
    display: Display,

    /// Colour clock of its line at which the frame started, which is the time of CPU cycle 0.
    phase: i32,
    beam: Beam,
    frame_done: bool,
    /// A frame that was cut short has been grayed.
    grayed: bool,
    /// Time from which on the end of VSYNC ends the frame.
    vsync_end: i32,

    objects: Objects,
    colors: Colors,
    /// The lowest bit of every colour: set in PAL frames that follow one with an odd number of lines.
    color_loss: u8,
    /// CTRLPF as written.
    control: u8,
    priority: Priority,
    /// Bit 1 of VBLANK.
    blank: bool,
    /// The next line's first eight pixels will be black.
    hmove_blank: bool,
    /// Time of the last HMOVE.
    hmove_time: i32,
    /// The step (0 to 3) of a missile 0 that never ends its motion.
    star_field: Option<u8>,
    dump: Dump,

    collisions: Collisions,
    line: Line,
    /// A bit per layer of `line` that must be recomputed.
    dirty: u8,
    /// The screen that is being drawn or was drawn last, and the one before.
    screens: [Vec<u8>; 2],
    current: usize,
}

impl Tia {
    pub(crate) fn new(display: Display) -> Self {
        let screen = vec![0; (display.height * WIDTH) as usize];
        let inputs = Inputs {
            paddle_resistance: [None; 4],
            fire_pressed: [false; 2],
        };
        Self {
            inputs,
            display,
            phase: 0,
            beam: Beam::default(),
            frame_done: false,
            grayed: false,
            vsync_end: i32::MAX,
            objects: Objects::default(),
            colors: Colors::default(),
            color_loss: 0,
            control: 0,
            priority: Priority::default(),
            blank: false,
            hmove_blank: false,
            hmove_time: LONG_AGO,
            star_field: None,
            dump: Dump::default(),
            collisions: Collisions::default(),
            line: Line::default(),
            dirty: !0,
            screens: [screen.clone(), screen],
            current: 0,
        }
    }

    /// A system reset: all registers are cleared and both screens are black.
    pub(crate) fn reset(&mut self) {
        let mut screens = std::mem::take(&mut self.screens);
        screens.iter_mut().for_each(|screen| screen.fill(0));
        *self = Self {
            inputs: self.inputs.clone(),
            screens,
            ..Self::new(Display {
                height: 0,
                ..self.display
            })
        }
        .with_display(self.display);
    }

    fn with_display(mut self, display: Display) -> Self {
        self.display = display;
        self
    }

    /// Starts a frame. CPU cycles count from 0 again, after `elapsed_cycles` of the frame before.
    pub(crate) fn start_frame(&mut self, elapsed_cycles: u32) {
        let elapsed = self.time(elapsed_cycles);
        self.phase = elapsed % LINE;
        let rebase = |time: i32| (time - (elapsed - self.phase)).max(LONG_AGO);
        self.hmove_time = rebase(self.hmove_time);
        if self.vsync_end != i32::MAX {
            self.vsync_end = rebase(self.vsync_end);
        }
        self.dump.end_cycle = (self.dump.end_cycle - elapsed_cycles as i32).max(LONG_AGO);
        if self.display.pal {
            self.set_color_loss(elapsed / LINE % 2 != 0);
        }
        let first = self.display.y_start as i32 * LINE;
        self.beam = Beam {
            at: first,
            line_start: first,
            due: first,
        };
        self.current = 1 - self.current;
        self.frame_done = false;
        self.grayed = false;
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

    /// Reads a register. Bits that the chip does not drive are those of `latch`.
    pub(crate) fn read(&mut self, addr: u16, cycles: u32, latch: u8) -> u8 {
        let time = self.time(cycles);
        self.beam.due = time;
        let driven = match addr & 0x0F {
            register @ 0x0..=0x7 => {
                self.catch_up(time);
                self.collisions.register(register)
            }
            pin @ 0x8..=0xB => {
                let resistance = self.inputs.paddle_resistance[usize::from(pin - 0x8)];
                u8::from(self.dump.charged(resistance, cycles)) << 7
            }
            pin @ 0xC..=0xD => u8::from(!self.inputs.fire_pressed[usize::from(pin - 0xC)]) << 7,
            _ => 0,
        };
        driven | latch & 0x3F
    }

    /// Writes a register. Returns the CPU cycle after the write, which is later than `cycles` if the processor has to wait for
    /// the end of the line; it only can wait if its access before this one was a read.
    #[inline]
    pub(crate) fn write(&mut self, addr: u16, value: u8, cycles: u32, previous_access_was_read: bool) -> u32 {
        let time = self.time(cycles);
        let register = addr & 0x3F;
        if time >= (MAX_LINES[usize::from(self.display.pal)] + 1) * LINE {
            self.catch_up(time);
            self.frame_done = true;
        }
        self.write_register(register, value, cycles, time);
        if register == write::STOP_UNTIL_LINE_END && previous_access_was_read {
            let into_line = time % LINE;
            if into_line != 0 {
                return cycles + ((LINE - into_line) / 3) as u32;
            }
        }
        cycles
    }

    /// Whether the frame ended with the last write. The processor stops after its instruction.
    pub(crate) fn frame_done(&self) -> bool {
        self.frame_done
    }

    /// The frame is stopped before its end, and will go on later: what the beam has not reached turns gray, once.
    pub(crate) fn end_of_partial_frame(&mut self, cycles: u32) {
        self.catch_up(self.beam.due);
        if self.grayed {
            return;
        }
        self.grayed = true;
        let row = self.scanlines(cycles).saturating_sub(self.display.y_start);
        let rest = self.screens[self.current].iter_mut().skip((row * WIDTH) as usize);
        rest.for_each(|pixel| *pixel = (*pixel & 0x0F) >> 1);
    }

    /// Lines since the start of the frame.
    pub(crate) fn scanlines(&self, cycles: u32) -> u32 {
        (self.time(cycles) / LINE) as u32
    }

    /// The last frame, or as much as there is of one that was stopped: palette indices, line by line.
    pub(crate) fn screen(&self) -> &[u8] {
        &self.screens[self.current]
    }

    /// The time of a CPU cycle of this frame.
    fn time(&self, cycles: u32) -> i32 {
        cycles as i32 * 3 + self.phase
    }
}
