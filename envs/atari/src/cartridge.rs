//! The cartridge: a ROM image behind a 4 KiB window, and the wiring that moves banks into the window.
//!
//! The window is made of four slices of 1 KiB; `slices[i]` is where slice *i* starts in the image. An access to a *hotspot*,
//! be it a read, a write, or the fetch of an instruction, changes slices:
//!
//! ```text
//! 2K, 4K   no hotspots; a 2 KiB image appears twice
//! F8       two banks of 4 KiB: $FF8 selects bank 0, $FF9 bank 1 (in place at reset)
//! F6       four banks of 4 KiB: $FF6 selects bank 0 (in place at reset), up to $FF9 for bank 3
//! F8, F6   with 128 bytes of RAM besides: written at $000-$07F, read at $080-$0FF
//! E0       eight banks of 1 KiB: $FE0-7 choose slice 0, $FE8-F slice 1, $FF0-7 slice 2; slice 3 is always bank 7
//! FE       two banks of 4 KiB, chosen by address line 13: programs at $F000 are in bank 0, those at $D000 in bank 1
//! DPC      F8 with a chip that serves pictures; see [`dpc`](crate::dpc)
//! ```
//!
//! Addresses with neither hotspot nor cartridge RAM are *plain*: reading them has no effect. Instructions are fetched whole
//! from the *stretch*, plain addresses around the program counter that follow each other in the image too; it moves when the
//! program leaves it. To add a mapper: a variant of [`Mapper`], its size, its plain range, its arm in [`Cartridge::reset`] and in
//! [`Cartridge::access`], and in [`Cartridge::read_special`] and [`Cartridge::write`] if there is more behind the window than ROM.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[cfg(feature = "translate")]
use crate::cpu::Window;
use crate::cpu::{Op, Translations};
use crate::dpc::{self, Dpc};
use crate::error::AtariError;
use crate::twister::Twister;

/// How a cartridge is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapper {
    /// 2 KiB or 4 KiB, always all there.
    Flat,
    /// Two banks of 4 KiB.
    F8,
    /// The same with RAM.
    F8Ram,
    /// Four banks of 4 KiB.
    F6,
    /// The same with RAM.
    F6Ram,
    /// Eight banks of 1 KiB, three of them selectable (Parker Brothers).
    E0,
    /// Two banks of 4 KiB, one for each state of an address line (Activision).
    Fe,
    /// Two banks of 4 KiB, and 2 KiB behind a chip (Pitfall II).
    Dpc,
}

const SLICE: u32 = 0x400;
/// Bytes of the largest image.
const IMAGE: usize = 0x4000;
/// The address lines of a cartridge.
const LINES: u16 = 0x1FFF;
/// One more, which an FE cartridge looks at.
const LINE_13: u16 = 0x2000;

impl Mapper {
    /// # Errors
    /// [`AtariError::RomSize`] if no cartridge of this kind has an image of this size.
    pub(crate) fn check_size(self, game: &'static str, bytes: usize) -> Result<(), AtariError> {
        let (fits, expected) = match self {
            Mapper::Flat => (bytes == 2048 || bytes == 4096, "2048 or 4096"),
            Mapper::F8 | Mapper::F8Ram | Mapper::E0 | Mapper::Fe => (bytes == 8192, "8192"),
            Mapper::F6 | Mapper::F6Ram => (bytes == 16_384, "16384"),
            Mapper::Dpc => (bytes == 10_240 || bytes == 10_495, "10240 or 10495"),
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
            Mapper::F8Ram => 0x100..0xFF8,
            Mapper::F6 => 0..0xFF6,
            Mapper::F6Ram => 0x100..0xFF6,
            Mapper::E0 => 0..0xFE0,
            Mapper::Fe => 0..0, // What any address reads depends on a line outside the window.
            Mapper::Dpc => dpc::REGISTERS.end..dpc::TICKS_FROM,
        }
    }

    /// The addresses of the window from which instructions are fetched whole.
    fn fetchable(self) -> Range<u16> {
        match self {
            Mapper::Fe => 0..0x1000,
            _ => self.plain(),
        }
    }

