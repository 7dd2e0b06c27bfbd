//! The Display Processor Chip of Pitfall II, which serves bytes of pictures and random numbers (US patent 4,644,495).
//!
//! Eight *fetchers* walk through 2 KiB of pictures, downwards, a byte for each read. A fetcher's *flag* is set when its counter comes to its
//! top, and cleared at its bottom: between them its picture is visible. The last three can play music instead; nobody hears it here.
//!
//! ```text
//! read   $000-$003  a random number              write  $040-$047  the tops; clears the flag
//!        $004-$007  the loudness of the music           $048-$04F  the bottoms
//!        $008-$00F  bytes of the pictures               $050-$057  the low bytes of the counters
//!        $010-$017  the same where visible, or 0        $058-$05F  their three high bits, and bit 4: music
//!        $038-$03F  the flags                           $070-$077  begins the random numbers anew
//! ```

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The chip's registers, within the window.
pub(crate) const REGISTERS: Range<u16> = 0x000..0x080;
/// From here to the end of the window, an access draws a random number too.
pub(crate) const TICKS_FROM: u16 = 0xFC0;
/// Where the pictures' last byte lies in the image. Counter 0 is the last one.
const LAST_BYTE: usize = 8192 + 2047;
/// Counters have 11 bits.
const COUNTER: u16 = 0x7FF;
/// The first fetcher that can play music.
const FIRST_OF_MUSIC: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dpc {
    fetchers: [Fetcher; 8],
    random: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Fetcher {
    counter: u16,
    top: u8,
    bottom: u8,
    visible: bool,
    music: bool,
}

impl Dpc {
    pub(crate) fn new() -> Self {
        Self {
            fetchers: [Fetcher::default(); 8],
            random: 1,
        }
    }

    /// An access to `address` of the window draws a number, if it is near the registers or the hotspots.
    pub(crate) fn tick(&mut self, address: u16) {
        if REGISTERS.contains(&address) || address >= TICKS_FROM {
            let parity = (self.random & 0b1011_1000).count_ones() as u8 & 1;
            self.random = self.random << 1 | (parity ^ 1);
        }
    }

    /// Reads a register, `$000-$03F`; `image` reads the image.
    pub(crate) fn read(&mut self, register: u16, image: impl Fn(usize) -> u8) -> u8 {
        let number = usize::from(register & 7);
        let fetcher = &mut self.fetchers[number];
        let counter = fetcher.counter & COUNTER;
        if counter as u8 == fetcher.top {
            fetcher.visible = true;
        } else if counter as u8 == fetcher.bottom {
            fetcher.visible = false;
        }
        let byte = image(LAST_BYTE - usize::from(counter));
        let visible = if fetcher.visible { 0xFF } else { 0 };
        let value = match (register >> 3 & 7, number) {
            (0, 0..4) => self.random,
            (1, _) => byte,
            (2, _) => byte & visible,
            (7, _) => visible,
            _ => 0,
        };
        if !fetcher.music {
            fetcher.counter = counter.wrapping_sub(1) & COUNTER;
        }
        value
    }

    /// Writes a register, `$040-$07F`.
    pub(crate) fn write(&mut self, register: u16, value: u8) {
        let number = usize::from(register & 7);
        let fetcher = &mut self.fetchers[number];
        let (high, low) = (fetcher.counter & 0x700, fetcher.counter & 0xFF);
        match register >> 3 & 7 {
            0 => (fetcher.top, fetcher.visible) = (value, false),
            1 => fetcher.bottom = value,
            2 if fetcher.music => fetcher.counter = high | u16::from(fetcher.top),
            2 => fetcher.counter = high | u16::from(value),
            3 => {
                fetcher.counter = u16::from(value & 7) << 8 | low;
                fetcher.music = number >= FIRST_OF_MUSIC && value & 0x10 != 0;
            }
            6 => self.random = 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose picture byte at counter 0 is 0, at 1 is 1, and so on.
    fn image(index: usize) -> u8 {
        (LAST_BYTE - index) as u8
    }

    #[test]
    fn a_fetcher_counts_down_and_is_visible_from_top_to_bottom() {
        let mut dpc = Dpc::new();
        for (register, value) in [(0x42, 0x03), (0x4A, 0x01), (0x52, 0x04), (0x5A, 0x02)] {
            dpc.write(register, value);
        }
        let read = [
            (0x0A, 4),
            (0x12, 3),
            (0x12, 2),
            (0x12, 0),
            (0x3A, 0),
            (0x0A, 0xFF),
            (0x12, 0),
        ];
        for (register, value) in read {
            assert_eq!(dpc.read(register, image), value, "{register:X}");
        }
        assert_eq!(dpc.fetchers[2].counter, 0x1FD);
    }

    #[test]
    fn a_fetcher_of_music_stands_still_and_goes_back_to_its_top() {
        let mut dpc = Dpc::new();
        for (register, value) in [(0x46, 0x30), (0x56, 0x07), (0x5E, 0x11)] {
            dpc.write(register, value);
        }
        assert_eq!((dpc.read(0x0E, image), dpc.read(0x0E, image)), (7, 7));
        dpc.write(0x56, 0);
        assert_eq!(dpc.fetchers[6].counter, 0x130);
        dpc.write(0x59, 0x10);
        assert!(!dpc.fetchers[1].music, "only the last three can");
    }

    #[test]
    fn random_numbers_come_from_a_shift_register() {
        let mut dpc = Dpc::new();
        let mut draw = |address| {
            dpc.tick(address);
            dpc.read(0, image)
        };
        // The new bit is 1 where bits 7, 5, 4 and 3 have an even number of ones.
        assert_eq!(
            [0, 0, 0, 0xFFF, 0xFC0, 0].map(&mut draw),
            [0x03, 0x07, 0x0F, 0x1E, 0x3D, 0x7A]
        );
        assert_eq!(
            [0x080, 0xFBF].map(&mut draw),
            [0x7A, 0x7A],
            "elsewhere nothing is drawn"
        );
        dpc.write(0x70, 0);
        assert_eq!(dpc.random, 1);
    }
}
