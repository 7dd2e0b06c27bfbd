//! Shrunk pictures compared with OpenCV's, and shades of gray with the machine's own.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use coinop_envs::Picture;
use coinop_envs::atari::{AtariGame, Protocol};
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::rng::derive_seed;
use coinop_envs::wrappers::Grayscale;
use coinop_envs::{AreaResizer, Env};

/// Bytes from Knuth's MMIX generator, begun with 1.
fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn noise_is_shrunk_as_opencv_shrinks_it() {
    // CRC-32 of cv2.resize(noise, (width, height), interpolation=cv2.INTER_AREA), OpenCV 5.0.0; printed by
    // tools/record_observations.py.
    for (from, to, crc) in [
        ((210, 160), (84, 84), 0x31c9_a74b),
        ((250, 160), (84, 84), 0x6a63_67f9),
        ((210, 160), (84, 80), 0x2cf6_5d8a),
        ((210, 160), (210, 100), 0x796c_ec0e),
        ((100, 77), (64, 64), 0xdf0b_572b),
        ((90, 91), (90, 50), 0x6647_32df),
        ((84, 84), (84, 84), 0x501f_84d3),
    ] {
        let mut out = vec![0; to.0 * to.1];
        AreaResizer::new(from, to).resize(&noise(from.0 * from.1), &mut out);
        assert_eq!(crc32fast::hash(&out), crc, "{from:?} to {to:?}");
    }
}

#[test]
fn gray_from_colours_is_the_gray_of_the_machine() {
    if roms::are_missing() {
        return;
    }
    for name in ["pong", "breakout", "seaquest", "space_invaders", "ms_pacman"] {
        let rom = Rom::find(find_game(name).unwrap(), None).unwrap();
        let config = Protocol::Nature.config();
        let mut gray = AtariGame::new(&rom, &config, Picture::Gray).unwrap();
        let mut from_colours = Grayscale::new(AtariGame::new(&rom, &config, Picture::Rgb).unwrap());
        assert_eq!(gray.obs_shape(), from_colours.obs_shape());
        let len = gray.obs_shape().len();
        let (mut a, mut b) = (vec![0; len], vec![1; len]);
        gray.reset(Some(1), &mut a).unwrap();
        from_colours.reset(Some(1), &mut b).unwrap();
        for frame in 0..300 {
            assert!(a == b, "{name}: frame {frame} differs");
            let action = (derive_seed(1, "action", frame) % gray.num_actions() as u64) as u32;
            let step = gray.step(action, &mut a).unwrap();
            assert_eq!(step, from_colours.step(action, &mut b).unwrap());
        }
    }
}
