//! The fused Atari environment: equal to the chain of wrappers, within the contract, and what the protocols say.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use coinop_envs::Picture;
use coinop_envs::atari::{AtariConfig, AtariEnv, AtariGame, Protocol};
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::registry::{self, EnvInfo, EnvOptions, Family};
use coinop_envs::rng::derive_seed;
use coinop_envs::wrappers::{
    ClipReward, EpisodicLife, FireStart, FrameSkip, FrameStack, Lives, NoopStart, Resize, TimeLimit,
};
use coinop_envs::{AnyFactory, End, Env, Step, check_env};
use rayon::prelude::*;

fn rom(game: &str) -> Rom {
    Rom::find(find_game(game).unwrap(), None).unwrap()
}

/// The chain of wrappers for a configuration, as boxes.
fn chain(rom: &Rom, config: &AtariConfig) -> Box<dyn Env<Obs = u8>> {
    let game = AtariGame::new(rom, config, Picture::Gray).unwrap();
    if config.max_noops > 0 {
        skip(NoopStart::new(game, config.max_noops), config)
    } else {
        skip(game, config)
    }
}

fn skip<E: Env<Obs = u8> + Lives + 'static>(env: E, config: &AtariConfig) -> Box<dyn Env<Obs = u8>> {
    let env = FrameSkip::pooling(env, config.frame_skip, config.pooled_frames);
    if config.noop_after_lost_life {
        fire(EpisodicLife::with_noop(env), config)
    } else if config.lost_life_stops_return {
        fire(EpisodicLife::new(env), config)
    } else {
        fire(env, config)
    }
}

fn fire<E: Env<Obs = u8> + 'static>(env: E, config: &AtariConfig) -> Box<dyn Env<Obs = u8>> {
    if config.fire_start {
        see(FireStart::new(env), config)
    } else {
        see(env, config)
    }
}

fn see<E: Env<Obs = u8> + 'static>(env: E, config: &AtariConfig) -> Box<dyn Env<Obs = u8>> {
    let env = FrameStack::new(Resize::new(env, 84, 84), config.stack);
    Box::new(TimeLimit::new(
        ClipReward::new(env),
        config.max_frames / config.frame_skip,
    ))
}

fn assert_equal(game: &str, config: &AtariConfig, seed: u64, steps: u64) -> Vec<Step> {
    let rom = rom(game);
    let (mut fused, mut chained) = (AtariEnv::new(&rom, config).unwrap(), chain(&rom, config));
    assert_eq!(fused.obs_shape(), chained.obs_shape());
    assert_eq!(fused.frames_per_step(), chained.frames_per_step());
    let len = fused.obs_shape().len();
    let (mut a, mut b) = (vec![0; len], vec![0; len]);
    fused.reset(Some(seed), &mut a).unwrap();
    chained.reset(Some(seed), &mut b).unwrap();
    let mut all = Vec::new();
    for t in 0..steps {
        assert!(a == b, "{game}: observations differ before step {t}");
        let action = (derive_seed(seed, "action", t) % fused.num_actions() as u64) as u32;
        let step = fused.step(action, &mut a).unwrap();
        assert_eq!(step, chained.step(action, &mut b).unwrap(), "{game}: step {t}");
        all.push(step);
        if step.end.is_over() {
            assert!(a == b, "{game}: final observations differ at step {t}");
            fused.reset(None, &mut a).unwrap();
            chained.reset(None, &mut b).unwrap();
        }
    }
    all
}

#[test]
fn the_fused_environment_equals_the_chain_of_wrappers() {
    if roms::are_missing() {
        return;
    }
    for (game, protocol) in [
        ("breakout", Protocol::Sb3),
        ("breakout", Protocol::Machado),
        ("space_invaders", Protocol::Nature),
        ("seaquest", Protocol::Sb3),
        ("pong", Protocol::Sb3),
        ("qbert", Protocol::Nature),
        ("montezuma_revenge", Protocol::Machado),
    ] {
        assert_equal(game, &protocol.config(), 3, 700);
    }
}

#[test]
fn more_frames_than_two_may_be_pooled() {
    if roms::are_missing() {
        return;
    }
    for pooled_frames in [1, 3, 4, 9] {
        let config = AtariConfig {
            pooled_frames,
            ..Protocol::Sb3.config()
        };
        assert_equal("space_invaders", &config, 3, 200);
    }
    let rom = rom("pong");
    let config = AtariConfig {
        pooled_frames: 0,
        ..Protocol::Sb3.config()
    };
    assert!(AtariEnv::new(&rom, &config).is_err());
}

