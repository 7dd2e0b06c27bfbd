//! Programs that were made up are run translated and interpreted, a few instructions at a time, and must leave the same.

use proptest::prelude::*;

use super::*;
use crate::cartridge::{Cartridge, Mapper, Program};
use crate::cpu::opcodes;
use crate::riot::Riot;
use crate::tia::{Display, Tia};

/// What routines are made of: all that is translated but jumps, the stack and its pointer, and some that is not.
#[rustfmt::skip]
const OPCODES: &[u8] = &[
    0xA9, 0xA5, 0xB5, 0xAD, 0xBD, 0xB9, 0xA1, 0xB1, 0xA2, 0xA6, 0xB6, 0xAE, 0xBE, 0xA0, 0xA4, 0xB4, 0xAC, 0xBC, 0xA7, 0xB7, 0xAF,
    0xBF, 0xB3, 0x85, 0x95, 0x8D, 0x9D, 0x99, 0x81, 0x91, 0x86, 0x96, 0x8E, 0x84, 0x94, 0x8C, 0x87, 0x97, 0x8F, 0xAA, 0xA8, 0x8A,
    0x98, 0xBA, 0x29, 0x25, 0x35, 0x2D, 0x3D, 0x39, 0x21, 0x31, 0x09, 0x05, 0x15, 0x0D, 0x1D, 0x19, 0x01, 0x11, 0x49, 0x45, 0x55,
    0x4D, 0x5D, 0x59, 0x41, 0x51, 0x24, 0x2C, 0x69, 0x65, 0x75, 0x6D, 0x7D, 0x79, 0x61, 0x71, 0xE9, 0xE5, 0xF5, 0xED, 0xFD, 0xF9,
    0xE1, 0xF1, 0xEB, 0xC9, 0xC5, 0xD5, 0xCD, 0xDD, 0xD9, 0xC1, 0xD1, 0xE0, 0xE4, 0xEC, 0xC0, 0xC4, 0xCC, 0xE8, 0xC8, 0xCA, 0x88,
    0xE6, 0xF6, 0xEE, 0xFE, 0xC6, 0xD6, 0xCE, 0xDE, 0xC7, 0xD7, 0xCF, 0x0A, 0x06, 0x16, 0x0E, 0x1E, 0x4A, 0x46, 0x56, 0x4E, 0x5E,
    0x2A, 0x26, 0x36, 0x2E, 0x3E, 0x6A, 0x66, 0x76, 0x6E, 0x7E, 0x18, 0x38, 0x58, 0x78, 0xB8, 0xD8, 0xD8, 0xD8, 0xF8, 0x10, 0x30,
    0x50, 0x70, 0x90, 0xB0, 0xD0, 0xF0, 0x10, 0x30, 0x50, 0x70, 0x90, 0xB0, 0xD0, 0xF0, 0xEA, 0x1A, 0x80, 0x04, 0x0C, 0x4B, 0xE7,
];