    /// The address lines that decide what is fetched.
    fn lines(self) -> u16 {
        match self {
            Mapper::Fe => LINES | LINE_13,
            _ => LINES,
        }
    }

    fn has_ram(self) -> bool {
        matches!(self, Mapper::F8Ram | Mapper::F6Ram)
    }
}

/// What is in a cartridge, for all machines in which it is put.
pub(crate) struct Program {
    mapper: Mapper,
    /// For every byte of the image the instruction that begins there, and its cycles.
    code: [Op; IMAGE],
    translations: Option<Translations>,
}

impl Program {
    /// `bytes` must have a size that [`Mapper::check_size`] accepts.
    pub(crate) fn new(mapper: Mapper, bytes: &[u8]) -> Program {
        let image = if bytes.len() == 2048 {
            [bytes, bytes].concat()
        } else {
            bytes.to_vec()
        };
        let byte = |at: usize| image.get(at).copied().unwrap_or(0);
        Program {
            mapper,
            code: std::array::from_fn(|at| Op::new([byte(at), byte(at + 1), byte(at + 2)])),
            translations: Translations::new(&std::array::from_fn::<u8, IMAGE, _>(byte)),
        }
    }

    /// Where its translations are, if it is to be translated.
    pub(crate) fn translations(&self) -> Option<&Translations> {
        self.translations.as_ref()
    }

    /// The same, for the interpreter alone.
    pub(crate) fn interpreted(self) -> Program {
        Program {
            translations: None,
            ..self
        }
    }
}

#[derive(Clone)]
pub(crate) struct Cartridge {
    program: Arc<Program>,
    mapper: Mapper,
    /// Offset of each quarter of the window in the image; all are within it.
    slices: [u32; 4],
    plain: Range<u16>,
    /// See [`Mapper::lines`].
    lines: u16,
    stretch: Stretch,
    ram: [u8; 128],
    dpc: Dpc,
}

