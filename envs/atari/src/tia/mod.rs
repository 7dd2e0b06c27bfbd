//! The Television Interface Adaptor: picture, collisions, inputs.
//!
//! It is ALE's TIA: registers change at whole colour clocks after a write with fixed delays, HMOVE is a table instead of extra
//! clock pulses, and only a fixed window of lines exists (outside it nothing collides either). Sound is not modelled.
//!
//! ```text
//! write(register, value, cycle)      mod.rs: what cannot wait (end of line, end of frame, paddles); all else goes into the
//!   └─ log of the frame              log.rs: two frames back, for short ones show what was drawn before
//!        └─ played when looked at    picture.rs, write.rs: delay, what changes
//!             └─ catch_up(clock)     beam.rs: lines, blanks, which pixels are due
//!                  ├─ masks          of changed objects: objects.rs, line_mask.rs; their places: motion.rs
//!                  ├─ collisions     collisions.rs, if they are read
//!                  └─ pixels         draw.rs, if the screen is
//! read(register, cycle)              collisions.rs, inputs.rs
//! ```
//!
//! Times are CPU cycles since the start of the frame or, within the picture, colour clocks (three per cycle) since the start of the
//! frame's first line. A frame can start in the middle of a line, because the beam does not care for frames.

mod beam;
mod collisions;
mod draw;
mod inputs;
mod line_mask;
mod log;
mod looks;
mod motion;
mod objects;
mod picture;
#[cfg(feature = "translate")]
mod quick;
mod registers;
mod write;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use beam::{Canvas, Collisions, Registers, Screen};
use inputs::Dump;
use line_mask::WIDTH;
use log::{Frame, Write};
use looks::Looks;
use motion::{BLANK, LINE};
use picture::Picture;
use registers::*;

pub(crate) use inputs::Inputs;
#[cfg(feature = "translate")]
pub(crate) use quick::Quick;

use crate::cpu::MOST_CYCLES;

/// Lines after which a frame ends in any case, for NTSC and PAL.
const MAX_LINES: [i32; 2] = [290, 342];
/// No time of a frame, in colour clocks, is so late.
const MOST_TIME: i32 = 4 * MOST_CYCLES as i32;
/// CPU cycles of a line.
const LINE_CYCLES: u32 = LINE as u32 / 3;

/// The part of the picture that is shown, and how.
#[derive(Debug, Clone, Copy, Default)]
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

impl Display {
    fn pixels(&self) -> usize {
        (self.height * WIDTH) as usize
    }

    /// The first clock below the visible lines.
    fn last_clock(&self) -> i32 {
        (self.y_start + self.height) as i32 * LINE
    }
}

/// The last access of the program.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Access {
    cycles: u32,
    /// The register that was written, or [`READ`].
    register: u8,
}

/// No register was written.
const READ: u8 = 0xFF;

impl Access {
    fn read(cycles: u32) -> Self {
        let register = READ;
        Self { cycles, register }
    }
}

/// Everything else is constant for a game, or set before every frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tia {
    #[serde(skip)]
    pub(crate) inputs: Inputs,
    #[serde(skip)]
    display: Display,

    /// Colour clock of its line at which the frame started, which is the time of CPU cycle 0.
    phase: i32,
    /// CPU cycle from which on any write ends the frame.
    last_cycle: u32,
    frame_done: bool,
    /// A frame that was cut short has been grayed.
    grayed: bool,
    /// CPU cycle from which on the end of VSYNC ends the frame.
    vsync_end: Option<u32>,
    dump: Dump,
    last_access: Access,
    /// The start of a line: the last one for which the processor waited, or that at which the frame began. For translated code.
    #[serde(skip)]
    waited: u32,
    /// What was written last to the registers to which writing the same again does nothing.
    #[serde(with = "serde_bytes")]
    written: [u8; 64],
    /// What was written last to GRP0 and GRP1, and what that shifted.
    graphics: [[u8; 3]; 2],

    /// This frame, the one before it, and the one before that.
    frames: [Frame; 3],
    /// The registers at the start of this frame are known: the frame before was played to its end.
    begun: bool,
    /// The screen that shows this frame, and that of the frame before, in turns.
    screens: [ByteBuf; 2],
    shown: usize,
    looks: Looks,
    /// This frame will probably be observed.
    expected: bool,
}

