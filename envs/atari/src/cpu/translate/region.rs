//! What is translated at a time: the instructions that can be reached from one without leaving the part of the cartridge that is
//! known to stay in place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::decode::{Condition, Operation, decode};
use crate::cpu::{Op, opcodes};
use crate::riot::Riot;

/// Instructions of a region. Fewer would be left more often.
const MOST: usize = 1024;
/// Instructions of a region that others have, too. Without them a region that begins shortly before another one would be left at once; with more,
/// too much would be translated again and again.
const MOST_SHARED: usize = 8;

/// Addresses behind which the bytes of the image stay what they are until an access to a hotspot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The address lines above the window's twelve, as the program counter has them.
    pub(crate) top: u16,
    /// Where the window's first byte is in the image, if it all lay there; wraps.
    pub(crate) offset: usize,
    /// Addresses of the window where an instruction of any length may begin.
    pub(crate) code: Range<u16>,
    /// Addresses of the window that can be read without any other effect.
    pub(crate) data: Range<u16>,
}

impl Window {
    /// Whether an instruction at this address of the bus lies in the window.
    pub(super) fn has_code(&self, pc: u16) -> bool {
        pc & 0xF000 == self.top && self.code.contains(&(pc & 0xFFF))
    }

    /// Whether reading an address of the bus has no other effect: it is RAM, or data of the window.
    fn is_steady(&self, address: u16) -> bool {
        address & 0x1280 == 0x0080 || address & 0x1000 != 0 && self.data.contains(&(address & 0xFFF))
    }

    /// Where the byte at an address of the bus is in the image.
    pub(super) fn at(&self, address: u16) -> usize {
        self.offset.wrapping_add(usize::from(address & 0xFFF))
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) op: Op,
    pub(super) operation: Operation,
    /// The address after it.
    pub(super) next: u16,
}

/// See the module.
pub(super) struct Region {
    pub(super) instructions: BTreeMap<u16, Instruction>,
    /// Where blocks begin, and where the region can be entered: its first instruction, what is jumped to, and what comes after a
    /// branch. All are instructions of the region.
    pub(super) leaders: BTreeSet<u16>,
    /// Where calls from this region return to, as far as that is in it.
    pub(super) returns: Vec<u16>,
}

impl Region {
    /// The region of an instruction, up to a little beyond where others begin; `None` if that instruction is for the interpreter.
    pub(super) fn find(entry: u16, window: &Window, code: &[Op], is_other: impl Fn(u16) -> bool) -> Option<Region> {
        let mut region = Region {
            instructions: BTreeMap::new(),
            leaders: BTreeSet::new(),
            returns: Vec::new(),
        };
        let mut returns = BTreeSet::new();
        let mut begins = VecDeque::from([entry]);
        let mut shared = 0;
        while let Some(begin) = begins.pop_front() {
            region.leaders.insert(begin);
            let mut pc = begin;
            while region.instructions.len() < MOST {
                if region.instructions.contains_key(&pc) {
                    region.leaders.insert(pc);
                    break;
                }
                let Some(instruction) = instruction(pc, window, code) else {
                    break;
                };
                if is_other(pc) {
                    if shared == MOST_SHARED {
                        break;
                    }
                    shared += 1;
                }
                region.instructions.insert(pc, instruction);
                match instruction.operation {
                    Operation::Branch { .. } => begins.extend([instruction.next, instruction.branch_target()]),
                    Operation::Jump => begins.push_back(instruction.op.word()),
                    Operation::Call => {
                        begins.extend([instruction.op.word(), instruction.next]);
                        returns.insert(instruction.next);
                    }
                    Operation::Return | Operation::ReturnFromInterrupt | Operation::JumpIndirect => {}
                    _ => {
                        pc = instruction.next;
                        continue;
                    }
                }
                break;
            }
        }
        let Region {
            instructions, leaders, ..
        } = &mut region;
        leaders.retain(|leader| instructions.contains_key(leader));
        region.returns = returns.into_iter().filter(|pc| instructions.contains_key(pc)).collect();
        (!region.instructions.is_empty()).then_some(region)
    }
}

impl Instruction {
    /// Where a branch goes to.
    pub(super) fn branch_target(&self) -> u16 {
        self.next.wrapping_add_signed(i16::from(self.op.low() as i8))
    }
}

/// The instruction at an address, if it is to be translated.
fn instruction(pc: u16, window: &Window, code: &[Op]) -> Option<Instruction> {
    if !window.has_code(pc) {
        return None;
    }
    let op = *code.get(window.at(pc))?;
    let operation = decode(op.opcode())?;
    let instruction = Instruction {
        op,
        operation,
        next: pc.wrapping_add(u16::from(opcodes::length_and_cycles(op.opcode()).0)),
    };
    // Other pointers are of no use.
    if operation == Operation::JumpIndirect && !(window.is_steady(op.word()) && window.is_steady(op.second_word())) {
        return None;
    }
    // The interpreter does in one go what a program does that waits for the timer.
    if op.is_absolute_load() && Riot::is_timer(op.word()) {
        let next = code.get(window.at(instruction.next)).copied()?;
        let branch = Instruction {
            op: next,
            operation: decode(next.opcode())?,
            next: instruction.next.wrapping_add(2),
        };
        let waits = |operation| {
            matches!(
                operation,
                Operation::Branch {
                    on: Condition::Negative | Condition::Zero,
                    if_set: false
                }
            )
        };
        if waits(branch.operation) && branch.branch_target() == pc {
            return None;
        }
    }
    Some(instruction)
}
