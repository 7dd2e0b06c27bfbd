//! The protocol `sb3` beside the wrappers of Stable-Baselines3, action by action.
//!
//! The expected values are printed by `tools/record_sb3.py`: stable-baselines3 2.9.2 (`AtariWrapper` without no-ops at the start),
//! gymnasium 1.4.0 and ale-py 0.12.1. Each CRC-32 continues the one before, so that one different line changes all that follow.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use coinop_envs::Env;
use coinop_envs::atari::{AtariConfig, AtariEnv, Protocol};
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::wrappers::Lives;

/// What came of 1200 steps.
#[derive(Debug, PartialEq)]
struct Recorded {
    game: &'static str,
    /// Steps that ended what Stable-Baselines3 calls an episode: a lost life, or the end of the game.
    terminated: u32,
    /// Steps that ended the game.
    over: u32,
    /// CRC-32 of all lines so far, every 100 steps.
    crcs: [u32; 12],
}

#[rustfmt::skip]
const RECORDED: [Recorded; 6] = [
    Recorded { game: "breakout", terminated: 38, over: 7, crcs: [0x3ae7_c9e3, 0x1b7a_073e, 0x7a1c_7d77, 0xe13a_0677, 0x981b_1460, 0x6938_2be9, 0x289f_b1dd, 0xad59_0d9f, 0x38f5_5b2c, 0x5de5_213e, 0xa77d_9196, 0x6792_55ca] },
    Recorded { game: "ms_pacman", terminated: 6, over: 2, crcs: [0x6007_03cf, 0xb1d7_ae89, 0xd681_43df, 0xcb18_2ee1, 0xb87b_3c86, 0x3b61_d1ca, 0x1ebd_82cf, 0xf604_9927, 0xe63f_4018, 0xddca_580c, 0x22d2_d2aa, 0x97e4_1052] },
    Recorded { game: "seaquest", terminated: 12, over: 3, crcs: [0x31da_9ba1, 0x4b0d_9ef4, 0x1af4_ba53, 0x089b_77eb, 0x0a5b_ad2f, 0xeb9b_ae38, 0x5cba_0027, 0xc358_3ec4, 0x7a14_e227, 0xa1c1_0ad3, 0x6420_3bfa, 0xb604_0e1b] },
    Recorded { game: "space_invaders", terminated: 6, over: 2, crcs: [0xee91_73a2, 0x8092_7598, 0xc63a_0605, 0x279a_ccb4, 0xcc13_6c39, 0x3e53_0cc5, 0x408a_386b, 0x62e2_d903, 0x9eab_309e, 0xbc36_5117, 0x4dff_de67, 0x03b3_1609] },
    Recorded { game: "qbert", terminated: 14, over: 3, crcs: [0xa3f0_14c1, 0x8a59_0900, 0x962d_80c3, 0xcf12_da4e, 0x3170_1608, 0xb788_d7dd, 0xb34a_0d34, 0x126a_1265, 0x0cae_3da3, 0xb3f4_0ced, 0x3ddf_f9c1, 0xd299_5993] },
    Recorded { game: "pong", terminated: 1, over: 1, crcs: [0x5758_7f2d, 0x4154_e874, 0x75c4_3d1e, 0x2c6f_a111, 0xef9c_da2e, 0x57c5_38f4, 0xf71e_ff40, 0x1e10_b707, 0x63b4_e20d, 0xc120_6758, 0xdf0e_5c09, 0x44d4_7b4b] },
];

fn play(game: &'static str) -> Recorded {
    let rom = Rom::find(find_game(game).unwrap(), None).unwrap();
    let config = AtariConfig {
        max_noops: 0,
        ..Protocol::Sb3.config()
    };
    let mut env = AtariEnv::new(&rom, &config).unwrap();
    let mut obs = vec![0; env.obs_shape().len()];
    env.reset(Some(0), &mut obs).unwrap();
    let mut played = Recorded {
        game,
        terminated: 0,
        over: 0,
        crcs: [0; 12],
    };
    let (mut state, mut crc) = (1, 0);
    for t in 0..1200 {
        let action = next_action(&mut state, env.num_actions() as u64);
        let step = env.step(action, &mut obs).unwrap();
        let (terminated, over) = (u32::from(step.discount == 0.0), u32::from(step.end.is_over()));
        if step.end.is_over() {
            env.reset(None, &mut obs).unwrap();
        }
        let line = format!("{} {terminated} {over} {}\n", step.reward, env.lives());
        let mut hasher = crc32fast::Hasher::new_with_initial(crc);
        hasher.update(line.as_bytes());
        crc = hasher.finalize();
        played.terminated += terminated;
        played.over += over;
        played.crcs[t / 100] = crc;
    }
    played
}

/// Knuth's MMIX generator, as in the recorder.
fn next_action(state: &mut u64, num_actions: u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % num_actions) as u32
}

#[test]
fn it_answers_as_stable_baselines3_does() {
    if roms::are_missing() {
        return;
    }
    for recorded in RECORDED {
        assert_eq!(play(recorded.game), recorded);
    }
}
