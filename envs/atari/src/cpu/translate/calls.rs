//! Functions that translated code calls, for everything that happens outside RAM and ROM.
//!
//! Numbers are passed and returned in whole words, which every calling convention agrees about.

use crate::bus::Bus;

/// The bit of a read's result that says that the cartridge was switched: the code that runs may not be there any more.
pub(super) const READ_SWITCHED: u32 = 1 << 8;
/// The same for a write's result, whose lower half is the cycle count after it.
pub(super) const WRITE_SWITCHED: u64 = 1 << 33;
/// The frame ends with this instruction.
pub(super) const FRAME_DONE: u64 = 1 << 32;

/// Reads any address. See [`Bus::read`].
pub(super) unsafe extern "C" fn read(bus: *mut Bus, address: u32, latch: u32, cycles: u32) -> u32 {
    // SAFETY: translated code passes on the bus that it was called with, which nothing else refers to meanwhile.
    let bus = unsafe { &mut *bus };
    let value = bus.read(address as u16, latch as u8, cycles);
    u32::from(value) | if bus.cartridge.is_switched() { READ_SWITCHED } else { 0 }
}

/// Writes any address, after a read. See [`Bus::write`].
pub(super) unsafe extern "C" fn write(bus: *mut Bus, address: u32, value: u32, cycles: u32) -> u64 {
    // SAFETY: as above.
    let bus = unsafe { &mut *bus };
    let written = bus.write(address as u16, value as u8, cycles, true);
    let done = if written.frame_done { FRAME_DONE } else { 0 };
    let switched = if bus.cartridge.is_switched() { WRITE_SWITCHED } else { 0 };
    u64::from(written.cycles) | done | switched
}

/// Writes a register of the TIA after a read: see [`Tia::write`](crate::tia::Tia::write).
pub(super) type WriteTia = unsafe extern "C" fn(bus: *mut Bus, value: u32, cycles: u32) -> u64;

unsafe extern "C" fn write_tia<const REGISTER: u16>(bus: *mut Bus, value: u32, cycles: u32) -> u64 {
    // SAFETY: as above.
    let bus = unsafe { &mut *bus };
    let after = bus.tia.write(REGISTER, value as u8, cycles, true);
    u64::from(after) | if bus.tia.frame_done() { FRAME_DONE } else { 0 }
}

macro_rules! writers {
    ($($register:literal)*) => { [$(write_tia::<$register>),*] };
}

/// A function for each register, which has not to find out what that one does.
#[rustfmt::skip]
pub(super) static WRITE_TIA: [WriteTia; 64] = writers!(
    0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08 0x09 0x0A 0x0B 0x0C 0x0D 0x0E 0x0F
    0x10 0x11 0x12 0x13 0x14 0x15 0x16 0x17 0x18 0x19 0x1A 0x1B 0x1C 0x1D 0x1E 0x1F
    0x20 0x21 0x22 0x23 0x24 0x25 0x26 0x27 0x28 0x29 0x2A 0x2B 0x2C 0x2D 0x2E 0x2F
    0x30 0x31 0x32 0x33 0x34 0x35 0x36 0x37 0x38 0x39 0x3A 0x3B 0x3C 0x3D 0x3E 0x3F
);