/// What a cartridge was switched to, and what it remembers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Banks {
    slices: [u32; 4],
    #[serde(with = "serde_bytes")]
    ram: [u8; 128],
    dpc: Dpc,
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
    /// The number of bytes fetched for an instruction, which does not use the last one.
    const FETCHED: u16 = 4;

    pub(crate) fn new(program: Arc<Program>) -> Self {
        let mapper = program.mapper;
        let mut cartridge = Self {
            program,
            mapper,
            slices: [0; 4],
            plain: mapper.plain(),
            lines: mapper.lines(),
            stretch: Stretch::NONE,
            ram: [0; 128],
            dpc: Dpc::new(),
        };
        cartridge.reset();
        cartridge
    }

    /// Back to the banks that are in place when the console is switched on.
    pub(crate) fn reset(&mut self) {
        match self.mapper {
            Mapper::Flat | Mapper::F6 | Mapper::F6Ram | Mapper::Fe => self.select_4k(0),
            Mapper::F8 | Mapper::F8Ram | Mapper::Dpc => self.select_4k(1),
            Mapper::E0 => self.slices = [4, 5, 6, 7].map(|bank| bank * SLICE),
        }
        self.stretch = Stretch::NONE;
    }

    /// Fills the RAM, if there is any, with random bytes, which is what a system reset does.
    pub(crate) fn fill_ram(&mut self, random: &mut Twister) {
        if self.mapper.has_ram() {
            self.ram.fill_with(|| random.next_u32() as u8);
        }
    }

    /// The RAM; zeros if there is none.
    pub(crate) fn ram(&self) -> &[u8; 128] {
        &self.ram
    }

    pub(crate) fn banks(&self) -> Banks {
        Banks {
            slices: self.slices,
            ram: self.ram,
            dpc: self.dpc.clone(),
        }
    }

    /// Goes back to saved banks.
    pub(crate) fn restore(&mut self, banks: Banks) -> Result<(), &'static str> {
        let fits = |slice: &u32| slice.is_multiple_of(SLICE) && *slice < IMAGE as u32;
        // All but E0 switch the whole window, which translated code relies on.
        let whole = [0, 1, 2, 3].map(|slice| banks.slices[0] / (4 * SLICE) * (4 * SLICE) + slice * SLICE);
        if !banks.slices.iter().all(fits) || self.mapper != Mapper::E0 && banks.slices != whole {
            return Err("banks");
        }
        (self.slices, self.ram, self.dpc) = (banks.slices, banks.ram, banks.dpc);
        self.stretch = Stretch::NONE;
        Ok(())
    }

    /// The instruction at `pc`, and what follows it, if all of it lies in the stretch.
    #[inline(always)]
    pub(crate) fn fetch(&self, pc: u16) -> Option<Op> {
        self.place_in_stretch(pc).map(|at| self.program.code[at])
    }

    #[inline(always)]
    fn place_in_stretch(&self, pc: u16) -> Option<usize> {
        let at = (pc & self.lines).wrapping_sub(self.stretch.start);
        (at < self.stretch.len).then(|| (self.stretch.offset as usize + usize::from(at)) % IMAGE)
    }

    /// What is in it.
    pub(crate) fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }

    /// Moves the stretch to `pc`, an address of the cartridge, as far as it is plain there.
    pub(crate) fn move_stretch(&mut self, pc: u16) {
        if self.mapper == Mapper::Fe {
            self.select_by_line_13(pc);
        }
        let plain = self.mapper.fetchable();
        let slice = pc & 0xC00;
        let start = slice.max(plain.start);
        // Slices that follow each other in the image make one stretch.
        let mut end = slice + 0x400;
        while end < 0x1000 && self.offset(end) == self.offset(end - 1) + 1 {
            end += 0x400;
        }
        let end = end.min(plain.end);
        let len = (end.saturating_sub(start) + 1).saturating_sub(Self::FETCHED);
        self.stretch = Stretch {
            start: pc & self.lines & LINE_13 | 0x1000 | start,
            len,
            offset: self.offset(start) as u32,
        };
    }

    /// Reads the byte at an address of the cartridge (A12 set).
    #[inline(always)]
    pub(crate) fn read(&mut self, address: u16) -> u8 {
        if self.plain.contains(&(address & 0xFFF)) {
            self.rom(address)
        } else {
            self.read_special(address)
        }
    }

    /// Reads an address that is not plain.
    #[cold]
    fn read_special(&mut self, address: u16) -> u8 {
        self.access(address);
        match address & 0xFFF {
            at @ 0x080..0x100 if self.mapper.has_ram() => self.ram[usize::from(at & 0x7F)],
            at @ 0x000..0x040 if self.mapper == Mapper::Dpc => {
                let code = &self.program.code;
                self.dpc.read(at, |index| code[index % IMAGE].opcode())
            }
            _ => self.rom(address),
        }
    }

    /// A write to the cartridge: ROM stays as it is, hotspots answer.
    pub(crate) fn write(&mut self, address: u16, value: u8) {
        self.access(address);
        match address & 0xFFF {
            at @ 0x000..0x080 if self.mapper.has_ram() => self.ram[usize::from(at)] = value,
            at @ 0x040..0x080 if self.mapper == Mapper::Dpc => self.dpc.write(at, value),
            _ => {}
        }
    }

    #[inline(always)]
    pub(crate) fn rom(&self, address: u16) -> u8 {
        self.program.code[self.offset(address) % IMAGE].opcode()
    }

    #[inline(always)]
    fn offset(&self, address: u16) -> usize {
        self.slices[usize::from((address >> 10) & 3)] as usize + usize::from(address & 0x3FF)
    }

    /// What an access to an address does to the cartridge. It comes before the byte is read or written.
    #[cold]
    fn access(&mut self, address: u16) {
        if self.mapper == Mapper::Dpc {
            self.dpc.tick(address & 0xFFF);
        }
        match (self.mapper, address & 0xFFF) {
            (Mapper::F8 | Mapper::F8Ram | Mapper::Dpc, at @ 0xFF8..=0xFF9) => self.select_4k(u32::from(at - 0xFF8)),
            (Mapper::F6 | Mapper::F6Ram, at @ 0xFF6..=0xFF9) => self.select_4k(u32::from(at - 0xFF6)),
            (Mapper::E0, at @ 0xFE0..=0xFF7) => {
                let slice = usize::from((at - 0xFE0) >> 3);
                self.slices[slice] = u32::from(at & 7) * SLICE;
            }
            // The stretch knows the line that it was fetched with.
            (Mapper::Fe, _) => return self.select_by_line_13(address),
            _ => return,
        }
        self.stretch = Stretch::NONE;
    }

    fn select_by_line_13(&mut self, address: u16) {
        self.select_4k(u32::from(address & LINE_13 == 0));
    }

    fn select_4k(&mut self, bank: u32) {
        self.slices = [0, 1, 2, 3].map(|slice| (4 * bank + slice) * SLICE);
    }
}

