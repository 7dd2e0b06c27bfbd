//! From the instructions of a region to Cranelift's.
//!
//! Registers of the 6507 are 32-bit values below 256, which live in registers of the host as long as the region runs; they are
//! read from [`Cpu`] at its beginning and written back at its end. Cycles and instructions that are known in advance are added
//! up while translating, and charged where somebody can see them: at calls, and where blocks end. Before each block it is made
//! sure that all of its instructions may still run.
//!
//! What cannot be done here ends the region before the instruction in question, which the interpreter then executes.

use std::collections::BTreeMap;
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, Block, Function, InstBuilder, MemFlagsData, SigRef, Signature, TrapCode, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Switch, Variable};

use super::calls;
use super::decode::{Change, Condition, Flag, Mode, Operation, Read, Register};
use super::region::{Instruction, Region, Window};
use crate::bus::Bus;
use crate::cpu::{Cpu, status};
use crate::tia::Quick;

/// What follows a region.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Whatever there is at the program counter.
    GoOn = 0,
    /// The instruction there is for the interpreter.
    Interpret = 1,
}

/// Where an operand lies, as far as that is known.
#[derive(Clone, Copy)]
enum Place {
    /// A byte of RAM.
    Ram(u16),
    /// A fixed address that is neither RAM nor in the window.
    Fixed(u16),
    /// A byte of the window that never changes.
    Constant(u8),
    /// The zero page at this address: RAM or, below, the TIA.
    ZeroPage(Value),
    /// In the window's data: the place in the image.
    Table(Value),
    /// Any address.
    Anywhere(Value),
}

/// The registers while the region runs.
struct Registers {
    a: Variable,
    x: Variable,
    y: Variable,
    sp: Variable,
    nz: Variable,
    carry: Variable,
    /// In bit 7.
    overflow: Variable,
    cycles: Variable,
    left: Variable,
    /// At the end of the region.
    pc: Variable,
    then: Variable,
}

struct Emitter<'a> {
    builder: FunctionBuilder<'a>,
    window: &'a Window,
    image: &'a [u8],
    registers: Registers,
    cpu: Value,
    bus: Value,
    blocks: BTreeMap<u16, Block>,
    /// Goes on at the program counter, in the region or beyond.
    dispatch: Block,
    end: Block,
    read: (SigRef, Value),
    write: (SigRef, Value),
    /// The signature of the functions that write the TIA.
    write_tia: SigRef,
    /// Cycles of the block that are not charged yet.
    cycles: u32,
    /// Instructions of the block that were charged at its beginning and have not begun.
    ahead: u32,
    /// The result of a read by which the cartridge may have been switched.
    switched: Option<Value>,
}

/// A function that does what the region does.
pub(super) fn emit(
    region: &Region,
    window: &Window,
    image: &[u8],
    isa: &dyn TargetIsa,
    context: &mut FunctionBuilderContext,
) -> Function {
    let convention = isa.default_call_conv();
    let pointer = isa.pointer_type();
    let signature = |parameters: usize, result: ir::Type| {
        let mut signature = Signature::new(convention);
        signature.params.push(AbiParam::new(pointer));
        signature
            .params
            .extend((0..parameters).map(|_| AbiParam::new(types::I32)));
        signature.returns.push(AbiParam::new(result));
        signature
    };
    let mut own = signature(0, types::I32);
    own.params.extend([AbiParam::new(pointer), AbiParam::new(types::I32)]);
    let mut function = Function::with_name_signature(ir::UserFuncName::default(), own);
    let mut builder = FunctionBuilder::new(&mut function, context);
    let begin = builder.create_block();
    builder.append_block_params_for_function_params(begin);
    builder.switch_to_block(begin);
    let (cpu, bus) = (builder.block_params(begin)[0], builder.block_params(begin)[1]);
    let mut variable = || builder.declare_var(types::I32);
    let registers = Registers {
        a: variable(),
        x: variable(),
        y: variable(),
        sp: variable(),
        nz: variable(),
        carry: variable(),
        overflow: variable(),
        cycles: variable(),
        left: variable(),
        pc: variable(),
        then: variable(),
    };
    let mut callee = |parameters, result, address: usize| {
        let signature = builder.import_signature(signature(parameters, result));
        (signature, builder.ins().iconst(pointer, address as i64))
    };
    let read = callee(3, types::I32, calls::read as *const () as usize);
    let write = callee(3, types::I64, calls::write as *const () as usize);
    let write_tia = builder.import_signature(signature(2, types::I64));
    let blocks = region.leaders.iter().map(|&pc| (pc, builder.create_block())).collect();
    let dispatch = builder.create_block();
    let end = builder.create_block();
    let mut emitter = Emitter {
        builder,
        window,
        image,
        registers,
        cpu,
        bus,
        blocks,
        dispatch,
        end,
        read,
        write,
        write_tia,
        cycles: 0,
        ahead: 0,
        switched: None,
    };
    emitter.load_registers();
    emitter.enter(begin);
    for &leader in &region.leaders {
        emitter.block(leader, region);
    }
    emitter.dispatch();
    emitter.store_registers();
    emitter.builder.seal_all_blocks();
    emitter.builder.finalize(isa.frontend_config());
    function
}

