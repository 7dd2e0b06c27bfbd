//! From the instructions of a region to Cranelift's.
//!
//! Registers of the 6507 are 32-bit values below 256, which live in registers of the host as long as the region runs; they are
//! read from [`Cpu`] at its beginning and written back at its end. Cycles and instructions that are known in advance are added
//! up while translating, and charged where somebody can see them: at calls, and where blocks end. Before each block it is made
//! sure that all of its instructions may still run.
//!
//! What cannot be done here ends the region before the instruction in question, which the interpreter then executes.

mod instructions;
mod memory;

use std::collections::BTreeMap;
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, Block, Function, InstBuilder, MemFlagsData, SigRef, Signature, TrapCode, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Switch, Variable};

use super::calls;
use super::decode::Operation;
use super::region::{Region, Window};
use crate::cpu::Cpu;

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
    /// Continues at the program counter, in the region or beyond.
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

    /// Continues at an address, in the region or beyond.
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

    /// Continues at an address that is known only at run time; after the last instruction of a block.
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