/// For the translator.
#[cfg(feature = "translate")]
impl Cartridge {
    /// Where the instruction at `pc` is in the image, if it lies in the stretch, which is moved there if it can be.
    #[inline(always)]
    pub(crate) fn place(&mut self, pc: u16) -> Option<usize> {
        self.place_in_stretch(pc).or_else(|| self.place_elsewhere(pc))
    }

    #[cold]
    fn place_elsewhere(&mut self, pc: u16) -> Option<usize> {
        if pc & 0x1000 == 0 {
            return None;
        }
        self.move_stretch(pc);
        self.place_in_stretch(pc)
    }

    /// Whether there was an access to a hotspot since the last instruction was fetched.
    #[inline(always)]
    pub(crate) fn is_switched(&self) -> bool {
        self.stretch.len == 0
    }

    /// The instructions of the image.
    pub(crate) fn code(&self) -> &[Op] {
        &self.program.code
    }

    /// What stays in place around `pc`, which is in the stretch, as long as no hotspot is accessed.
    pub(crate) fn window(&self, pc: u16) -> Window {
        // Each slice of E0 is switched by itself.
        let slice = match self.mapper {
            Mapper::E0 => pc & 0xC00..(pc & 0xC00) + 0x400,
            _ => 0..0x1000,
        };
        let cut = |range: Range<u16>| range.start.max(slice.start)..range.end.min(slice.end).max(slice.start);
        let code = cut(self.mapper.fetchable());
        Window {
            top: pc & 0xF000,
            offset: self.offset(pc).wrapping_sub(usize::from(pc & 0xFFF)),
            code: code.start..(code.end + 1).saturating_sub(Self::FETCHED).max(code.start),
            data: cut(self.mapper.plain()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image in which every byte is the number of its 1 KiB bank.
    fn numbered(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 1024) as u8).collect()
    }

    fn cartridge(mapper: Mapper, image: &[u8]) -> Cartridge {
        Cartridge::new(Arc::new(Program::new(mapper, image)))
    }

    fn slices(cartridge: &mut Cartridge) -> [u8; 4] {
        [0x1000, 0x1400, 0x1800, 0x1C00].map(|address| cartridge.read(address))
    }

    #[test]
    fn a_2k_image_appears_twice() {
        let mut cartridge = cartridge(Mapper::Flat, &numbered(2048));
        assert_eq!(slices(&mut cartridge), [0, 1, 0, 1]);
    }

    #[test]
    fn f8_starts_in_bank_1_and_switches_on_reads_and_writes() {
        let mut cartridge = cartridge(Mapper::F8, &numbered(8192));
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
        let mut cartridge = cartridge(Mapper::E0, &numbered(8192));
        assert_eq!(slices(&mut cartridge), [4, 5, 6, 7]);
        cartridge.read(0x1FE0);
        cartridge.read(0x1FE9);
        cartridge.write(0x1FF7, 0);
        assert_eq!(slices(&mut cartridge), [0, 1, 7, 7]);
        cartridge.read(0x1FF8);
        assert_eq!(slices(&mut cartridge), [0, 1, 7, 7], "$FF8 is no hotspot here");
    }

    #[test]
    fn f6_starts_in_bank_0_and_has_four() {
        let mut cartridge = cartridge(Mapper::F6, &numbered(16_384));
        assert_eq!(slices(&mut cartridge), [0, 1, 2, 3]);
        for (hotspot, bank) in [(0x1FF9, 3), (0x1FF7, 1), (0x1FF8, 2), (0x1FF6, 0)] {
            cartridge.read(hotspot);
            assert_eq!(slices(&mut cartridge), [0, 1, 2, 3].map(|slice| 4 * bank + slice));
        }
    }

    #[test]
    fn ram_is_written_below_where_it_is_read_and_filled_by_a_reset() {
        for (mapper, size) in [(Mapper::F8Ram, 8192), (Mapper::F6Ram, 16_384)] {
            let mut cartridge = cartridge(mapper, &numbered(size));
            cartridge.write(0x1005, 77);
            assert_eq!((cartridge.read(0x1085), cartridge.ram()[5]), (77, 77));
            let rom = cartridge.read(0x1100);
            assert_eq!(cartridge.read(0x1005), rom, "where it is written, the ROM is read");
            cartridge.write(0x1085, 78);
            assert_eq!(cartridge.read(0x1085), 77, "where it is read, nothing is written");
            assert_eq!(cartridge.fetch(0x1080), None);
            // The first numbers of mt19937 with seed 5489 are 3499211612 and 581869302.
            cartridge.fill_ram(&mut Twister::new(5489));
            assert_eq!(cartridge.ram()[..2], [0x5C, 0xF6]);
        }
    }

    #[test]
    fn fe_chooses_the_bank_by_address_line_13() {
        let mut cartridge = cartridge(Mapper::Fe, &numbered(8192));
        assert_eq!((cartridge.read(0xF000), cartridge.read(0xD000)), (0, 4));
        cartridge.move_stretch(0xD400);
        assert_eq!(cartridge.fetch(0xD400), Some(Op::new([5; 3])));
        assert_eq!(cartridge.fetch(0xF400), None, "it is in the other bank");
        assert_eq!(cartridge.read(0xF800), 2, "data of the other bank");
        assert_eq!(
            cartridge.fetch(0xD800),
            Some(Op::new([6; 3])),
            "while the program goes on"
        );
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
        let mut flat = cartridge(Mapper::Flat, &numbered(4096));
        assert_eq!(flat.fetch(0xF000), None, "the stretch was not moved yet");
        assert_eq!(stretch(&mut flat, 0xF000), Some((0x1000, 0x1FFC)));
        assert_eq!(flat.fetch(0xF3FF), Some(Op::new([0, 1, 1])));
        assert_eq!(flat.fetch(0x0080), None, "console RAM");
        let mut f8 = cartridge(Mapper::F8, &numbered(8192));
        assert_eq!(stretch(&mut f8, 0xF800), Some((0x1800, 0x1FF4)), "the hotspots end it");
        assert_eq!(f8.fetch(0x1800), Some(Op::new([6; 3])));
        let mut e0 = cartridge(Mapper::E0, &numbered(8192));
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
        let mut f8 = cartridge(Mapper::F8, &numbered(8192));
        f8.move_stretch(0x1000);
        assert_eq!(f8.fetch(0x1000), Some(Op::new([4; 3])));
        f8.read(0x1FF8);
        assert_eq!(f8.fetch(0x1000), None);
        f8.move_stretch(0x1000);
        assert_eq!(f8.fetch(0x1000), Some(Op::new([0; 3])));
    }

    #[test]
    fn saved_banks_that_no_hotspot_can_choose_are_refused() {
        let restored = |mapper, slices| {
            let mut cartridge = cartridge(mapper, &numbered(8192));
            let banks = Banks {
                slices,
                ..cartridge.banks()
            };
            cartridge.restore(banks)
        };
        let [within, mixed, beyond] = [[0, 0x400, 0x800, 0xC00], [0x1C00, 0, 0x400, 0x1C00], [0x4000, 0, 0, 0]];
        assert_eq!(
            [within, mixed, beyond].map(|slices| restored(Mapper::F8, slices).is_ok()),
            [true, false, false]
        );
        assert_eq!(
            [within, mixed, beyond].map(|slices| restored(Mapper::E0, slices).is_ok()),
            [true, true, false]
        );
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
