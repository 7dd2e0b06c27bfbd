//! The registers that a program writes, by address.

pub(super) const VSYNC: u8 = 0x00;
pub(super) const VBLANK: u8 = 0x01;
pub(super) const WSYNC: u8 = 0x02;
pub(super) const NUSIZ0: u8 = 0x04;
pub(super) const NUSIZ1: u8 = 0x05;
pub(super) const COLUP0: u8 = 0x06;
pub(super) const COLUP1: u8 = 0x07;
pub(super) const COLUPF: u8 = 0x08;
pub(super) const COLUBK: u8 = 0x09;
pub(super) const CTRLPF: u8 = 0x0A;
pub(super) const REFP0: u8 = 0x0B;
pub(super) const REFP1: u8 = 0x0C;
pub(super) const PF0: u8 = 0x0D;
pub(super) const PF2: u8 = 0x0F;
pub(super) const RESP0: u8 = 0x10;
pub(super) const RESP1: u8 = 0x11;
pub(super) const RESM0: u8 = 0x12;
pub(super) const RESM1: u8 = 0x13;
pub(super) const RESBL: u8 = 0x14;
pub(super) const GRP0: u8 = 0x1B;
pub(super) const GRP1: u8 = 0x1C;
pub(super) const ENAM0: u8 = 0x1D;
pub(super) const ENAM1: u8 = 0x1E;
pub(super) const ENABL: u8 = 0x1F;
pub(super) const HMP0: u8 = 0x20;
pub(super) const HMP1: u8 = 0x21;
pub(super) const HMM0: u8 = 0x22;
pub(super) const HMM1: u8 = 0x23;
pub(super) const HMBL: u8 = 0x24;
pub(super) const VDELP0: u8 = 0x25;
pub(super) const VDELP1: u8 = 0x26;
pub(super) const VDELBL: u8 = 0x27;
pub(super) const RESMP0: u8 = 0x28;
pub(super) const RESMP1: u8 = 0x29;
pub(super) const HMOVE: u8 = 0x2A;
pub(super) const HMCLR: u8 = 0x2B;
pub(super) const CXCLR: u8 = 0x2C;

/// The bits that matter of registers to which writing the same again does nothing. 0 for registers to which that does not apply,
/// and for those that nothing depends on (sound, test registers).
pub(super) static MEANING: [u8; 64] = {
    let mut meaning = [0; 64];
    let mut register = 0;
    while register < 64 {
        meaning[register as usize] = match register {
            VBLANK | ENAM0 | ENAM1 | ENABL | RESMP0 | RESMP1 => 0x02,
            COLUP0..=COLUBK => 0xFE,
            CTRLPF | PF0..=PF2 => 0xFF,
            REFP0 | REFP1 => 0x08,
            HMP0..=HMBL => 0xF0,
            VDELP0..=VDELBL => 0x01,
            _ => 0,
        };
        register += 1;
    }
    meaning
};
