//! The input pins: paddles on INPT0 to INPT3, fire buttons on INPT4 and INPT5.

use serde::{Deserialize, Serialize};

use crate::cpu::MOST_CYCLES;

/// No capacitor takes so long to charge; keeps times from running out of their range.
const LONG_AGO: i32 = -1_000_000;

/// What is connected to the input pins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    /// Resistance of the paddles on INPT0 to INPT3, in ohms; `None` if nothing is connected.
    pub(crate) paddle_resistance: [Option<i32>; 4],
    /// Whether the fire buttons on INPT4 and INPT5 are pressed.
    pub(crate) fire_pressed: [bool; 2],
}

/// The capacitors that the paddles charge, which a program discharges ("dumps") by bit 7 of VBLANK.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Dump {
    /// The capacitors are held at ground.
    pub(super) enabled: bool,
    /// CPU cycle at which they were last let go.
    pub(super) end_cycle: i32,
}

impl Dump {
    /// Whether a saved one is possible.
    pub(super) fn is_sane(&self) -> bool {
        (LONG_AGO..=MOST_CYCLES as i32).contains(&self.end_cycle)
    }

    /// Takes bit 7 of VBLANK.
    pub(super) fn set(&mut self, enabled: bool, cycles: u32) {
        if self.enabled && !enabled {
            self.end_cycle = cycles as i32;
        }
        self.enabled = enabled;
    }

    /// A frame of `elapsed` cycles is over: cycles count from 0 again.
    pub(super) fn rebase(&mut self, elapsed: u32) {
        self.end_cycle = (self.end_cycle - elapsed as i32).max(LONG_AGO);
    }

    /// Whether the capacitor behind a resistance is charged.
    pub(super) fn charged(&self, resistance: Option<i32>, cycles: u32) -> bool {
        let Some(ohms) = resistance else { return false };
        // 1.6 RC seconds with 0.01 microfarad, at 1.19 million cycles per second.
        let needed = ((1.6 * f64::from(ohms) * 0.01E-6) * 1.19E6) as i32;
        !self.enabled && cycles as i32 > self.end_cycle + needed
    }
}
