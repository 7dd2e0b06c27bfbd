//! Operations: what instructions do with registers, flags, operands and the stack, wherever those lie.
//!
//! Opcodes outside the data sheet are named as in the document "Extra Instructions of the 65XX Series CPU".

use super::addressing::{Operand, crosses_page};
use super::{Cpu, decimal};
use crate::bus::Bus;

impl Cpu {
    #[inline(always)]
    pub(super) fn write(&mut self, bus: &mut Bus, address: u16, value: u8, read_before: bool) {
        let written = bus.write(address, value, self.cycles, read_before);
        self.cycles = written.cycles;
        if written.frame_done {
            self.instructions_left = 1;
        }
    }
}

/// Loads, logic and arithmetic on a value that was read.
impl Cpu {
    /// Z and N from a result, which is returned.
    #[inline(always)]
    pub(super) fn result(&mut self, value: u8) -> u8 {
        self.nz = u16::from(value);
        value
    }

    #[inline(always)]
    pub(super) fn lda(&mut self, value: u8) {
        self.a = self.result(value);
    }

    #[inline(always)]
    pub(super) fn ldx(&mut self, value: u8) {
        self.x = self.result(value);
    }

    #[inline(always)]
    pub(super) fn ldy(&mut self, value: u8) {
        self.y = self.result(value);
    }

    #[inline(always)]
    pub(super) fn and(&mut self, value: u8) {
        self.a = self.result(self.a & value);
    }

    #[inline(always)]
    pub(super) fn ora(&mut self, value: u8) {
        self.a = self.result(self.a | value);
    }

    #[inline(always)]
    pub(super) fn eor(&mut self, value: u8) {
        self.a = self.result(self.a ^ value);
    }

    #[inline(always)]
    pub(super) fn bit(&mut self, value: u8) {
        // N is the value's, Z that of the conjunction, whose bit 7 must not pass for N.
        let both = self.a & value;
        self.nz = u16::from(value & 0x80) << 8 | u16::from(both & 0x7F | both >> 7);
        self.overflow = value & 0x40 != 0;
    }

    #[inline(always)]
    pub(super) fn compare(&mut self, register: u8, value: u8) {
        self.carry = u8::from(register >= value);
        self.result(register.wrapping_sub(value));
    }

    #[inline(always)]
    pub(super) fn cmp(&mut self, value: u8) {
        self.compare(self.a, value);
    }

    #[inline(always)]
    pub(super) fn cpx(&mut self, value: u8) {
        self.compare(self.x, value);
    }

    #[inline(always)]
    pub(super) fn cpy(&mut self, value: u8) {
        self.compare(self.y, value);
    }

    /// Overflow: both operands have one sign, and the result the other.
    #[inline(always)]
    pub(super) fn sum(&mut self, result: u8, carry: bool, operand: u8) {
        self.overflow = (self.a ^ result) & (operand ^ result) & 0x80 != 0;
        self.carry = u8::from(carry);
        self.a = self.result(result);
    }

    #[inline(always)]
    pub(super) fn adc(&mut self, value: u8) {
        if self.decimal {
            let (result, carry) = decimal::add(self.a, value, self.carry);
            return self.sum(result, carry, value);
        }
        let wide = u16::from(self.a) + u16::from(value) + u16::from(self.carry);
        self.sum(wide as u8, wide > 0xFF, value);
    }

    #[inline(always)]
    pub(super) fn sbc(&mut self, value: u8) {
        if self.decimal {
            let (result, carry) = decimal::subtract(self.a, value, self.carry);
            return self.sum(result, carry, value);
        }
        let wide = u16::from(self.a) + u16::from(!value) + u16::from(self.carry);
        self.sum(wide as u8, wide > 0xFF, !value);
    }

    #[inline(always)]
    pub(super) fn nop(&mut self, _: u8) {}

    #[inline(always)]
    pub(super) fn lax(&mut self, value: u8) {
        self.a = self.result(value);
        self.x = value;
    }

    #[inline(always)]
    pub(super) fn las(&mut self, value: u8) {
        self.sp = self.result(self.sp & value);
        self.a = self.sp;
        self.x = self.sp;
    }

    #[inline(always)]
    pub(super) fn anc(&mut self, value: u8) {
        self.and(value);
        self.carry = self.a >> 7;
    }

    #[inline(always)]
    pub(super) fn asr(&mut self, value: u8) {
        self.a = self.lsr(self.a & value);
    }

    /// AND, then a rotation whose flags come from the middle of an addition; in decimal mode with its corrections.
    #[inline(always)]
    pub(super) fn arr(&mut self, value: u8) {
        let value = self.a & value;
        let rotated = value >> 1 | self.carry << 7;
        self.a = self.result(rotated);
        if self.decimal {
            self.overflow = (value ^ rotated) & 0x40 != 0;
            if (value & 0x0F) + (value & 0x01) > 0x05 {
                self.a = self.a & 0xF0 | self.a.wrapping_add(0x06) & 0x0F;
            }
            self.carry = u8::from(u16::from(value & 0xF0) + u16::from(value & 0x10) > 0x50);
            self.a = self.a.wrapping_add(0x60 * self.carry);
        } else {
            self.carry = rotated >> 6 & 1;
            self.overflow = (rotated >> 6 ^ rotated >> 5) & 1 != 0;
        }
    }

    #[inline(always)]
    pub(super) fn sbx(&mut self, value: u8) {
        let both = self.a & self.x;
        self.carry = u8::from(both >= value);
        self.x = self.result(both.wrapping_sub(value));
    }

    /// The real chip mixes in noise here; ALE takes it for `$EE`.
    #[inline(always)]
    pub(super) fn ane(&mut self, value: u8) {
        self.a = self.result((self.a | 0xEE) & self.x & value);
    }

