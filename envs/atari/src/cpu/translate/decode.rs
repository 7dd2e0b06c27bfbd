//! The opcodes that the translator knows. The interpreter executes the others.

use crate::cpu::Op;

impl Op {
    /// The two bytes after the opcode.
    pub(super) fn word(self) -> u16 {
        u16::from_le_bytes([self.low(), self.high()])
    }

    /// Where an indirect jump reads the high byte of its target: in the page of the low one.
    pub(super) fn second_word(self) -> u16 {
        u16::from_le_bytes([self.low().wrapping_add(1), self.high()])
    }

    /// LDA, LDX or LDY from an address of two bytes.
    pub(super) fn is_absolute_load(self) -> bool {
        matches!(self.opcode(), 0xAC..=0xAE)
    }
}

/// A register of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    A,
    X,
    Y,
    Sp,
}

/// Where an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Immediate,
    Zp,
    ZpX,
    ZpY,
    Abs,
    AbsX,
    AbsY,
    IndX,
    IndY,
}

/// What reads a value and changes registers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Load(Register),
    /// LAX: A and X.
    LoadBoth,
    And,
    Ora,
    Eor,
    Bit,
    Adc,
    Sbc,
    Compare(Register),
    Nop,
}

/// What turns a byte into another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Asl,
    Lsr,
    Rol,
    Ror,
    Inc,
    Dec,
    /// DCP: DEC, then CMP.
    DecCompare,
}

/// A flag that an instruction sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Carry,
    Overflow,
    Decimal,
    InterruptDisable,
}

/// What a branch looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Negative,
    Overflow,
    Carry,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read(Read, Mode),
    Store(Register, Mode),
    /// SAX: A and X.
    StoreBoth(Mode),
    /// Of a byte in memory.
    Modify(Change, Mode),
    /// Of the accumulator.
    Shift(Change),
    /// A register plus or minus one.
    Step(Register, Change),
    Transfer {
        from: Register,
        to: Register,
    },
    Set(Flag, bool),
    Nothing,
    Branch {
        on: Condition,
        if_set: bool,
    },
    Jump,
    /// To an address that is in memory.
    JumpIndirect,
    Call,
    Return,
    ReturnFromInterrupt,
    PushA,
    PushStatus,
    PullA,
    PullStatus,
}

