//! Machine code in memory that can be executed.

use memmap2::{Mmap, MmapMut};

use crate::bus::Bus;
use crate::cpu::Cpu;

/// Translated code: takes the registers, the bus and the number of a block, leaves registers and bus as the instructions from there
/// do, and returns whether the next instruction is for the interpreter.
type Entry = unsafe extern "C" fn(*mut Cpu, *mut Bus, u32) -> u32;

/// A region's machine code.
pub(super) struct Code {
    entry: Entry,
    blocks: u32,
    /// Keeps the code where it is.
    _memory: Mmap,
}

impl Code {
    /// # Safety
    /// `bytes` must be a function of type [`Entry`] for this processor, at its first byte, that needs no relocation and that may
    /// be called with any registers, any bus and the numbers of blocks up to `blocks`.
    ///
    /// # Errors
    /// The system gives no memory for code.
    pub(super) unsafe fn new(bytes: &[u8], blocks: u32) -> std::io::Result<Code> {
        let mut memory = MmapMut::map_anon(bytes.len())?;
        memory.copy_from_slice(bytes);
        let memory = memory.make_exec()?;
        // SAFETY: the memory holds such a function, as the caller promises, and is executable.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(memory.as_ptr()) };
        Ok(Code {
            entry,
            blocks,
            _memory: memory,
        })
    }

    /// Runs the code from a block on. Returns whether the next instruction is for the interpreter.
    #[inline(always)]
    pub(super) fn run(&self, block: u32, cpu: &mut Cpu, bus: &mut Bus) -> bool {
        assert!(block < self.blocks, "block {block} of {}", self.blocks);
        // SAFETY: the code may be called with any registers and any bus, which are borrowed for as long as it runs, and it has
        // such a block.
        unsafe { (self.entry)(cpu, bus, block) != 0 }
    }
}
