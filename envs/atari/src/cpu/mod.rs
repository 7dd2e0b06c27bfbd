//! The processor: a 6507 (a 6502 with fewer pins) as ALE runs it, one instruction at a time.
//!
//! All cycles of an instruction are charged before it does anything, so that the chips see each of its accesses at the time of
//! its end. [`Cpu::run`] keeps the registers in a local copy, and every method that takes it by reference is inlined there: this
//! lets them live in the registers of the host. A method that is not inlined would push them all into memory.

mod addressing;
mod decimal;
mod execute;
pub(crate) mod opcodes;
mod operations;
#[cfg(feature = "translate")]
mod translate;
#[cfg(not(feature = "translate"))]
#[path = "untranslated.rs"]
mod translate;

use serde::{Deserialize, Serialize};

use crate::bus::Bus;
pub(crate) use translate::Translations;
#[cfg(feature = "translate")]
pub(crate) use translate::Window;

/// An instruction: opcode, the two bytes that follow it, and its cycles, from the lowest byte up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op(u32);

impl Op {
    pub(crate) fn new([opcode, low, high]: [u8; 3]) -> Self {
        Self(u32::from_le_bytes([
            opcode,
            low,
            high,
            opcodes::CYCLES[usize::from(opcode)],
        ]))
    }

    #[inline(always)]
    pub(crate) fn opcode(self) -> u8 {
        self.0 as u8
    }

    #[inline(always)]
    fn low(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline(always)]
    fn high(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Cycles, without those of crossed pages and taken branches.
    #[inline(always)]
    fn cycles(self) -> u32 {
        self.0 >> 24
    }
}

/// The registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cpu {
    pub(crate) a: u8,
    pub(crate) x: u8,
    pub(crate) y: u8,
    pub(crate) sp: u8,
    pub(crate) pc: u16,
    /// Zero and negative in one: Z is set if the low byte is 0, N if bit 7 or bit 15 is set. Nearly always it is just the last
    /// result.
    nz: u16,
    /// Carry: 0 or 1.
    carry: u8,
    overflow: bool,
    decimal: bool,
    interrupt_disable: bool,
    /// CPU cycles since the start of the frame.
    pub(crate) cycles: u32,
    /// Instructions that may still run in this frame; 0 once the frame is done.
    instructions_left: u32,
    /// One of the instructions that stop the processor for good was met.
    jammed: bool,
}

/// What an instruction wrote: see [`Atari::act_watched`](crate::Atari::act_watched).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Where the instruction is.
    pub pc: u16,
    /// Its opcode and the two bytes that follow it.
    pub instruction: [u8; 3],
    /// A byte of RAM that has changed, from `$80` on, or a register of the TIA, below.
    pub address: u16,
    /// CPU cycle of the frame.
    pub cycle: u32,
    /// The line of the screen where the beam was then, negative above it.
    pub line: i32,
    /// The pixel of that line, negative in its blank.
    pub pixel: i32,
}

/// Bits of the status register, as PHP and BRK push it.
mod status {
    pub(super) const CARRY: u8 = 0x01;
    pub(super) const ZERO: u8 = 0x02;
    pub(super) const INTERRUPT_DISABLE: u8 = 0x04;
    pub(super) const DECIMAL: u8 = 0x08;
    /// B and the unused bit, always set here: nothing ever interrupts.
    pub(super) const ALWAYS: u8 = 0x30;
    pub(super) const OVERFLOW: u8 = 0x40;
    pub(super) const NEGATIVE: u8 = 0x80;
}

/// The cycles of a frame that does not end stay far below; what is computed of them stays within its range.
pub(crate) const MOST_CYCLES: u32 = 1 << 27;

/// Where programs start.
const RESET_VECTOR: u16 = 0xFFFC;

impl Cpu {
    /// The registers after a system reset, at cycle 0.
    pub(crate) fn reset(bus: &mut Bus) -> Self {
        let low = bus.read(RESET_VECTOR, 0, 0);
        let high = bus.read(RESET_VECTOR + 1, low, 0);
        Self {
            a: 0,
            x: 0,
            y: 0,
            sp: 0xFF,
            pc: u16::from_le_bytes([low, high]),
            nz: 1,
            carry: 0,
            overflow: false,
            decimal: false,
            interrupt_disable: false,
            cycles: 0,
            instructions_left: 0,
            jammed: false,
        }
    }