impl Tia {
    pub(crate) fn new(display: Display) -> Self {
        let screen = ByteBuf::from(vec![0; display.pixels()]);
        let frame = || Frame::new(Picture::new(display));
        Self {
            inputs: Inputs::default(),
            display,
            phase: 0,
            last_cycle: u32::MAX,
            frame_done: false,
            grayed: false,
            vsync_end: None,
            dump: Dump::default(),
            last_access: Access::read(0),
            waited: 0,
            written: [0; 64],
            graphics: [[0; 3]; 2],
            frames: [frame(), frame(), frame()],
            begun: true,
            screens: [screen.clone(), screen],
            shown: 0,
            looks: Looks::default(),
            expected: false,
        }
    }

    pub(crate) fn display(&self) -> Display {
        self.display
    }

    /// Gives a saved one its picture's format, if it can be run.
    pub(crate) fn adopt(&mut self, display: Display) -> Result<(), &'static str> {
        self.display = display;
        let Access { cycles, register } = self.last_access;
        if register != READ && usize::from(register) >= self.written.len() {
            return Err("last access");
        }
        let fits = (0..LINE).contains(&self.phase)
            && cycles <= MOST_CYCLES
            && self.vsync_end.is_none_or(|end| end <= MOST_CYCLES)
            && self.dump.is_sane()
            && self.shown < self.screens.len();
        if !fits {
            return Err("television");
        }
        self.waited = self.first_line();
        if self.screens.iter().any(|screen| screen.len() != display.pixels()) {
            return Err("screen");
        }
        self.frames.iter_mut().try_for_each(|frame| frame.adopt(display))
    }

    /// A system reset: all registers are cleared and both screens are black.
    pub(crate) fn reset(&mut self) {
        self.phase = 0;
        self.last_cycle = u32::MAX;
        self.frame_done = false;
        self.grayed = false;
        self.vsync_end = None;
        self.dump = Dump::default();
        self.last_access = Access::read(0);
        self.waited = 0;
        self.written = [0; 64];
        self.graphics = [[0; 3]; 2];
        for frame in &mut self.frames {
            frame.clear();
            frame.begin(Picture::new(self.display));
            frame.drawn = true;
        }
        self.begun = true;
        self.screens.iter_mut().for_each(|screen| screen.fill(0));
    }

    /// Starts a frame. CPU cycles count from 0 again, after `elapsed_cycles` of the frame before.
    pub(crate) fn start_frame(&mut self, elapsed_cycles: u32) {
        let elapsed = self.time(elapsed_cycles);
        if !self.begun {
            // Nothing cleared the collisions of the frame before.
            self.begin::<Collisions>(&mut Collisions);
        }
        self.frames[0].elapsed = elapsed;
        self.frames.rotate_right(1);
        self.frames[0].clear();
        self.expected = self.looks.expect();
        self.begun = false;
        self.shown = 1 - self.shown;

        self.phase = elapsed % LINE;
        self.last_cycle = ((MAX_LINES[usize::from(self.display.pal)] + 1) * LINE - self.phase) as u32 / 3;
        self.vsync_end = self.vsync_end.map(|end| end.saturating_sub(elapsed_cycles));
        self.dump.rebase(elapsed_cycles);
        self.last_access = Access::read(0);
        self.waited = self.first_line();
        self.frame_done = false;
        self.grayed = false;
    }

    /// The start of the line in which the frame starts; at or before cycle 0, so that it wraps.
    fn first_line(&self) -> u32 {
        (self.phase as u32 / 3).wrapping_neg()
    }

    /// The frame has no end: what is `cycles` ago, deep below the picture, becomes its start.
    pub(crate) fn rebase(&mut self, cycles: u32) {
        self.vsync_end = self.vsync_end.map(|end| end.saturating_sub(cycles));
        self.dump.rebase(cycles);
        self.waited = self.waited.wrapping_sub(cycles);
        self.frames[0].now.rebase(cycles as i32 * 3);
    }

    /// Plays the frame before to its end, which tells the registers at the start of this one.
    fn begin<C: Canvas>(&mut self, canvas: &mut C) {
        let before = &mut self.frames[1];
        let (played, elapsed) = (before.played, before.elapsed);
        before.played = before.writes.len();
        before.now.play(&before.writes[played..], canvas);
        before.now.catch_up(before.end, canvas);
        let picture = before.now.next_frame(elapsed);
        self.frames[0].begin(picture);
        self.begun = true;
    }

    /// The same while this frame runs. If it will be observed, what is replayed from now on has its pixels at once.
    fn begin_early<C: Canvas>(&mut self, canvas: &mut C) {
        self.begin(canvas);
        self.frames[0].drawn = self.expected;
    }

    /// Plays what was written in this frame so far, with pixels if it is being drawn.
    fn play<C: Canvas>(&mut self, canvas: &mut C) -> &mut Picture {
        let frame = &mut self.frames[0];
        let writes = &frame.writes[frame.played..];
        frame.played = frame.writes.len();
        if frame.drawn {
            frame.now.play(writes, &mut Screen(&mut self.screens[self.shown]));
        } else {
            frame.now.play(writes, canvas);
        }
        &mut frame.now
    }

    /// Reads a register. Bits that the chip does not drive are those of `latch`.
    pub(crate) fn read(&mut self, addr: u16, cycles: u32, latch: u8) -> u8 {
        self.last_access = Access::read(cycles);
        let driven = match addr & 0x0F {
            register @ 0x0..=0x7 => self.read_collisions(register, cycles),
            pin @ 0x8..=0xB => {
                let resistance = self.inputs.paddle_resistance[usize::from(pin - 0x8)];
                u8::from(self.dump.charged(resistance, cycles)) << 7
            }
            pin @ 0xC..=0xD => u8::from(!self.inputs.fire_pressed[usize::from(pin - 0xC)]) << 7,
            _ => 0,
        };
        driven | latch & 0x3F
    }

    #[inline(never)]
    fn read_collisions(&mut self, register: u16, cycles: u32) -> u8 {
        if !self.begun {
            self.begin_early(&mut Collisions);
        }
        let time = self.time(cycles);
        self.play(&mut Collisions);
        let frame = &mut self.frames[0];
        if frame.drawn {
            frame.now.catch_up(time, &mut Screen(&mut self.screens[self.shown]));
        } else {
            frame.now.catch_up(time, &mut Collisions);
        }
        frame.now.collisions.register(register)
    }

    /// Writes a register. Returns the CPU cycle after the write, which is later than `cycles` if the processor has to wait for
    /// the end of the line; it only can wait if its access before this one was a read.
    #[inline(always)]
    pub(crate) fn write(&mut self, addr: u16, value: u8, cycles: u32, previous_access_was_read: bool) -> u32 {
        let writes = &self.frames[0].writes;
        if cycles >= self.last_cycle || writes.len() == writes.capacity() {
            return self.write_late(addr, value, cycles, previous_access_was_read);
        }
        self.write_now(addr, value, cycles, previous_access_was_read)
    }

    /// A write that ends the frame because it comes too late, or that does not fit into the log. Apart from the others, which need to call nothing
    /// and are most of what programs do.
    #[cold]
    #[inline(never)]
    fn write_late(&mut self, addr: u16, value: u8, cycles: u32, previous_access_was_read: bool) -> u32 {
        self.frames[0].writes.reserve(1);
        if cycles >= self.last_cycle {
            self.end_frame(cycles);
        }
        self.write_now(addr, value, cycles, previous_access_was_read)
    }

    /// A write within the frame, with room in the log.
    #[inline(always)]
    fn write_now(&mut self, addr: u16, value: u8, cycles: u32, previous_access_was_read: bool) -> u32 {
        let register = (addr & 0x3F) as u8;
        self.last_access = Access { cycles, register };
        match register {
            VSYNC => self.write_vsync(value, cycles),
            VBLANK => {
                self.dump.set(value & 0x80 != 0, cycles);
                self.log_change(register, value, cycles);
            }
            WSYNC if previous_access_was_read => {
                let into_line = (cycles + self.phase as u32 / 3) % LINE_CYCLES;
                if into_line != 0 {
                    self.waited = cycles + LINE_CYCLES - into_line;
                    return self.waited;
                }
            }
            NUSIZ0 | NUSIZ1 | RESP0..=RESBL | HMOVE => self.log(register, value, cycles),
            GRP0 | GRP1 => self.log_graphics(register, value, cycles),
            HMCLR => {
                self.written[usize::from(HMP0)..=usize::from(HMBL)].fill(0);
                self.log(register, value, cycles);
            }
            CXCLR => self.clear_collisions(value, cycles),
            _ => self.log_change(register, value, cycles),
        }
        cycles
    }

    #[inline(always)]
    fn log(&mut self, register: u8, value: u8, cycles: u32) {
        self.frames[0].writes.push(Write {
            cycles,
            register,
            value,
        });
    }

    /// Logs a write to a register that does nothing if it holds the value already.
    #[inline(always)]
    fn log_change(&mut self, register: u8, value: u8, cycles: u32) {
        let value = value & registers::MEANING[usize::from(register)];
        let written = &mut self.written[usize::from(register)];
        if *written != value {
            *written = value;
            self.log(register, value, cycles);
        }
    }

    /// Logs a write to a player's graphics, unless nothing changes: neither them nor what it shifts into the delay of the other player
    /// and, for GRP1, of the ball.
    #[inline(always)]
    fn log_graphics(&mut self, register: u8, value: u8, cycles: u32) {
        let written = |register| self.written[usize::from(register)];
        let now = match register {
            GRP0 => [value, written(GRP1), 0],
            _ => [value, written(GRP0), written(ENABL)],
        };
        let before = &mut self.graphics[usize::from(register - GRP0)];
        if *before != now {
            *before = now;
            self.written[usize::from(register)] = value;
            self.log(register, value, cycles);
        }
    }

    /// Nobody will ever ask for the collisions before this moment.
    fn clear_collisions(&mut self, value: u8, cycles: u32) {
        if !self.begun {
            self.begin_early(&mut Registers);
        }
        self.log(CXCLR, value, cycles);
        self.play(&mut Registers);
    }

    fn write_vsync(&mut self, value: u8, cycles: u32) {
        if value & 2 != 0 {
            self.vsync_end = Some(cycles + LINE_CYCLES);
        } else if self.vsync_end.is_some_and(|end| cycles >= end) {
            self.vsync_end = None;
            self.end_frame(cycles);
        }
    }

    #[cold]
    fn end_frame(&mut self, cycles: u32) {
        self.frame_done = true;
        let end = self.time(cycles);
        let frame = &mut self.frames[0];
        frame.end = end;
        // A short frame shows what was drawn two frames ago: this must not be forgotten.
        if frame.drawn || end < self.display.last_clock() {
            self.draw(end);
        }
    }

    /// Whether the frame ended with the last write. The processor stops after its instruction.
    pub(crate) fn frame_done(&self) -> bool {
        self.frame_done
    }

    /// The frame is interrupted and continues later: what the beam has not reached turns gray, once.
    pub(crate) fn end_of_partial_frame(&mut self, cycles: u32) {
        let last = self.last_access;
        let due = match last.register {
            READ => self.time(last.cycles),
            register => write::effect(register, self.time(last.cycles)),
        };
        self.draw(due);
        if self.grayed {
            return;
        }
        self.grayed = true;
        let row = self.scanlines(cycles).saturating_sub(self.display.y_start);
        let rest = self.screens[self.shown].iter_mut().skip((row * WIDTH) as usize);
        rest.for_each(|pixel| *pixel = (*pixel & 0x0F) >> 1);
    }

    /// Brings this frame to the screen, as far as `to`.
    fn draw(&mut self, to: i32) {
        if !self.begun {
            self.begin(&mut Collisions);
        }
        let screen = &mut self.screens[self.shown];
        let before_last = &mut self.frames[2];
        let shows_before_last = to < self.display.last_clock() && !before_last.drawn;
        if shows_before_last {
            before_last.rewind();
            before_last.played = before_last.writes.len();
            before_last.now.play(&before_last.writes, &mut Screen(screen));
            before_last.now.catch_up(before_last.end, &mut Screen(screen));
        }
        let frame = &mut self.frames[0];
        if !frame.drawn || shows_before_last {
            frame.rewind();
        }
        frame.now.play(&frame.writes[frame.played..], &mut Screen(screen));
        frame.played = frame.writes.len();
        frame.now.catch_up(to, &mut Screen(screen));
    }

    /// Cycle and register of the program's last access, if it was a write.
    pub(crate) fn last_write(&self) -> Option<(u32, u8)> {
        let Access { cycles, register } = self.last_access;
        (register != READ).then_some((cycles, register))
    }

    /// Line and pixel of the screen where the beam is at a cycle; negative above it and left of it.
    pub(crate) fn beam_at(&self, cycles: u32) -> (i32, i32) {
        let time = self.time(cycles);
        (time / LINE - self.display.y_start as i32, time % LINE - BLANK)
    }

    /// Lines since the start of the frame.
    pub(crate) fn scanlines(&self, cycles: u32) -> u32 {
        (self.time(cycles) / LINE) as u32
    }

    /// The last frame, or as much as there is of one that was stopped: palette indices, line by line.
    pub(crate) fn screen(&mut self) -> &[u8] {
        self.looks.note();
        if !self.frames[0].drawn {
            self.draw(self.frames[0].end);
        }
        &self.screens[self.shown]
    }

    /// The time of a CPU cycle of this frame.
    fn time(&self, cycles: u32) -> i32 {
        cycles as i32 * 3 + self.phase
    }
}