    #[inline(always)]
    pub(super) fn lxa(&mut self, value: u8) {
        self.lax((self.a | 0xEE) & value);
    }
}

/// Operations that read a value, change it and write it back.
impl Cpu {
    #[inline(always)]
    pub(super) fn asl(&mut self, value: u8) -> u8 {
        self.carry = value >> 7;
        self.result(value << 1)
    }

    #[inline(always)]
    pub(super) fn lsr(&mut self, value: u8) -> u8 {
        self.carry = value & 1;
        self.result(value >> 1)
    }

    #[inline(always)]
    pub(super) fn rol(&mut self, value: u8) -> u8 {
        let result = value << 1 | self.carry;
        self.carry = value >> 7;
        self.result(result)
    }

    #[inline(always)]
    pub(super) fn ror(&mut self, value: u8) -> u8 {
        let result = value >> 1 | self.carry << 7;
        self.carry = value & 1;
        self.result(result)
    }

    #[inline(always)]
    pub(super) fn inc(&mut self, value: u8) -> u8 {
        self.result(value.wrapping_add(1))
    }

    #[inline(always)]
    pub(super) fn dec(&mut self, value: u8) -> u8 {
        self.result(value.wrapping_sub(1))
    }

    #[inline(always)]
    pub(super) fn slo(&mut self, value: u8) -> u8 {
        let value = self.asl(value);
        self.ora(value);
        value
    }

    #[inline(always)]
    pub(super) fn rla(&mut self, value: u8) -> u8 {
        let value = self.rol(value);
        self.and(value);
        value
    }

    #[inline(always)]
    pub(super) fn sre(&mut self, value: u8) -> u8 {
        let value = self.lsr(value);
        self.eor(value);
        value
    }

    #[inline(always)]
    pub(super) fn rra(&mut self, value: u8) -> u8 {
        let value = self.ror(value);
        self.adc(value);
        value
    }

    #[inline(always)]
    pub(super) fn dcp(&mut self, value: u8) -> u8 {
        let value = value.wrapping_sub(1);
        self.cmp(value);
        value
    }

    #[inline(always)]
    pub(super) fn isb(&mut self, value: u8) -> u8 {
        let value = value.wrapping_add(1);
        self.sbc(value);
        value
    }
}

/// The stack, jumps and branches.
impl Cpu {
    #[inline(always)]
    pub(super) fn push(&mut self, bus: &mut Bus, value: u8, read_before: bool) {
        self.write(bus, 0x0100 | u16::from(self.sp), value, read_before);
        self.sp = self.sp.wrapping_sub(1);
    }

    /// Pulls a byte. `latch` is the byte on the bus before it.
    #[inline(always)]
    pub(super) fn pull(&mut self, bus: &mut Bus, latch: u8) -> u8 {
        self.sp = self.sp.wrapping_add(1);
        bus.read(0x0100 | u16::from(self.sp), latch, self.cycles)
    }

    /// The first pull of an instruction: the stack is read once before the pointer moves.
    #[inline(always)]
    pub(super) fn first_pull(&mut self, bus: &mut Bus, latch: u8) -> u8 {
        let latch = bus.read(0x0100 | u16::from(self.sp), latch, self.cycles);
        self.pull(bus, latch)
    }

    #[inline(always)]
    pub(super) fn pull_pc(&mut self, bus: &mut Bus, low: u8) {
        let high = self.pull(bus, low);
        self.pc = u16::from_le_bytes([low, high]);
    }

    #[inline(always)]
    pub(super) fn branch(&mut self, operand: Operand, taken: bool) {
        self.pc = self.pc.wrapping_add(2);
        if taken {
            let target = self.pc.wrapping_add_signed(i16::from(operand.low as i8));
            self.cycles += 1 + crosses_page(self.pc, target);
            self.pc = target;
        }
    }

    #[inline(always)]
    pub(super) fn jsr(&mut self, bus: &mut Bus, operand: Operand) {
        let [low, high] = self.pc.wrapping_add(2).to_le_bytes();
        self.push(bus, high, true);
        self.push(bus, low, false);
        self.pc = operand.word();
    }

    #[inline(always)]
    pub(super) fn rts(&mut self, bus: &mut Bus, opcode: u8) {
        let low = self.first_pull(bus, opcode);
        self.pull_pc(bus, low);
        // The byte before the next instruction is read: it can be a hotspot of the cartridge.
        bus.read(self.pc, (self.pc >> 8) as u8, self.cycles);
        self.pc = self.pc.wrapping_add(1);
    }

    #[inline(always)]
    pub(super) fn rti(&mut self, bus: &mut Bus, opcode: u8) {
        let bits = self.first_pull(bus, opcode);
        self.set_status(bits);
        let low = self.pull(bus, bits);
        self.pull_pc(bus, low);
    }

    #[inline(always)]
    pub(super) fn brk(&mut self, bus: &mut Bus) {
        let [low, high] = self.pc.wrapping_add(2).to_le_bytes();
        self.push(bus, high, true);
        self.push(bus, low, false);
        self.push(bus, self.status(), false);
        self.interrupt_disable = true;
        let low = bus.read(0xFFFE, 0, self.cycles);
        let high = bus.read(0xFFFF, low, self.cycles);
        self.pc = u16::from_le_bytes([low, high]);
    }

    /// The high byte of the target comes from the same page as the low byte.
    #[inline(always)]
    pub(super) fn jmp_indirect(&mut self, bus: &mut Bus, operand: Operand) {
        let low = bus.read(operand.word(), operand.high, self.cycles);
        let next = u16::from_le_bytes([operand.low.wrapping_add(1), operand.high]);
        let high = bus.read(next, low, self.cycles);
        self.pc = u16::from_le_bytes([low, high]);
    }
}
