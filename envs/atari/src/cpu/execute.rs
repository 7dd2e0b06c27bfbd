//! One instruction: the table of all opcodes, each an operation with an addressing mode.

use super::Cpu;
use super::addressing::{Operand, crosses_page};
use crate::bus::Bus;
use crate::riot::Riot;

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
