//! What agents see, compared with Gymnasium's wrappers around ale-py.
//!
//! The expected values are printed by `tools/record_observations.py`: ale-py 0.12.1, gymnasium 1.4.0 (`AtariPreprocessing` with 4 frames
//! per step and no no-ops, `FrameStackObservation` of 4), and the `INTER_AREA` of OpenCV 5.0.0. Each CRC-32 continues the one before, so
//! that one different shade of gray changes all that follow.

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

/// What came of 1500 steps.
struct Seen {
    /// CRC-32 of all observations so far, every 100 steps.
    crcs: Vec<u32>,
    score: f32,
    episodes: u32,
}

/// Plays all 18 actions at random, without sticky actions.
fn play(game: &str) -> Seen {
    let rom = Rom::find(find_game(game).unwrap(), None).unwrap();
    let config = AtariConfig {
        repeat_action_probability: 0.0,
        ..Protocol::Machado.config()
    };
    let mut env = AtariEnv::new(&rom, &config).unwrap();
    let mut obs = vec![0; env.obs_shape().len()];
    env.reset(Some(0), &mut obs).unwrap();
    let mut crc = crc32fast::hash(&obs);
    let mut seen = Seen {
        crcs: Vec::new(),
        score: 0.0,
        episodes: 0,
    };
    let mut state = 1;
    for t in 1..=1500 {
        let step = env.step(next_action(&mut state), &mut obs).unwrap();
        seen.score += step.score;
        if step.end.is_over() {
            seen.episodes += 1;
            env.reset(None, &mut obs).unwrap();
        }
        let mut hasher = crc32fast::Hasher::new_with_initial(crc);
        hasher.update(&obs);
        crc = hasher.finalize();
        if t % 100 == 0 {
            seen.crcs.push(crc);
        }
    }
    seen
}

/// Knuth's MMIX generator, as in the recorder.
fn next_action(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % 18) as u32
}

#[test]
fn pong_looks_as_through_gymnasium() {
    if roms::are_missing() {
        return;
    }
    let seen = play("pong");
    assert_eq!((seen.score, seen.episodes), (-30.0, 1));
    let expected = [
        0x9376_d2ea,
        0x0286_bcfc,
        0xb8cd_c3cc,
        0x910a_ee84,
        0x17d1_affc,
        0x684c_8ff2,
        0xc86e_006e,
        0x8b1d_eb93,
        0xca7a_97f4,
        0x5697_5fb4,
        0x19de_5793,
        0xb4ec_341e,
        0x3bf2_f16e,
        0x980d_304a,
        0xc210_befa,
    ];
    assert_eq!(seen.crcs, expected);
}

#[test]
fn breakout_looks_as_through_gymnasium() {
    if roms::are_missing() {
        return;
    }
    let seen = play("breakout");
    assert_eq!((seen.score, seen.episodes), (9.0, 9));
    let expected = [
        0x0fb4_de58,
        0x7f45_7b2e,
        0xa7b4_5b9c,
        0xb2a1_a449,
        0x9611_a880,
        0xc2f6_afb5,
        0x872c_df41,
        0x879f_73e0,
        0x2635_b04f,
        0x44dc_e226,
        0xf39c_1d9b,
        0xfa5f_3740,
        0xedf9_ed8e,
        0x193c_460b,
        0x002f_7295,
    ];
    assert_eq!(seen.crcs, expected);
}

#[test]
fn space_invaders_looks_as_through_gymnasium() {
    if roms::are_missing() {
        return;
    }
    let seen = play("space_invaders");
    assert_eq!((seen.score, seen.episodes), (440.0, 3));
    let expected = [
        0x20cc_45d9,
        0x1072_36ef,
        0xfaaa_408e,
        0x35ba_3d51,
        0xff99_472d,
        0xb033_5519,
        0xbe82_abeb,
        0xc2d6_65ab,
        0xed83_2226,
        0x4175_0aff,
        0x3399_89de,
        0x4d4e_e4dc,
        0x62f9_850a,
        0x2526_3cd5,
        0xdc67_8dcf,
    ];
    assert_eq!(seen.crcs, expected);
}

#[test]
fn seaquest_looks_as_through_gymnasium() {
    if roms::are_missing() {
        return;
    }
    let seen = play("seaquest");
    assert_eq!((seen.score, seen.episodes), (140.0, 3));
    let expected = [
        0x404e_5d59,
        0xac19_601e,
        0x7ebc_57c9,
        0xbc88_71c8,
        0xf387_bb5f,
        0x8022_2755,
        0x4a8d_7079,
        0xdbfe_561a,
        0xdaec_3489,
        0x87d5_5ba6,
        0x5f26_1c43,
        0xb799_e18a,
        0x9ab9_ee7f,
        0x526e_cfcb,
        0x14a7_cfd1,
    ];
    assert_eq!(seen.crcs, expected);
}
