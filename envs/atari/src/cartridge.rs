//! The cartridge: a ROM image behind a 4 KiB window, and the wiring that moves banks into the window.
//!
//! The window is made of four slices of 1 KiB; `slices[i]` is where slice *i* starts in the image. An access to a *hotspot*,
//! be it a read, a write, or the fetch of an instruction, changes slices:
//!
//! ```text
//! 2K, 4K   no hotspots; a 2 KiB image appears twice
//! F8       two banks of 4 KiB: $FF8 selects bank 0, $FF9 bank 1 (in place at reset)
//! E0       eight banks of 1 KiB: $FE0-7 choose slice 0, $FE8-F slice 1, $FF0-7 slice 2; slice 3 is always bank 7
//! ```
//!
//! Addresses with neither hotspot nor cartridge RAM are *plain*: reading them has no effect. Instructions are fetched whole
//! from the *stretch*, plain addresses around the program counter that follow each other in the image too; it moves when the
//! program leaves it. To add a mapper: a variant of [`Mapper`], its arm in [`Cartridge::reset`] and in [`Cartridge::access`],
//! and its plain range.

use std::ops::Range;
use std::sync::Arc;

use crate::cpu::Op;
use crate::error::AtariError;

/// How a cartridge is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapper {
    /// 2 KiB or 4 KiB, always all there.
    Flat,
    /// Two banks of 4 KiB.
    F8,
    /// Eight banks of 1 KiB, of which three are chosen (Parker Brothers).
    E0,
}

const SLICE: u32 = 0x400;
/// Bytes of the largest image.
const IMAGE: usize = 0x4000;

impl Mapper {
    /// # Errors
    /// [`AtariError::RomSize`] if no cartridge of this kind has an image of this size.
    pub(crate) fn check_size(self, game: &'static str, bytes: usize) -> Result<(), AtariError> {
        let (fits, expected) = match self {
            Mapper::Flat => (bytes == 2048 || bytes == 4096, "2048 or 4096"),
            Mapper::F8 | Mapper::E0 => (bytes == 8192, "8192"),
        };
        if fits {
            Ok(())
        } else {
            Err(AtariError::RomSize { game, bytes, expected })
        }
    }

