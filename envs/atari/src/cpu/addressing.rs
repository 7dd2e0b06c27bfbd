//! Addressing modes: from the two bytes after an opcode to where its operand lies.

use super::Cpu;
use crate::bus::Bus;

/// Where an instruction's operand lies, and the last byte that was on the bus before it is accessed.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) address: u16,
    pub(super) latch: u8,
}

/// The two bytes after an opcode.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pub(super) low: u8,
    pub(super) high: u8,
}

impl Operand {
    #[inline(always)]
    pub(super) fn word(self) -> u16 {
        u16::from_le_bytes([self.low, self.high])
    }
}

#[inline(always)]
pub(super) fn crosses_page(from: u16, to: u16) -> u32 {
    u32::from((from ^ to) & 0xFF00 != 0)
}

/// Addressing modes. Each advances the program counter. Those named `_paged` take a cycle more where the index crosses a page:
/// instructions that only read.
impl Cpu {
    #[inline(always)]
    pub(super) fn zp(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low),
            latch: operand.low,
        }
    }

    #[inline(always)]
    pub(super) fn zp_x(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low.wrapping_add(self.x)),
            latch: operand.low,
        }
    }

    #[inline(always)]
    pub(super) fn zp_y(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low.wrapping_add(self.y)),
            latch: operand.low,
        }
    }

    #[inline(always)]
    pub(super) fn abs(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(3);
        Place {
            address: operand.word(),
            latch: operand.high,
        }
    }

    #[inline(always)]
    pub(super) fn indexed(&mut self, operand: Operand, index: u8) -> Place {
        self.pc = self.pc.wrapping_add(3);
        Place {
            address: operand.word().wrapping_add(u16::from(index)),
            latch: operand.high,
        }
    }

    #[inline(always)]
    pub(super) fn abs_x(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.indexed(operand, self.x)
    }

    #[inline(always)]
    pub(super) fn abs_y(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.indexed(operand, self.y)
    }

    #[inline(always)]
    pub(super) fn abs_x_paged(&mut self, _: &mut Bus, operand: Operand) -> Place {
        let place = self.indexed(operand, self.x);
        self.cycles += crosses_page(operand.word(), place.address);
        place
    }

    #[inline(always)]
    pub(super) fn abs_y_paged(&mut self, _: &mut Bus, operand: Operand) -> Place {
        let place = self.indexed(operand, self.y);
        self.cycles += crosses_page(operand.word(), place.address);
        place
    }

    /// The word at a zero-page address. Its high byte comes from the next address even where that leaves the page.
    #[inline(always)]
    pub(super) fn pointer(&mut self, bus: &mut Bus, at: u8, latch: u8) -> u16 {
        let low = bus.read(u16::from(at), latch, self.cycles);
        let high = bus.read(u16::from(at) + 1, low, self.cycles);
        u16::from_le_bytes([low, high])
    }

    #[inline(always)]
    pub(super) fn ind_x(&mut self, bus: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        let address = self.pointer(bus, operand.low.wrapping_add(self.x), operand.low);
        Place {
            address,
            latch: (address >> 8) as u8,
        }
    }

    #[inline(always)]
    pub(super) fn ind_y(&mut self, bus: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        let pointer = self.pointer(bus, operand.low, operand.low);
        Place {
            address: pointer.wrapping_add(u16::from(self.y)),
            latch: (pointer >> 8) as u8,
        }
    }

    #[inline(always)]
    pub(super) fn ind_y_paged(&mut self, bus: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        let pointer = self.pointer(bus, operand.low, operand.low);
        let address = pointer.wrapping_add(u16::from(self.y));
        self.cycles += crosses_page(pointer, address);
        Place {
            address,
            latch: (pointer >> 8) as u8,
        }
    }
}
