//! What each instruction does to registers and flags.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::{Switch, Variable};

use super::{Emitter, Place, TRUSTED, field};
use crate::cpu::translate::calls;
use crate::cpu::translate::decode::{Change, Condition, Flag, Mode, Operation, Read, Register};
use crate::cpu::translate::region::{Instruction, Region};
use crate::cpu::{Cpu, status};

impl Emitter<'_> {
    pub(super) fn instruction(&mut self, pc: u16, instruction: Instruction, region: &Region) {
        let Instruction { op, operation, next } = instruction;
        self.switched = None;
        // Whatever may leave this instruction to the interpreter is checked before anything is done.
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
    pub(super) fn check_modified(&mut self, mode: Mode, instruction: &Instruction, pc: u16) {
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
    pub(super) fn check_stack(&mut self, start: u32, len: u32, pc: u16) {
        let sp = self.get(Register::Sp);
        let in_ram = self.within(sp, start, len);
        self.unless_interpreted(in_ram, pc);
    }

    /// RTS. It reads the byte before the instruction that it returns to, which must not be a hotspot.
    pub(super) fn return_from_call(&mut self, pc: u16, cycles: u32, region: &Region) {
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
    pub(super) fn pull(&mut self, opcode: u8) -> Value {
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

    pub(super) fn push(&mut self, value: Value, next: u16) {
        let sp = self.get(Register::Sp);
        let below = self.builder.ins().iadd_imm_s(sp, -1);
        let below = self.byte(below);
        self.set(Register::Sp, below);
        // The stack is the zero page once more.
        self.store(Place::ZeroPage(sp), value, next);
    }

    pub(super) fn branch(&mut self, on: Condition, if_set: bool, instruction: &Instruction) {
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

    pub(super) fn condition(&mut self, on: Condition) -> Value {
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

    pub(super) fn operate(&mut self, read: Read, value: Value) {
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

    pub(super) fn add(&mut self, value: Value) {
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

    pub(super) fn compare(&mut self, register: Register, value: Value) {
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
    pub(super) fn change(&mut self, change: Change, value: Value) -> Value {
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

    pub(super) fn set_flag(&mut self, flag: Flag, on: bool) {
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
    pub(super) fn set_status(&mut self, bits: Value) {
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
    pub(super) fn status(&mut self) -> Value {
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

    pub(super) fn get(&mut self, register: Register) -> Value {
        let variable = self.variable(register);
        self.builder.use_var(variable)
    }

    pub(super) fn set(&mut self, register: Register, value: Value) {
        let variable = self.variable(register);
        self.builder.def_var(variable, value);
    }

    pub(super) fn variable(&self, register: Register) -> Variable {
        match register {
            Register::A => self.registers.a,
            Register::X => self.registers.x,
            Register::Y => self.registers.y,
            Register::Sp => self.registers.sp,
        }
    }

    /// Z and N from a result.
    pub(super) fn result(&mut self, value: Value) {
        self.builder.def_var(self.registers.nz, value);
    }
}
