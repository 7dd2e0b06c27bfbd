//! The processor: a 6507 (a 6502 with fewer pins) as ALE runs it, one instruction at a time.
//!
//! All cycles of an instruction are charged before it does anything, so that the chips see each of its accesses at the time of
//! its end. [`Cpu::run`] keeps the registers in a local copy, and every method that takes it by reference is inlined there: this
//! lets them live in the registers of the host. A method that is not inlined would push them all into memory.

mod decimal;
mod execute;
pub(crate) mod opcodes;

use crate::bus::Bus;

/// The registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// Runs until the end of the frame, but not more than `max_instructions`.
    pub(crate) fn run(&mut self, bus: &mut Bus, max_instructions: u32) {
        let mut cpu = *self;
        cpu.instructions_left = if cpu.jammed { 0 } else { max_instructions };
        while cpu.instructions_left > 0 {
            cpu.instructions_left -= 1;
            cpu.execute(bus);
        }
        *self = cpu;
    }

    /// Stops for good.
    #[inline(always)]
    fn jam(&mut self) {
        self.jammed = true;
        self.instructions_left = 0;
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
