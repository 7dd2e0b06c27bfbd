//! What the processor is wired to: 13 address lines, three chips, and the byte that stays on the data lines.
//!
//! ```text
//! A12 = 1                      cartridge
//! A12 = 0, A7 = 0              TIA
//! A12 = 0, A7 = 1, A9 = 0      RAM
//! A12 = 0, A7 = 1, A9 = 1      ports and timer
//! ```
//!
//! The TIA drives only some of the data lines; on the others a read sees the *latch*, the byte of the access before. Storing it
//! at every access would cost much, so readers say what it is: an instruction knows its own bytes.

use crate::cartridge::Cartridge;
use crate::cpu::{Op, opcodes};
use crate::riot::Riot;
use crate::tia::Tia;

/// Address line 12: set for the cartridge.
const CARTRIDGE: u16 = 0x1000;
/// Address line 7: clear for the TIA.
const NOT_TIA: u16 = 0x0080;
/// Address line 9: set for ports and timer, clear for RAM.
const PORTS: u16 = 0x0200;

#[derive(Clone)]
pub(crate) struct Bus {
    pub(crate) cartridge: Cartridge,
    pub(crate) riot: Riot,
    pub(crate) tia: Tia,
    /// The last byte that [`Bus::fetch_bytewise`] fetched.
    pub(crate) fetched: u8,
}

impl Bus {
    pub(crate) fn new(cartridge: Cartridge, riot: Riot, tia: Tia) -> Self {
        Self {
            cartridge,
            riot,
            tia,
            fetched: 0,
        }
    }

    /// The bytes at `pc`: an instruction and what follows it.
    #[inline(always)]
    pub(crate) fn fetch(&mut self, pc: u16, cycles: u32) -> Op {
        match self.cartridge.fetch(pc) {
            Some(op) => op,
            None => self.fetch_elsewhere(pc, cycles),
        }
    }

    /// The program left the stretch from which the cartridge serves whole instructions.
    #[inline(never)]
    fn fetch_elsewhere(&mut self, pc: u16, cycles: u32) -> Op {
        if pc & CARTRIDGE != 0 {
            self.cartridge.move_stretch(pc);
        }
        self.cartridge
            .fetch(pc)
            .unwrap_or_else(|| self.fetch_bytewise(pc, cycles))
    }

    /// Fetches the bytes of an instruction one after the other, for their effects on chips and banks. An instruction's cycles
    /// are charged when its opcode is known, so its operand is fetched at their end.
    #[cold]
    fn fetch_bytewise(&mut self, pc: u16, cycles: u32) -> Op {
        let mut bytes = [0; 3];
        self.fetched = self.read(pc, self.fetched, cycles);
        bytes[0] = self.fetched;
        let (length, base_cycles) = opcodes::length_and_cycles(bytes[0]);
        for at in 1..length {
            self.fetched = self.read(
                pc.wrapping_add(u16::from(at)),
                self.fetched,
                cycles + u32::from(base_cycles),
            );
            bytes[usize::from(at)] = self.fetched;
        }
        Op::new(bytes)
    }

    /// Reads the byte at an address; `latch` is the byte of the access before.
    #[inline(always)]
    pub(crate) fn read(&mut self, address: u16, latch: u8, cycles: u32) -> u8 {
        if address & CARTRIDGE != 0 {
            self.cartridge.read(address)
        } else if address & (NOT_TIA | PORTS) == NOT_TIA {
            self.riot.ram[usize::from(address & 0x7F)]
        } else {
            self.read_chip(address, latch, cycles)
        }
    }

    #[inline(never)]
    fn read_chip(&mut self, address: u16, latch: u8, cycles: u32) -> u8 {
        if address & NOT_TIA == 0 {
            self.tia.read(address, cycles, latch)
        } else {
            self.riot.read(address, cycles)
        }
    }

    /// The byte of RAM or ROM at an address, without any effect; 0 elsewhere.
    pub(crate) fn peek(&self, address: u16) -> u8 {
        if address & CARTRIDGE != 0 {
            self.cartridge.rom(address)
        } else if address & (NOT_TIA | PORTS) == NOT_TIA {
            self.riot.ram[usize::from(address & 0x7F)]
        } else {
            0
        }
    }

    /// Writes a byte. `read_before` tells whether the access before was a read.
    #[inline(always)]
    pub(crate) fn write(&mut self, address: u16, value: u8, cycles: u32, read_before: bool) -> Written {
        if address & (CARTRIDGE | NOT_TIA | PORTS) == NOT_TIA {
            self.riot.ram[usize::from(address & 0x7F)] = value;
            Written {
                cycles,
                frame_done: false,
            }
        } else {
            self.write_chip(address, value, cycles, read_before)
        }
    }

    #[inline(never)]
    fn write_chip(&mut self, address: u16, value: u8, cycles: u32, read_before: bool) -> Written {
        let mut written = Written {
            cycles,
            frame_done: false,
        };
        if address & CARTRIDGE != 0 {
            self.cartridge.write(address, value);
        } else if address & NOT_TIA != 0 {
            self.riot.write(address, value, cycles);
        } else {
            written.cycles = self.tia.write(address, value, cycles, read_before);
            written.frame_done = self.tia.frame_done();
        }
        written
    }
}

/// What a write did to the processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// The cycle count after it: later than before if the TIA stopped the processor.
    pub(crate) cycles: u32,
    /// The frame ends with this instruction.
    pub(crate) frame_done: bool,
}