#[test]
fn a_lost_life_stops_the_return_and_not_the_episode() {
    if roms::are_missing() {
        return;
    }
    let steps = assert_equal("breakout", &Protocol::Sb3.config(), 5, 600);
    let lost = steps
        .iter()
        .filter(|step| step.discount == 0.0 && step.end == End::No)
        .count();
    let over = steps.iter().filter(|step| step.end == End::Terminated).count();
    // Five lives: four are lost within an episode, the fifth with it.
    assert!(
        over >= 2 && lost.abs_diff(4 * over) <= 4,
        "{lost} lives lost within {over} episodes"
    );
}

#[test]
fn the_time_limit_truncates_and_keeps_the_discount() {
    if roms::are_missing() {
        return;
    }
    let config = AtariConfig {
        max_frames: 200,
        ..Protocol::Sb3.config()
    };
    let steps = assert_equal("pong", &config, 1, 120);
    assert_eq!(steps[48].end, End::No);
    assert_eq!((steps[49].end, steps[49].discount), (End::Truncated, 1.0));
    assert_eq!(steps[99].end, End::Truncated);
}

#[test]
fn rewards_are_clipped_and_scores_are_not() {
    if roms::are_missing() {
        return;
    }
    // A hit in Space Invaders pays 5 to 30 points.
    let steps = assert_equal("space_invaders", &Protocol::Sb3.config(), 1, 400);
    assert!(steps.iter().all(|step| [-1.0, 0.0, 1.0].contains(&step.reward)));
    assert!(steps.iter().any(|step| step.score >= 5.0 && step.reward == 1.0));
}

/// All games are the same environment around other cartridges, and the tests of `coinop-atari` play each of them. So one game in four is checked here, under
/// one protocol each, and Pong under all.
#[test]
fn registered_environments_keep_the_contract() {
    let no_roms = roms::are_missing();
    registry::list().par_iter().enumerate().for_each(|(number, info)| {
        let protocols = match info {
            EnvInfo { short: "pong", .. } => &Protocol::ALL[..],
            EnvInfo {
                family: Family::Atari, ..
            } if number % 4 != 0 => &[],
            _ => &Protocol::ALL[number / 4 % Protocol::ALL.len()..][..1],
        };
        if !(no_roms && info.family == Family::Atari) {
            protocols.iter().for_each(|&protocol| check(info, protocol));
        }
    });
}

fn check(info: &EnvInfo, protocol: Protocol) {
    let mut options = EnvOptions::default();
    options.atari.protocol = protocol;
    let factory = info.factory(&options).unwrap();
    // `machado` plays with all of the joystick's actions.
    if protocol != Protocol::Machado {
        assert_eq!(factory.spec().num_actions, info.num_actions().unwrap(), "{}", info.id());
    }
    let checked = match factory {
        AnyFactory::Pixels(factory) => check_env(&mut factory.make(0).unwrap()),
        AnyFactory::Features(factory) => check_env(&mut factory.make(0).unwrap()),
    };
    checked.unwrap_or_else(|flaw| panic!("{} under {protocol}: {flaw}", info.id()));
}

#[test]
fn a_game_that_is_over_as_soon_as_it_begins_is_an_error() {
    if roms::are_missing() {
        return;
    }
    let config = AtariConfig {
        mode: Some(3),
        ..Protocol::Sb3.config()
    };
    let mut env = AtariEnv::new(&rom("demon_attack"), &config).unwrap();
    let error = env.reset(Some(1), &mut vec![0; 4 * 84 * 84]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "demon_attack is over as soon as it begins in this mode; choose another one"
    );
}

#[test]
fn protocols_have_the_actions_that_they_name() {
    if roms::are_missing() {
        return;
    }
    let actions = |game, protocol: Protocol| AtariEnv::new(&rom(game), &protocol.config()).unwrap().num_actions();
    // gymnasium: ALE/Pong-v5 and ALE/Breakout-v5 with and without full_action_space.
    assert_eq!(
        [actions("pong", Protocol::Sb3), actions("pong", Protocol::Machado)],
        [6, 18]
    );
    assert_eq!(
        [
            actions("breakout", Protocol::Nature),
            actions("breakout", Protocol::Machado)
        ],
        [4, 18]
    );
}
