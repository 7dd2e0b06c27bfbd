//! Any bytes as a saved state: an error or a machine that runs.
//!
//! The bytes are changes to the state of a machine: a place and what stands there, in turns. Their checksum is made right, or nothing else would be
//! read. The cartridge is a small program of ours, so that no ROM is needed.
#![no_main]

use std::sync::OnceLock;

use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game};
use libfuzzer_sys::fuzz_target;

/// Waits for lines, changes colours, and ends its frames.
const PROGRAM: [u8; 35] = [
    0x78, 0xD8, 0xA2, 0xFF, 0x9A, // SEI, CLD, LDX #$FF, TXS
    0xA9, 0x02, 0x85, 0x02, 0x85, 0x00, 0x85, 0x02, 0x85, 0x02, 0x85, 0x02, 0xA9, 0x00, 0x85,
    0x00, // VSYNC for 3 lines
    0xA2, 0xFF, 0x85, 0x02, 0x86, 0x09, 0x86, 0x1B, 0xCA, 0xD0, 0xF7, // 255 lines: COLUBK, GRP0
    0x4C, 0x05, 0xF0, // JMP to the frame
];

fn machine() -> &'static (Atari, Vec<u8>) {
    static MACHINE: OnceLock<(Atari, Vec<u8>)> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let mut image = vec![0xEA; 4096];
        image[..PROGRAM.len()].copy_from_slice(&PROGRAM);
        image[0xFFC..].copy_from_slice(&[0x00, 0xF0, 0x00, 0xF0]);
        let rom = Rom::unverified(find_game("seaquest").expect("a game"), &image).expect("an image");
        let mut atari = Atari::new(&rom, &AtariSettings::default()).expect("a machine");
        atari.reset();
        let state = atari.save_state();
        (atari, state)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (atari, state) = machine();
    let (mut atari, mut state) = (atari.clone(), state.clone());
    let len = state.len() - 4;
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        // Both ends decide; between them are the pictures.
        let at = if at % 2 == 0 {
            at / 2 % len
        } else {
            len - 1 - at / 2 % len
        };
        state[at] = change[2];
    }
    let sum = crc32fast::hash(&state[..len]).to_le_bytes();
    state[len..].copy_from_slice(&sum);
    if atari.load_state(&state).is_ok() {
        for frame in 0..20 {
            atari.act(Action::ALL[frame % 18]);
            if frame % 5 == 0 {
                atari.screen();
            }
        }
    }
});