    /// Whether saved registers can be run.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let fits = self.carry <= 1 && self.cycles <= MOST_CYCLES;
        fits.then_some(()).ok_or("registers")
    }

    /// Runs until the end of the frame, but not more than `max_instructions`.
    pub(crate) fn run(&mut self, bus: &mut Bus, max_instructions: u32) {
        let mut cpu = *self;
        if cpu.jammed {
            return;
        }
        cpu.instructions_left = max_instructions;
        let program = bus.cartridge.program();
        if let Some(translations) = program.translations() {
            cpu.run_translated(bus, translations);
        } else {
            while cpu.instructions_left > 0 {
                cpu.execute(bus);
                cpu.instructions_left -= 1;
            }
        }
        *self = cpu;
    }

    /// Like [`Cpu::run`] by the interpreter alone, and notes what each instruction writes to RAM and to the TIA.
    pub(crate) fn run_watched(&mut self, bus: &mut Bus, max_instructions: u32, written: &mut Vec<Written>) {
        if self.jammed {
            return;
        }
        self.instructions_left = max_instructions;
        while self.instructions_left > 0 {
            let (pc, ram) = (self.pc, bus.riot.ram);
            let instruction = [0, 1, 2].map(|at| bus.peek(pc.wrapping_add(at)));
            let tia_before = bus.tia.last_write();
            self.execute(bus);
            self.instructions_left -= 1;
            let mut note = |address: u16, cycle: u32| {
                let (line, pixel) = bus.tia.beam_at(cycle);
                written.push(Written {
                    pc,
                    instruction,
                    address,
                    cycle,
                    line,
                    pixel,
                });
            };
            if let Some((cycle, register)) = bus.tia.last_write().filter(|&last| Some(last) != tia_before) {
                note(register.into(), cycle);
            }
            for (at, _) in ram
                .iter()
                .zip(&bus.riot.ram)
                .enumerate()
                .filter(|(_, (old, new))| old != new)
            {
                note(0x80 + at as u16, self.cycles);
            }
        }
    }

    /// Stops for good.
    #[inline(always)]
    fn jam(&mut self) {
        self.jammed = true;
        self.instructions_left = 1;
    }

    #[inline(always)]
    fn status(&self) -> u8 {
        let mut bits = status::ALWAYS | self.carry;
        bits |= if self.zero() { status::ZERO } else { 0 };
        bits |= if self.interrupt_disable {
            status::INTERRUPT_DISABLE
        } else {
            0
        };
        bits |= if self.decimal { status::DECIMAL } else { 0 };
        bits |= if self.overflow { status::OVERFLOW } else { 0 };
        bits | if self.negative() { status::NEGATIVE } else { 0 }
    }

    #[inline(always)]
    fn set_status(&mut self, bits: u8) {
        self.carry = bits & status::CARRY;
        self.nz = u16::from(bits & status::NEGATIVE) << 8 | u16::from(bits & status::ZERO == 0);
        self.interrupt_disable = bits & status::INTERRUPT_DISABLE != 0;
        self.decimal = bits & status::DECIMAL != 0;
        self.overflow = bits & status::OVERFLOW != 0;
    }

    #[inline(always)]
    fn zero(&self) -> bool {
        self.nz & 0xFF == 0
    }

    #[inline(always)]
    fn negative(&self) -> bool {
        self.nz & 0x8080 != 0
    }
}

#[cfg(test)]
mod undocumented_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cartridge::{Cartridge, Mapper, Program};
    use crate::riot::Riot;
    use crate::tia::{Display, Tia};

    /// A console without a picture that runs `program` from $F000 on, again and again.
    pub(super) fn bus(program: &[u8]) -> Bus {
        let mut image = vec![0xEA; 4096];
        image[..program.len()].copy_from_slice(program);
        image[0xFF0..0xFF3].copy_from_slice(&[0x4C, 0x00, 0xF0]); // JMP $F000
        image[0xFFC..0xFFE].copy_from_slice(&[0x00, 0xF0]);
        let display = Display {
            y_start: 34,
            height: 210,
            hmove_blanks: true,
            pal: false,
        };
        let mut riot = Riot::new([0; 128]);
        riot.reset(30);
        Bus::new(
            Cartridge::new(Program::new(Mapper::Flat, &image).into()),
            riot,
            Tia::new(display),
        )
    }

    #[test]
    fn waiting_in_one_go_ends_where_waiting_step_by_step_does() {
        #[rustfmt::skip]
        let program = [
            0xA9, 0x2A,         // LDA #42
            0x8D, 0x96, 0x02,   // STA TIM64T
            0xAD, 0x84, 0x02,   // wait: LDA INTIM
            0xD0, 0xFB,         // BNE wait
            0xA9, 0xFF,         // LDA #255
            0x8D, 0x95, 0x02,   // STA TIM8T
            0xAC, 0x84, 0x02,   // late: LDY INTIM
            0x10, 0xFB,         // BPL late
        ];
        for instructions in [
            1, 2, 3, 4, 5, 100, 101, 500, 597, 598, 599, 600, 601, 602, 603, 604, 605, 606, 607, 608, 700, 2000, 5000,
        ] {
            let (mut bus, mut bus_by_step) = (bus(&program), bus(&program));
            let (mut cpu, mut cpu_by_step) = (Cpu::reset(&mut bus), Cpu::reset(&mut bus_by_step));
            cpu.run(&mut bus, instructions);
            for _ in 0..instructions {
                cpu_by_step.run(&mut bus_by_step, 1);
            }
            assert_eq!(cpu, cpu_by_step, "after {instructions} instructions");
        }
    }

    #[test]
    fn bit_takes_n_and_v_from_the_value_and_z_from_the_conjunction() {
        for (a, value, zero, negative, overflow) in [
            (0x01, 0xC0, true, true, true),
            (0x80, 0x80, false, true, false),
            (0x3F, 0x41, false, false, true),
            (0xFF, 0x00, true, false, false),
        ] {
            let mut bus = bus(&[0xA9, value, 0x85, 0x80, 0xA9, a, 0x24, 0x80]);
            let mut cpu = Cpu::reset(&mut bus);
            cpu.run(&mut bus, 4);
            assert_eq!(
                (cpu.zero(), cpu.negative(), cpu.overflow),
                (zero, negative, overflow),
                "BIT of {value:X} with {a:X}"
            );
        }
    }
}