    /// The plain addresses, within the window.
    fn plain(self) -> Range<u16> {
        match self {
            Mapper::Flat => 0..0x1000,
            Mapper::F8 => 0..0xFF8,
            Mapper::E0 => 0..0xFE0,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Cartridge {
    /// For every byte of the image the instruction that begins there, and its cycles.
    code: Arc<[Op; IMAGE]>,
    mapper: Mapper,
    /// Offset of each quarter of the window in the image; all are within it.
    slices: [u32; 4],
    plain: Range<u16>,
    stretch: Stretch,
}

/// Where instructions are fetched from without further ado.
#[derive(Clone, Copy)]
struct Stretch {
    /// First address, as the bus sees it.
    start: u16,
    /// Number of addresses from there at which an instruction of any length may begin; 0 if there is no stretch.
    len: u16,
    /// Offset of `start` in the image.
    offset: u32,
}

impl Stretch {
    const NONE: Stretch = Stretch {
        start: 0,
        len: 0,
        offset: 0,
    };
}

impl Cartridge {
    /// An instruction is fetched as this many bytes, the last of which it does not use.
    const FETCHED: u16 = 4;

    /// `bytes` must have a size that [`Mapper::check_size`] accepts.
    pub(crate) fn new(mapper: Mapper, bytes: &[u8]) -> Self {
        let image = if bytes.len() == 2048 {
            [bytes, bytes].concat()
        } else {
            bytes.to_vec()
        };
        let byte = |at: usize| image.get(at).copied().unwrap_or(0);
        let code = Arc::new(std::array::from_fn(|at| {
            Op::new([byte(at), byte(at + 1), byte(at + 2)])
        }));
        let mut cartridge = Self {
            code,
            mapper,
            slices: [0; 4],
            plain: mapper.plain(),
            stretch: Stretch::NONE,
        };
        cartridge.reset();
        cartridge
    }

    /// Back to the banks that are in place when the console is switched on.
    pub(crate) fn reset(&mut self) {
        match self.mapper {
            Mapper::Flat => self.select_4k(0),
            Mapper::F8 => self.select_4k(1),
            Mapper::E0 => self.slices = [4, 5, 6, 7].map(|bank| bank * SLICE),
        }
        self.stretch = Stretch::NONE;
    }

    /// Which slices are in the window.
    pub(crate) fn slices(&self) -> [u32; 4] {
        self.slices
    }

    /// Puts saved slices into the window.
    pub(crate) fn restore(&mut self, slices: [u32; 4]) -> Result<(), &'static str> {
        let fits = |slice: &u32| slice.is_multiple_of(SLICE) && *slice < IMAGE as u32;
        if !slices.iter().all(fits) {
            return Err("banks");
        }
        self.slices = slices;
        self.stretch = Stretch::NONE;
        Ok(())
    }

    /// The instruction at `pc`, and what follows it, if all of it lies in the stretch.
    #[inline(always)]
    pub(crate) fn fetch(&self, pc: u16) -> Option<Op> {
        let at = (pc & 0x1FFF).wrapping_sub(self.stretch.start);
        if at >= self.stretch.len {
            return None;
        }
        Some(self.code[(self.stretch.offset as usize + usize::from(at)) % IMAGE])
    }

    /// Moves the stretch to `pc`, an address of the cartridge, as far as it is plain there.
    pub(crate) fn move_stretch(&mut self, pc: u16) {
        let slice = pc & 0xC00;
        let start = slice.max(self.plain.start);
        // Slices that follow each other in the image make one stretch.
        let mut end = slice + 0x400;
        while end < 0x1000 && self.offset(end) == self.offset(end - 1) + 1 {
            end += 0x400;
        }
        let end = end.min(self.plain.end);
        let len = (end.saturating_sub(start) + 1).saturating_sub(Self::FETCHED);
        self.stretch = Stretch {
            start: 0x1000 | start,
            len,
            offset: self.offset(start) as u32,
        };
    }

    /// Reads the byte at an address of the cartridge (A12 set).
    #[inline(always)]
    pub(crate) fn read(&mut self, address: u16) -> u8 {
        if !self.plain.contains(&(address & 0xFFF)) {
            self.access(address & 0xFFF);
        }
        self.code[self.offset(address) % IMAGE].opcode()
    }

    /// A write to the cartridge: ROM stays as it is, hotspots answer.
    pub(crate) fn write(&mut self, address: u16, _value: u8) {
        self.access(address & 0xFFF);
    }

    #[inline(always)]
    fn offset(&self, address: u16) -> usize {
        self.slices[usize::from((address >> 10) & 3)] as usize + usize::from(address & 0x3FF)
    }

    /// What an access to an address of the window does to the banks. It comes before the byte is read.
    #[cold]
    fn access(&mut self, address: u16) {
        match (self.mapper, address) {
            (Mapper::F8, 0xFF8..=0xFF9) => self.select_4k(u32::from(address - 0xFF8)),
            (Mapper::E0, 0xFE0..=0xFF7) => {
                let slice = usize::from((address - 0xFE0) >> 3);
                self.slices[slice] = u32::from(address & 7) * SLICE;
            }
            _ => return,
        }
        self.stretch = Stretch::NONE;
    }

    fn select_4k(&mut self, bank: u32) {
        self.slices = [0, 1, 2, 3].map(|slice| (4 * bank + slice) * SLICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image in which every byte is the number of its 1 KiB bank.
    fn numbered(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 1024) as u8).collect()
    }

    fn slices(cartridge: &mut Cartridge) -> [u8; 4] {
        [0x1000, 0x1400, 0x1800, 0x1C00].map(|address| cartridge.read(address))
    }

    #[test]
    fn a_2k_image_appears_twice() {
        let mut cartridge = Cartridge::new(Mapper::Flat, &numbered(2048));
        assert_eq!(slices(&mut cartridge), [0, 1, 0, 1]);
    }

    #[test]
    fn f8_starts_in_bank_1_and_switches_on_reads_and_writes() {
        let mut cartridge = Cartridge::new(Mapper::F8, &numbered(8192));
        assert_eq!(slices(&mut cartridge), [4, 5, 6, 7]);
        assert_eq!(cartridge.read(0x1FF8), 3, "the byte comes from the new bank");
        assert_eq!(slices(&mut cartridge), [0, 1, 2, 3]);
        cartridge.write(0x1FF9, 0);
        assert_eq!(slices(&mut cartridge), [4, 5, 6, 7]);
        cartridge.read(0xFFF8);
        assert_eq!(
            slices(&mut cartridge),
            [0, 1, 2, 3],
            "the upper three address lines are not connected"
        );
        cartridge.reset();
        assert_eq!(slices(&mut cartridge), [4, 5, 6, 7]);
    }

    #[test]
    fn e0_chooses_three_slices_and_keeps_the_last() {
        let mut cartridge = Cartridge::new(Mapper::E0, &numbered(8192));
        assert_eq!(slices(&mut cartridge), [4, 5, 6, 7]);
        cartridge.read(0x1FE0);
        cartridge.read(0x1FE9);
        cartridge.write(0x1FF7, 0);
        assert_eq!(slices(&mut cartridge), [0, 1, 7, 7]);
        cartridge.read(0x1FF8);
        assert_eq!(slices(&mut cartridge), [0, 1, 7, 7], "$FF8 is no hotspot here");
    }

    /// The first and the last address of the window at which an instruction can be fetched after the stretch moved to `pc`.
    fn stretch(cartridge: &mut Cartridge, pc: u16) -> Option<(u16, u16)> {
        cartridge.move_stretch(pc);
        let mut fetched = (0x1000..0x2000).filter(|&pc| cartridge.fetch(pc).is_some());
        fetched
            .next()
            .map(|first| (first, fetched.next_back().unwrap_or(first)))
    }

    #[test]
    fn instructions_are_fetched_whole_from_plain_addresses_that_follow_each_other_in_the_image() {
        let mut flat = Cartridge::new(Mapper::Flat, &numbered(4096));
        assert_eq!(flat.fetch(0xF000), None, "the stretch was not moved yet");
        assert_eq!(stretch(&mut flat, 0xF000), Some((0x1000, 0x1FFC)));
        assert_eq!(flat.fetch(0xF3FF), Some(Op::new([0, 1, 1])));
        assert_eq!(flat.fetch(0x0080), None, "console RAM");
        let mut f8 = Cartridge::new(Mapper::F8, &numbered(8192));
        assert_eq!(stretch(&mut f8, 0xF800), Some((0x1800, 0x1FF4)), "the hotspots end it");
        assert_eq!(f8.fetch(0x1800), Some(Op::new([6; 3])));
        let mut e0 = Cartridge::new(Mapper::E0, &numbered(8192));
        e0.read(0x1FE0);
        assert_eq!(
            stretch(&mut e0, 0x1000),
            Some((0x1000, 0x13FC)),
            "the next slice is elsewhere in the image"
        );
        assert_eq!(stretch(&mut e0, 0x1400), Some((0x1400, 0x1FDC)));
    }

    #[test]
    fn a_bank_switch_ends_the_stretch() {
        let mut f8 = Cartridge::new(Mapper::F8, &numbered(8192));
        f8.move_stretch(0x1000);
        assert_eq!(f8.fetch(0x1000), Some(Op::new([4; 3])));
        f8.read(0x1FF8);
        assert_eq!(f8.fetch(0x1000), None);
        f8.move_stretch(0x1000);
        assert_eq!(f8.fetch(0x1000), Some(Op::new([0; 3])));
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let error = Mapper::E0.check_size("montezuma_revenge", 4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a ROM image of 4096 bytes does not fit the cartridge of montezuma_revenge, which holds 8192"
        );
    }
}