const TRUSTED: MemFlagsData = MemFlagsData::trusted();

/// Beginning and end.
impl Emitter<'_> {
    /// Jumps to the block whose number is the function's last parameter.
    fn enter(&mut self, begin: Block) {
        let number = self.builder.block_params(begin)[2];
        let none = self.builder.create_block();
        let mut switch = Switch::new();
        for (number, &block) in self.blocks.values().enumerate() {
            switch.set_entry(number as u128, block);
        }
        switch.emit(&mut self.builder, number, none);
        self.builder.switch_to_block(none);
        self.builder.ins().trap(TrapCode::HEAP_OUT_OF_BOUNDS);
    }

    fn load_registers(&mut self) {
        let cpu = self.cpu;
        for (variable, offset) in self.bytes() {
            let value = self.builder.ins().uload8(types::I32, TRUSTED, cpu, offset);
            self.builder.def_var(variable, value);
        }
        let overflow = self
            .builder
            .ins()
            .uload8(types::I32, TRUSTED, cpu, field(offset_of!(Cpu, overflow)));
        let overflow = self.builder.ins().ishl_imm_u(overflow, 7);
        self.builder.def_var(self.registers.overflow, overflow);
        let nz = self
            .builder
            .ins()
            .uload16(types::I32, TRUSTED, cpu, field(offset_of!(Cpu, nz)));
        self.builder.def_var(self.registers.nz, nz);
        for (variable, offset) in self.words() {
            let value = self.builder.ins().load(types::I32, TRUSTED, cpu, offset);
            self.builder.def_var(variable, value);
        }
    }

    fn store_registers(&mut self) {
        let cpu = self.cpu;
        self.builder.switch_to_block(self.end);
        for (variable, offset) in self.bytes() {
            let value = self.builder.use_var(variable);
            self.builder.ins().istore8(TRUSTED, value, cpu, offset);
        }
        let overflow = self.builder.use_var(self.registers.overflow);
        let overflow = self.builder.ins().ushr_imm_u(overflow, 7);
        let overflow = self.builder.ins().band_imm_u(overflow, 1);
        self.builder
            .ins()
            .istore8(TRUSTED, overflow, cpu, field(offset_of!(Cpu, overflow)));
        let nz = self.builder.use_var(self.registers.nz);
        self.builder
            .ins()
            .istore16(TRUSTED, nz, cpu, field(offset_of!(Cpu, nz)));
        let pc = self.builder.use_var(self.registers.pc);
        self.builder
            .ins()
            .istore16(TRUSTED, pc, cpu, field(offset_of!(Cpu, pc)));
        for (variable, offset) in self.words() {
            let value = self.builder.use_var(variable);
            self.builder.ins().store(TRUSTED, value, cpu, offset);
        }
        let then = self.builder.use_var(self.registers.then);
        self.builder.ins().return_(&[then]);
    }

    fn bytes(&self) -> [(Variable, i32); 5] {
        [
            (self.registers.a, field(offset_of!(Cpu, a))),
            (self.registers.x, field(offset_of!(Cpu, x))),
            (self.registers.y, field(offset_of!(Cpu, y))),
            (self.registers.sp, field(offset_of!(Cpu, sp))),
            (self.registers.carry, field(offset_of!(Cpu, carry))),
        ]
    }

    fn words(&self) -> [(Variable, i32); 2] {
        [
            (self.registers.cycles, field(offset_of!(Cpu, cycles))),
            (self.registers.left, field(offset_of!(Cpu, instructions_left))),
        ]
    }
}

