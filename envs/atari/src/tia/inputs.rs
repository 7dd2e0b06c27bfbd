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
        // ALE compares without sign: what should have been charged before this frame began is not charged in it.
        !self.enabled && (ohms == 0 || cycles > (self.end_cycle + needed) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacitor_is_charged_in_the_frame_in_which_it_is_full() {
        // 1.6 times 444725 ohms times 0.01 microfarad are 8467 cycles.
        let charged = |end_cycle: i32, cycles| {
            let dump = Dump {
                enabled: false,
                end_cycle,
            };
            dump.charged(Some(444_725), cycles)
        };
        assert_eq!([charged(-456, 8011), charged(-456, 8012)], [false, true]);
        // Backgammon thinks longer than a frame, and reads its paddle in the next: it was full before that began.
        assert_eq!([charged(-20_368, 0), charged(-20_368, 17_507)], [false, false]);
    }

    #[test]
    fn a_paddle_without_resistance_charges_at_once_unless_it_is_held_at_ground() {
        let mut dump = Dump::default();
        dump.rebase(20_000);
        assert!(dump.charged(Some(0), 0));
        dump.set(true, 100);
        assert!(!dump.charged(Some(0), 200));
        assert!(!Dump::default().charged(None, 20_000), "nothing is connected");
    }
}