/// Where programs for the window at $F000 begin; everything else there is NOPs that end in a jump to it.
const MAIN: u16 = 0xF000;
/// Some go over the end of a page.
const ROUTINES: u16 = 0xF1C0;
const ROUTINE_BYTES: u16 = 128;
const ROUTINE_COUNT: usize = 24;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// An address of two bytes: RAM, its mirrors, chips, ROM, hotspots, RAM of cartridges.
    fn address(&mut self) -> u16 {
        let byte = u16::from(self.byte());
        match self.below(9) {
            0 => 0x0080 | byte & 0x7F,
            1 => 0x0180 | byte & 0x7F,
            2 => byte & 0x7F,
            3 => 0x0280 + (byte & 7),
            4 => 0x0294 + (byte & 3),
            5 => 0xFFE0 + (byte & 0x1F),
            6 => 0xF000 + byte,
            7 => 0xFF80 + byte / 4,
            _ => 0xF000 | self.below(0x1000) as u16,
        }
    }

    /// An address of one byte, mostly RAM, seldom that of the stack.
    fn zero_page(&mut self) -> u8 {
        match self.below(8) {
            0 | 1 => self.byte() & 0x7F,
            2 => self.byte(),
            _ => 0x80 + self.byte() % 0x60,
        }
    }

    fn instruction(&mut self) -> Vec<u8> {
        let opcode = self.of(OPCODES);
        match opcodes::length_and_cycles(opcode).0 {
            1 => vec![opcode],
            2 if opcode & 0x1F == 0x09 || matches!(opcode, 0xA0 | 0xA2 | 0xC0 | 0xE0) => vec![opcode, self.byte()],
            2 => vec![opcode, self.zero_page()],
            _ => {
                let [low, high] = self.address().to_le_bytes();
                vec![opcode, low, high]
            }
        }
    }

    /// Instructions up to an RTS, with branches to some of them.
    fn routine(&mut self) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let count = 4 + self.below(28);
        while parts.len() < count {
            match self.below(24) {
                0 => parts.extend([vec![0x48], self.instruction_without_branch(), vec![0x68]]),
                1 => parts.extend([vec![0x08], self.instruction_without_branch(), vec![0x28]]),
                _ => parts.push(self.instruction()),
            }
        }
        let begins: Vec<usize> = parts
            .iter()
            .scan(0, |at, part| Some(std::mem::replace(at, *at + part.len())))
            .collect();
        for at in 0..parts.len() {
            if parts[at][0] & 0x1F == 0x10 {
                let to = at + 1 + self.below((parts.len() - at).min(6));
                let end = begins.last().unwrap() + parts.last().unwrap().len();
                let target = begins.get(to).copied().unwrap_or(end);
                parts[at][1] = (target - begins[at] - 2) as u8;
            }
        }
        parts.concat()
    }

    fn instruction_without_branch(&mut self) -> Vec<u8> {
        loop {
            let instruction = self.instruction();
            if instruction[0] & 0x1F != 0x10 {
                return instruction;
            }
        }
    }

    /// A window of 4 KiB: a main loop that calls routines, and has the stack where it should not be for a moment.
    fn program(&mut self) -> Vec<u8> {
        let mut window = vec![0xEA; 0x1000];
        let call = |window: &mut Vec<u8>, at: &mut usize, code: &[u8]| {
            window[*at..*at + code.len()].copy_from_slice(code);
            *at += code.len();
        };
        let mut at = 0;
        for _ in 0..30 {
            call(&mut window, &mut at, &[0xA2, 0xFF, 0x9A]);
            let routine = self.below(ROUTINE_COUNT) as u16;
            let [low, high] = (ROUTINES + ROUTINE_BYTES * routine).to_le_bytes();
            call(&mut window, &mut at, &[0x20, low, high]);
            if self.below(4) == 0 {
                let sp = self.of(&[0x00, 0x1F, 0x7E, 0x7F, 0x80, 0xFE, 0xFF]);
                let stack = self.of(&[0x68, 0x48, 0x08, 0x28]);
                call(&mut window, &mut at, &[0xA2, sp, 0x9A, stack, self.of(&[0x68, 0x48])]);
            }
        }
        // A return to the byte after a hotspot, from where the program continues into BRK.
        if self.below(2) == 0 {
            let hotspot = 0xE0 + self.byte() % 0x1B;
            call(
                &mut window,
                &mut at,
                &[0xA2, 0xFF, 0x9A, 0xA9, 0xFF, 0x48, 0xA9, hotspot, 0x48, 0x60],
            );
        }
        // Through a pointer in ROM, and by an interrupt that returns.
        let end: &[u8] = match self.below(3) {
            0 => &[0x6C, 0xF0, 0xFE],
            1 => &[0xA9, 0xF0, 0x48, 0xA9, 0x00, 0x48, 0x08, 0x40],
            _ => &[0x4C, 0x00, 0xF0],
        };
        call(&mut window, &mut at, end);
        window[0xEF0..0xEF2].copy_from_slice(&MAIN.to_le_bytes());
        for routine in 0..ROUTINE_COUNT {
            let code = self.routine();
            let begin = usize::from(ROUTINES - MAIN + ROUTINE_BYTES * routine as u16);
            let room = usize::from(ROUTINE_BYTES) - 1;
            let len = code.len().min(room);
            window[begin..begin + len].copy_from_slice(&code[..len]);
            window[begin + len] = 0x60;
        }
        for table in (0xE00..0xEF0).chain(0xF00..0xF80) {
            window[table] = self.byte();
        }
        window[0xFC0..0xFC3].copy_from_slice(&[0x4C, 0x00, 0xF0]);
        for vector in [0xFFC, 0xFFE] {
            window[vector..vector + 2].copy_from_slice(&MAIN.to_le_bytes());
        }
        window
    }
}

fn bus(program: Program) -> Bus {
    let display = Display {
        y_start: 34,
        height: 210,
        hmove_blanks: true,
        pal: false,
    };
    let mut riot = Riot::new([0; 128]);
    riot.reset(30);
    Bus::new(Cartridge::new(program.into()), riot, Tia::new(display))
}

/// Begins another frame if one is done.
fn end_frame(cpu: &mut Cpu, bus: &mut Bus) {
    if bus.tia.frame_done() {
        bus.tia.start_frame(cpu.cycles);
        bus.riot.rebase(cpu.cycles);
        cpu.cycles = 0;
    }
}

/// Everything that a program can see or leave behind.
fn state(cpu: &Cpu, bus: &Bus) -> (Cpu, [u8; 128], [u8; 128], String) {
    (*cpu, bus.riot.ram, *bus.cartridge.ram(), format!("{:?}", bus.riot))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn translated_programs_do_what_the_interpreter_does(
        (mapper, banks) in prop::sample::select(vec![
            (Mapper::Flat, 1), (Mapper::F8, 2), (Mapper::F8Ram, 2), (Mapper::F6, 4), (Mapper::F6Ram, 4), (Mapper::E0, 2), (Mapper::Fe, 2),
        ]),
        seed: u64,
        chunk in 1_u32..3000,
    ) {
        let mut random = Random(seed);
        let image: Vec<u8> = (0..banks).flat_map(|_| random.program()).collect();
        let mut translated = bus(Program::new(mapper, &image));
        let mut interpreted = bus(Program::new(mapper, &image).interpreted());
        let mut cpu = Cpu::reset(&mut translated);
        let mut cpu_interpreted = Cpu::reset(&mut interpreted);
        let mut run = 0;
        while run < 120_000 {
            cpu.run(&mut translated, chunk);
            cpu_interpreted.run(&mut interpreted, chunk);
            prop_assert_eq!(state(&cpu, &translated), state(&cpu_interpreted, &interpreted), "after {} instructions", run);
            end_frame(&mut cpu, &mut translated);
            end_frame(&mut cpu_interpreted, &mut interpreted);
            run += chunk;
        }
        prop_assert_eq!(translated.tia.screen(), interpreted.tia.screen());
    }
}

#[test]
fn most_of_a_program_is_translated() {
    let mut random = Random(1);
    let image = random.program();
    let mut bus = bus(Program::new(Mapper::Flat, &image));
    let mut cpu = Cpu::reset(&mut bus);
    for _ in 0..100 {
        cpu.run(&mut bus, 2000);
        end_frame(&mut cpu, &mut bus);
    }
    let program = bus.cartridge.program();
    let blocks = &program.translations().unwrap().blocks;
    let translated = blocks.iter().filter(|block| block.get().is_some()).count();
    assert!(translated > 100, "{translated} blocks");
}
