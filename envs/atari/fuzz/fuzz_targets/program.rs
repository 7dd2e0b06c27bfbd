//! Any bytes as a cartridge, under any actions: an error or a machine that runs.
//!
//! The first byte chooses the game whose cartridge, controllers and rules it is played with, the second the number of actions, which follow.
#![no_main]

use coinop_atari::{Action, Atari, Rom, AtariSettings, games};
use libfuzzer_sys::fuzz_target;

/// Sizes of images that some cartridge takes.
const SIZES: [usize; 5] = [2048, 4096, 8192, 10_240, 16_384];

fuzz_target!(|bytes: &[u8]| {
    let [game, count, rest @ ..] = bytes else { return };
    let game = &games()[usize::from(*game) % games().len()];
    let (actions, program) = rest.split_at(usize::from(*count % 32).min(rest.len()));
    for size in SIZES {
        // The program is repeated, so that the processor runs it wherever it begins.
        let image: Vec<u8> = program.iter().copied().cycle().take(size).collect();
        let Ok(rom) = Rom::unverified(game, &image) else {
            continue;
        };
        let Ok(mut atari) = Atari::new(&rom, &AtariSettings::default()) else {
            return;
        };
        for &action in actions {
            if let Some(action) = Action::from_number(action % 18) {
                atari.act(action);
            }
            if action > 200 {
                atari.screen();
            }
        }
        let state = atari.save_state();
        atari.load_state(&state).expect("its own state");
        assert_eq!(atari.screen().len(), atari.height() * Atari::WIDTH);
    }
});
