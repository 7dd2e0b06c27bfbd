//! The machine runs whatever bytes it is given: no program, list of actions or moment to look makes it panic or hang.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_atari::{Action, Atari, Game, Rom, Settings, find_game, games};
use proptest::prelude::*;

/// Sizes of images that some cartridge takes.
const SIZES: [usize; 5] = [2048, 4096, 8192, 10_495, 16_384];
/// Instructions that reach the chips, jump, or are rare: a program of them does more than one of random bytes.
const LIVELY: &[u8] = &[
    0x85, 0x86, 0x84, 0x95, 0x8D, 0x91, 0xA5, 0xA9, 0xA2, 0xA0, 0xAD, 0xB1, 0x2C, 0x24, 0xE6, 0xCE, 0x48, 0x68, 0x08,
    0x28, 0x9A, 0xBA, 0x20, 0x60, 0x40, 0x00, 0x4C, 0x6C, 0xD0, 0xF0, 0x10, 0x30, 0xF8, 0xD8, 0x69, 0xE9, 0xCB, 0x9B,
    0xBB, 0x9F, 0xC7, 0xE7,
];

/// Plays a program, and again with the interpreter alone, which is to come to the same state after each act.
fn play(game: &'static Game, image: &[u8], actions: &[u8]) {
    let Ok(rom) = Rom::unverified(game, image) else { return };
    let settings = Settings {
        repeat_action_probability: 0.25,
        ..Settings::default()
    };
    let mut atari = Atari::new(&rom, &settings).unwrap();
    let mut interpreted = Atari::new(&rom.interpreted(), &settings).unwrap();
    for &action in actions {
        atari.act(Action::from_number(action % 18).unwrap());
        interpreted.act(Action::from_number(action % 18).unwrap());
        assert!(
            atari.save_state() == interpreted.save_state(),
            "translated otherwise than interpreted"
        );
        if action > 200 {
            assert!(atari.screen() == interpreted.screen());
        }
        if action > 250 {
            let snapshot = atari.snapshot();
            atari.act(Action::Noop);
            atari.restore(&snapshot);
            interpreted.act(Action::Noop);
            interpreted.load_state(&atari.save_state()).unwrap();
            let state = atari.save_state();
            atari.act(Action::Fire);
            atari.load_state(&state).unwrap();
            assert_eq!(atari.save_state(), state);
        }
    }
    assert_eq!(atari.screen().len(), atari.height() * Atari::WIDTH);
}

proptest! {
    // A reset runs some 70 frames, and loading twice as many.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_a_program(game in 0..games().len(), size in 0..SIZES.len(), seed: u64, lively in 0..=100_u64, actions in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        let image: Vec<u8> = (0..SIZES[size])
            .map(|_| if next() % 100 < lively { LIVELY[next() as usize % LIVELY.len()] } else { next() as u8 })
            .collect();
        play(&games()[game], &image, &actions);
    }
}

/// Opcodes of the data sheet but those that end what goes on: BRK, RTI, RTS, PLP, TXS.
const ORDINARY: &[u8] = &[
    0xA9, 0xA5, 0xB5, 0xAD, 0xBD, 0xB9, 0xA1, 0xB1, 0xA2, 0xA6, 0xB6, 0xAE, 0xBE, 0xA0, 0xA4, 0xB4, 0xAC, 0xBC, 0x85,
    0x95, 0x8D, 0x9D, 0x99, 0x81, 0x91, 0x86, 0x96, 0x8E, 0x84, 0x94, 0x8C, 0xAA, 0xA8, 0x8A, 0x98, 0xBA, 0x29, 0x25,
    0x35, 0x2D, 0x3D, 0x39, 0x21, 0x31, 0x09, 0x05, 0x15, 0x0D, 0x1D, 0x19, 0x01, 0x11, 0x49, 0x45, 0x55, 0x4D, 0x5D,
    0x59, 0x41, 0x51, 0x24, 0x2C, 0x69, 0x65, 0x75, 0x6D, 0x7D, 0x79, 0x61, 0x71, 0xE9, 0xE5, 0xF5, 0xED, 0xFD, 0xF9,
    0xE1, 0xF1, 0xC9, 0xC5, 0xD5, 0xCD, 0xDD, 0xD9, 0xC1, 0xD1, 0xE0, 0xE4, 0xEC, 0xC0, 0xC4, 0xCC, 0xE8, 0xC8, 0xCA,
    0x88, 0xE6, 0xF6, 0xEE, 0xFE, 0xC6, 0xD6, 0xCE, 0xDE, 0x0A, 0x06, 0x16, 0x0E, 0x1E, 0x4A, 0x46, 0x56, 0x4E, 0x5E,
    0x2A, 0x26, 0x36, 0x2E, 0x3E, 0x6A, 0x66, 0x76, 0x6E, 0x7E, 0x18, 0x38, 0x58, 0x78, 0xB8, 0xD8, 0xF8, 0x10, 0x30,
    0x50, 0x70, 0x90, 0xB0, 0xD0, 0xF0, 0x48, 0x08, 0x68, 0xEA, 0x20, 0xA7, 0xB7, 0xB3, 0xC7, 0x87, 0x04, 0x80,
];

