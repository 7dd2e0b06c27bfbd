//! What the games' functions are given: a view of memory, a state of their own, and the console's switches.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::atari::Atari;

/// The memory that a game's score, lives and end are read from, after a frame.
///
/// Addresses are those of the bus; the 128 bytes of RAM lie at `$80-$FF`.
pub(crate) struct Ram<'a> {
    bytes: &'a [u8; 128],
    /// What the cartridge has of its own; zeros in most.
    cartridge: &'a [u8; 128],
}

impl<'a> Ram<'a> {
    pub(crate) fn new(bytes: &'a [u8; 128], cartridge: &'a [u8; 128]) -> Self {
        Self { bytes, cartridge }
    }

    /// The byte at an address.
    pub(crate) fn get(&self, address: u8) -> i32 {
        i32::from(self.bytes[usize::from(address & 0x7F)])
    }

    /// The byte at an address, from -128 to 127.
    pub(crate) fn signed(&self, address: u8) -> i32 {
        i32::from(self.get(address) as i8)
    }

    /// A byte of the cartridge's memory.
    pub(crate) fn cartridge(&self, index: u8) -> i32 {
        i32::from(self.cartridge[usize::from(index & 0x7F)])
    }

    /// Two decimal digits in a byte.
    pub(crate) fn bcd(&self, address: u8) -> i32 {
        bcd(self.get(address))
    }

    /// Four decimal digits in two bytes.
    pub(crate) fn bcd2(&self, low: u8, high: u8) -> i32 {
        self.bcd(low) + 100 * self.bcd(high)
    }

    /// Six decimal digits in three bytes.
    pub(crate) fn bcd3(&self, low: u8, middle: u8, high: u8) -> i32 {
        self.bcd2(low, middle) + 10_000 * self.bcd(high)
    }

    /// A number with a byte for each digit, the first one first; `digit` reads a byte.
    pub(crate) fn digits<const N: usize>(&self, addresses: [u8; N], digit: impl Fn(i32) -> i32) -> i32 {
        let append = |number, address| 10 * number + digit(self.get(address));
        addresses.into_iter().fold(0, append)
    }
}

/// Two decimal digits, one in each half of a byte. Halves above 9 count 10 to 15.
pub(crate) fn bcd(byte: i32) -> i32 {
    (byte >> 4) * 10 + (byte & 15)
}

/// A digit of those games that show a blank for 10.
pub(crate) fn blank_is_0(digit: i32) -> i32 {
    if digit == 10 { 0 } else { digit }
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
    /// The reward, where one is paid again and again.
    pub(crate) reward: i32,
    /// Whether play has begun.
    pub(crate) begun: bool,
    /// Whether the end was seen, where the memory does not tell it at all times.
    pub(crate) over: bool,
    /// What else one game counts.
    pub(crate) counters: [i32; 4],
}

impl State {
    pub(crate) const NEW: State = State {
        score: 0,
        lives: 0,
        previous: 0,
        reward: 0,
        begun: false,
        over: false,
        counters: [0; 4],
    };

    /// Whether a saved one is possible: no game counts so far, and differences stay within their range.
    pub(crate) fn is_sane(&self) -> bool {
        let possible = -1_000_000_000..=1_000_000_000;
        [self.score, self.lives, self.previous, self.reward]
            .iter()
            .chain(&self.counters)
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
    /// Frames that may still be spent on looking for the mode.
    frames_left: u32,
}

impl<'a> Menu<'a> {
    /// Several times what the longest menu takes. It only matters for home-made images: a real cartridge answers to SELECT.
    const MAX_FRAMES: u32 = 4_000;

    pub(crate) fn new(atari: &'a mut Atari) -> Self {
        Self {
            atari,
            frames_left: Self::MAX_FRAMES,
        }
    }

    /// Presses SELECT for `frames` frames, as often as needed until the memory is as wanted; then a soft reset.
    pub(crate) fn select_until(&mut self, frames: u32, wanted: impl Fn(&Ram<'_>) -> bool) {
        self.until(wanted, |menu| menu.select(frames));
        self.soft_reset();
    }

    /// Does something as often as needed until the memory is as wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Ram<'_>) -> bool, mut press: impl FnMut(&mut Self)) {
        while self.frames_left > 0 && !wanted(&self.ram()) {
            press(self);
        }
    }

    /// Presses SELECT for `frames` frames.
    pub(crate) fn select(&mut self, frames: u32) {
        self.spend(frames + 1);
        self.atari.press_select(frames);
    }

    /// Holds RESET.
    pub(crate) fn soft_reset(&mut self) {
        self.atari.soft_reset();
    }

    /// Acts as the agent does, with its frame skip and its sticky actions.
    pub(crate) fn act(&mut self, action: Action) {
        self.spend(1);
        self.atari.act(action);
    }

    fn spend(&mut self, frames: u32) {
        self.frames_left = self.frames_left.saturating_sub(frames);
    }

    /// A number of the generator of sticky actions.
    pub(crate) fn random_u32(&mut self) -> u32 {
        self.atari.random_u32()
    }

    pub(crate) fn ram(&self) -> Ram<'_> {
        self.atari.ram_view()
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.atari.state()
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
        let ram = Ram::new(&bytes, &[0; 128]);
        assert_eq!(ram.get(0x91), 0x12);
        assert_eq!(ram.bcd(0x90), 34);
        assert_eq!(ram.bcd2(0x90, 0x91), 1234);
        assert_eq!(ram.bcd3(0x90, 0x91, 0x92), 991_234);
        assert_eq!(ram.digits([0x91, 0x90], |byte| byte & 15), 24);
        assert_eq!(ram.signed(0x92), -103);
        assert_eq!(bcd(0xAB), 111, "no digits");
    }

    #[test]
    fn the_gain_is_the_difference_to_the_remembered_score() {
        let mut state = State::NEW;
        assert_eq!(state.gain(30), 30);
        assert_eq!(state.gain(25), -5);
        assert_eq!(state.score, 25);
    }
}
