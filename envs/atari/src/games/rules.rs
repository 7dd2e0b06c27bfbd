//! What the games' functions are given: a view of memory, a state of their own, and the console's switches.

use serde::{Deserialize, Serialize};

use crate::atari::Atari;

/// The memory that a game's score, lives and end are read from, after a frame.
///
/// Addresses are those of the bus; the 128 bytes of RAM lie at `$80-$FF`.
pub(crate) struct Ram<'a> {
    bytes: &'a [u8; 128],
}

impl<'a> Ram<'a> {
    pub(crate) fn new(bytes: &'a [u8; 128]) -> Self {
        Self { bytes }
    }

    /// The byte at an address.
    pub(crate) fn get(&self, address: u8) -> i32 {
        i32::from(self.bytes[usize::from(address & 0x7F)])
    }

    /// Two decimal digits, one in each half of a byte. Halves above 9 count 10 to 15.
    pub(crate) fn bcd(&self, address: u8) -> i32 {
        let byte = self.get(address);
        (byte >> 4) * 10 + (byte & 15)
    }

    /// Four decimal digits in two bytes.
    pub(crate) fn bcd2(&self, low: u8, high: u8) -> i32 {
        self.bcd(low) + 100 * self.bcd(high)
    }

    /// Six decimal digits in three bytes.
    pub(crate) fn bcd3(&self, low: u8, middle: u8, high: u8) -> i32 {
        self.bcd2(low, middle) + 10_000 * self.bcd(high)
    }
}

/// What a game remembers from frame to frame. Each game uses the fields that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The score after the frame before.
    pub(crate) score: i32,
    /// Lives left, where the memory does not tell it at all times.
    pub(crate) lives: i32,
    /// A byte of memory as it was after the frame before.
    pub(crate) previous: i32,
    /// Whether play has begun.
    pub(crate) begun: bool,
}

impl State {
    pub(crate) const NEW: State = State {
        score: 0,
        lives: 0,
        previous: 0,
        begun: false,
    };

    /// Whether a saved one is possible: no game counts so far, and differences stay within their range.
    pub(crate) fn is_sane(&self) -> bool {
        let possible = -1_000_000_000..=1_000_000_000;
        [self.score, self.lives, self.previous]
            .iter()
            .all(|count| possible.contains(count))
    }

    /// Remembers the new score and returns how much it grew.
    pub(crate) fn gain(&mut self, score: i32) -> i32 {
        score - std::mem::replace(&mut self.score, score)
    }
}

/// What a frame brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) reward: i32,
    pub(crate) terminal: bool,
    pub(crate) lives: i32,
}

impl Outcome {
    /// The common case: the end of the game means that no life is left.
    pub(crate) fn new(reward: i32, terminal: bool, lives: i32) -> Self {
        Self {
            reward,
            terminal,
            lives: if terminal { 0 } else { lives },
        }
    }
}

/// The console's switches, for selecting a mode during a reset.
pub(crate) struct Menu<'a> {
    atari: &'a mut Atari,
}

impl<'a> Menu<'a> {
    /// More presses than any game's menu needs. It only matters for home-made images: a real cartridge answers to SELECT.
    const MAX_PRESSES: u32 = 2_000;

    pub(crate) fn new(atari: &'a mut Atari) -> Self {
        Self { atari }
    }

    /// Presses SELECT for `frames` frames, as often as needed until the memory is as wanted; then a soft reset.
    pub(crate) fn select_until(&mut self, frames: u32, wanted: impl Fn(&Ram<'_>) -> bool) {
        for _ in 0..Self::MAX_PRESSES {
            if wanted(&self.atari.ram_view()) {
                break;
            }
            self.atari.press_select(frames);
        }
        self.atari.soft_reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_are_read_from_the_low_byte_up() {
        let mut bytes = [0; 128];
        bytes[0x10] = 0x34;
        bytes[0x11] = 0x12;
        bytes[0x12] = 0x99;
        let ram = Ram::new(&bytes);
        assert_eq!(ram.get(0x91), 0x12);
        assert_eq!(ram.bcd(0x90), 34);
        assert_eq!(ram.bcd2(0x90, 0x91), 1234);
        assert_eq!(ram.bcd3(0x90, 0x91, 0x92), 991_234);
    }

    #[test]
    fn the_gain_is_the_difference_to_the_remembered_score() {
        let mut state = State::NEW;
        assert_eq!(state.gain(30), 30);
        assert_eq!(state.gain(25), -5);
        assert_eq!(state.score, 25);
    }
}