/// A program that goes on and on: subroutines of `length` instructions each, in all kinds of addressing modes, that may branch and call
/// each other, and a main loop that writes to registers of the chips on its way.
fn busy_program(size: usize, seed: u64) -> Vec<u8> {
    let mut random = seed;
    let mut next = move |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut image: Vec<u8> = (0..size).map(|_| next(256) as u8).collect();
    for bank in image.chunks_mut(0x1000) {
        let mut at = 0;
        // A routine begins every 64 bytes; the stack is set in the first.
        while at + 8 < 0xF00.min(bank.len() - 8) {
            let (opcode, in_routine) = (ORDINARY[next(ORDINARY.len())], at % 64);
            if at % 1024 == 0 {
                bank[at..at + 3].copy_from_slice(&[0xA2, [0xFF, 0xFF, 0xF8, 0x40][next(4)], 0x9A]);
                at += 3;
            } else if in_routine > 56 {
                let end: &[u8] = match next(8) {
                    0..4 => &[0x60, 0xEA, 0xEA],
                    4 => &[0x6C, 0x80 | next(128) as u8, 0x00],
                    5 => &[0x4C, 0x00, 0xF0 | next(15) as u8],
                    _ => &[0x4C, 64 * next(4) as u8, 0xF0 | next(15) as u8],
                };
                bank[at..at + 3].copy_from_slice(end);
                at = (at / 64 + 1) * 64;
            } else {
                let operand: [u8; 2] = match (opcode, opcode & 0x1F) {
                    (0x20, _) => [64 * next(4) as u8, 0xF0 | next(15) as u8],
                    // Most branches stay near.
                    (_, 0x10) => [next(48) as u8, 0].map(|by| by.wrapping_sub(24)),
                    // Addresses of two bytes: RAM, chips, ROM, hotspots.
                    (_, 0x0C..=0x0F | 0x19..=0x1F) => match next(6) {
                        0 => [0x80 | next(128) as u8, 0],
                        1 => [next(256) as u8, next(4) as u8],
                        2 => [0x80 + next(8) as u8, 2],
                        3 => [0x94 + next(4) as u8, 2],
                        4 => [next(256) as u8, 0xFF],
                        _ => [next(256) as u8, 0xF0 | next(16) as u8],
                    },
                    _ if next(4) == 0 => [next(64) as u8, 0],
                    _ => [0x80 | next(128) as u8, 0],
                };
                bank[at] = opcode;
                bank[at + 1..at + 3].copy_from_slice(&operand);
                at += match opcode & 0x1F {
                    0x08 | 0x0A | 0x18 | 0x1A => 1,
                    0x0C..=0x0F | 0x19 | 0x1B..=0x1F => 3,
                    _ if opcode == 0x20 => 3,
                    _ => 2,
                };
            }
        }
        let vectors = bank.len() - 6;
        bank[vectors..].copy_from_slice(&[0x00, 0xF0, 0x00, 0xF0, 0x40, 0xF0]);
    }
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn translated_programs_do_what_the_interpreter_does(game in 0..games().len(), size in 0..SIZES.len(), seed: u64, actions in prop::collection::vec(any::<u8>(), 1..12)) {
        play(&games()[game], &busy_program(SIZES[size], seed), &actions);
    }
}

#[test]
fn a_frame_that_never_ends_goes_on_and_on() {
    // JMP to itself, at the start of the program.
    let mut image = [0xEA; 4096];
    image[..3].copy_from_slice(&[0x4C, 0x00, 0xF0]);
    image[0xFFC..0xFFE].copy_from_slice(&[0x00, 0xF0]);
    let rom = Rom::unverified(find_game("pong").unwrap(), &image).unwrap();
    let mut atari = Atari::new(&rom, &Settings::default()).unwrap();
    let first = atari.frame_number();
    for _ in 0..3000 {
        atari.act(Action::Noop);
    }
    assert_eq!(atari.frame_number() - first, 3000);
}
