//! Writes that translated code does by itself, without a call: those that change nothing, and waiting for the next line.
//!
//! Most writes are one of these. A program writes most registers in every line, and few of them change. What follows has to do the same as
//! [`Tia::write`], or to find out that it cannot.

use std::mem::offset_of;

use super::registers::*;
use super::{Access, LINE_CYCLES, Tia};

/// What to do instead of a call. Places are distances from the beginning of a [`Tia`], in bytes.
pub(crate) enum Quick {
    /// Nothing, if the bits of the value that are in the mask are those of the byte at this place.
    Unchanged { mask: u8, written: usize },
    /// If the next line is the one after that whose first cycle is the number at this place, that one becomes the number of cycles, and the
    /// number there.
    Wait { line: usize },
}

impl Quick {
    /// Cycles of a line.
    pub(crate) const LINE: u32 = LINE_CYCLES;
    /// Where the cycle is from which on no write is quick: the frame ends.
    pub(crate) const LAST_CYCLE: usize = offset_of!(Tia, last_cycle);
    /// Where the cycle of the last access is kept, which is the one before waiting.
    pub(crate) const ACCESS_CYCLES: usize = offset_of!(Tia, last_access) + offset_of!(Access, cycles);
    /// Where its register is kept.
    pub(crate) const ACCESS_REGISTER: usize = offset_of!(Tia, last_access) + offset_of!(Access, register);

    /// What can be done for a write to a register, after a read.
    pub(crate) fn of(register: u8) -> Option<Quick> {
        match register {
            WSYNC => Some(Quick::Wait {
                line: offset_of!(Tia, waited),
            }),
            // Those that Tia::write does not leave to Tia::log_change alone.
            VSYNC | VBLANK | NUSIZ0 | NUSIZ1 | RESP0..=RESBL | GRP0 | GRP1 | HMOVE | HMCLR | CXCLR => None,
            _ => Some(Quick::Unchanged {
                mask: MEANING[usize::from(register)],
                written: offset_of!(Tia, written) + usize::from(register),
            }),
        }
    }
}
