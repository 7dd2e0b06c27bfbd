//! Programs translated into machine code.
//!
//! The interpreter needs some two nanoseconds for an instruction; most of it is spent on finding out what the instruction is. A
//! part of the program that is executed again and again is therefore translated, with Cranelift:
//!
//! ```text
//! run                mod.rs       translated code where there is some, else the interpreter, which counts
//! ├── find           region.rs    which instructions are translated together
//! ├── decode         decode.rs    what opcodes do, as far as the translator knows them
//! ├── emit           emit.rs      from their instructions to Cranelift's
//! ├── Code           memory.rs    machine code in memory
//! └── read, write    calls.rs     what it calls
//! ```
//!
//! The interpreter is what defines the machine. It executes whatever is rare: most opcodes outside the data sheet, decimal mode, a
//! stack outside RAM, programs in RAM, hotspots before an instruction, the last instructions of a frame that is given up, and
//! loops that wait for the timer. After every instruction both leave the same registers, memory and cycles.
//!
//! Translations belong to a cartridge and are shared by all machines in which it is put. Only x86-64 is translated for.

mod calls;
mod decode;
mod emit;
mod memory;
mod region;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;

use super::Cpu;
use crate::bus::Bus;
use memory::Code;
use region::Region;
pub(crate) use region::Window;

/// How often the interpreter comes to an instruction before it is translated.
const HOT: u8 = 40;
/// Regions of a cartridge. Programs have some dozens; what is made to have more is not worth the memory.
const MOST_REGIONS: usize = 1024;

/// The translated regions of a cartridge, block by block.
pub(crate) struct Translations {
    /// By the place of its first instruction in the image.
    blocks: Box<[OnceLock<Block>]>,
    /// How often the interpreter came to an instruction, up to [`HOT`].
    heat: Box<[AtomicU8]>,
    image: Box<[u8]>,
    translator: Mutex<Translator>,
}

/// A block of a region, at this program counter.
struct Block {
    pc: u16,
    code: Arc<Code>,
    number: u32,
}

/// What is needed to translate.
struct Translator {
    isa: Arc<dyn TargetIsa>,
    context: Context,
    builder: FunctionBuilderContext,
    regions: usize,
}

impl Translations {
    /// Room for the translations of an image. `None` where nothing can be translated.
    pub(crate) fn new(image: &[u8]) -> Option<Translations> {
        let translator = Translator::new()?;
        Some(Translations {
            blocks: image.iter().map(|_| OnceLock::new()).collect(),
            heat: image.iter().map(|_| AtomicU8::new(0)).collect(),
            image: image.into(),
            translator: Mutex::new(translator),
        })
    }

    /// The block at a program counter, which is at `at` in the image.
    #[inline(always)]
    fn get(&self, at: usize, pc: u16) -> Option<&Block> {
        self.blocks.get(at)?.get().filter(|block| block.pc == pc)
    }

    /// The interpreter comes to an instruction. Translates it when it has come to it often enough.
    #[inline(always)]
    fn count(&self, at: usize, pc: u16, bus: &Bus) -> Option<&Block> {
        let heat = self.heat.get(at)?;
        let times = heat.load(Ordering::Relaxed);
        if times >= HOT {
            return None;
        }
        heat.store(times + 1, Ordering::Relaxed);
        if times + 1 < HOT {
            return None;
        }
        self.translate(pc, bus);
        self.get(at, pc)
    }

    #[cold]
    fn translate(&self, pc: u16, bus: &Bus) {
        // A translator that panicked is not used again.
        let Ok(mut translator) = self.translator.lock() else {
            return;
        };
        let window = bus.cartridge.window(pc);
        let is_other = |pc| self.get(window.at(pc), pc).is_some();
        let Some(region) = Region::find(pc, &window, bus.cartridge.code(), is_other) else {
            return;
        };
        let Some(code) = translator.translate(&region, &window, &self.image) else {
            return;
        };
        let code = Arc::new(code);
        for (number, &pc) in (0..).zip(&region.leaders) {
            // Where another program counter has the same place, one of them is interpreted.
            let _ = self.blocks[window.at(pc)].set(Block {
                pc,
                code: Arc::clone(&code),
                number,
            });
        }
    }
}

impl Translator {
    fn new() -> Option<Translator> {
        if cfg!(not(target_arch = "x86_64")) {
            return None;
        }
        let mut flags = settings::builder();
        // Memory is accessed by address, and the code never moves. The optimiser takes longer than it saves in 300,000 frames. The verifier looks at
        // every function that `emit` makes wherever assertions are on, which is in tests and while fuzzing.
        let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
        for (name, value) in [
            ("opt_level", "none"),
            ("is_pic", "false"),
            ("enable_verifier", verifier),
        ] {
            flags.set(name, value).ok()?;
        }
        let isa = cranelift_native::builder()
            .ok()?
            .finish(settings::Flags::new(flags))
            .ok()?;
        Some(Translator {
            isa,
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            regions: 0,
        })
    }

    fn translate(&mut self, region: &Region, window: &Window, image: &[u8]) -> Option<Code> {
        if self.regions == MOST_REGIONS {
            return None;
        }
        self.regions += 1;
        self.context.clear();
        self.context.func = emit::emit(region, window, image, &*self.isa, &mut self.builder);
        let compiled = self.context.compile(&*self.isa, &mut ControlPlane::default());
        if cfg!(debug_assertions)
            && let Err(error) = &compiled
        {
            panic!("a region was translated into what Cranelift refuses: {error:?}");
        }
        let compiled = compiled.ok()?;
        if !compiled.buffer.relocs().is_empty() {
            return None;
        }
        // SAFETY: what `emit` returns is such a function.
        // - It is well formed: Cranelift's verifier accepts it wherever assertions are on; tests play any programs through it.
        // - Registers: it reads and writes them through offsets of their fields (`offset_of!`).
        // - RAM: it only reaches bytes whose number was cut to seven bits.
        // - The image: it only reaches bytes of the window, whose banks lie in the image (`Cartridge::window`).
        // - It calls the functions of `calls`, with their signatures, and nothing else; it has no relocations, as checked above.
        unsafe { Code::new(compiled.code_buffer(), region.leaders.len() as u32) }.ok()
    }
}

impl Cpu {
    /// Like the interpreter's loop, with translated code where there is some.
    pub(super) fn run_translated(&mut self, bus: &mut Bus, translations: &Translations) {
        while self.instructions_left > 0 {
            let block = bus.cartridge.place(self.pc).and_then(|at| {
                let block = translations.get(at, self.pc);
                block.or_else(|| translations.count(at, self.pc, bus))
            });
            if let Some(block) = block
                && (!block.code.run(block.number, self, bus) || self.instructions_left == 0)
            {
                continue;
            }
            self.execute(bus);
            self.instructions_left -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
