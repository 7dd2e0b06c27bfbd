//! Stands in for the TIA while it is written.
#![allow(dead_code, missing_docs)]
#[derive(Clone, Copy)]
pub(crate) struct Display {
    pub(crate) y_start: u32,
    pub(crate) height: u32,
    pub(crate) hmove_blanks: bool,
    pub(crate) pal: bool,
}
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) paddle_resistance: [Option<i32>; 4],
    pub(crate) fire_pressed: [bool; 2],
}
#[derive(Clone)]
pub(crate) struct Tia {
    pub(crate) inputs: Inputs,
    screen: Vec<u8>,
    vsync_at: Option<u32>,
    done: bool,
    phase: u32,
}
impl Tia {
    pub(crate) fn new(display: Display) -> Self {
        Tia {
            inputs: Inputs {
                paddle_resistance: [None; 4],
                fire_pressed: [false; 2],
            },
            screen: vec![0; display.height as usize * 160],
            vsync_at: None,
            done: false,
            phase: 0,
        }
    }
    pub(crate) fn reset(&mut self) {
        self.phase = 0;
    }
    pub(crate) fn start_frame(&mut self, elapsed_cycles: u32) {
        self.phase = (self.phase + elapsed_cycles) % 76;
        self.done = false;
    }
    pub(crate) fn read(&mut self, _addr: u16, _cycles: u32, latch: u8) -> u8 {
        latch & 0x3f
    }
    pub(crate) fn write(&mut self, addr: u16, value: u8, cycles: u32, _read: bool) -> u32 {
        match addr & 0x3f {
            0 if value & 2 != 0 => self.vsync_at = Some(cycles),
            0 => {
                if let Some(at) = self.vsync_at.take() {
                    self.done = cycles >= at + 76;
                }
            }
            2 => return (cycles + self.phase).next_multiple_of(76) - self.phase,
            _ => {}
        }
        cycles
    }
    pub(crate) fn frame_done(&self) -> bool {
        self.done
    }
    pub(crate) fn end_of_partial_frame(&mut self, _cycles: u32) {}
    pub(crate) fn scanlines(&self, cycles: u32) -> u32 {
        cycles / 76
    }
    pub(crate) fn screen(&self) -> &[u8] {
        &self.screen
    }
}
