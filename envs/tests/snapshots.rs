//! Snapshots of whole chains: a restored environment continues as the saved one, and whatever bytes it is given, the answer is an
//! error or an environment that runs.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use coinop_envs::Picture;
use coinop_envs::atari::{AtariEnv, AtariGame, Protocol};
use coinop_envs::classic::CartPole;
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::rng::Rng;
use coinop_envs::snapshot::open;
use coinop_envs::vec_env::{Pooled, Serial};
use coinop_envs::wrappers::{
    ClipReward, EpisodicLife, FireStart, FrameSkip, FrameStack, Grayscale, NoopStart, Resize, StickyActions, TimeLimit,
};
use coinop_envs::{Env, EnvError, Step, VecEnv, check_env};
use proptest::prelude::*;

/// Every wrapper that pixels can have, around a game in colours.
fn pixels() -> impl Env<Obs = u8> + Clone {
    let rom = Rom::find(find_game("breakout").unwrap(), None).unwrap();
    let config = Protocol::Machado.config();
    let game = AtariGame::new(&rom, &config, Picture::Rgb).unwrap();
    let lives = EpisodicLife::with_noop(FrameSkip::new(Grayscale::new(NoopStart::new(game, 30)), 4));
    let pictures = Resize::new(FireStart::new(lives), 84, 84);
    TimeLimit::new(
        ClipReward::new(FrameStack::new(StickyActions::new(pictures, 0.25), 4)),
        60,
    )
}

type Features = TimeLimit<StickyActions<NoopStart<FrameStack<CartPole>>>>;

fn features() -> Features {
    let stack = FrameStack::new(CartPole::new(), 3);
    TimeLimit::new(StickyActions::new(NoopStart::new(stack, 3), 0.2), 40)
}

fn atari() -> AtariEnv {
    let rom = Rom::find(find_game("pong").unwrap(), None).unwrap();
    AtariEnv::new(&rom, &Protocol::Sb3.config()).unwrap()
}

/// Begins, and plays some steps of an episode.
fn begun<E: Env>(mut env: E) -> E {
    let mut obs = vec![E::Obs::default(); env.obs_shape().len()];
    env.reset(Some(5), &mut obs).unwrap();
    play(&mut env, 7, &mut obs);
    env
}

fn play<E: Env>(env: &mut E, steps: usize, obs: &mut [E::Obs]) -> Vec<Result<Step, String>> {
    let actions = env.num_actions();
    let mut step = |i: usize| {
        let step = env.step((i * 5 % actions) as u32, obs);
        if matches!(&step, Ok(Step { end, .. }) if end.is_over()) || matches!(&step, Err(EnvError::ResetNeeded)) {
            env.reset(None, obs).unwrap();
        }
        step.map_err(|error| error.to_string())
    };
    (0..steps).map(&mut step).collect()
}

#[test]
fn every_wrapper_keeps_the_contract() {
    if roms::are_missing() {
        return;
    }
    check_env(&mut pixels()).unwrap();
    check_env(&mut features()).unwrap();
    check_env(&mut atari()).unwrap();
}

fn another_continues<E: Env>(fresh: impl Fn() -> E) {
    let mut env = begun(fresh());
    let mut other = fresh();
    other.restore(&env.snapshot().unwrap()).unwrap();
    let mut obs = vec![E::Obs::default(); env.obs_shape().len()];
    let mut other_obs = obs.clone();
    assert_eq!(play(&mut env, 150, &mut obs), play(&mut other, 150, &mut other_obs));
    assert_eq!(obs, other_obs);
}

#[test]
fn another_environment_continues_where_one_was_saved() {
    if roms::are_missing() {
        return;
    }
    another_continues(pixels);
    another_continues(features);
    another_continues(atari);
}

