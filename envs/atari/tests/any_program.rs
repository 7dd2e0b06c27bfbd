//! The machine runs whatever bytes it is given: no program, list of actions or moment to look makes it panic or hang.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_atari::{Action, Atari, AtariSettings, Game, Rom, find_game, games};
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
    let settings = AtariSettings {
        repeat_action_probability: 0.25,
        ..AtariSettings::default()
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

#[test]
fn a_frame_that_never_ends_goes_on_and_on() {
    // JMP to itself, at the start of the program.
    let mut image = [0xEA; 4096];
    image[..3].copy_from_slice(&[0x4C, 0x00, 0xF0]);
    image[0xFFC..0xFFE].copy_from_slice(&[0x00, 0xF0]);
    let rom = Rom::unverified(find_game("pong").unwrap(), &image).unwrap();
    let mut atari = Atari::new(&rom, &AtariSettings::default()).unwrap();
    let first = atari.frame_number();
    for _ in 0..3000 {
        atari.act(Action::Noop);
    }
    assert_eq!(atari.frame_number() - first, 3000);
}