/// The operation of an opcode, if there is a translation for it.
pub(super) fn decode(opcode: u8) -> Option<Operation> {
    use Mode::*;
    use Operation as Op;
    use Register::*;
    Some(match opcode {
        0xA9 => Op::Read(Read::Load(A), Immediate),
        0xA5 => Op::Read(Read::Load(A), Zp),
        0xB5 => Op::Read(Read::Load(A), ZpX),
        0xAD => Op::Read(Read::Load(A), Abs),
        0xBD => Op::Read(Read::Load(A), AbsX),
        0xB9 => Op::Read(Read::Load(A), AbsY),
        0xA1 => Op::Read(Read::Load(A), IndX),
        0xB1 => Op::Read(Read::Load(A), IndY),
        0xA2 => Op::Read(Read::Load(X), Immediate),
        0xA6 => Op::Read(Read::Load(X), Zp),
        0xB6 => Op::Read(Read::Load(X), ZpY),
        0xAE => Op::Read(Read::Load(X), Abs),
        0xBE => Op::Read(Read::Load(X), AbsY),
        0xA0 => Op::Read(Read::Load(Y), Immediate),
        0xA4 => Op::Read(Read::Load(Y), Zp),
        0xB4 => Op::Read(Read::Load(Y), ZpX),
        0xAC => Op::Read(Read::Load(Y), Abs),
        0xBC => Op::Read(Read::Load(Y), AbsX),
        0xA7 => Op::Read(Read::LoadBoth, Zp),
        0xB7 => Op::Read(Read::LoadBoth, ZpY),
        0xAF => Op::Read(Read::LoadBoth, Abs),
        0xBF => Op::Read(Read::LoadBoth, AbsY),
        0xB3 => Op::Read(Read::LoadBoth, IndY),

        0x85 => Op::Store(A, Zp),
        0x95 => Op::Store(A, ZpX),
        0x8D => Op::Store(A, Abs),
        0x9D => Op::Store(A, AbsX),
        0x99 => Op::Store(A, AbsY),
        0x81 => Op::Store(A, IndX),
        0x91 => Op::Store(A, IndY),
        0x86 => Op::Store(X, Zp),
        0x96 => Op::Store(X, ZpY),
        0x8E => Op::Store(X, Abs),
        0x84 => Op::Store(Y, Zp),
        0x94 => Op::Store(Y, ZpX),
        0x8C => Op::Store(Y, Abs),
        0x87 => Op::StoreBoth(Zp),
        0x97 => Op::StoreBoth(ZpY),
        0x8F => Op::StoreBoth(Abs),

        0xAA => Op::Transfer { from: A, to: X },
        0xA8 => Op::Transfer { from: A, to: Y },
        0x8A => Op::Transfer { from: X, to: A },
        0x98 => Op::Transfer { from: Y, to: A },
        0xBA => Op::Transfer { from: Sp, to: X },
        0x9A => Op::Transfer { from: X, to: Sp },

        0x29 => Op::Read(Read::And, Immediate),
        0x25 => Op::Read(Read::And, Zp),
        0x35 => Op::Read(Read::And, ZpX),
        0x2D => Op::Read(Read::And, Abs),
        0x3D => Op::Read(Read::And, AbsX),
        0x39 => Op::Read(Read::And, AbsY),
        0x21 => Op::Read(Read::And, IndX),
        0x31 => Op::Read(Read::And, IndY),
        0x09 => Op::Read(Read::Ora, Immediate),
        0x05 => Op::Read(Read::Ora, Zp),
        0x15 => Op::Read(Read::Ora, ZpX),
        0x0D => Op::Read(Read::Ora, Abs),
        0x1D => Op::Read(Read::Ora, AbsX),
        0x19 => Op::Read(Read::Ora, AbsY),
        0x01 => Op::Read(Read::Ora, IndX),
        0x11 => Op::Read(Read::Ora, IndY),
        0x49 => Op::Read(Read::Eor, Immediate),
        0x45 => Op::Read(Read::Eor, Zp),
        0x55 => Op::Read(Read::Eor, ZpX),
        0x4D => Op::Read(Read::Eor, Abs),
        0x5D => Op::Read(Read::Eor, AbsX),
        0x59 => Op::Read(Read::Eor, AbsY),
        0x41 => Op::Read(Read::Eor, IndX),
        0x51 => Op::Read(Read::Eor, IndY),
        0x24 => Op::Read(Read::Bit, Zp),
        0x2C => Op::Read(Read::Bit, Abs),
        0x69 => Op::Read(Read::Adc, Immediate),
        0x65 => Op::Read(Read::Adc, Zp),
        0x75 => Op::Read(Read::Adc, ZpX),
        0x6D => Op::Read(Read::Adc, Abs),
        0x7D => Op::Read(Read::Adc, AbsX),
        0x79 => Op::Read(Read::Adc, AbsY),
        0x61 => Op::Read(Read::Adc, IndX),
        0x71 => Op::Read(Read::Adc, IndY),
        0xE9 | 0xEB => Op::Read(Read::Sbc, Immediate),
        0xE5 => Op::Read(Read::Sbc, Zp),
        0xF5 => Op::Read(Read::Sbc, ZpX),
        0xED => Op::Read(Read::Sbc, Abs),
        0xFD => Op::Read(Read::Sbc, AbsX),
        0xF9 => Op::Read(Read::Sbc, AbsY),
        0xE1 => Op::Read(Read::Sbc, IndX),
        0xF1 => Op::Read(Read::Sbc, IndY),
        0xC9 => Op::Read(Read::Compare(A), Immediate),
        0xC5 => Op::Read(Read::Compare(A), Zp),
        0xD5 => Op::Read(Read::Compare(A), ZpX),
        0xCD => Op::Read(Read::Compare(A), Abs),
        0xDD => Op::Read(Read::Compare(A), AbsX),
        0xD9 => Op::Read(Read::Compare(A), AbsY),
        0xC1 => Op::Read(Read::Compare(A), IndX),
        0xD1 => Op::Read(Read::Compare(A), IndY),
        0xE0 => Op::Read(Read::Compare(X), Immediate),
        0xE4 => Op::Read(Read::Compare(X), Zp),
        0xEC => Op::Read(Read::Compare(X), Abs),
        0xC0 => Op::Read(Read::Compare(Y), Immediate),
        0xC4 => Op::Read(Read::Compare(Y), Zp),
        0xCC => Op::Read(Read::Compare(Y), Abs),

        0xE8 => Op::Step(X, Change::Inc),
        0xC8 => Op::Step(Y, Change::Inc),
        0xCA => Op::Step(X, Change::Dec),
        0x88 => Op::Step(Y, Change::Dec),
        0xE6 => Op::Modify(Change::Inc, Zp),
        0xF6 => Op::Modify(Change::Inc, ZpX),
        0xEE => Op::Modify(Change::Inc, Abs),
        0xC6 => Op::Modify(Change::Dec, Zp),
        0xD6 => Op::Modify(Change::Dec, ZpX),
        0xCE => Op::Modify(Change::Dec, Abs),
        0xC7 => Op::Modify(Change::DecCompare, Zp),
        0xD7 => Op::Modify(Change::DecCompare, ZpX),
        0xCF => Op::Modify(Change::DecCompare, Abs),
        0x0A => Op::Shift(Change::Asl),
        0x06 => Op::Modify(Change::Asl, Zp),
        0x16 => Op::Modify(Change::Asl, ZpX),
        0x0E => Op::Modify(Change::Asl, Abs),
        0x4A => Op::Shift(Change::Lsr),
        0x46 => Op::Modify(Change::Lsr, Zp),
        0x56 => Op::Modify(Change::Lsr, ZpX),
        0x4E => Op::Modify(Change::Lsr, Abs),
        0x2A => Op::Shift(Change::Rol),
        0x26 => Op::Modify(Change::Rol, Zp),
        0x36 => Op::Modify(Change::Rol, ZpX),
        0x2E => Op::Modify(Change::Rol, Abs),
        0x6A => Op::Shift(Change::Ror),
        0x66 => Op::Modify(Change::Ror, Zp),
        0x76 => Op::Modify(Change::Ror, ZpX),
        0x6E => Op::Modify(Change::Ror, Abs),

        0x18 => Op::Set(Flag::Carry, false),
        0x38 => Op::Set(Flag::Carry, true),
        0x58 => Op::Set(Flag::InterruptDisable, false),
        0x78 => Op::Set(Flag::InterruptDisable, true),
        0xB8 => Op::Set(Flag::Overflow, false),
        0xD8 => Op::Set(Flag::Decimal, false),
        0xF8 => Op::Set(Flag::Decimal, true),

        0x10 => branch(Condition::Negative, false),
        0x30 => branch(Condition::Negative, true),
        0x50 => branch(Condition::Overflow, false),
        0x70 => branch(Condition::Overflow, true),
        0x90 => branch(Condition::Carry, false),
        0xB0 => branch(Condition::Carry, true),
        0xD0 => branch(Condition::Zero, false),
        0xF0 => branch(Condition::Zero, true),
        0x4C => Op::Jump,
        0x6C => Op::JumpIndirect,
        0x20 => Op::Call,
        0x60 => Op::Return,
        0x40 => Op::ReturnFromInterrupt,
        0x48 => Op::PushA,
        0x08 => Op::PushStatus,
        0x68 => Op::PullA,
        0x28 => Op::PullStatus,

        0xEA | 0x1A | 0x3A | 0x5A | 0x7A | 0xDA | 0xFA => Op::Nothing,
        0x80 | 0x82 | 0x89 | 0xC2 | 0xE2 => Op::Read(Read::Nop, Immediate),
        0x04 | 0x44 | 0x64 => Op::Read(Read::Nop, Zp),
        _ => return None,
    })
}

fn branch(on: Condition, if_set: bool) -> Operation {
    Operation::Branch { on, if_set }
}