/// Blocks and the ways out of the region.
impl Emitter<'_> {
    /// The instructions from a leader up to the next one or to a jump.
    fn block(&mut self, leader: u16, region: &Region) {
        let mut instructions = Vec::new();
        let mut pc = leader;
        while let Some(&instruction) = region.instructions.get(&pc) {
            instructions.push((pc, instruction));
            pc = instruction.next;
            if instruction.operation.jumps() || region.leaders.contains(&pc) {
                break;
            }
        }
        self.builder.switch_to_block(self.blocks[&leader]);
        self.cycles = 0;
        self.ahead = 0;
        let count = instructions.len() as u32;
        let left = self.builder.use_var(self.registers.left);
        let enough = self
            .builder
            .ins()
            .icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, left, i64::from(count));
        self.unless_interpreted(enough, leader);
        let left = self.builder.ins().iadd_imm_s(left, -i64::from(count));
        self.builder.def_var(self.registers.left, left);
        self.ahead = count;
        for &(pc, instruction) in &instructions {
            self.instruction(pc, instruction, region);
        }
        if !instructions.last().is_some_and(|(_, last)| last.operation.jumps()) {
            self.go_to(pc);
        }
    }

    /// Goes on at an address, in the region or beyond.
    fn go_to(&mut self, pc: u16) {
        match self.blocks.get(&pc) {
            Some(&block) => {
                self.charge_cycles();
                self.builder.ins().jump(block, &[]);
            }
            None => {
                let pc = self.constant(u32::from(pc));
                self.leave(pc, Then::GoOn);
            }
        }
    }

    /// Goes on at an address that is known when the program runs; after the last instruction of a block.
    fn go_to_any(&mut self, pc: Value) {
        self.charge_cycles();
        self.builder.def_var(self.registers.pc, pc);
        self.builder.ins().jump(self.dispatch, &[]);
    }

    fn dispatch(&mut self) {
        self.builder.switch_to_block(self.dispatch);
        let pc = self.builder.use_var(self.registers.pc);
        let elsewhere = self.builder.create_block();
        let mut switch = Switch::new();
        for (&pc, &block) in &self.blocks {
            switch.set_entry(u128::from(pc), block);
        }
        switch.emit(&mut self.builder, pc, elsewhere);
        self.builder.switch_to_block(elsewhere);
        (self.cycles, self.ahead) = (0, 0);
        self.leave(pc, Then::GoOn);
    }

    /// Ends the region. What was charged ahead is given back.
    fn leave(&mut self, pc: Value, then: Then) {
        self.charge_cycles();
        if self.ahead > 0 {
            let left = self.builder.use_var(self.registers.left);
            let left = self.builder.ins().iadd_imm_s(left, i64::from(self.ahead));
            self.builder.def_var(self.registers.left, left);
        }
        self.builder.def_var(self.registers.pc, pc);
        let then = self.constant(then as u32);
        self.builder.def_var(self.registers.then, then);
        self.builder.ins().jump(self.end, &[]);
    }

    fn charge_cycles(&mut self) {
        let now = self.now();
        self.builder.def_var(self.registers.cycles, now);
        self.cycles = 0;
    }

    /// The cycle count.
    fn now(&mut self) -> Value {
        let charged = self.builder.use_var(self.registers.cycles);
        match self.cycles {
            0 => charged,
            ahead => self.builder.ins().iadd_imm_u(charged, i64::from(ahead)),
        }
    }

    /// Leaves the instruction at `pc`, before any part of it is executed, to the interpreter unless the condition holds.
    fn unless_interpreted(&mut self, condition: Value, pc: u16) {
        let (go_on, out) = (self.builder.create_block(), self.cold_block());
        self.builder.ins().brif(condition, go_on, &[], out, &[]);
        self.builder.switch_to_block(out);
        let (cycles, ahead) = (self.cycles, self.ahead);
        let pc = self.constant(u32::from(pc));
        self.leave(pc, Then::Interpret);
        (self.cycles, self.ahead) = (cycles, ahead);
        self.builder.switch_to_block(go_on);
    }

    /// Ends the region after this instruction if the condition holds.
    fn leave_if(&mut self, condition: Value, next: u16) {
        let (go_on, out) = (self.builder.create_block(), self.cold_block());
        self.builder.ins().brif(condition, out, &[], go_on, &[]);
        self.builder.switch_to_block(out);
        let cycles = self.cycles;
        let pc = self.constant(u32::from(next));
        self.leave(pc, Then::GoOn);
        self.cycles = cycles;
        self.builder.switch_to_block(go_on);
    }

    fn cold_block(&mut self) -> Block {
        let block = self.builder.create_block();
        self.builder.set_cold_block(block);
        block
    }

    fn constant(&mut self, value: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(value))
    }
}

