//! The arcade games: the contract, what they pay for skill, and that nothing that is put into them makes them panic.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::Picture;
use coinop_envs::arcade::{Arcade, ArcadeGame, Bricks, Catch, Invaders, Snake, trained};
use coinop_envs::rng::{derive_seed, stream};
use coinop_envs::{Env, Step, check_env};
use proptest::prelude::*;

fn keeps_the_contract<G: ArcadeGame>() {
    check_env(&mut Arcade::<G>::new(Picture::Gray)).unwrap();
    check_env(&mut Arcade::<G>::new(Picture::Rgb)).unwrap();
    check_env(&mut trained::<G>()).unwrap();
    let spec = trained::<G>().spec();
    assert_eq!(spec.obs_shape.dims(), [4, 84, 84]);
    assert_eq!((spec.frames_per_step, spec.stacked_frames), (4, 4));
}

#[test]
fn every_game_keeps_the_contract() {
    keeps_the_contract::<Bricks>();
    keeps_the_contract::<Catch>();
    keeps_the_contract::<Invaders>();
    keeps_the_contract::<Snake>();
}

/// The points and the frames of the first game with a seed, of at most 20,000 frames; `choose` sees the grey picture.
fn play<G: ArcadeGame>(seed: u64, mut choose: impl FnMut(u64, &[u8]) -> u32) -> (i32, u64) {
    let mut env = Arcade::<G>::new(Picture::Gray);
    let mut obs = vec![0; 210 * 160];
    env.reset(Some(seed), &mut obs).unwrap();
    let mut points = 0;
    for frame in 1..=20_000 {
        let action = choose(frame, &obs);
        let step = env.step(action, &mut obs).unwrap();
        points += step.reward as i32;
        if step.end.is_over() {
            return (points, frame);
        }
    }
    (points, 20_000)
}

fn at_random<G: ArcadeGame>(seed: u64) -> (i32, u64) {
    let actions = G::ACTIONS.len() as u64;
    // Each action for eight frames.
    play::<G>(seed, |frame, _| {
        (derive_seed(seed, "action", frame / 8) % actions) as u32
    })
}

/// Columns of pixels of a shade between two lines.
fn columns(obs: &[u8], lines: std::ops::Range<usize>, shade: u8) -> Vec<usize> {
    let line = |y: usize| obs[y * 160..(y + 1) * 160].iter().enumerate();
    let found = lines.flat_map(line).filter(|(_, pixel)| **pixel == shade);
    found.map(|(x, _)| x).collect()
}

/// The middle of what has a shade.
fn middle(obs: &[u8], lines: std::ops::Range<usize>, shade: u8) -> Option<usize> {
    let found = columns(obs, lines, shade);
    (!found.is_empty()).then(|| found.iter().sum::<usize>() / found.len())
}

/// Left or right, to where something is.
fn towards(from: Option<usize>, to: Option<usize>) -> u32 {
    match (from, to) {
        (Some(from), Some(to)) if to + 2 < from => 1,
        (Some(from), Some(to)) if to > from + 2 => 2,
        _ => 0,
    }
}

/// Follows the ball of `catch` (yellow) with the paddle (red).
fn follow(_: u64, obs: &[u8]) -> u32 {
    towards(middle(obs, 194..198, 110), middle(obs, 16..194, 148))
}

/// Follows the ball of `bricks` (white) with the paddle (orange).
fn keep_up(_: u64, obs: &[u8]) -> u32 {
    towards(middle(obs, 192..196, 129), middle(obs, 80..192, 236))
}

#[test]
fn skill_pays() {
    // Three games each; what these players come to is recorded, so that a change of the rules is seen.
    let seeds = [1, 2, 3];
    assert_eq!(seeds.map(at_random::<Catch>), [(1, 571), (1, 571), (3, 746)]);
    let catch = seeds.map(|seed| play::<Catch>(seed, follow));
    assert_eq!(
        catch,
        [(47, 2_382), (122, 4_553), (78, 3_276)],
        "in the end they fall too fast"
    );
    assert_eq!(seeds.map(at_random::<Bricks>), [(0, 515), (3, 997), (1, 673)]);
    let bricks = seeds.map(|seed| play::<Bricks>(seed, keep_up));
    assert_eq!(
        bricks,
        [(896, 20_000), (759, 20_000), (366, 20_000)],
        "a whole wall has 384"
    );
    assert_eq!(seeds.map(at_random::<Invaders>), [(95, 3_660), (93, 3_883), (8, 877)]);
    // Fires all the time, and does not move.
    let invaders = seeds.map(|seed| play::<Invaders>(seed, |_, _| 1));
    assert_eq!(invaders, [(31, 890), (52, 1_121), (49, 1_081)]);
    assert_eq!(seeds.map(at_random::<Snake>), [(0, 981), (0, 2_466), (3, 927)]);
}

#[test]
fn a_snake_eats_grows_and_dies_of_the_wall() {
    let mut random = stream(1, "test", 0);
    let mut snake = Snake::default();
    snake.begin(&mut random);
    assert_eq!(snake.lives(), 3);
    // Straight on to the right wall, ten cells away, with nine frames for a cell.
    let frames = (1..).find(|_| {
        snake.tick(0, &mut random);
        snake.lives() == 2
    });
    assert_eq!(frames, Some(9 * 10));
}

/// Puts bytes into a game behind the back of the checksum, and plays what comes of it.
fn disturb<G: ArcadeGame>(changes: &[(prop::sample::Index, u8)]) -> bool {
    let mut env = Arcade::<G>::new(Picture::Gray);
    let mut obs = vec![0; 210 * 160];
    env.reset(Some(1), &mut obs).unwrap();
    (0..200).for_each(|t| drop(env.step(t / 9 % G::ACTIONS.len() as u32, &mut obs)));
    let mut bytes = env.snapshot().unwrap();
    let end = bytes.len() - 4;
    for (at, value) in changes {
        let at = at.index(end);
        bytes[at] = *value;
    }
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    let is_taken = env.restore(&bytes).is_ok();
    if is_taken {
        for t in 0..400 {
            if env.step(t / 7 % G::ACTIONS.len() as u32, &mut obs).is_err() {
                env.reset(None, &mut obs).unwrap();
            }
        }
    }
    is_taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_are_an_error_or_a_game_that_runs(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        disturb::<Bricks>(&changes);
        disturb::<Catch>(&changes);
        disturb::<Invaders>(&changes);
        disturb::<Snake>(&changes);
    }
}

#[test]
fn what_is_changed_by_one_point_is_taken() {
    // So that the test above is not one of errors alone.
    let mut env = Arcade::<Catch>::new(Picture::Gray);
    env.reset(Some(1), &mut vec![0; 210 * 160]).unwrap();
    let snapshot = env.snapshot().unwrap();
    let mut other = Arcade::<Catch>::new(Picture::Gray);
    other.restore(&snapshot).unwrap();
    assert_eq!(other.game(), env.game());
    assert_eq!(other.step(0, &mut vec![0; 210 * 160]).unwrap(), Step::going_on(0.0));
}
