//! One instruction: addressing modes, operations, and the table of all opcodes.
//!
//! Opcodes outside the data sheet are named as in the document "Extra Instructions of the 65XX Series CPU".

use super::{Cpu, decimal};
use crate::bus::Bus;
use crate::riot::Riot;

/// Where an instruction's operand lies, and the last byte that was on the bus before it is accessed.
#[derive(Clone, Copy)]
struct Place {
    address: u16,
    latch: u8,
}

/// The two bytes after an opcode.
#[derive(Clone, Copy)]
struct Operand {
    low: u8,
    high: u8,
}

impl Operand {
    #[inline(always)]
    fn word(self) -> u16 {
        u16::from_le_bytes([self.low, self.high])
    }
}

#[inline(always)]
fn crosses_page(from: u16, to: u16) -> u32 {
    u32::from((from ^ to) & 0xFF00 != 0)
}

/// Addressing modes. Each advances the program counter. Those named `_paged` take a cycle more where the index crosses a page:
/// instructions that only read.
impl Cpu {
    #[inline(always)]
    fn zp(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low),
            latch: operand.low,
        }
    }

    #[inline(always)]
    fn zp_x(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low.wrapping_add(self.x)),
            latch: operand.low,
        }
    }

    #[inline(always)]
    fn zp_y(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        Place {
            address: u16::from(operand.low.wrapping_add(self.y)),
            latch: operand.low,
        }
    }

    #[inline(always)]
    fn abs(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(3);
        Place {
            address: operand.word(),
            latch: operand.high,
        }
    }

    #[inline(always)]
    fn indexed(&mut self, operand: Operand, index: u8) -> Place {
        self.pc = self.pc.wrapping_add(3);
        Place {
            address: operand.word().wrapping_add(u16::from(index)),
            latch: operand.high,
        }
    }

    #[inline(always)]
    fn abs_x(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.indexed(operand, self.x)
    }

    #[inline(always)]
    fn abs_y(&mut self, _: &mut Bus, operand: Operand) -> Place {
        self.indexed(operand, self.y)
    }

    #[inline(always)]
    fn abs_x_paged(&mut self, _: &mut Bus, operand: Operand) -> Place {
        let place = self.indexed(operand, self.x);
        self.cycles += crosses_page(operand.word(), place.address);
        place
    }

    #[inline(always)]
    fn abs_y_paged(&mut self, _: &mut Bus, operand: Operand) -> Place {
        let place = self.indexed(operand, self.y);
        self.cycles += crosses_page(operand.word(), place.address);
        place
    }

    /// The word at a zero-page address. Its high byte comes from the next address even where that leaves the page.
    #[inline(always)]
    fn pointer(&mut self, bus: &mut Bus, at: u8, latch: u8) -> u16 {
        let low = bus.read(u16::from(at), latch, self.cycles);
        let high = bus.read(u16::from(at) + 1, low, self.cycles);
        u16::from_le_bytes([low, high])
    }

    #[inline(always)]
    fn ind_x(&mut self, bus: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        let address = self.pointer(bus, operand.low.wrapping_add(self.x), operand.low);
        Place {
            address,
            latch: (address >> 8) as u8,
        }
    }

    #[inline(always)]
    fn ind_y(&mut self, bus: &mut Bus, operand: Operand) -> Place {
        self.pc = self.pc.wrapping_add(2);
        let pointer = self.pointer(bus, operand.low, operand.low);
        Place {
            address: pointer.wrapping_add(u16::from(self.y)),
            latch: (pointer >> 8) as u8,
        }
    }

    #[inline(always)]
    fn ind_y_paged(&mut self, bus: &mut Bus, operand: Operand) -> Place {
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

impl Cpu {
    #[inline(always)]
    fn write(&mut self, bus: &mut Bus, address: u16, value: u8, read_before: bool) {
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
    fn result(&mut self, value: u8) -> u8 {
        self.nz = u16::from(value);
        value
    }

    #[inline(always)]
    fn lda(&mut self, value: u8) {
        self.a = self.result(value);
    }

    #[inline(always)]
    fn ldx(&mut self, value: u8) {
        self.x = self.result(value);
    }

    #[inline(always)]
    fn ldy(&mut self, value: u8) {
        self.y = self.result(value);
    }

    #[inline(always)]
    fn and(&mut self, value: u8) {
        self.a = self.result(self.a & value);
    }

    #[inline(always)]
    fn ora(&mut self, value: u8) {
        self.a = self.result(self.a | value);
    }

    #[inline(always)]
    fn eor(&mut self, value: u8) {
        self.a = self.result(self.a ^ value);
    }

    #[inline(always)]
    fn bit(&mut self, value: u8) {
        // N is the value's, Z that of the conjunction, whose bit 7 must not pass for N.
        let both = self.a & value;
        self.nz = u16::from(value & 0x80) << 8 | u16::from(both & 0x7F | both >> 7);
        self.overflow = value & 0x40 != 0;
    }

    #[inline(always)]
    fn compare(&mut self, register: u8, value: u8) {
        self.carry = u8::from(register >= value);
        self.result(register.wrapping_sub(value));
    }

    #[inline(always)]
    fn cmp(&mut self, value: u8) {
        self.compare(self.a, value);
    }

    #[inline(always)]
    fn cpx(&mut self, value: u8) {
        self.compare(self.x, value);
    }

    #[inline(always)]
    fn cpy(&mut self, value: u8) {
        self.compare(self.y, value);
    }

    /// Overflow: both operands have one sign, and the result the other.
    #[inline(always)]
    fn sum(&mut self, result: u8, carry: bool, operand: u8) {
        self.overflow = (self.a ^ result) & (operand ^ result) & 0x80 != 0;
        self.carry = u8::from(carry);
        self.a = self.result(result);
    }

    #[inline(always)]
    fn adc(&mut self, value: u8) {
        if self.decimal {
            let (result, carry) = decimal::add(self.a, value, self.carry);
            return self.sum(result, carry, value);
        }
        let wide = u16::from(self.a) + u16::from(value) + u16::from(self.carry);
        self.sum(wide as u8, wide > 0xFF, value);
    }

    #[inline(always)]
    fn sbc(&mut self, value: u8) {
        if self.decimal {
            let (result, carry) = decimal::subtract(self.a, value, self.carry);
            return self.sum(result, carry, value);
        }
        let wide = u16::from(self.a) + u16::from(!value) + u16::from(self.carry);
        self.sum(wide as u8, wide > 0xFF, !value);
    }

    #[inline(always)]
    fn nop(&mut self, _: u8) {}

    #[inline(always)]
    fn lax(&mut self, value: u8) {
        self.a = self.result(value);
        self.x = value;
    }

    #[inline(always)]
    fn las(&mut self, value: u8) {
        self.sp = self.result(self.sp & value);
        self.a = self.sp;
        self.x = self.sp;
    }

    #[inline(always)]
    fn anc(&mut self, value: u8) {
        self.and(value);
        self.carry = self.a >> 7;
    }

    #[inline(always)]
    fn asr(&mut self, value: u8) {
        self.a = self.lsr(self.a & value);
    }

    /// AND, then a rotation whose flags come from the middle of an addition; in decimal mode with its corrections.
    #[inline(always)]
    fn arr(&mut self, value: u8) {
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
    fn sbx(&mut self, value: u8) {
        let both = self.a & self.x;
        self.carry = u8::from(both >= value);
        self.x = self.result(both.wrapping_sub(value));
    }

    /// The real chip mixes in noise here; ALE takes it for `$EE`.
    #[inline(always)]
    fn ane(&mut self, value: u8) {
        self.a = self.result((self.a | 0xEE) & self.x & value);
    }

    #[inline(always)]
    fn lxa(&mut self, value: u8) {
        self.lax((self.a | 0xEE) & value);
    }
}

/// Operations that read a value, change it and write it back.
impl Cpu {
    #[inline(always)]
    fn asl(&mut self, value: u8) -> u8 {
        self.carry = value >> 7;
        self.result(value << 1)
    }

    #[inline(always)]
    fn lsr(&mut self, value: u8) -> u8 {
        self.carry = value & 1;
        self.result(value >> 1)
    }

    #[inline(always)]
    fn rol(&mut self, value: u8) -> u8 {
        let result = value << 1 | self.carry;
        self.carry = value >> 7;
        self.result(result)
    }

    #[inline(always)]
    fn ror(&mut self, value: u8) -> u8 {
        let result = value >> 1 | self.carry << 7;
        self.carry = value & 1;
        self.result(result)
    }

    #[inline(always)]
    fn inc(&mut self, value: u8) -> u8 {
        self.result(value.wrapping_add(1))
    }

    #[inline(always)]
    fn dec(&mut self, value: u8) -> u8 {
        self.result(value.wrapping_sub(1))
    }

    #[inline(always)]
    fn slo(&mut self, value: u8) -> u8 {
        let value = self.asl(value);
        self.ora(value);
        value
    }

    #[inline(always)]
    fn rla(&mut self, value: u8) -> u8 {
        let value = self.rol(value);
        self.and(value);
        value
    }

    #[inline(always)]
    fn sre(&mut self, value: u8) -> u8 {
        let value = self.lsr(value);
        self.eor(value);
        value
    }

    #[inline(always)]
    fn rra(&mut self, value: u8) -> u8 {
        let value = self.ror(value);
        self.adc(value);
        value
    }

    #[inline(always)]
    fn dcp(&mut self, value: u8) -> u8 {
        let value = value.wrapping_sub(1);
        self.cmp(value);
        value
    }

    #[inline(always)]
    fn isb(&mut self, value: u8) -> u8 {
        let value = value.wrapping_add(1);
        self.sbc(value);
        value
    }
}

/// The stack, jumps and branches.
impl Cpu {
    #[inline(always)]
    fn push(&mut self, bus: &mut Bus, value: u8, read_before: bool) {
        self.write(bus, 0x0100 | u16::from(self.sp), value, read_before);
        self.sp = self.sp.wrapping_sub(1);
    }

    /// Pulls a byte. `latch` is the byte on the bus before it.
    #[inline(always)]
    fn pull(&mut self, bus: &mut Bus, latch: u8) -> u8 {
        self.sp = self.sp.wrapping_add(1);
        bus.read(0x0100 | u16::from(self.sp), latch, self.cycles)
    }

    /// The first pull of an instruction: the stack is read once before the pointer moves.
    #[inline(always)]
    fn first_pull(&mut self, bus: &mut Bus, latch: u8) -> u8 {
        let latch = bus.read(0x0100 | u16::from(self.sp), latch, self.cycles);
        self.pull(bus, latch)
    }

    #[inline(always)]
    fn pull_pc(&mut self, bus: &mut Bus, low: u8) {
        let high = self.pull(bus, low);
        self.pc = u16::from_le_bytes([low, high]);
    }

    #[inline(always)]
    fn branch(&mut self, operand: Operand, taken: bool) {
        self.pc = self.pc.wrapping_add(2);
        if taken {
            let target = self.pc.wrapping_add_signed(i16::from(operand.low as i8));
            self.cycles += 1 + crosses_page(self.pc, target);
            self.pc = target;
        }
    }

    #[inline(always)]
    fn jsr(&mut self, bus: &mut Bus, operand: Operand) {
        let [low, high] = self.pc.wrapping_add(2).to_le_bytes();
        self.push(bus, high, true);
        self.push(bus, low, false);
        self.pc = operand.word();
    }

    #[inline(always)]
    fn rts(&mut self, bus: &mut Bus, opcode: u8) {
        let low = self.first_pull(bus, opcode);
        self.pull_pc(bus, low);
        // The byte before the next instruction is read: it can be a hotspot of the cartridge.
        bus.read(self.pc, (self.pc >> 8) as u8, self.cycles);
        self.pc = self.pc.wrapping_add(1);
    }

    #[inline(always)]
    fn rti(&mut self, bus: &mut Bus, opcode: u8) {
        let bits = self.first_pull(bus, opcode);
        self.set_status(bits);
        let low = self.pull(bus, bits);
        self.pull_pc(bus, low);
    }

    #[inline(always)]
    fn brk(&mut self, bus: &mut Bus) {
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
    fn jmp_indirect(&mut self, bus: &mut Bus, operand: Operand) {
        let low = bus.read(operand.word(), operand.high, self.cycles);
        let next = u16::from_le_bytes([operand.low.wrapping_add(1), operand.high]);
        let high = bus.read(next, low, self.cycles);
        self.pc = u16::from_le_bytes([low, high]);
    }
}

/// Waiting.
impl Cpu {
    /// The program counter is at an instruction of `cycles` cycles that loads the timer. If the next one branches back to it while
    /// the timer counts, this loop is how the program waits for the end of the vertical blank, hundreds of times round. All rounds
    /// but the last, which nothing can disturb, are done at once.
    #[inline(always)]
    fn wait_for_timer(&mut self, bus: &mut Bus, cycles: u32) {
        let Some(branch) = bus.cartridge.fetch(self.pc.wrapping_add(3)) else {
            return;
        };
        let after = self.pc.wrapping_add(5);
        if after.wrapping_add_signed(i16::from(branch.low() as i8)) != self.pc {
            return;
        }
        let most = match branch.opcode() {
            BPL => 0x7F,
            BNE => 0xFF,
            _ => return,
        };
        let period = cycles + branch.cycles() + 1 + crosses_page(after, self.pc);
        let rounds = bus
            .riot
            .reads_while_counting(self.cycles, period, most)
            .min((self.instructions_left - 1) / 2);
        self.cycles += rounds * period;
        self.instructions_left -= 2 * rounds;
    }
}

const BPL: u8 = 0x10;
const BNE: u8 = 0xD0;

impl Cpu {
    /// Executes the instruction at the program counter.
    #[inline(always)]
    pub(super) fn execute(&mut self, bus: &mut Bus) {
        let op = bus.fetch(self.pc, self.cycles);
        let opcode = op.opcode();
        let low = op.low();
        let operand = Operand { low, high: op.high() };
        self.cycles += op.cycles();

        macro_rules! implied {
            ($effect:expr) => {{
                self.pc = self.pc.wrapping_add(1);
                $effect
            }};
        }
        macro_rules! immediate {
            ($operation:ident) => {{
                self.pc = self.pc.wrapping_add(2);
                self.$operation(low);
            }};
        }
        macro_rules! read {
            ($operation:ident $mode:ident) => {{
                let place = self.$mode(bus, operand);
                let value = bus.read(place.address, place.latch, self.cycles);
                self.$operation(value);
            }};
        }
        macro_rules! wait_and_read {
            ($operation:ident) => {{
                if Riot::is_timer(operand.word()) {
                    self.wait_for_timer(bus, op.cycles());
                }
                read!($operation abs)
            }};
        }
        macro_rules! modify {
            ($operation:ident $mode:ident) => {{
                let place = self.$mode(bus, operand);
                let value = bus.read(place.address, place.latch, self.cycles);
                let value = self.$operation(value);
                self.write(bus, place.address, value, true);
            }};
        }
        macro_rules! store {
            ($value:expr, $mode:ident) => {{
                let place = self.$mode(bus, operand);
                self.write(bus, place.address, $value, true);
            }};
        }
        // Stores that AND the value with the high byte of the address plus one.
        macro_rules! store_high {
            ($value:expr, $mode:ident) => {{
                let place = self.$mode(bus, operand);
                let value = $value & ((place.address >> 8) as u8).wrapping_add(1);
                self.write(bus, place.address, value, true);
            }};
        }

        match opcode {
            // Loads and stores
            0xA9 => immediate!(lda),
            0xA5 => read!(lda zp),
            0xB5 => read!(lda zp_x),
            0xAD => wait_and_read!(lda),
            0xBD => read!(lda abs_x_paged),
            0xB9 => read!(lda abs_y_paged),
            0xA1 => read!(lda ind_x),
            0xB1 => read!(lda ind_y_paged),
            0xA2 => immediate!(ldx),
            0xA6 => read!(ldx zp),
            0xB6 => read!(ldx zp_y),
            0xAE => wait_and_read!(ldx),
            0xBE => read!(ldx abs_y_paged),
            0xA0 => immediate!(ldy),
            0xA4 => read!(ldy zp),
            0xB4 => read!(ldy zp_x),
            0xAC => wait_and_read!(ldy),
            0xBC => read!(ldy abs_x_paged),
            0x85 => store!(self.a, zp),
            0x95 => store!(self.a, zp_x),
            0x8D => store!(self.a, abs),
            0x9D => store!(self.a, abs_x),
            0x99 => store!(self.a, abs_y),
            0x81 => store!(self.a, ind_x),
            0x91 => store!(self.a, ind_y),
            0x86 => store!(self.x, zp),
            0x96 => store!(self.x, zp_y),
            0x8E => store!(self.x, abs),
            0x84 => store!(self.y, zp),
            0x94 => store!(self.y, zp_x),
            0x8C => store!(self.y, abs),

            // Between registers
            0xAA => implied!(self.ldx(self.a)),
            0xA8 => implied!(self.ldy(self.a)),
            0x8A => implied!(self.lda(self.x)),
            0x98 => implied!(self.lda(self.y)),
            0xBA => implied!(self.ldx(self.sp)),
            0x9A => implied!(self.sp = self.x),

            // Logic
            0x29 => immediate!(and),
            0x25 => read!(and zp),
            0x35 => read!(and zp_x),
            0x2D => read!(and abs),
            0x3D => read!(and abs_x_paged),
            0x39 => read!(and abs_y_paged),
            0x21 => read!(and ind_x),
            0x31 => read!(and ind_y_paged),
            0x09 => immediate!(ora),
            0x05 => read!(ora zp),
            0x15 => read!(ora zp_x),
            0x0D => read!(ora abs),
            0x1D => read!(ora abs_x_paged),
            0x19 => read!(ora abs_y_paged),
            0x01 => read!(ora ind_x),
            0x11 => read!(ora ind_y_paged),
            0x49 => immediate!(eor),
            0x45 => read!(eor zp),
            0x55 => read!(eor zp_x),
            0x4D => read!(eor abs),
            0x5D => read!(eor abs_x_paged),
            0x59 => read!(eor abs_y_paged),
            0x41 => read!(eor ind_x),
            0x51 => read!(eor ind_y_paged),
            0x24 => read!(bit zp),
            0x2C => read!(bit abs),

            // Arithmetic and comparisons
            0x69 => immediate!(adc),
            0x65 => read!(adc zp),
            0x75 => read!(adc zp_x),
            0x6D => read!(adc abs),
            0x7D => read!(adc abs_x_paged),
            0x79 => read!(adc abs_y_paged),
            0x61 => read!(adc ind_x),
            0x71 => read!(adc ind_y_paged),
            0xE9 | 0xEB => immediate!(sbc),
            0xE5 => read!(sbc zp),
            0xF5 => read!(sbc zp_x),
            0xED => read!(sbc abs),
            0xFD => read!(sbc abs_x_paged),
            0xF9 => read!(sbc abs_y_paged),
            0xE1 => read!(sbc ind_x),
            0xF1 => read!(sbc ind_y_paged),
            0xC9 => immediate!(cmp),
            0xC5 => read!(cmp zp),
            0xD5 => read!(cmp zp_x),
            0xCD => read!(cmp abs),
            0xDD => read!(cmp abs_x_paged),
            0xD9 => read!(cmp abs_y_paged),
            0xC1 => read!(cmp ind_x),
            0xD1 => read!(cmp ind_y_paged),
            0xE0 => immediate!(cpx),
            0xE4 => read!(cpx zp),
            0xEC => read!(cpx abs),
            0xC0 => immediate!(cpy),
            0xC4 => read!(cpy zp),
            0xCC => read!(cpy abs),

            // Counting and shifting
            0xE8 => implied!(self.x = self.inc(self.x)),
            0xC8 => implied!(self.y = self.inc(self.y)),
            0xCA => implied!(self.x = self.dec(self.x)),
            0x88 => implied!(self.y = self.dec(self.y)),
            0xE6 => modify!(inc zp),
            0xF6 => modify!(inc zp_x),
            0xEE => modify!(inc abs),
            0xFE => modify!(inc abs_x),
            0xC6 => modify!(dec zp),
            0xD6 => modify!(dec zp_x),
            0xCE => modify!(dec abs),
            0xDE => modify!(dec abs_x),
            0x0A => implied!(self.a = self.asl(self.a)),
            0x06 => modify!(asl zp),
            0x16 => modify!(asl zp_x),
            0x0E => modify!(asl abs),
            0x1E => modify!(asl abs_x),
            0x4A => implied!(self.a = self.lsr(self.a)),
            0x46 => modify!(lsr zp),
            0x56 => modify!(lsr zp_x),
            0x4E => modify!(lsr abs),
            0x5E => modify!(lsr abs_x),
            0x2A => implied!(self.a = self.rol(self.a)),
            0x26 => modify!(rol zp),
            0x36 => modify!(rol zp_x),
            0x2E => modify!(rol abs),
            0x3E => modify!(rol abs_x),
            0x6A => implied!(self.a = self.ror(self.a)),
            0x66 => modify!(ror zp),
            0x76 => modify!(ror zp_x),
            0x6E => modify!(ror abs),
            0x7E => modify!(ror abs_x),

            // Flags
            0x18 => implied!(self.carry = 0),
            0x38 => implied!(self.carry = 1),
            0x58 => implied!(self.interrupt_disable = false),
            0x78 => implied!(self.interrupt_disable = true),
            0xB8 => implied!(self.overflow = false),
            0xD8 => implied!(self.decimal = false),
            0xF8 => implied!(self.decimal = true),

            // Branches and jumps
            0x10 => self.branch(operand, !self.negative()),
            0x30 => self.branch(operand, self.negative()),
            0x50 => self.branch(operand, !self.overflow),
            0x70 => self.branch(operand, self.overflow),
            0x90 => self.branch(operand, self.carry == 0),
            0xB0 => self.branch(operand, self.carry != 0),
            0xD0 => self.branch(operand, !self.zero()),
            0xF0 => self.branch(operand, self.zero()),
            0x4C => self.pc = operand.word(),
            0x6C => self.jmp_indirect(bus, operand),
            0x20 => self.jsr(bus, operand),
            0x60 => self.rts(bus, opcode),
            0x40 => self.rti(bus, opcode),
            0x00 => self.brk(bus),

            // The stack
            0x48 => implied!(self.push(bus, self.a, true)),
            0x08 => implied!(self.push(bus, self.status(), true)),
            0x68 => implied!({
                let value = self.first_pull(bus, opcode);
                self.lda(value);
            }),
            0x28 => implied!({
                let bits = self.first_pull(bus, opcode);
                self.set_status(bits);
            }),

            // No operation
            0xEA | 0x1A | 0x3A | 0x5A | 0x7A | 0xDA | 0xFA => implied!(()),
            0x80 | 0x82 | 0x89 | 0xC2 | 0xE2 => immediate!(nop),
            0x04 | 0x44 | 0x64 => read!(nop zp),
            0x14 | 0x34 | 0x54 | 0x74 | 0xD4 | 0xF4 => read!(nop zp_x),
            0x0C => read!(nop abs),
            0x1C | 0x3C | 0x5C | 0x7C | 0xDC | 0xFC => read!(nop abs_x_paged),

            // Outside the data sheet
            0xA7 => read!(lax zp),
            0xB7 => read!(lax zp_y),
            0xAF => read!(lax abs),
            0xBF => read!(lax abs_y_paged),
            0xA3 => read!(lax ind_x),
            0xB3 => read!(lax ind_y_paged),
            0x87 => store!(self.a & self.x, zp),
            0x97 => store!(self.a & self.x, zp_y),
            0x8F => store!(self.a & self.x, abs),
            0x83 => store!(self.a & self.x, ind_x),
            0x07 => modify!(slo zp),
            0x17 => modify!(slo zp_x),
            0x0F => modify!(slo abs),
            0x1F => modify!(slo abs_x),
            0x1B => modify!(slo abs_y),
            0x03 => modify!(slo ind_x),
            0x13 => modify!(slo ind_y),
            0x27 => modify!(rla zp),
            0x37 => modify!(rla zp_x),
            0x2F => modify!(rla abs),
            0x3F => modify!(rla abs_x),
            0x3B => modify!(rla abs_y),
            0x23 => modify!(rla ind_x),
            0x33 => modify!(rla ind_y),
            0x47 => modify!(sre zp),
            0x57 => modify!(sre zp_x),
            0x4F => modify!(sre abs),
            0x5F => modify!(sre abs_x),
            0x5B => modify!(sre abs_y),
            0x43 => modify!(sre ind_x),
            0x53 => modify!(sre ind_y),
            0x67 => modify!(rra zp),
            0x77 => modify!(rra zp_x),
            0x6F => modify!(rra abs),
            0x7F => modify!(rra abs_x),
            0x7B => modify!(rra abs_y),
            0x63 => modify!(rra ind_x),
            0x73 => modify!(rra ind_y),
            0xC7 => modify!(dcp zp),
            0xD7 => modify!(dcp zp_x),
            0xCF => modify!(dcp abs),
            0xDF => modify!(dcp abs_x),
            0xDB => modify!(dcp abs_y),
            0xC3 => modify!(dcp ind_x),
            0xD3 => modify!(dcp ind_y),
            0xE7 => modify!(isb zp),
            0xF7 => modify!(isb zp_x),
            0xEF => modify!(isb abs),
            0xFF => modify!(isb abs_x),
            0xFB => modify!(isb abs_y),
            0xE3 => modify!(isb ind_x),
            0xF3 => modify!(isb ind_y),
            0x0B | 0x2B => immediate!(anc),
            0x4B => immediate!(asr),
            0x6B => immediate!(arr),
            0x8B => immediate!(ane),
            0xAB => immediate!(lxa),
            0xCB => immediate!(sbx),
            0xBB => read!(las abs_y_paged),
            0x9F => store_high!(self.a & self.x, abs_y),
            0x93 => store_high!(self.a & self.x, ind_y),
            0x9E => store_high!(self.x, abs_y),
            0x9C => store_high!(self.y, abs_x),
            0x9B => {
                self.sp = self.a & self.x;
                store_high!(self.sp, abs_y);
            }

            0x02 | 0x12 | 0x22 | 0x32 | 0x42 | 0x52 | 0x62 | 0x72 | 0x92 | 0xB2 | 0xD2 | 0xF2 => self.jam(),
        }
    }
}