#[test]
fn a_set_of_environments_continues_where_one_was_saved() {
    if roms::are_missing() {
        return;
    }
    let n = 3;
    let actions = vec![1; n];
    let step = |env: &mut dyn VecEnv<Obs = f32>| {
        let (mut obs, mut last) = (vec![0.0; n * 12], vec![0.0; n * 12]);
        let mut steps = vec![Step::default(); n];
        env.step(&actions, &mut obs, &mut last, &mut steps).unwrap();
        (obs, steps)
    };
    let mut serial = Serial::new(vec![features(); n]);
    serial.reset(Some(1), &mut vec![0.0; n * 12]).unwrap();
    (0..20).for_each(|_| drop(step(&mut serial)));
    let snapshots = serial.snapshots().unwrap();
    let mut pooled = Pooled::new(vec![features(); n], 2).unwrap();
    pooled.restore(&snapshots).unwrap();
    assert_eq!(pooled.snapshots().unwrap(), snapshots);
    for _ in 0..100 {
        assert_eq!(step(&mut pooled), step(&mut serial));
    }
    let error = pooled.restore(&snapshots[1..]).unwrap_err().to_string();
    assert_eq!(
        error,
        "not a snapshot of a set of environments: there are 2 of them for 3 environments"
    );
}

/// Where each snapshot within a snapshot begins.
fn layers_of_features(bytes: &[u8]) -> Vec<usize> {
    let (_, inner) = open::<u32>("TimeLimit", 1, bytes).unwrap();
    let (_, second) = open::<(u32, Rng)>("StickyActions", 1, inner).unwrap();
    let (_, third) = open::<Rng>("NoopStart", 1, second).unwrap();
    let (_, fourth) = open::<Vec<f32>>("FrameStack", 1, third).unwrap();
    starts(bytes, &[bytes, inner, second, third, fourth])
}

fn layers_of_atari(bytes: &[u8]) -> Vec<usize> {
    let (_, game) = open::<(Rng, Vec<u8>, u32, u32, bool)>("AtariEnv", 1, bytes).unwrap();
    let (_, machine) = open::<bool>("AtariGame", 1, game).unwrap();
    starts(bytes, &[bytes, game, machine])
}

/// Layer `i` ends `4 * i` bytes before the end: what is behind it are the checksums of those around it.
fn starts(bytes: &[u8], layers: &[&[u8]]) -> Vec<usize> {
    let start = |(i, layer): (usize, &&[u8])| bytes.len() - 4 * i - layer.len();
    layers.iter().enumerate().map(start).collect()
}

/// Makes every checksum right.
fn with_sums(mut bytes: Vec<u8>, starts: &[usize]) -> Vec<u8> {
    for (i, start) in starts.iter().enumerate().rev() {
        let end = bytes.len() - 4 * (i + 1);
        let sum = crc32fast::hash(&bytes[*start..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Changes bytes of a snapshot behind the back of its checksums, and plays what comes of it.
fn disturb<E: Env>(
    env: &mut E,
    layers: impl Fn(&[u8]) -> Vec<usize>,
    changes: &[(prop::sample::Index, u8)],
    head: usize,
) {
    let mut bytes = env.snapshot().unwrap();
    let starts = layers(&bytes);
    assert_eq!(
        with_sums(bytes.clone(), &starts),
        bytes,
        "the checksums are where they are thought to be"
    );
    for (at, value) in changes {
        let at = at.index(head.min(bytes.len()));
        bytes[at] = *value;
    }
    if env.restore(&with_sums(bytes, &starts)).is_ok() {
        let mut obs = vec![E::Obs::from(0); env.obs_shape().len()];
        play(env, 20, &mut obs);
        assert!(env.snapshot().is_some());
    }
}

proptest! {
    // Some 10 microseconds each.
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_bytes_are_an_error_or_an_environment_that_runs(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        thread_local! { static ENV: Features = begun(features()); }
        disturb(&mut ENV.with(Clone::clone), layers_of_features, &changes, usize::MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_an_error_or_an_atari_that_runs(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        head in prop::sample::select(vec![60, 28_500, 29_000, 30_000, usize::MAX]),
    ) {
        if roms::are_missing() {
            return Ok(());
        }
        thread_local! { static ENV: AtariEnv = begun(atari()); }
        disturb(&mut ENV.with(Clone::clone), layers_of_atari, &changes, head);
    }
}