/// Memory.
impl Emitter<'_> {
    /// The bus address that a mode gives, and the latch: the byte on the bus before the operand is accessed.
    fn place(&mut self, mode: Mode, instruction: &Instruction, paged: bool) -> (Place, Value) {
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

    /// Whether the pointer of an indirect mode lies in RAM, if that is not so in any case; otherwise the interpreter has to do it.
    fn check_pointer(&mut self, mode: Mode, instruction: &Instruction, pc: u16) {
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

    fn fixed(&mut self, address: u16) -> Place {
        if address & 0x1280 == 0x0080 {
            Place::Ram(address & 0x7F)
        } else if address & 0x1000 != 0 && self.window.data.contains(&(address & 0xFFF)) {
            Place::Constant(self.image.get(self.window.at(address)).copied().unwrap_or(0))
        } else {
            Place::Fixed(address)
        }
    }

    fn indexed(&mut self, base: u16, index: Register, paged: bool) -> Place {
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
    fn charge_if(&mut self, condition: Value) {
        let more = self.builder.ins().uextend(types::I32, condition);
        let charged = self.builder.use_var(self.registers.cycles);
        let charged = self.builder.ins().iadd(charged, more);
        self.builder.def_var(self.registers.cycles, charged);
    }

    fn load(&mut self, place: Place, latch: Value) -> Value {
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

    fn load_fixed(&mut self, address: u16, latch: Value) -> Value {
        // The joysticks and the switches are there to be looked at.
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

    fn load_anywhere(&mut self, address: Value, latch: Value) -> Value {
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

    fn call_read(&mut self, address: Value, latch: Value) -> Value {
        let now = self.now();
        let (signature, callee) = self.read;
        let call = self
            .builder
            .ins()
            .call_indirect(signature, callee, &[self.bus, address, latch, now]);
        self.builder.inst_results(call)[0]
    }

    /// Stores a byte, and ends the region with this instruction if that ends the frame or switches the cartridge.
    fn store(&mut self, place: Place, value: Value, next: u16) {
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

    fn store_where(&mut self, is_ram: Value, address: Value, value: Value, next: u16) {
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

    fn call_write(&mut self, address: Value, value: Value, next: u16) {
        let now = self.now();
        let (signature, callee) = self.write;
        let arguments = [self.bus, address, value, now];
        let call = self.builder.ins().call_indirect(signature, callee, &arguments);
        self.written(call, next);
    }

    /// Writes a register of the TIA: by a call, unless that is not necessary.
    fn write_tia(&mut self, address: u16, value: Value, next: u16) {
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
    fn note_access(&mut self, now: Value, register: u8) {
        let tia = offset_of!(Bus, tia);
        let at = [Quick::ACCESS_CYCLES, Quick::ACCESS_REGISTER].map(|at| field(tia + at));
        self.builder.ins().store(TRUSTED, now, self.bus, at[0]);
        let register = self.constant(u32::from(register));
        self.builder.ins().istore8(TRUSTED, register, self.bus, at[1]);
    }

    /// A word in the TIA.
    fn tia_word(&mut self, at: usize) -> Value {
        let at = field(offset_of!(Bus, tia) + at);
        self.builder.ins().load(types::I32, TRUSTED, self.bus, at)
    }

    /// A byte in the TIA.
    fn tia_byte(&mut self, at: usize) -> Value {
        let at = field(offset_of!(Bus, tia) + at);
        self.builder.ins().uload8(types::I32, TRUSTED, self.bus, at)
    }

    fn call_write_tia(&mut self, address: u16, value: Value, next: u16) {
        let now = self.now();
        let callee = calls::WRITE_TIA[usize::from(address & 0x3F)] as usize;
        let callee = self.builder.ins().iconst(types::I64, callee as i64);
        let arguments = [self.bus, value, now];
        let call = self.builder.ins().call_indirect(self.write_tia, callee, &arguments);
        self.written(call, next);
    }

    /// What a write did to the processor.
    fn written(&mut self, call: ir::Inst, next: u16) {
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

    fn ram_fixed(&mut self, at: u16) -> Value {
        let offset = field(offset_of!(Bus, riot.ram)) + i32::from(at & 0x7F);
        self.builder.ins().uload8(types::I32, TRUSTED, self.bus, offset)
    }

    fn ram_at(&mut self, address: Value) -> Value {
        let at = self.builder.ins().band_imm_u(address, 0x7F);
        let at = self.builder.ins().uextend(types::I64, at);
        self.builder.ins().iadd(self.bus, at)
    }

    /// The byte of RAM that the low seven lines of an address choose.
    fn ram(&mut self, address: Value) -> Value {
        let at = self.ram_at(address);
        let offset = field(offset_of!(Bus, riot.ram));
        self.builder.ins().uload8(types::I32, TRUSTED, at, offset)
    }

    fn store_ram(&mut self, address: Value, value: Value) {
        let at = self.ram_at(address);
        let offset = field(offset_of!(Bus, riot.ram));
        self.builder.ins().istore8(TRUSTED, value, at, offset);
    }

    /// A byte of the image, at a place that is known to be within it.
    fn rom(&mut self, at: Value) -> Value {
        let at = self.builder.ins().uextend(types::I64, at);
        let image = self.builder.ins().iconst(types::I64, self.image.as_ptr() as i64);
        let at = self.builder.ins().iadd(image, at);
        self.builder.ins().uload8(types::I32, TRUSTED, at, 0)
    }

    fn ways(&mut self) -> (Block, Block, Block) {
        (self.builder.create_block(), self.cold_block(), self.join_block())
    }

    fn join_block(&mut self) -> Block {
        let block = self.builder.create_block();
        self.builder.append_block_param(block, types::I32);
        block
    }

    fn join(&mut self, block: Block) -> Value {
        self.builder.switch_to_block(block);
        self.builder.block_params(block)[0]
    }

    /// Whether `value` is one of the `len` numbers from `start` on.
    fn within(&mut self, value: Value, start: u32, len: u32) -> Value {
        let from_start = self.builder.ins().iadd_imm_s(value, -i64::from(start));
        self.builder
            .ins()
            .icmp_imm_u(IntCC::UnsignedLessThan, from_start, i64::from(len))
    }

    fn byte(&mut self, value: Value) -> Value {
        self.builder.ins().band_imm_u(value, 0xFF)
    }

    fn word(&mut self, low: Value, high: Value) -> Value {
        let high = self.builder.ins().ishl_imm_u(high, 8);
        self.builder.ins().bor(low, high)
    }
}

/// Instructions.
impl Emitter<'_> {
    fn instruction(&mut self, pc: u16, instruction: Instruction, region: &Region) {
        let Instruction { op, operation, next } = instruction;
        self.switched = None;
        // What may make this an instruction for the interpreter is looked at before anything is done.
        match operation {
            Operation::Read(read, mode) => {
                self.check_pointer(mode, &instruction, pc);
                if matches!(read, Read::Adc | Read::Sbc) {
                    let decimal = field(offset_of!(Cpu, decimal));
                    let decimal = self.builder.ins().uload8(types::I32, TRUSTED, self.cpu, decimal);
                    let binary = self.builder.ins().icmp_imm_u(IntCC::Equal, decimal, 0);
                    self.unless_interpreted(binary, pc);
                }
            }
            Operation::Store(_, mode) => self.check_pointer(mode, &instruction, pc),
            Operation::Modify(_, mode) => self.check_modified(mode, &instruction, pc),
            Operation::Call => self.check_stack(0x81, 0x7F, pc),
            Operation::Return => self.check_stack(0x80, 0x7E, pc),
            Operation::ReturnFromInterrupt => self.check_stack(0x80, 0x7D, pc),
            _ => {}
        }
        if operation == Operation::Return {
            return self.return_from_call(pc, op.cycles(), region);
        }
        self.cycles += op.cycles();
        self.ahead -= 1;
        match operation {
            Operation::Read(read, mode) => {
                let (place, latch) = self.place(mode, &instruction, true);
                let value = self.load(place, latch);
                self.operate(read, value);
                if let Some(read) = self.switched {
                    let switched = self.builder.ins().band_imm_u(read, i64::from(calls::READ_SWITCHED));
                    self.leave_if(switched, next);
                }
            }
            Operation::Store(register, mode) => {
                let (place, _) = self.place(mode, &instruction, false);
                let value = self.get(register);
                self.store(place, value, next);
            }
            Operation::StoreBoth(mode) => {
                let (place, _) = self.place(mode, &instruction, false);
                let (a, x) = (self.get(Register::A), self.get(Register::X));
                let value = self.builder.ins().band(a, x);
                self.store(place, value, next);
            }
            Operation::Modify(change, mode) => {
                let (place, latch) = self.place(mode, &instruction, false);
                let place = match place {
                    // It was made sure that this is RAM.
                    Place::ZeroPage(address) => Ok(address),
                    other => Err(other),
                };
                let value = match place {
                    Ok(address) => self.ram(address),
                    Err(other) => self.load(other, latch),
                };
                let value = self.change(change, value);
                match place {
                    Ok(address) => self.store_ram(address, value),
                    Err(other) => self.store(other, value, next),
                }
            }
            Operation::Shift(change) => {
                let value = self.get(Register::A);
                let value = self.change(change, value);
                self.set(Register::A, value);
            }
            Operation::Step(register, change) => {
                let value = self.get(register);
                let value = self.change(change, value);
                self.set(register, value);
            }
            Operation::Transfer { from, to } => {
                let value = self.get(from);
                self.set(to, value);
                if to != Register::Sp {
                    self.result(value);
                }
            }
            Operation::Set(flag, on) => self.set_flag(flag, on),
            Operation::Nothing => {}
            Operation::Branch { on, if_set } => self.branch(on, if_set, &instruction),
            Operation::Jump => self.go_to(op.word()),
            Operation::Call => {
                let [low, high] = next.wrapping_sub(1).to_le_bytes();
                let sp = self.get(Register::Sp);
                let high = self.constant(u32::from(high));
                self.store_ram(sp, high);
                let below = self.builder.ins().iadd_imm_s(sp, -1);
                let low = self.constant(u32::from(low));
                self.store_ram(below, low);
                let sp = self.builder.ins().iadd_imm_s(sp, -2);
                let sp = self.byte(sp);
                self.set(Register::Sp, sp);
                self.go_to(op.word());
            }
            Operation::Return => {}
            Operation::PushA => {
                let value = self.get(Register::A);
                self.push(value, next);
            }
            Operation::PushStatus => {
                let value = self.status();
                self.push(value, next);
            }
            Operation::PullA => {
                let value = self.pull(op.opcode());
                self.operate(Read::Load(Register::A), value);
            }
            Operation::PullStatus => {
                let bits = self.pull(op.opcode());
                self.set_status(bits);
            }
            Operation::JumpIndirect => {
                let (low, high) = (self.fixed(op.word()), self.fixed(op.second_word()));
                let none = self.constant(0);
                let (low, high) = (self.load(low, none), self.load(high, none));
                let target = self.word(low, high);
                self.go_to_any(target);
            }
            Operation::ReturnFromInterrupt => {
                let sp = self.get(Register::Sp);
                let [bits, low, high] = [1, 2, 3].map(|at| {
                    let at = self.builder.ins().iadd_imm_u(sp, at);
                    self.ram(at)
                });
                self.set_status(bits);
                let sp = self.builder.ins().iadd_imm_u(sp, 3);
                self.set(Register::Sp, sp);
                let target = self.word(low, high);
                self.go_to_any(target);
            }
        }
    }

    /// Only bytes of RAM are modified here.
    fn check_modified(&mut self, mode: Mode, instruction: &Instruction, pc: u16) {
        let low = instruction.op.low();
        let in_ram = match mode {
            Mode::Zp if low >= 0x80 => return,
            Mode::Abs if instruction.op.word() & 0x1280 == 0x0080 => return,
            Mode::ZpX => {
                let x = self.get(Register::X);
                let address = self.builder.ins().iadd_imm_u(x, i64::from(low));
                self.builder.ins().band_imm_u(address, 0x80)
            }
            _ => self.constant(0),
        };
        self.unless_interpreted(in_ram, pc);
    }

    /// The stack pointer must be one of the `len` values from `start` on, so that what is pushed or pulled lies in RAM.
    fn check_stack(&mut self, start: u32, len: u32, pc: u16) {
        let sp = self.get(Register::Sp);
        let in_ram = self.within(sp, start, len);
        self.unless_interpreted(in_ram, pc);
    }

    /// RTS. It reads the byte before the instruction that it returns to, which must not be a hotspot.
    fn return_from_call(&mut self, pc: u16, cycles: u32, region: &Region) {
        let sp = self.get(Register::Sp);
        let first = self.builder.ins().iadd_imm_u(sp, 1);
        let second = self.builder.ins().iadd_imm_u(sp, 2);
        let (low, high) = (self.ram(first), self.ram(second));
        let last = self.word(low, high);
        let begin = u32::from(self.window.top | self.window.code.start);
        let (data, code) = (self.window.data.clone(), self.window.code.clone());
        let len = if data.is_empty() { 0 } else { code.len() as u32 };
        let is_plain = self.within(last, begin, len);
        self.unless_interpreted(is_plain, pc);
        self.cycles += cycles;
        self.ahead -= 1;
        self.charge_cycles();
        self.set(Register::Sp, second);
        let target = self.builder.ins().iadd_imm_u(last, 1);
        let elsewhere = self.builder.create_block();
        let mut switch = Switch::new();
        for &pc in &region.returns {
            switch.set_entry(u128::from(pc), self.blocks[&pc]);
        }
        switch.emit(&mut self.builder, target, elsewhere);
        self.builder.switch_to_block(elsewhere);
        self.go_to_any(target);
    }

    /// Pulls a byte. The stack is read once before its pointer moves.
    fn pull(&mut self, opcode: u8) -> Value {
        let sp = self.get(Register::Sp);
        let above = self.builder.ins().iadd_imm_u(sp, 1);
        let above = self.byte(above);
        self.set(Register::Sp, above);
        let is_ram = self.within(sp, 0x80, 0x7F);
        let (fast, slow, done) = self.ways();
        self.builder.ins().brif(is_ram, fast, &[], slow, &[]);
        self.builder.switch_to_block(fast);
        let value = self.ram(above);
        self.builder.ins().jump(done, &[value.into()]);
        self.builder.switch_to_block(slow);
        let opcode = self.constant(u32::from(opcode));
        let latch = self.call_read(sp, opcode);
        let value = self.call_read(above, latch);
        self.builder.ins().jump(done, &[value.into()]);
        self.join(done)
    }

    fn push(&mut self, value: Value, next: u16) {
        let sp = self.get(Register::Sp);
        let below = self.builder.ins().iadd_imm_s(sp, -1);
        let below = self.byte(below);
        self.set(Register::Sp, below);
        // The stack is the zero page once more.
        self.store(Place::ZeroPage(sp), value, next);
    }

    fn branch(&mut self, on: Condition, if_set: bool, instruction: &Instruction) {
        self.charge_cycles();
        let condition = self.condition(on);
        let target = instruction.branch_target();
        let (taken, not_taken) = (self.builder.create_block(), self.builder.create_block());
        let (set, clear) = if if_set { (taken, not_taken) } else { (not_taken, taken) };
        self.builder.ins().brif(condition, set, &[], clear, &[]);
        self.builder.switch_to_block(taken);
        self.cycles = 1 + u32::from((instruction.next ^ target) & 0xFF00 != 0);
        self.go_to(target);
        self.builder.switch_to_block(not_taken);
        self.cycles = 0;
        self.go_to(instruction.next);
    }

    fn condition(&mut self, on: Condition) -> Value {
        match on {
            Condition::Carry => self.builder.use_var(self.registers.carry),
            Condition::Overflow => {
                let overflow = self.builder.use_var(self.registers.overflow);
                self.builder.ins().band_imm_u(overflow, 0x80)
            }
            Condition::Negative => {
                let nz = self.builder.use_var(self.registers.nz);
                self.builder.ins().band_imm_u(nz, 0x8080)
            }
            Condition::Zero => {
                let nz = self.builder.use_var(self.registers.nz);
                let low = self.byte(nz);
                self.builder.ins().icmp_imm_u(IntCC::Equal, low, 0)
            }
        }
    }

    fn operate(&mut self, read: Read, value: Value) {
        match read {
            Read::Load(register) => {
                self.set(register, value);
                self.result(value);
            }
            Read::LoadBoth => {
                self.set(Register::A, value);
                self.set(Register::X, value);
                self.result(value);
            }
            Read::And | Read::Ora | Read::Eor => {
                let a = self.get(Register::A);
                let result = match read {
                    Read::And => self.builder.ins().band(a, value),
                    Read::Ora => self.builder.ins().bor(a, value),
                    _ => self.builder.ins().bxor(a, value),
                };
                self.set(Register::A, result);
                self.result(result);
            }
            Read::Bit => {
                // As the interpreter keeps it: N in bit 15, and Z in the lower seven bits.
                let a = self.get(Register::A);
                let both = self.builder.ins().band(a, value);
                let seven = self.builder.ins().band_imm_u(both, 0x7F);
                let eighth = self.builder.ins().ushr_imm_u(both, 7);
                let low = self.builder.ins().bor(seven, eighth);
                let high = self.builder.ins().band_imm_u(value, 0x80);
                let high = self.builder.ins().ishl_imm_u(high, 8);
                let nz = self.builder.ins().bor(high, low);
                self.result(nz);
                let overflow = self.builder.ins().ishl_imm_u(value, 1);
                self.builder.def_var(self.registers.overflow, overflow);
            }
            Read::Adc => self.add(value),
            Read::Sbc => {
                let complement = self.builder.ins().bxor_imm_u(value, 0xFF);
                self.add(complement);
            }
            Read::Compare(register) => self.compare(register, value),
            Read::Nop => {}
        }
    }

    fn add(&mut self, value: Value) {
        let a = self.get(Register::A);
        let carry = self.builder.use_var(self.registers.carry);
        let sum = self.builder.ins().iadd(a, value);
        let sum = self.builder.ins().iadd(sum, carry);
        let carry = self.builder.ins().ushr_imm_u(sum, 8);
        self.builder.def_var(self.registers.carry, carry);
        let from_a = self.builder.ins().bxor(a, sum);
        let from_value = self.builder.ins().bxor(value, sum);
        let overflow = self.builder.ins().band(from_a, from_value);
        self.builder.def_var(self.registers.overflow, overflow);
        let result = self.byte(sum);
        self.set(Register::A, result);
        self.result(result);
    }

    fn compare(&mut self, register: Register, value: Value) {
        let register = self.get(register);
        let carry = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, register, value);
        let carry = self.builder.ins().uextend(types::I32, carry);
        self.builder.def_var(self.registers.carry, carry);
        let difference = self.builder.ins().isub(register, value);
        let difference = self.byte(difference);
        self.result(difference);
    }

    /// A changed byte. Sets the flags.
    fn change(&mut self, change: Change, value: Value) -> Value {
        let carry = self.builder.use_var(self.registers.carry);
        let (result, carry) = match change {
            Change::Inc => (self.builder.ins().iadd_imm_u(value, 1), None),
            Change::Dec | Change::DecCompare => (self.builder.ins().iadd_imm_s(value, -1), None),
            Change::Asl | Change::Rol => {
                let shifted = self.builder.ins().ishl_imm_u(value, 1);
                let out = self.builder.ins().ushr_imm_u(value, 7);
                let result = match change {
                    Change::Rol => self.builder.ins().bor(shifted, carry),
                    _ => shifted,
                };
                (result, Some(out))
            }
            Change::Lsr | Change::Ror => {
                let shifted = self.builder.ins().ushr_imm_u(value, 1);
                let out = self.builder.ins().band_imm_u(value, 1);
                let result = match change {
                    Change::Ror => {
                        let top = self.builder.ins().ishl_imm_u(carry, 7);
                        self.builder.ins().bor(shifted, top)
                    }
                    _ => shifted,
                };
                (result, Some(out))
            }
        };
        if let Some(carry) = carry {
            self.builder.def_var(self.registers.carry, carry);
        }
        let result = self.byte(result);
        if change == Change::DecCompare {
            self.compare(Register::A, result);
        } else {
            self.result(result);
        }
        result
    }

    fn set_flag(&mut self, flag: Flag, on: bool) {
        let value = self.constant(u32::from(on));
        let offset = match flag {
            Flag::Carry => return self.builder.def_var(self.registers.carry, value),
            Flag::Overflow => return self.builder.def_var(self.registers.overflow, value),
            Flag::Decimal => offset_of!(Cpu, decimal),
            Flag::InterruptDisable => offset_of!(Cpu, interrupt_disable),
        };
        self.builder.ins().istore8(TRUSTED, value, self.cpu, field(offset));
    }

    /// What [`Cpu::set_status`] does.
    fn set_status(&mut self, bits: Value) {
        let carry = self.builder.ins().band_imm_u(bits, i64::from(status::CARRY));
        self.builder.def_var(self.registers.carry, carry);
        let negative = self.builder.ins().band_imm_u(bits, i64::from(status::NEGATIVE));
        let negative = self.builder.ins().ishl_imm_u(negative, 8);
        let zero = self.builder.ins().band_imm_u(bits, i64::from(status::ZERO));
        let not_zero = self.builder.ins().icmp_imm_u(IntCC::Equal, zero, 0);
        let not_zero = self.builder.ins().uextend(types::I32, not_zero);
        let nz = self.builder.ins().bor(negative, not_zero);
        self.result(nz);
        let overflow = self.builder.ins().ishl_imm_u(bits, 1);
        self.builder.def_var(self.registers.overflow, overflow);
        for (offset, bit) in [
            (offset_of!(Cpu, decimal), status::DECIMAL),
            (offset_of!(Cpu, interrupt_disable), status::INTERRUPT_DISABLE),
        ] {
            let flag = self.builder.ins().ushr_imm_u(bits, i64::from(bit.trailing_zeros()));
            let flag = self.builder.ins().band_imm_u(flag, 1);
            self.builder.ins().istore8(TRUSTED, flag, self.cpu, field(offset));
        }
    }

    /// The status register, as [`Cpu::status`] computes it.
    fn status(&mut self) -> Value {
        let mut bits = self.builder.use_var(self.registers.carry);
        let zero = self.condition(Condition::Zero);
        let negative = self.condition(Condition::Negative);
        let negative = self.builder.ins().icmp_imm_u(IntCC::NotEqual, negative, 0);
        for (flag, bit) in [(zero, status::ZERO), (negative, status::NEGATIVE)] {
            let flag = self.builder.ins().uextend(types::I32, flag);
            let flag = self.builder.ins().ishl_imm_u(flag, i64::from(bit.trailing_zeros()));
            bits = self.builder.ins().bor(bits, flag);
        }
        let overflow = self.condition(Condition::Overflow);
        let overflow = self.builder.ins().ushr_imm_u(overflow, 1);
        bits = self.builder.ins().bor(bits, overflow);
        for (offset, bit) in [
            (offset_of!(Cpu, decimal), status::DECIMAL),
            (offset_of!(Cpu, interrupt_disable), status::INTERRUPT_DISABLE),
        ] {
            let flag = self.builder.ins().uload8(types::I32, TRUSTED, self.cpu, field(offset));
            let flag = self.builder.ins().ishl_imm_u(flag, i64::from(bit.trailing_zeros()));
            bits = self.builder.ins().bor(bits, flag);
        }
        self.builder.ins().bor_imm_u(bits, i64::from(status::ALWAYS))
    }

    fn get(&mut self, register: Register) -> Value {
        let variable = self.variable(register);
        self.builder.use_var(variable)
    }

    fn set(&mut self, register: Register, value: Value) {
        let variable = self.variable(register);
        self.builder.def_var(variable, value);
    }

    fn variable(&self, register: Register) -> Variable {
        match register {
            Register::A => self.registers.a,
            Register::X => self.registers.x,
            Register::Y => self.registers.y,
            Register::Sp => self.registers.sp,
        }
    }

    /// Z and N from a result.
    fn result(&mut self, value: Value) {
        self.builder.def_var(self.registers.nz, value);
    }
}

impl Operation {
    /// Whether what comes after it is decided by it.
    fn jumps(self) -> bool {
        matches!(
            self,
            Operation::Branch { .. }
                | Operation::Jump
                | Operation::JumpIndirect
                | Operation::Call
                | Operation::Return
                | Operation::ReturnFromInterrupt
        )
    }
}

/// An offset within a structure.
fn field(offset: usize) -> i32 {
    offset as i32
}
