//! Where operands lie, and what reading and writing them means.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, InstBuilder, Value, types};

use super::{Emitter, Place, TRUSTED, Then, field};
use crate::bus::Bus;
use crate::cpu::translate::calls;
use crate::cpu::translate::decode::{Mode, Register};
use crate::cpu::translate::region::Instruction;
use crate::tia::Quick;

impl Emitter<'_> {
    /// The bus address that a mode gives, and the latch: the byte on the bus before the operand is accessed.
    pub(super) fn place(&mut self, mode: Mode, instruction: &Instruction, paged: bool) -> (Place, Value) {
        let op = instruction.op;
        let low = u16::from(op.low());
        match mode {
            Mode::Immediate => {
                let latch = self.constant(0);
                (Place::Constant(op.low()), latch)
            }
            Mode::Zp => {
                let latch = self.constant(u32::from(low));
                (self.fixed(low), latch)
            }
            Mode::ZpX | Mode::ZpY => {
                let index = if mode == Mode::ZpX { Register::X } else { Register::Y };
                let latch = self.constant(u32::from(low));
                let index = self.get(index);
                let address = self.builder.ins().iadd_imm_u(index, i64::from(low));
                (Place::ZeroPage(self.byte(address)), latch)
            }
            Mode::Abs => {
                let latch = self.constant(u32::from(op.high()));
                (self.fixed(op.word()), latch)
            }
            Mode::AbsX | Mode::AbsY => {
                let index = if mode == Mode::AbsX { Register::X } else { Register::Y };
                let latch = self.constant(u32::from(op.high()));
                (self.indexed(op.word(), index, paged), latch)
            }
            Mode::IndX => {
                let index = self.get(Register::X);
                let at = self.builder.ins().iadd_imm_u(index, i64::from(low));
                let at = self.byte(at);
                let next = self.builder.ins().iadd_imm_u(at, 1);
                let (from, to) = (self.ram(at), self.ram(next));
                let address = self.word(from, to);
                (Place::Anywhere(address), to)
            }
            Mode::IndY => {
                let cpu_low = self.ram_fixed(low);
                let high = self.ram_fixed(low + 1);
                let pointer = self.word(cpu_low, high);
                let y = self.get(Register::Y);
                let address = self.builder.ins().iadd(pointer, y);
                let address = self.builder.ins().band_imm_u(address, 0xFFFF);
                if paged {
                    let crossed = self.builder.ins().bxor(pointer, address);
                    let crossed = self.builder.ins().ushr_imm_u(crossed, 8);
                    let crossed = self.builder.ins().icmp_imm_u(IntCC::NotEqual, crossed, 0);
                    self.charge_if(crossed);
                }
                (Place::Anywhere(address), high)
            }
        }
    }

    /// Whether the pointer of an indirect mode lies in RAM, unless that is always so; if not, the interpreter takes over.
    pub(super) fn check_pointer(&mut self, mode: Mode, instruction: &Instruction, pc: u16) {
        let low = instruction.op.low();
        match mode {
            Mode::IndY if !(0x80..0xFF).contains(&low) => {
                let never = self.constant(0);
                self.unless_interpreted(never, pc);
            }
            Mode::IndX => {
                let x = self.get(Register::X);
                let at = self.builder.ins().iadd_imm_u(x, i64::from(low));
                let at = self.byte(at);
                let in_ram = self.within(at, 0x80, 0x7F);
                self.unless_interpreted(in_ram, pc);
            }
            _ => {}
        }
    }

    pub(super) fn fixed(&mut self, address: u16) -> Place {
        if address & 0x1280 == 0x0080 {
            Place::Ram(address & 0x7F)
        } else if address & 0x1000 != 0 && self.window.data.contains(&(address & 0xFFF)) {
            Place::Constant(self.image.get(self.window.at(address)).copied().unwrap_or(0))
        } else {
            Place::Fixed(address)
        }
    }

    pub(super) fn indexed(&mut self, base: u16, index: Register, paged: bool) -> Place {
        let index = self.get(index);
        if paged {
            let sum = self.builder.ins().iadd_imm_u(index, i64::from(base & 0xFF));
            let crossed = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, sum, 0xFF);
            // Nothing can cross from the first byte of a page.
            if base & 0xFF != 0 {
                self.charge_if(crossed);
            }
        }
        let last = (base & 0xFFF) + 0xFF;
        let data = &self.window.data;
        if base & 0x1000 != 0 && data.contains(&(base & 0xFFF)) && data.contains(&last) {
            let at = self.window.at(base);
            return Place::Table(self.builder.ins().iadd_imm_u(index, at as i64));
        }
        let address = self.builder.ins().iadd_imm_u(index, i64::from(base));
        Place::Anywhere(self.builder.ins().band_imm_u(address, 0xFFFF))
    }

    /// A cycle more, if a condition holds.
    pub(super) fn charge_if(&mut self, condition: Value) {
        let more = self.builder.ins().uextend(types::I32, condition);
        let charged = self.builder.use_var(self.registers.cycles);
        let charged = self.builder.ins().iadd(charged, more);
        self.builder.def_var(self.registers.cycles, charged);
    }

    pub(super) fn load(&mut self, place: Place, latch: Value) -> Value {
        match place {
            Place::Ram(at) => self.ram_fixed(at),
            Place::Constant(value) => self.constant(u32::from(value)),
            Place::Fixed(address) => self.load_fixed(address, latch),
            Place::Table(at) => self.rom(at),
            Place::ZeroPage(address) => {
                let ram = self.builder.ins().band_imm_u(address, 0x80);
                let (fast, slow, done) = self.ways();
                self.builder.ins().brif(ram, fast, &[], slow, &[]);
                self.builder.switch_to_block(fast);
                let value = self.ram(address);
                self.builder.ins().jump(done, &[value.into()]);
                self.builder.switch_to_block(slow);
                let value = self.call_read(address, latch);
                self.builder.ins().jump(done, &[value.into()]);
                self.join(done)
            }
            Place::Anywhere(address) => self.load_anywhere(address, latch),
        }
    }

    pub(super) fn load_fixed(&mut self, address: u16, latch: Value) -> Value {
        // Joysticks and switches are only read.
        let port = match address & 0x1287 {
            0x280 => Some(offset_of!(Bus, riot.port_a)),
            0x282 => Some(offset_of!(Bus, riot.port_b)),
            _ => None,
        };
        if let Some(offset) = port {
            return self.builder.ins().uload8(types::I32, TRUSTED, self.bus, field(offset));
        }
        let at = self.constant(u32::from(address));
        let value = self.call_read(at, latch);
        if address & 0x1000 == 0 {
            return value;
        }
        self.switched = Some(value);
        self.byte(value)
    }

    pub(super) fn load_anywhere(&mut self, address: Value, latch: Value) -> Value {
        let (low, (slow, done)) = (self.builder.create_block(), (self.cold_block(), self.join_block()));
        let (fast, cartridge) = (self.builder.create_block(), self.builder.create_block());
        let line = self.builder.ins().band_imm_u(address, 0x1000);
        self.builder.ins().brif(line, cartridge, &[], low, &[]);

        self.builder.switch_to_block(cartridge);
        let in_window = self.builder.ins().band_imm_u(address, 0xFFF);
        let (start, len) = (self.window.data.start, self.window.data.len());
        let is_data = self.within(in_window, u32::from(start), len as u32);
        let rom = self.builder.create_block();
        self.builder.ins().brif(is_data, rom, &[], slow, &[]);
        self.builder.switch_to_block(rom);
        let at = self.builder.ins().iadd_imm_s(in_window, self.window.offset as i64);
        let value = self.rom(at);
        self.builder.ins().jump(done, &[value.into()]);

        self.builder.switch_to_block(low);
        let lines = self.builder.ins().band_imm_u(address, 0x280);
        let is_ram = self.builder.ins().icmp_imm_u(IntCC::Equal, lines, 0x80);
        self.builder.ins().brif(is_ram, fast, &[], slow, &[]);
        self.builder.switch_to_block(fast);
        let value = self.ram(address);
        self.builder.ins().jump(done, &[value.into()]);

        self.builder.switch_to_block(slow);
        let value = self.call_read(address, latch);
        self.builder.ins().jump(done, &[value.into()]);

        let value = self.join(done);
        self.switched = Some(value);
        self.byte(value)
    }

    pub(super) fn call_read(&mut self, address: Value, latch: Value) -> Value {
        let now = self.now();
        let (signature, callee) = self.read;
        let call = self
            .builder
            .ins()
            .call_indirect(signature, callee, &[self.bus, address, latch, now]);
        self.builder.inst_results(call)[0]
    }

    /// Stores a byte, and ends the region with this instruction if that ends the frame or switches the cartridge.
    pub(super) fn store(&mut self, place: Place, value: Value, next: u16) {
        match place {
            Place::Ram(at) => {
                let offset = field(offset_of!(Bus, riot.ram)) + i32::from(at & 0x7F);
                self.builder.ins().istore8(TRUSTED, value, self.bus, offset);
            }
            Place::Fixed(address) => {
                if address & 0x1080 == 0 {
                    self.write_tia(address, value, next);
                } else {
                    let address = self.constant(u32::from(address));
                    self.call_write(address, value, next);
                }
            }
            Place::Constant(_) | Place::Table(_) => {} // ROM, and no hotspot.
            Place::ZeroPage(address) => {
                let is_ram = self.builder.ins().band_imm_u(address, 0x80);
                self.store_where(is_ram, address, value, next);
            }
            Place::Anywhere(address) => {
                let lines = self.builder.ins().band_imm_u(address, 0x1280);
                let is_ram = self.builder.ins().icmp_imm_u(IntCC::Equal, lines, 0x80);
                self.store_where(is_ram, address, value, next);
            }
        }
    }

    pub(super) fn store_where(&mut self, is_ram: Value, address: Value, value: Value, next: u16) {
        self.charge_cycles();
        let (fast, slow, done) = (
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
        );
        self.builder.ins().brif(is_ram, fast, &[], slow, &[]);
        self.builder.switch_to_block(fast);
        self.store_ram(address, value);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(slow);
        self.call_write(address, value, next);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(done);
    }

    pub(super) fn call_write(&mut self, address: Value, value: Value, next: u16) {
        let now = self.now();
        let (signature, callee) = self.write;
        let arguments = [self.bus, address, value, now];
        let call = self.builder.ins().call_indirect(signature, callee, &arguments);
        self.written(call, next);
    }

    /// Writes a register of the TIA: by a call, unless that is not necessary.
    pub(super) fn write_tia(&mut self, address: u16, value: Value, next: u16) {
        let register = (address & 0x3F) as u8;
        let Some(quick) = Quick::of(register) else {
            return self.call_write_tia(address, value, next);
        };
        self.charge_cycles();
        let now = self.now();
        let last = self.tia_word(Quick::LAST_CYCLE);
        let late = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, now, last);
        let (call, not_late, done) = (
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
        );
        self.builder.ins().brif(late, call, &[], not_late, &[]);
        self.builder.switch_to_block(not_late);
        match quick {
            Quick::Unchanged { mask: 0, .. } => self.note_access(now, register),
            Quick::Unchanged { mask, written } => {
                let value = self.builder.ins().band_imm_u(value, i64::from(mask));
                let written = self.tia_byte(written);
                let changed = self.builder.ins().icmp(IntCC::NotEqual, value, written);
                let same = self.builder.create_block();
                self.builder.ins().brif(changed, call, &[], same, &[]);
                self.builder.switch_to_block(same);
                self.note_access(now, register);
            }
            Quick::Wait { line } => {
                let line_at = field(offset_of!(Bus, tia) + line);
                let line = self.tia_word(line);
                let first = self.builder.ins().iadd_imm_s(line, 1);
                let into_line = self.builder.ins().isub(now, first);
                let far =
                    self.builder
                        .ins()
                        .icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, into_line, i64::from(Quick::LINE));
                let near = self.builder.create_block();
                self.builder.ins().brif(far, call, &[], near, &[]);
                self.builder.switch_to_block(near);
                self.note_access(now, register);
                let next_line = self.builder.ins().iadd_imm_u(line, i64::from(Quick::LINE));
                self.builder.ins().store(TRUSTED, next_line, self.bus, line_at);
                self.builder.def_var(self.registers.cycles, next_line);
            }
        }
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(call);
        self.call_write_tia(address, value, next);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(done);
    }

    /// Remembers a write as the program's last access to the TIA.
    pub(super) fn note_access(&mut self, now: Value, register: u8) {
        let tia = offset_of!(Bus, tia);
        let at = [Quick::ACCESS_CYCLES, Quick::ACCESS_REGISTER].map(|at| field(tia + at));
        self.builder.ins().store(TRUSTED, now, self.bus, at[0]);
        let register = self.constant(u32::from(register));
        self.builder.ins().istore8(TRUSTED, register, self.bus, at[1]);
    }

    /// A word in the TIA.
    pub(super) fn tia_word(&mut self, at: usize) -> Value {
        let at = field(offset_of!(Bus, tia) + at);
        self.builder.ins().load(types::I32, TRUSTED, self.bus, at)
    }

    /// A byte in the TIA.
    pub(super) fn tia_byte(&mut self, at: usize) -> Value {
        let at = field(offset_of!(Bus, tia) + at);
        self.builder.ins().uload8(types::I32, TRUSTED, self.bus, at)
    }

    pub(super) fn call_write_tia(&mut self, address: u16, value: Value, next: u16) {
        let now = self.now();
        let callee = calls::WRITE_TIA[usize::from(address & 0x3F)] as usize;
        let callee = self.builder.ins().iconst(types::I64, callee as i64);
        let arguments = [self.bus, value, now];
        let call = self.builder.ins().call_indirect(self.write_tia, callee, &arguments);
        self.written(call, next);
    }

    /// What a write did to the processor.
    pub(super) fn written(&mut self, call: ir::Inst, next: u16) {
        let result = self.builder.inst_results(call)[0];
        let after = self.builder.ins().ireduce(types::I32, result);
        self.builder.def_var(self.registers.cycles, after);
        self.cycles = 0;
        let events = self.builder.ins().ushr_imm_u(result, 32);
        let (go_on, out) = (self.builder.create_block(), self.cold_block());
        self.builder.ins().brif(events, out, &[], go_on, &[]);
        self.builder.switch_to_block(out);
        let done = self.builder.ins().band_imm_u(result, calls::FRAME_DONE as i64);
        let left = self.builder.use_var(self.registers.left);
        let left = self.builder.ins().iadd_imm_u(left, i64::from(self.ahead));
        let none = self.constant(0);
        let left = self.builder.ins().select(done, none, left);
        self.builder.def_var(self.registers.left, left);
        let ahead = std::mem::take(&mut self.ahead);
        let pc = self.constant(u32::from(next));
        self.leave(pc, Then::GoOn);
        self.ahead = ahead;
        self.builder.switch_to_block(go_on);
    }

    pub(super) fn ram_fixed(&mut self, at: u16) -> Value {
        let offset = field(offset_of!(Bus, riot.ram)) + i32::from(at & 0x7F);
        self.builder.ins().uload8(types::I32, TRUSTED, self.bus, offset)
    }

    pub(super) fn ram_at(&mut self, address: Value) -> Value {
        let at = self.builder.ins().band_imm_u(address, 0x7F);
        let at = self.builder.ins().uextend(types::I64, at);
        self.builder.ins().iadd(self.bus, at)
    }

    /// The byte of RAM that the low seven lines of an address choose.
    pub(super) fn ram(&mut self, address: Value) -> Value {
        let at = self.ram_at(address);
        let offset = field(offset_of!(Bus, riot.ram));
        self.builder.ins().uload8(types::I32, TRUSTED, at, offset)
    }

    pub(super) fn store_ram(&mut self, address: Value, value: Value) {
        let at = self.ram_at(address);
        let offset = field(offset_of!(Bus, riot.ram));
        self.builder.ins().istore8(TRUSTED, value, at, offset);
    }

    /// A byte of the image, at a place that is known to be within it.
    pub(super) fn rom(&mut self, at: Value) -> Value {
        let at = self.builder.ins().uextend(types::I64, at);
        let image = self.builder.ins().iconst(types::I64, self.image.as_ptr() as i64);
        let at = self.builder.ins().iadd(image, at);
        self.builder.ins().uload8(types::I32, TRUSTED, at, 0)
    }

    pub(super) fn ways(&mut self) -> (Block, Block, Block) {
        (self.builder.create_block(), self.cold_block(), self.join_block())
    }

    pub(super) fn join_block(&mut self) -> Block {
        let block = self.builder.create_block();
        self.builder.append_block_param(block, types::I32);
        block
    }

    pub(super) fn join(&mut self, block: Block) -> Value {
        self.builder.switch_to_block(block);
        self.builder.block_params(block)[0]
    }

    /// Whether `value` is one of the `len` numbers from `start` on.
    pub(super) fn within(&mut self, value: Value, start: u32, len: u32) -> Value {
        let from_start = self.builder.ins().iadd_imm_s(value, -i64::from(start));
        self.builder
            .ins()
            .icmp_imm_u(IntCC::UnsignedLessThan, from_start, i64::from(len))
    }

    pub(super) fn byte(&mut self, value: Value) -> Value {
        self.builder.ins().band_imm_u(value, 0xFF)
    }

    pub(super) fn word(&mut self, low: Value, high: Value) -> Value {
        let high = self.builder.ins().ishl_imm_u(high, 8);
        self.builder.ins().bor(low, high)
    }
}
